"""Which tag is on which machine image, as rows of their own (atmosphere contract 8.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, func, select

from pinakes.core import audit
from pinakes.core.access import policy
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import records, tag_records
from pinakes.core.catalogue.keys import Key
from pinakes.core.catalogue.summaries import (
    SUMMARY_COLUMNS,
    SUMMARY_WIDTH,
    ImageSummary,
    summary_of,
    with_summary,
    with_tags,
)
from pinakes.core.catalogue.tag_records import TAG_COLUMNS, Tag
from pinakes.core.catalogue.tags import Tags
from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.db.query import Query, Row
from pinakes.core.db.schema import image_tags, images, tags
from pinakes.core.errors import ImageUnknown, InvalidFields, NotAllowed, TagExists, TagUnknown
from pinakes.core.page import Listed, PageRequest


@dataclass(frozen=True, slots=True)
class Tagging:
    """One tag on one image."""

    id: int
    image: ImageSummary
    tag: Tag


_TABLES = image_tags.join(images, images.c.id == image_tags.c.image_id).join(tags, tags.c.id == image_tags.c.tag_id)
_SHOWN = (images.c.kind == Kind.MACHINE.value, policy.READABLE, policy.IS_ACTIVE)
_ROWS = select(*SUMMARY_COLUMNS, *TAG_COLUMNS, image_tags.c.id).select_from(with_summary(_TABLES)).where(*_SHOWN)
_FIND = Query(_ROWS.where(image_tags.c.id == bindparam("key")))
_OF_IMAGE = {int: images.c.id == bindparam("image_key"), str: images.c.uid == bindparam("image_key")}
_WHICH: dict[type | None, tuple[ColumnElement[bool], ...]] = {
    None: (),
    **{kind: (condition,) for kind, condition in _OF_IMAGE.items()},
}
_COUNT = {
    kind: Query(select(func.count()).select_from(_TABLES).where(*_SHOWN, *which)) for kind, which in _WHICH.items()
}
_PAGE = {
    kind: Query(
        _ROWS.where(*which).order_by(image_tags.c.id).limit(bindparam("page_size")).offset(bindparam("page_offset"))
    )
    for kind, which in _WHICH.items()
}
_IMAGE = {
    kind: Query(select(images.c.id).where(images.c.kind == Kind.MACHINE.value, policy.READABLE, condition))
    for kind, condition in _OF_IMAGE.items()
}


class Taggings:
    """Operations on the tags of active images. Each raises Unauthenticated, KindMissing, ScopeMissing, too."""

    def __init__(self, database: Database, tags: Tags, clock: Clock) -> None:
        self._database = database
        self._tags = tags
        self._clock = clock

    def list(self, actor: Actor, page: PageRequest, image: Key | None = None) -> Listed[Tagging]:
        """Of all images the actor may read, or of one; by id."""
        _user(actor, Permission.READ)
        kind = None if image is None else type(image)
        parameters = policy.parameters(actor, self._clock()) | {"image_key": image}
        with self._database.read() as connection:
            counted = _COUNT[kind].first(connection, parameters)
            total: int = counted[0] if counted else 0
            rows = _PAGE[kind].all(connection, parameters | page.window(total))
            return Listed(tuple(_taggings(connection, rows)), total)

    def get(self, actor: Actor, tagging_id: int) -> Tagging:
        """Raises TagUnknown."""
        _user(actor, Permission.READ)
        with self._database.read() as connection:
            return self._find(connection, actor, tagging_id)

    def create(self, actor: Actor, image: Key, tag: Key) -> Tagging:
        """Tag an image, as its creator.

        Raises NotAllowed, and InvalidFields for an image that cannot be seen, and a tag that is unknown, reserved or
        on it already.
        """
        _user(actor, Permission.WRITE)
        with self._database.write() as transaction:
            parameters = policy.parameters(actor, self._clock()) | {"image_key": image}
            row = _IMAGE[type(image)].first(transaction, parameters)
            if row is None:
                raise InvalidFields.one("image", "names no image")
            try:
                self._hold(transaction, actor, row[0])
            except ImageUnknown as exc:
                raise InvalidFields.one("image", "names no image") from exc
            found = tag_records.find(transaction, tag)
            if found is None:
                raise InvalidFields.one("tag", "names no tag")
            if not self._tags.may_attach(actor, found):
                raise InvalidFields.one("tag", f"may not be the reserved tag {found.name}")
            try:
                tagging_id = tag_records.attach(transaction, row[0], found.id)
            except TagExists as exc:
                raise InvalidFields.one("tag", "is on the image already") from exc
            self._changed(transaction, actor, row[0])
            return self._find(transaction, actor, tagging_id)

    def delete(self, actor: Actor, tagging_id: int) -> None:
        """Take a tag off an image, as its creator. Raises TagUnknown, NotAllowed."""
        _user(actor, Permission.WRITE)
        with self._database.write() as transaction:
            found = self._find(transaction, actor, tagging_id)
            try:
                self._hold(transaction, actor, found.image.id)
            except ImageUnknown as exc:
                raise TagUnknown from exc
            if not tag_records.detach(transaction, found.image.id, found.tag.id):
                raise TagUnknown
            self._changed(transaction, actor, found.image.id)

    def _hold(self, transaction: Transaction, actor: Actor, image_id: int) -> None:
        """Raises ImageUnknown, NotAllowed."""
        now = self._clock()
        if not records.hold(transaction, image_id):
            raise ImageUnknown
        image = records.find(transaction, actor, image_id, now)
        if image is None:
            raise ImageUnknown
        if not policy.may_edit(actor, image.facts, now):
            raise NotAllowed

    def _changed(self, transaction: Transaction, actor: Actor, image_id: int) -> None:
        now = self._clock()
        records.change(transaction, image_id, {}, now)
        audit.record(transaction, actor, now, Event(Action.IMAGE_UPDATE, image_id, detail={"changed": ["tags"]}))

    def _find(self, connection: Executor, actor: Actor, tagging_id: int) -> Tagging:
        """Raises TagUnknown."""
        row = _FIND.first(connection, policy.parameters(actor, self._clock()) | {"key": tagging_id})
        if row is None:
            raise TagUnknown
        return _taggings(connection, [row])[0]


def _user(actor: Actor, permission: Permission) -> None:
    require_user(actor, Kind.MACHINE, Resource.IMAGE, permission)


def _taggings(connection: Executor, rows: Sequence[Row]) -> list[Tagging]:
    summaries = with_tags(connection, [summary_of(row) for row in rows])
    return [
        Tagging(row[-1], summary, Tag(*row[SUMMARY_WIDTH:-1])) for summary, row in zip(summaries, rows, strict=True)
    ]
