"""The SQL of the versions of machine images, as those see them who may see the image.

A version past its own end is seen by the image's creator and staff only (`policy.OVERSEEN`). A page takes the same
few statements however many versions are on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select

from pinakes.core.access import policy
from pinakes.core.access.people import PERSON_WIDTH, Person, person_columns
from pinakes.core.actor import Kind
from pinakes.core.catalogue.keys import Key
from pinakes.core.catalogue.summaries import (
    SUMMARY_COLUMNS,
    SUMMARY_WIDTH,
    ImageSummary,
    summary_of,
    with_summary,
    with_tags,
)
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor
from pinakes.core.db.query import Query
from pinakes.core.db.schema import groups, images, users, version_memberships, versions
from pinakes.core.page import Listed, PageRequest


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """A group that may read an image for the sake of one of its versions."""

    id: int
    uid: str
    name: str


@dataclass(frozen=True, slots=True)
class VersionSummary:
    """A version in short."""

    id: int
    uid: str
    name: str


@dataclass(frozen=True, slots=True)
class MachineVersion:
    """One version of a machine image, as one actor sees it.

    size_bytes, format, digest (SHA-256, hex): of its content; None until that has come.
    parent: the version it was made from; None also where the actor may not see that one.
    groups: who are members of it; empty unless the actor is the image's creator or staff.
    """

    id: int
    uid: str
    name: str
    change_log: str
    created_at: Instant
    end_at: Instant | None
    allows_imaging: bool
    doc_object_id: str | None
    min_cpu: int | None
    min_mem_mb: int | None
    size_bytes: int | None
    format: str | None
    digest: str | None
    author: Person
    image: ImageSummary
    parent: VersionSummary | None = None
    groups: tuple[GroupSummary, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionFilter:
    """Which versions a list is to hold.

    image: only this image's. author_name: only of images this user has created; exact.
    has_content: only those whose content has come.
    with_ended: also of ended images, as far as the actor sees those; without it only where `image` names one.
    version: only this one.
    """

    image: Key | None = None
    version: Key | None = None
    author_name: str | None = None
    has_content: bool = False
    with_ended: bool = False


_author = users.alias("version_author")
_OWN = 13  # columns of the version itself
_AUTHOR = _OWN + PERSON_WIDTH
_SUMMARY = _AUTHOR + SUMMARY_WIDTH
_COLUMNS = (
    versions.c.id,
    versions.c.uid,
    versions.c.name,
    versions.c.change_log,
    versions.c.created_at,
    versions.c.end_at,
    versions.c.allows_imaging,
    versions.c.doc_object_id,
    versions.c.min_cpu,
    versions.c.min_mem_mb,
    versions.c.size_bytes,
    versions.c.format,
    versions.c.digest,
    *person_columns(_author),
    *SUMMARY_COLUMNS,
    versions.c.parent_id,
    policy.OVERSEEN,
)
_IMAGES = versions.join(images, images.c.id == versions.c.image_id)
_ROWS = select(*_COLUMNS).select_from(with_summary(_IMAGES).join(_author, _author.c.id == versions.c.author_id))
_IS_ACTIVE = or_(versions.c.end_at.is_(None), versions.c.end_at > policy.NOW)
_IS_VISIBLE = and_(images.c.kind == Kind.MACHINE.value, policy.READABLE, or_(_IS_ACTIVE, policy.OVERSEEN))
_OLDEST_FIRST = (versions.c.created_at, versions.c.id)


def page_of(
    connection: Executor, parameters: Mapping[str, Any], wanted: VersionFilter, page: PageRequest
) -> Listed[MachineVersion]:
    """Oldest first. parameters: of the policy."""
    if wanted.author_name is not None and "\0" in wanted.author_name:
        return Listed((), 0)  # nobody's name, and no database takes it
    bound = dict(parameters)
    bound |= {"image_key": wanted.image, "version_key": wanted.version, "author_name": wanted.author_name}
    count, rows = _statements(_condition(wanted))
    found = count.first(connection, bound)
    assert found is not None
    total: int = found[0]
    if not total:
        return Listed((), 0)
    return Listed(tuple(_versions(connection, bound, rows.all(connection, bound | page.window(total)))), total)


def find(connection: Executor, parameters: Mapping[str, Any], key: Key) -> MachineVersion | None:
    """A version the actor may see. parameters: of the policy."""
    found = page_of(connection, parameters, VersionFilter(version=key, with_ended=True), PageRequest(size=1))
    return found.items[0] if found.items else None


@dataclass(frozen=True, slots=True)
class _Condition:
    """What of a filter changes the statement."""

    image: str | None  # the column of the image's key
    version: str | None
    by_author: bool
    has_content: bool
    with_ended: bool


def _condition(wanted: VersionFilter) -> _Condition:
    return _Condition(
        _column(wanted.image),
        _column(wanted.version),
        wanted.author_name is not None,
        wanted.has_content,
        wanted.with_ended or wanted.image is not None or wanted.version is not None,
    )


def _column(key: Key | None) -> str | None:
    if key is None:
        return None
    return "id" if isinstance(key, int) else "uid"


@cache
def _statements(condition: _Condition) -> tuple[Query, Query]:
    """To count the versions, and to read a page of them."""
    where: list[ColumnElement[bool]] = [_IS_VISIBLE]
    if condition.image is not None:
        where.append(images.c[condition.image] == bindparam("image_key"))
    if condition.version is not None:
        where.append(versions.c[condition.version] == bindparam("version_key"))
    if condition.has_content:
        where.append(versions.c.digest.is_not(None))
    if not condition.with_ended:
        where.append(policy.IS_ACTIVE)
    tables = _IMAGES
    if condition.by_author:
        author = users.alias("filtered_author")
        tables = tables.join(author, author.c.id == images.c.author_id)
        where.append(author.c.name == bindparam("author_name"))
    ids = select(versions.c.id).select_from(tables).where(*where).order_by(*_OLDEST_FIRST)
    page = ids.limit(bindparam("page_size")).offset(bindparam("page_offset")).subquery("page")
    rows: Select[Any] = _ROWS.join(page, page.c.id == versions.c.id).order_by(*_OLDEST_FIRST)
    return Query(select(func.count()).select_from(tables).where(*where)), Query(rows)


def _versions(connection: Executor, parameters: Mapping[str, Any], rows: Sequence[Any]) -> list[MachineVersion]:
    """The versions of a page: what hangs on them is read for all of them at once."""
    parents = _parents(connection, parameters, [row[_SUMMARY] for row in rows if row[_SUMMARY] is not None])
    members = groups_of(connection, [row[0] for row in rows if row[_SUMMARY + 1]])
    shown = with_tags(connection, [summary_of(row[_AUTHOR:_SUMMARY]) for row in rows])
    return [
        replace(_version(row, image), parent=parents.get(row[_SUMMARY]), groups=tuple(members.get(row[0], ())))
        for row, image in zip(rows, shown, strict=True)
    ]


def _version(row: Sequence[Any], image: ImageSummary) -> MachineVersion:
    (
        version_id,
        uid,
        name,
        change_log,
        created_at,
        end_at,
        allows_imaging,
        doc_object_id,
        min_cpu,
        min_mem_mb,
        size_bytes,
        file_format,
        digest,
    ) = row[:_OWN]
    return MachineVersion(
        version_id,
        uid,
        name,
        change_log,
        created_at,
        end_at,
        bool(allows_imaging),
        doc_object_id,
        min_cpu,
        min_mem_mb,
        size_bytes,
        file_format,
        digest,
        Person(*row[_OWN:_AUTHOR]),
        image,
    )


_PARENTS = (
    select(versions.c.id, versions.c.uid, versions.c.name)
    .select_from(_IMAGES)
    .where(versions.c.id.in_(bindparam("parents", expanding=True)), _IS_VISIBLE)
)


def _parents(
    connection: Executor, parameters: Mapping[str, Any], parent_ids: Sequence[int]
) -> dict[int, VersionSummary]:
    """Those of them the actor may see: a version may have been moved away from its parent's image."""
    if not parent_ids:
        return {}
    rows = connection.execute(_PARENTS, {**parameters, "parents": sorted(set(parent_ids))})
    return {row[0]: VersionSummary(*row) for row in rows}


_GROUPS = (
    select(version_memberships.c.version_id, groups.c.id, groups.c.uid, groups.c.name)
    .join(groups, groups.c.id == version_memberships.c.group_id)
    .where(version_memberships.c.version_id.in_(bindparam("versions", expanding=True)))
    .order_by(groups.c.name_folded)
)


def groups_of(connection: Executor, version_ids: Sequence[int]) -> dict[int, list[GroupSummary]]:
    """The groups that are members of each of these versions, by name."""
    found: dict[int, list[GroupSummary]] = {}
    if version_ids:
        for version_id, *group in connection.execute(_GROUPS, {"versions": version_ids}):
            found.setdefault(version_id, []).append(GroupSummary(*group))
    return found
