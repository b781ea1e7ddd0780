"""Metrics: how machine images are taken up, for staff."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, exists, func, select

from pinakes.core.access import policy
from pinakes.core.access.guard import require_scope
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.catalogue.keys import Key, has_key
from pinakes.core.catalogue.tag_records import FEATURED
from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import bookmarks, image_tags, images, tags
from pinakes.core.errors import ImageUnknown
from pinakes.core.page import Listed, PageRequest
from pinakes.core.text import fold


@dataclass(frozen=True, slots=True)
class ImageMetrics:
    """What is counted of an image. bookmarks: of how many users it has one."""

    id: int
    uid: str
    name: str
    bookmarks: int
    is_featured: bool


_BOOKMARKS = (
    select(func.count())
    .select_from(bookmarks)
    .where(bookmarks.c.image_id == images.c.id)
    .correlate(images)
    .scalar_subquery()
)
_IS_FEATURED = (
    exists()
    .where(image_tags.c.image_id == images.c.id, tags.c.id == image_tags.c.tag_id, tags.c.name_folded == fold(FEATURED))
    .correlate(images)
)
_VISIBLE = (images.c.kind == Kind.MACHINE.value, policy.READABLE, policy.IS_ACTIVE)
_ROWS = select(images.c.id, images.c.uid, images.c.name, _BOOKMARKS, _IS_FEATURED).where(*_VISIBLE)
_COUNT = select(func.count()).select_from(images).where(*_VISIBLE)
_PAGE = _ROWS.order_by(images.c.id).limit(bindparam("page_size")).offset(bindparam("page_offset"))


class Metrics:
    """Looking at metrics. There are none for who is not of the staff. Each operation raises ScopeMissing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def list(self, actor: Actor, page: PageRequest) -> Listed[ImageMetrics]:
        """Of the active images, by id."""
        if not _is_for(actor):
            return Listed((), 0)
        parameters = self._parameters(actor)
        with self._database.read() as connection:
            total = connection.execute(_COUNT, parameters).scalar_one()
            rows = connection.execute(_PAGE, {**parameters, **page.window(total)}).all()
        return Listed(tuple(_metrics(row) for row in rows), total)

    def get(self, actor: Actor, key: Key) -> ImageMetrics:
        """Raises ImageUnknown."""
        if not _is_for(actor):
            raise ImageUnknown
        with self._database.read() as connection:
            row = connection.execute(_ROWS.where(has_key(images, key)), self._parameters(actor)).first()
        if row is None:
            raise ImageUnknown
        return _metrics(row)

    def _parameters(self, actor: Actor) -> Mapping[str, Any]:
        return policy.parameters(actor, self._clock())


def _is_for(actor: Actor) -> bool:
    require_scope(actor, Resource.IMAGE, Permission.READ)
    return actor.is_staff and actor.has_kind(Kind.MACHINE)


def _metrics(row: Sequence[Any]) -> ImageMetrics:
    return ImageMetrics(row[0], row[1], row[2], row[3], bool(row[4]))
