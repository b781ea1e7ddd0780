"""Bodies about images of any kind, and about what has happened to them."""

from typing import Any, Literal

from pinakes.apis.native.models.values import Listed, Shown, ShownTime
from pinakes.apis.native.models.versions import VersionContent
from pinakes.apis.native.models.viewing import PictureInShort, Viewer


class ListedImage(Shown):
    """What is the same for images of every kind.

    content: of its newest version that has any.   picture: what is known of that content.
    """

    id: int
    uuid: str
    kind: Literal["clinical", "machine", "slide"]
    name: str
    description: str | None
    author_id: int
    start_date: ShownTime
    end_date: ShownTime | None
    content: VersionContent | None
    picture: PictureInShort | None


class ImagePage(Listed):
    """Newest first."""

    items: list[ListedImage]
    next_cursor: str | None


class Image(ListedImage):
    """The same with where it can be looked at. viewer: null for what has no pixels, or none that can be read."""

    viewer: Viewer | None


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
