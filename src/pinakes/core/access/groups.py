"""Groups: people under one name, with whom an image can be shared at once.

A group is seen by its owner, its members and staff; to all others it is unknown. Its owner and staff change it; a
member may leave. Staff counts inside its own kinds, and what is shared with groups are machine images. Whoever has no
kind of image in common with the caller, or is disabled, is answered like an unknown user (DESIGN.md section 2).
"""

import re
import uuid
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from pinakes.core import audit
from pinakes.core.access import users as accounts
from pinakes.core.access.guard import require_scope
from pinakes.core.access.people import PERSON_WIDTH, Person, person_columns
from pinakes.core.access.users import User
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock, Instant
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import group_members, groups, users
from pinakes.core.errors import (
    GroupExists,
    GroupUnknown,
    InvalidFields,
    KindMissing,
    NotAllowed,
    Unauthenticated,
    UserUnknown,
)
from pinakes.core.text import check_text, fold

MOST_NAME: Final = 128
"""Characters of a group's name."""

MOST_MEMBERS: Final = 1000
MOST_OWNED: Final = 100


@dataclass(frozen=True, slots=True)
class Group:
    """A group. members: by name; None where they were not asked for."""

    id: int
    uid: str
    name: str
    created_at: Instant
    owner: Person
    members: tuple[Person, ...] | None = None


_NOT_YOURS = "The group can be seen but not changed by this user; ask its owner."
_SURROGATE = re.compile("[\ud800-\udfff]")

_owner = users.alias("group_owner")
_member = users.alias("group_member")
_ACTOR = bindparam("actor_id", type_=groups.c.owner_id.type)

_SEEN = or_(
    bindparam("sees_all", type_=groups.c.id.type) == 1,
    groups.c.owner_id == _ACTOR,
    exists().where(group_members.c.group_id == groups.c.id, group_members.c.user_id == _ACTOR),
)
_ROWS = (
    select(groups.c.id, groups.c.uid, groups.c.name, groups.c.created_at, *person_columns(_owner))
    .select_from(groups.join(_owner, _owner.c.id == groups.c.owner_id))
    .where(_SEEN)
)
_BY_ID = Query(_ROWS.where(groups.c.id == bindparam("group_id")))
_LIST = Query(_ROWS.where(groups.c.id > bindparam("after_id")).order_by(groups.c.id).limit(bindparam("most")))
_BY_NAMES = _ROWS.where(groups.c.name_folded.in_(bindparam("names", expanding=True)))
_MEMBERS = Query(
    select(*person_columns(_member))
    .join(group_members, group_members.c.user_id == _member.c.id)
    .where(group_members.c.group_id == bindparam("group_id"))
    .order_by(_member.c.name_folded)
)
_COUNT_OWNED = select(func.count()).where(groups.c.owner_id == bindparam("owner_id"))
_INSERT = insert(groups).returning(groups.c.id)
_LEAVE = delete(group_members).where(
    group_members.c.group_id == bindparam("left_group_id"), group_members.c.user_id == bindparam("leaving_id")
)


class Groups:
    """Operations on groups. Each raises Unauthenticated, KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, actor: Actor, name: str, members: Sequence[str] = ()) -> Group:
        """Make a group of the actor's own. members: names of users.

        Raises InvalidFields, also beyond MOST_OWNED and MOST_MEMBERS; GroupExists.
        """
        owner_id = _require(actor, Permission.WRITE)
        name = _checked(name)
        with self._database.write() as transaction:
            now = self._clock()
            transaction.lock(f"groups:{owner_id}")
            if transaction.execute(_COUNT_OWNED, {"owner_id": owner_id}).scalar_one() >= MOST_OWNED:
                raise InvalidFields.one("name", f"is one too many: a user may own {MOST_OWNED} groups")
            row = {"uid": uuid.uuid4().hex, "name": name, "name_folded": fold(name), "owner_id": owner_id}
            try:
                group_id: int = transaction.execute(_INSERT, {**row, "created_at": now}).scalar_one()
            except IntegrityError as exc:
                raise GroupExists from exc
            made = _found(transaction, actor, group_id)
            _set_members(transaction, actor, made, members, now)
            audit.record(transaction, actor, now, Event(Action.GROUP_CREATE, subject=f"group:{group_id}"))
            return _found(transaction, actor, group_id)

    def get(self, actor: Actor, group_id: int) -> Group:
        """With its members. Raises GroupUnknown."""
        _require(actor, Permission.READ)
        with self._database.read() as connection:
            return _found(connection, actor, group_id)

    def list(self, actor: Actor, *, after_id: int = 0, most: int = 100) -> list[Group]:
        """Those the actor may see, without their members, ascending by id."""
        _require(actor, Permission.READ)
        with self._database.read() as connection:
            parameters = _parameters(actor) | {"after_id": after_id, "most": most}
            return [_group(row) for row in _LIST.all(connection, parameters)]

    def update(
        self, actor: Actor, group_id: int, *, name: str | None = None, members: Sequence[str] | None = None
    ) -> Group:
        """Change what is given. members: all there are to be, by name.

        Raises GroupUnknown, NotAllowed, InvalidFields, GroupExists.
        """
        _require(actor, Permission.WRITE)
        with self._database.write() as transaction:
            now = self._clock()
            group = _manageable(transaction, actor, group_id)
            if name is not None:
                _rename(transaction, group_id, _checked(name))
            if members is not None:
                _set_members(transaction, actor, group, members, now)
            audit.record(transaction, actor, now, Event(Action.GROUP_UPDATE, subject=f"group:{group_id}"))
            return _found(transaction, actor, group_id)

    def leave(self, actor: Actor, group_id: int, name: str) -> None:
        """Take a member out: oneself, or anyone for who manages the group.

        Raises GroupUnknown, NotAllowed, UserUnknown.
        """
        user_id = _require(actor, Permission.WRITE)
        with self._database.write() as transaction:
            group = _found(transaction, actor, group_id)
            member = next((one for one in group.members or () if fold(one.name) == fold(name)), None)
            if not _manages(actor, group) and (member is None or member.id != user_id):
                raise NotAllowed(_NOT_YOURS)
            if member is None:
                raise UserUnknown
            transaction.execute(_LEAVE, {"left_group_id": group_id, "leaving_id": member.id})
            audit.record(
                transaction,
                actor,
                self._clock(),
                Event(Action.GROUP_UPDATE, subject=f"group:{group_id}", detail={"left": member.id}),
            )

    def delete(self, actor: Actor, group_id: int) -> None:
        """Remove a group; what was shared with it no longer is. Raises GroupUnknown, NotAllowed."""
        _require(actor, Permission.DELETE)
        with self._database.write() as transaction:
            _manageable(transaction, actor, group_id)
            transaction.execute(delete(groups).where(groups.c.id == group_id))
            audit.record(transaction, actor, self._clock(), Event(Action.GROUP_DELETE, subject=f"group:{group_id}"))


def _set_members(transaction: Transaction, actor: Actor, group: Group, names: Sequence[str], now: Instant) -> None:
    """Make these all the members. Who is one may be named again whatever has become of them. Raises InvalidFields."""
    if len(names) > MOST_MEMBERS:
        raise InvalidFields.one("members", f"must be at most {MOST_MEMBERS}")
    has = {fold(member.name): member.id for member in group.members or ()}
    strangers = [name for name in names if fold(name) not in has]
    new = {user.id for user in known_users(transaction, actor.kinds, strangers, field="members").values()}
    gone = set(has.values()) - {has[fold(name)] for name in names if fold(name) in has}
    if gone:
        transaction.execute(
            delete(group_members).where(group_members.c.group_id == group.id, group_members.c.user_id.in_(sorted(gone)))
        )
    if new:
        rows = [{"group_id": group.id, "user_id": user_id, "created_at": now} for user_id in sorted(new)]
        transaction.execute(insert(group_members), rows)


def known_users(connection: Executor, kinds: frozenset[Kind], names: Sequence[str], *, field: str) -> dict[str, User]:
    """The active users of these names, in any case, who have one of the kinds; by the name that was given.

    Raises InvalidFields, naming the field, for the names that are nobody's.
    """
    found = {
        fold(user.name): user
        for user in accounts.find_many(connection, _foldable(names))
        if user.is_active and user.kinds & kinds
    }
    _refuse_missing(field, "user", names, found)
    return {name: found[fold(name)] for name in names}


def visible_groups(connection: Executor, actor: Actor, names: Sequence[str], *, field: str) -> dict[str, Group]:
    """The groups of these names, in any case, that the actor may see; by the name that was given.

    Raises InvalidFields, naming the field, for the names of no group.
    """
    folded = _foldable(names)
    rows = connection.execute(_BY_NAMES, _parameters(actor) | {"names": folded}).all() if folded else []
    found = {fold(group.name): group for group in map(_group, rows)}
    _refuse_missing(field, "group", names, found)
    return {name: found[fold(name)] for name in names}


def _foldable(names: Sequence[str]) -> list[str]:
    """The names as they are compared, each once; those no database takes are nobody's."""
    return sorted({fold(name) for name in names if "\0" not in name and not _SURROGATE.search(name)})


def _refuse_missing(field: str, what: str, names: Sequence[str], found: Container[str]) -> None:
    missing = tuple(f"there is no {what} {name}" for name in names if fold(name) not in found)
    if missing:
        raise InvalidFields({field: missing})


def _require(actor: Actor, permission: Permission) -> int:
    """The id of a user of any kind. Raises Unauthenticated, KindMissing, ScopeMissing."""
    if actor.user_id is None:
        raise Unauthenticated
    if not actor.kinds:
        raise KindMissing
    require_scope(actor, Resource.IMAGE, permission)
    return actor.user_id


def _checked(name: str) -> str:
    name = check_text("name", name.strip(), most=MOST_NAME)
    if not name or not name.isprintable():
        raise InvalidFields.one("name", "must be printable and not blank")
    return name


def _parameters(actor: Actor) -> dict[str, Any]:
    return {"actor_id": actor.user_id or 0, "sees_all": int(_is_staff(actor))}


def _group(row: Sequence[Any]) -> Group:
    return Group(row[0], row[1], row[2], row[3], Person(*row[4 : 4 + PERSON_WIDTH]))


def _found(connection: Executor, actor: Actor, group_id: int) -> Group:
    row = _BY_ID.first(connection, _parameters(actor) | {"group_id": group_id})
    if row is None:
        raise GroupUnknown
    members = _MEMBERS.all(connection, {"group_id": group_id})
    return replace(_group(row), members=tuple(Person(*member) for member in members))


def _is_staff(actor: Actor) -> bool:
    return actor.is_staff and actor.has_kind(Kind.MACHINE)


def _manages(actor: Actor, group: Group) -> bool:
    return _is_staff(actor) or group.owner.id == actor.user_id


def _manageable(transaction: Transaction, actor: Actor, group_id: int) -> Group:
    """The group, held until the transaction ends. Raises GroupUnknown, NotAllowed."""
    transaction.execute(select(groups.c.id).where(groups.c.id == group_id).with_for_update())
    group = _found(transaction, actor, group_id)
    if not _manages(actor, group):
        raise NotAllowed(_NOT_YOURS)
    return group


def _rename(transaction: Transaction, group_id: int, name: str) -> None:
    change = update(groups).where(groups.c.id == group_id).values(name=name, name_folded=fold(name))
    try:
        transaction.execute(change)
    except IntegrityError as exc:
        raise GroupExists from exc
