"""Memberships: groups that may read a machine image for the sake of one of its versions.

They are seen by the image's creator and by staff, and changed by the creator only.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from pinakes.core import audit
from pinakes.core.access import policy
from pinakes.core.access.groups import visible_groups
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import machine_records
from pinakes.core.catalogue.keys import Key, has_key
from pinakes.core.catalogue.version_records import GroupSummary, VersionSummary
from pinakes.core.catalogue.versions import visible_version
from pinakes.core.clock import Clock, Instant
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.db.schema import groups, images, version_memberships, versions
from pinakes.core.errors import InvalidFields, MembershipUnknown, NotAllowed
from pinakes.core.page import Listed, PageRequest
from pinakes.core.text import check_text

MOST_MEMBERSHIPS = 100
"""How many groups may be members of one version."""


@dataclass(frozen=True, slots=True)
class Membership:
    """A group that is a member of a version."""

    id: int
    uid: str
    created_at: Instant
    image_id: int
    version: VersionSummary
    group: GroupSummary


_TABLES = (
    version_memberships.join(versions, versions.c.id == version_memberships.c.version_id)
    .join(images, images.c.id == versions.c.image_id)
    .join(groups, groups.c.id == version_memberships.c.group_id)
)
_VISIBLE = (images.c.kind == Kind.MACHINE.value, policy.OVERSEEN)
_ROWS = (
    select(
        version_memberships.c.id,
        version_memberships.c.uid,
        version_memberships.c.created_at,
        images.c.id,
        versions.c.id,
        versions.c.uid,
        versions.c.name,
        groups.c.id,
        groups.c.uid,
        groups.c.name,
    )
    .select_from(_TABLES)
    .where(*_VISIBLE)
)
_COUNT = select(func.count()).select_from(_TABLES).where(*_VISIBLE)
_OF_VERSION = select(func.count()).where(version_memberships.c.version_id == bindparam("version_id"))


class Memberships:
    """Operations on memberships. Each raises Unauthenticated, KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def list(self, actor: Actor, version: Key | None, page: PageRequest) -> Listed[Membership]:
        """Those the actor may see, by id. version: only of this one."""
        _user(actor, Permission.READ)
        parameters = policy.parameters(actor, self._clock())
        counted, rows = _COUNT, _ROWS.order_by(version_memberships.c.id)
        if version is not None:
            counted, rows = counted.where(has_key(versions, version)), rows.where(has_key(versions, version))
        with self._database.read() as connection:
            total = connection.execute(counted, parameters).scalar_one()
            window = page.window(total)
            found = connection.execute(rows.limit(window["page_size"]).offset(window["page_offset"]), parameters)
            return Listed(tuple(_membership(row) for row in found), total)

    def get(self, actor: Actor, key: Key) -> Membership:
        """Raises MembershipUnknown."""
        _user(actor, Permission.READ)
        with self._database.read() as connection:
            return self._find(connection, actor, key)

    def create(self, actor: Actor, version: Key, group: Key | str) -> Membership:
        """Make a group a member. group: an id, a uid or a name, of a group the actor may see.

        Raises VersionUnknown, NotAllowed, InvalidFields.
        """
        _user(actor, Permission.WRITE)
        with self._database.write() as transaction:
            now = self._clock()
            found = visible_version(transaction, actor, version, now)
            self._require_creator(transaction, actor, found.image.id, now)
            group_id = _group_id(transaction, actor, group)
            transaction.lock(f"version:{found.id}")
            if transaction.execute(_OF_VERSION, {"version_id": found.id}).scalar_one() >= MOST_MEMBERSHIPS:
                raise InvalidFields.one("group", f"is one too many; a version may have {MOST_MEMBERSHIPS}")
            row = {"uid": uuid.uuid4().hex, "version_id": found.id, "group_id": group_id, "created_at": now}
            made = insert(version_memberships).returning(version_memberships.c.id)
            try:
                membership_id: int = transaction.execute(made, row).scalar_one()
            except IntegrityError as exc:
                raise InvalidFields.one("group", "is a member of this version already") from exc
            self._record(transaction, actor, Action.MEMBERSHIP_CREATE, found.image.id, membership_id)
            return self._find(transaction, actor, membership_id)

    def delete(self, actor: Actor, key: Key) -> None:
        """Raises MembershipUnknown, NotAllowed."""
        _user(actor, Permission.DELETE)
        with self._database.write() as transaction:
            found = self._find(transaction, actor, key)
            self._require_creator(transaction, actor, found.image_id, self._clock())
            transaction.execute(delete(version_memberships).where(version_memberships.c.id == found.id))
            self._record(transaction, actor, Action.MEMBERSHIP_DELETE, found.image_id, found.id)

    def _find(self, connection: Executor, actor: Actor, key: Key) -> Membership:
        """Raises MembershipUnknown."""
        statement = _ROWS.where(has_key(version_memberships, key))
        row = connection.execute(statement, policy.parameters(actor, self._clock())).first()
        if row is None:
            raise MembershipUnknown
        return _membership(row)

    def _require_creator(self, connection: Executor, actor: Actor, image_id: int, now: Instant) -> None:
        """Raises NotAllowed."""
        image = machine_records.find(connection, actor, image_id, now)
        if image is None or not policy.may_edit(actor, image.facts, now):
            raise NotAllowed

    def _record(
        self, transaction: Transaction, actor: Actor, action: Action, image_id: int, membership_id: int
    ) -> None:
        event = Event(action, image_id, subject=f"membership:{membership_id}")
        audit.record(transaction, actor, self._clock(), event)


def _user(actor: Actor, permission: Permission) -> int:
    return require_user(actor, Kind.MACHINE, Resource.IMAGE, permission)


_UNKNOWN_GROUP = "is not a group you know of"


def _group_id(connection: Executor, actor: Actor, group: Key) -> int:
    """The id of a group the actor may see: by id, by uid, else by name. Raises InvalidFields."""
    if isinstance(group, str):
        check_text("group", group)
    name = connection.execute(select(groups.c.name).where(has_key(groups, group))).scalar_one_or_none()
    if name is None and isinstance(group, str):
        name = group
    try:
        known = visible_groups(connection, actor, [] if name is None else [name], field="group")
    except InvalidFields as exc:
        raise InvalidFields.one("group", _UNKNOWN_GROUP) from exc
    if name is None:
        raise InvalidFields.one("group", _UNKNOWN_GROUP)
    return known[name].id


def _membership(row: Sequence[Any]) -> Membership:
    return Membership(row[0], row[1], row[2], row[3], VersionSummary(*row[4:7]), GroupSummary(*row[7:10]))
