"""Bodies about images of any kind, and about what has happened to them."""

from typing import Any, Literal

from pinakes.apis.native.models.values import Listed, Shown, ShownTime
from pinakes.apis.native.models.versions import VersionContent


class Image(Shown):
    """What is the same for images of every kind. content: of its newest version that has any."""

    id: int
    uuid: str
    kind: Literal["clinical", "machine", "slide"]
    name: str
    description: str | None
    author_id: int
    start_date: ShownTime
    end_date: ShownTime | None
    content: VersionContent | None


class Event(Shown):
    """One line of the audit trail. actor_id is null where nobody was known."""

    id: int
    at: ShownTime
    action: str
    api: str
    actor_id: int | None
    subject: str | None
    detail: dict[str, Any]


class EventPage(Listed):
    """Newest first."""

    items: list[Event]
    next_cursor: str | None
