"""Bookmarks: the machine images a user wants to find again."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from pinakes.core import audit
from pinakes.core.access import policy
from pinakes.core.access.guard import require_user
from pinakes.core.access.people import Person, person_columns
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue.keys import Key, has_key
from pinakes.core.catalogue.summaries import (
    SUMMARY_COLUMNS,
    SUMMARY_WIDTH,
    ImageSummary,
    summary_of,
    with_summary,
    with_tags,
)
from pinakes.core.clock import Clock, Instant
from pinakes.core.db.engine import Database, Executor
from pinakes.core.db.query import Query
from pinakes.core.db.schema import bookmarks, images, users
from pinakes.core.errors import AlreadyBookmarked, BookmarkUnknown, ImageUnknown
from pinakes.core.page import Listed, PageRequest


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A bookmark, and whose it is."""

    id: int
    uid: str
    created_at: Instant
    owner: Person
    image: ImageSummary


_owner = users.alias("bookmark_owner")
_IMAGES = bookmarks.join(images, images.c.id == bookmarks.c.image_id)
_VISIBLE = (
    bookmarks.c.user_id == policy.ACTOR_ID,
    images.c.kind == Kind.MACHINE.value,
    policy.READABLE,
)
_ROWS = (
    select(*SUMMARY_COLUMNS, bookmarks.c.id, bookmarks.c.uid, bookmarks.c.created_at, *person_columns(_owner))
    .select_from(with_summary(_IMAGES).join(_owner, _owner.c.id == bookmarks.c.user_id))
    .where(*_VISIBLE)
)
_COUNT = Query(select(func.count()).select_from(_IMAGES).where(*_VISIBLE))
_PAGE = Query(_ROWS.order_by(bookmarks.c.id).limit(bindparam("page_size")).offset(bindparam("page_offset")))
_READABLE_IMAGE = select(images.c.id).where(images.c.kind == Kind.MACHINE.value, policy.READABLE)


class Bookmarks:
    """Operations of a user on their own bookmarks. One on an image they may not see any more is as if it were not.

    Each raises Unauthenticated, KindMissing and ScopeMissing beside what it names.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def list(self, actor: Actor, page: PageRequest) -> Listed[Bookmark]:
        """Oldest first."""
        _user(actor, Permission.READ)
        parameters = policy.parameters(actor, self._clock())
        with self._database.read() as connection:
            found = _COUNT.first(connection, parameters)
            total = found[0] if found else 0
            rows = _PAGE.all(connection, parameters | page.window(total))
            return Listed(tuple(_bookmarks(connection, rows)), total)

    def get(self, actor: Actor, key: Key) -> Bookmark:
        """Raises BookmarkUnknown."""
        _user(actor, Permission.READ)
        with self._database.read() as connection:
            return self._find(connection, actor, key)

    def create(self, actor: Actor, image: Key) -> Bookmark:
        """Raises ImageUnknown, AlreadyBookmarked."""
        user_id = _user(actor, Permission.WRITE)
        with self._database.write() as transaction:
            now = self._clock()
            statement = _READABLE_IMAGE.where(has_key(images, image))
            image_id = transaction.execute(statement, policy.parameters(actor, now)).scalar_one_or_none()
            if image_id is None:
                raise ImageUnknown
            row = {"uid": uuid.uuid4().hex, "user_id": user_id, "image_id": image_id, "created_at": now}
            try:
                bookmark_id: int = transaction.execute(insert(bookmarks).returning(bookmarks.c.id), row).scalar_one()
            except IntegrityError as exc:
                raise AlreadyBookmarked from exc
            audit.record(transaction, actor, now, Event(Action.BOOKMARK_CREATE, image_id))
            return self._find(transaction, actor, bookmark_id)

    def delete(self, actor: Actor, key: Key) -> None:
        """Raises BookmarkUnknown."""
        _user(actor, Permission.DELETE)
        with self._database.write() as transaction:
            found = self._find(transaction, actor, key)
            transaction.execute(delete(bookmarks).where(bookmarks.c.id == found.id))
            audit.record(transaction, actor, self._clock(), Event(Action.BOOKMARK_DELETE, found.image.id))

    def _find(self, connection: Executor, actor: Actor, key: Key) -> Bookmark:
        """Raises BookmarkUnknown."""
        statement = _ROWS.where(has_key(bookmarks, key))
        row = connection.execute(statement, policy.parameters(actor, self._clock())).first()
        if row is None:
            raise BookmarkUnknown
        return _bookmarks(connection, [row])[0]


def _user(actor: Actor, permission: Permission) -> int:
    return require_user(actor, Kind.MACHINE, Resource.IMAGE, permission)


def _bookmarks(connection: Executor, rows: Sequence[Any]) -> list[Bookmark]:
    shown = with_tags(connection, [summary_of(row) for row in rows])
    return [_bookmark(row[SUMMARY_WIDTH:], image) for row, image in zip(rows, shown, strict=True)]


def _bookmark(own: Sequence[Any], image: ImageSummary) -> Bookmark:
    bookmark_id, uid, created_at = own[:3]
    return Bookmark(bookmark_id, uid, created_at, Person(*own[3:]), image)
