"""The SQL of machine images as a catalogue shows them: one by its key, and lists that are filtered, searched and paged.

A page takes the same few statements however many images it holds: how many there are, the page itself, then tags,
versions and patterns of all its images at once. Which images are on a page is found by walking `ix_images_listing`
from the nearer end of the list, or by sorting the few that a filter leaves.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, UnaryExpression, bindparam, case, func, select

from pinakes.core.access import policy
from pinakes.core.actor import Actor, Kind, Visibility
from pinakes.core.catalogue import machine_search, patterns
from pinakes.core.catalogue.keys import Key
from pinakes.core.catalogue.machine_search import Search
from pinakes.core.catalogue.patterns import Pattern
from pinakes.core.catalogue.summaries import (
    SUMMARY_COLUMNS,
    SUMMARY_WIDTH,
    ImageSummary,
    summary_of,
    with_summary,
    with_tags,
)
from pinakes.core.catalogue.tag_records import FEATURED
from pinakes.core.catalogue.version_records import VersionSummary
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor
from pinakes.core.db.query import Query, Row
from pinakes.core.db.schema import bookmarks, image_tags, images, namespaces, tags, users, versions
from pinakes.core.page import Listed, PageRequest
from pinakes.core.text import fold


@dataclass(frozen=True, slots=True)
class CatalogueImage:
    """A machine image as one actor sees it.

    visibility: its root namespace's for one in a namespace, else its own.
    versions: oldest first; those past their own end for the creator and staff only. patterns: for these only, too.
    """

    summary: ImageSummary
    visibility: Visibility
    is_in_namespace: bool
    versions: tuple[VersionSummary, ...] = ()
    patterns: tuple[Pattern, ...] = ()


class OrderField(enum.StrEnum):
    """What a list can be ordered by, in Atmosphere's words (contract L7)."""

    ID = "id"
    NAME = "name"
    START_DATE = "start_date"
    END_DATE = "end_date"


@dataclass(frozen=True, slots=True)
class Order:
    """One of the fields a list is ordered by. An image without an end comes after all that have one."""

    field: OrderField
    is_descending: bool = False


DEFAULT_ORDER = (Order(OrderField.END_DATE, is_descending=True), Order(OrderField.START_DATE, is_descending=True))
"""Those without an end first, then those that end last; within them the newest first (contract L6)."""


@dataclass(frozen=True, slots=True)
class CatalogueFilter:
    """Which images a list is to hold, and in which order; what ties is ordered by id, descending.

    author_name, tag: whole and exact, empty for any. search: see `machine_search`.
    is_featured: tagged "featured", in any case. is_bookmarked: by the actor.
    with_ended: also ended images that the actor sees. below_id: only those of a smaller id.
    """

    author_name: str = ""
    tag: str = ""
    search: str = ""
    is_featured: bool = False
    is_bookmarked: bool = False
    with_ended: bool = False
    below_id: int | None = None
    order: tuple[Order, ...] = DEFAULT_ORDER


_MANY = 2_000
"""Beyond so many matches, sorting them all costs more than walking the list until the page is full."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a statement depends on beside its parameters."""

    has_author: bool
    has_tag: bool
    is_featured: bool
    is_bookmarked: bool
    with_ended: bool
    is_bounded: bool
    slots: int
    is_indexed: bool

    @property
    def is_narrow(self) -> bool:
        """Whether a filter finds its images by an index of its own."""
        return any((self.has_author, self.has_tag, self.is_featured, self.is_bookmarked, self.slots, self.is_indexed))


_place = namespaces.alias("place")
_MACHINE = images.c.kind == Kind.MACHINE.value
_ROWS = select(
    *SUMMARY_COLUMNS,
    case((images.c.namespace_id.is_(None), images.c.visibility), else_=_place.c.visibility),
    images.c.namespace_id,
    policy.OVERSEEN,
).select_from(with_summary(images).outerjoin(_place, _place.c.id == images.c.namespace_id))
_FIND_BY_ID = Query(_ROWS.where(_MACHINE, policy.READABLE, images.c.id == bindparam("key")))
_FIND_BY_UID = Query(_ROWS.where(_MACHINE, policy.READABLE, images.c.uid == bindparam("key")))
_VERSIONS = (
    select(versions.c.image_id, versions.c.end_at, versions.c.id, versions.c.uid, versions.c.name)
    .where(versions.c.image_id.in_(bindparam("image_ids", expanding=True)))
    .order_by(versions.c.created_at, versions.c.id)
)


def find(connection: Executor, actor: Actor, key: Key, now: Instant) -> CatalogueImage | None:
    """The image, if the actor may read it."""
    query = _FIND_BY_ID if isinstance(key, int) else _FIND_BY_UID
    row = query.first(connection, policy.parameters(actor, now) | {"key": key})
    return _whole(connection, [row], now)[0] if row else None


def listed(
    connection: Executor, actor: Actor, wanted: CatalogueFilter, page: PageRequest, now: Instant
) -> Listed[CatalogueImage]:
    """A page of the images that the actor may read. Raises InvalidFields for a search of too many terms."""
    search = machine_search.prepare(connection, machine_search.terms_of(wanted.search))
    if search is None or "\0" in wanted.author_name + wanted.tag:
        return Listed((), 0)
    shape = _shape(wanted, search)
    parameters = {**policy.parameters(actor, now), **search.parameters, **_parameters(wanted)}
    counted = _count(shape).first(connection, parameters)
    total: int = counted[0] if counted else 0
    window = page.window(total)
    size = min(window["page_size"], total - window["page_offset"])
    if size <= 0:
        return Listed((), total)
    behind = total - window["page_offset"] - size
    is_nearer_end = behind < window["page_offset"]
    offset = behind if is_nearer_end else window["page_offset"]
    query = _page(shape, wanted.order, is_nearer_end, not shape.is_narrow or total > _MANY)
    rows = query.all(connection, parameters | {"page_size": size, "page_offset": offset})
    return Listed(tuple(_whole(connection, rows, now)), total)


def _whole(connection: Executor, rows: Sequence[Row], now: Instant) -> list[CatalogueImage]:
    """Rows of _ROWS with what hangs on each."""
    image_ids = [row[0] for row in rows]
    overseen = {row[0] for row in rows if row[-1]}
    summaries = with_tags(connection, [summary_of(row) for row in rows])
    live: dict[int, list[VersionSummary]] = {}
    if image_ids:
        for image_id, end_at, *summary in connection.execute(_VERSIONS, {"image_ids": image_ids}):
            if end_at is None or end_at > now or image_id in overseen:
                live.setdefault(image_id, []).append(VersionSummary(*summary))
    shared = patterns.attached(connection, sorted(overseen))
    return [
        CatalogueImage(
            summary,
            Visibility(row[SUMMARY_WIDTH]),
            row[SUMMARY_WIDTH + 1] is not None,
            tuple(live.get(row[0], ())),
            tuple(shared.get(row[0], ())),
        )
        for summary, row in zip(summaries, rows, strict=True)
    ]


# -- Statements ---------------------------------------------------------------------------------------------------


def _shape(wanted: CatalogueFilter, search: Search) -> _Shape:
    return _Shape(
        bool(wanted.author_name),
        bool(wanted.tag),
        wanted.is_featured,
        wanted.is_bookmarked,
        wanted.with_ended,
        wanted.below_id is not None,
        search.slots,
        search.is_indexed,
    )


def _parameters(wanted: CatalogueFilter) -> Mapping[str, Any]:
    return {
        "author_name": wanted.author_name,
        "tag_name": wanted.tag,
        "featured": fold(FEATURED),
        "below_id": wanted.below_id,
    }


@lru_cache(256)
def _count(shape: _Shape) -> Query:
    return Query(_matching(shape, is_walked=not shape.is_narrow).with_only_columns(func.count()))


@lru_cache(256)
def _page(shape: _Shape, order: tuple[Order, ...], is_reversed: bool, is_walked: bool) -> Query:
    """One page, in order; is_reversed: found from the end of the list."""
    ids = _matching(shape, is_walked=is_walked).order_by(*_order_by(order, is_reversed=is_reversed))
    page = ids.limit(bindparam("page_size")).offset(bindparam("page_offset")).subquery("page")
    whole = _ROWS.join(page, page.c.id == images.c.id)
    return Query(whole.order_by(*_order_by(order, is_reversed=False)))


def _matching(shape: _Shape, *, is_walked: bool) -> Select[Any]:
    """The ids of the images of a list.

    is_walked: the whole list is gone through in its order, and each image asked whether it matches; else those that
    match are looked up first. SQLite is led to either by what it cannot use an index for.
    """
    image_id: ColumnElement[int] = images.c.id + 0 if is_walked else images.c.id
    author_id: ColumnElement[int] = images.c.author_id + 0 if is_walked else images.c.author_id
    kind: ColumnElement[str] = images.c.kind if is_walked else images.c.kind.concat("")
    statement = select(images.c.id).where(kind == Kind.MACHINE.value, policy.READABLE)
    if not shape.with_ended:
        statement = statement.where(policy.IS_ACTIVE)
    if shape.is_bounded:
        statement = statement.where(images.c.id < bindparam("below_id"))
    if shape.has_author:
        named = select(users.c.id).where(users.c.name == bindparam("author_name")).scalar_subquery()
        statement = statement.where(author_id == named)
    if shape.has_tag:
        statement = statement.where(image_id.in_(_tagged(tags.c.name == bindparam("tag_name"))))
    if shape.is_featured:
        statement = statement.where(image_id.in_(_tagged(tags.c.name_folded == bindparam("featured"))))
    if shape.is_bookmarked:
        marked = select(bookmarks.c.image_id).where(bookmarks.c.user_id == policy.ACTOR_ID)
        statement = statement.where(image_id.in_(marked))
    if shape.slots or shape.is_indexed:
        statement = machine_search.narrowed(statement, image_id, shape.slots, shape.is_indexed)
    return statement


def _tagged(condition: ColumnElement[bool]) -> Select[Any]:
    """The ids of the images with a tag of which this is true."""
    return select(image_tags.c.image_id).join(tags, tags.c.id == image_tags.c.tag_id).where(condition)


_COLUMNS: Mapping[OrderField, ColumnElement[Any]] = {
    OrderField.ID: images.c.id,
    OrderField.NAME: images.c.name,
    OrderField.START_DATE: images.c.created_at,
    OrderField.END_DATE: images.c.end_at,
}
_TIES = Order(OrderField.ID, is_descending=True)


def _order_by(order: tuple[Order, ...], *, is_reversed: bool) -> list[UnaryExpression[Any]]:
    return [_direction(one, is_descending=one.is_descending is not is_reversed) for one in (*order, _TIES)]


def _direction(order: Order, *, is_descending: bool) -> UnaryExpression[Any]:
    column = _COLUMNS[order.field]
    directed = column.desc() if is_descending else column.asc()
    if order.field is not OrderField.END_DATE:
        return directed
    return directed.nulls_first() if is_descending else directed.nulls_last()
