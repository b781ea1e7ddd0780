"""What all representations of this API are made of: times, uuids, addresses, people, tags (atmosphere contract C7-C9).

base: the API's external address, up to before `/api/v2`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pinakes.core.access.people import Person
from pinakes.core.actor import Actor
from pinakes.core.catalogue.tag_records import Tag
from pinakes.core.clock import SECOND, Instant, to_datetime

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """For whom something is shown. may_attach: whether they may put a tag on an image of theirs (contract T5)."""

    actor: Actor
    base: str
    may_attach: Callable[[Tag], bool]


@lru_cache(4096)
def timestamp(instant: Instant) -> str:
    """UTC with `Z`, microseconds when there are any: `2015-03-30T18:30:45.501948Z`."""
    naive = to_datetime(instant).replace(tzinfo=None)
    return f"{naive.isoformat(timespec='microseconds' if instant % SECOND else 'seconds')}Z"


def moment(instant: Instant | None) -> str | None:
    return None if instant is None else timestamp(instant)


def dashed(uid: str) -> str:
    """A UUID of 32 hex digits as clients write it."""
    return f"{uid[:8]}-{uid[8:12]}-{uid[12:16]}-{uid[16:20]}-{uid[20:]}"


def url(base: str, collection: str, uid: str) -> str:
    """The absolute address of an object: by its uuid."""
    return f"{base}/api/v2/{collection}/{dashed(uid)}"


def reference(base: str, collection: str, row_id: int, uid: str) -> Json:
    """How an object is named wherever it is shown."""
    return {"id": row_id, "uuid": dashed(uid), "url": url(base, collection, uid)}


def tag(shown: Tag, view: View) -> Json:
    """Contract T1."""
    return {
        **reference(view.base, "tags", shown.id, shown.uid),
        "name": shown.name,
        "description": shown.description,
        "allow_access": view.may_attach(shown),
    }


def user(person: Person, base: str) -> Json:
    return {**reference(base, "users", person.id, person.uid), "username": person.name}
