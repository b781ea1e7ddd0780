"""Shares: the users and groups who may read a machine image, each until an end or for good.

They are seen and set by the image's author and by staff, all of them at once. Who is named must be a user of the
kind, or a group the caller may see; whoever has a share already may be named again whatever has become of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Table, bindparam, delete, insert, or_, select

from pinakes.core import audit
from pinakes.core.access.groups import known_users, visible_groups
from pinakes.core.access.guard import require_user
from pinakes.core.access.people import Person, person_columns
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import machine_access
from pinakes.core.clock import Clock, Instant
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import grants, group_grants, groups, users
from pinakes.core.errors import InvalidFields
from pinakes.core.text import fold

MOST: Final = 1000
"""How many users, and how many groups, one image can be shared with."""


@dataclass(frozen=True, slots=True)
class NewShare:
    """With whom to share: the name of a user or of a group. end_at: None for good."""

    name: str
    end_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class UserShare:
    user: Person
    end_at: Instant | None


@dataclass(frozen=True, slots=True)
class GroupShare:
    group_id: int
    group_name: str
    end_at: Instant | None


@dataclass(frozen=True, slots=True)
class ImageShares:
    """The shares of an image that have not ended, each kind by name."""

    users: tuple[UserShare, ...]
    groups: tuple[GroupShare, ...]


@dataclass(frozen=True, slots=True)
class _Side:
    """Sharing with users, or with groups. field: its name in errors.   holder: the column of who holds a share."""

    field: str
    table: Table
    holder: Column[Any]
    subject: str


_USERS = _Side("users", grants, grants.c.user_id, "user")
_GROUPS = _Side("groups", group_grants, group_grants.c.group_id, "group")


def _is_live(table: Table) -> ColumnElement[bool]:
    end_at = table.c.expires_at
    return or_(end_at.is_(None), end_at > bindparam("now", type_=end_at.type))


_USER_SHARES = Query(
    select(grants.c.expires_at, *person_columns(users))
    .join(users, users.c.id == grants.c.user_id)
    .where(grants.c.image_id == bindparam("image_id"), _is_live(grants))
    .order_by(users.c.name_folded)
)
_GROUP_SHARES = Query(
    select(groups.c.id, groups.c.name, group_grants.c.expires_at)
    .join(group_grants, group_grants.c.group_id == groups.c.id)
    .where(group_grants.c.image_id == bindparam("image_id"), _is_live(group_grants))
    .order_by(groups.c.name_folded)
)


class Shares:
    """Operations on shares.

    Each raises Unauthenticated, KindMissing, ScopeMissing, ImageUnknown and NotAllowed beside what it names.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, actor: Actor, image_id: int) -> ImageShares:
        """The shares that have not ended."""
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.READ)
        with self._database.read() as connection:
            now = self._clock()
            machine_access.overseen(connection, actor, image_id, now)
            return _shares(connection, image_id, now)

    def set(
        self, actor: Actor, image_id: int, with_users: Sequence[NewShare], with_groups: Sequence[NewShare]
    ) -> ImageShares:
        """Make these all the shares there are. Raises InvalidFields, naming `users` or `groups`."""
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        now = self._clock()
        for side, wanted in ((_USERS, with_users), (_GROUPS, with_groups)):
            _check_wanted(side, wanted, now)
        with self._database.write() as transaction:
            machine_access.held_by_its_own(transaction, actor, image_id, now)
            before = _shares(transaction, image_id, now)
            people = {fold(share.user.name): share.user.id for share in before.users}
            strangers = _names_beside(people, with_users)
            found_people = known_users(transaction, _KIND, strangers, field=_USERS.field)
            people |= {fold(name): user.id for name, user in found_people.items()}
            teams = {fold(share.group_name): share.group_id for share in before.groups}
            found_teams = visible_groups(transaction, actor, _names_beside(teams, with_groups), field=_GROUPS.field)
            teams |= {fold(name): group.id for name, group in found_teams.items()}
            happened = [
                *_replace(transaction, _USERS, image_id, {people[fold(s.name)]: s.end_at for s in with_users}, now),
                *_replace(transaction, _GROUPS, image_id, {teams[fold(s.name)]: s.end_at for s in with_groups}, now),
            ]
            audit.record(transaction, actor, now, *happened)
            return _shares(transaction, image_id, now)


_KIND = frozenset({Kind.MACHINE})


def _shares(connection: Executor, image_id: int, now: Instant) -> ImageShares:
    parameters = {"image_id": image_id, "now": now}
    return ImageShares(
        tuple(UserShare(Person(*row[1:]), row[0]) for row in _USER_SHARES.all(connection, parameters)),
        tuple(GroupShare(*row) for row in _GROUP_SHARES.all(connection, parameters)),
    )


def _check_wanted(side: _Side, wanted: Sequence[NewShare], now: Instant) -> None:
    """Raises InvalidFields."""
    if len(wanted) > MOST:
        raise InvalidFields.one(side.field, f"must be at most {MOST}")
    if len({fold(share.name) for share in wanted}) < len(wanted):
        raise InvalidFields.one(side.field, "must not name anyone twice")
    if any(share.end_at is not None and share.end_at <= now for share in wanted):
        raise InvalidFields.one(side.field, "must not end in the past")


def _names_beside(known: Mapping[str, int], wanted: Sequence[NewShare]) -> list[str]:
    """The names wanted that are not known yet."""
    return [share.name for share in wanted if fold(share.name) not in known]


def _replace(
    transaction: Transaction, side: _Side, image_id: int, wanted: Mapping[int, Instant | None], now: Instant
) -> list[Event]:
    """Make the rows what is wanted; what that came to."""
    table, holder = side.table, side.holder
    of_image = table.c.image_id == image_id
    rows = transaction.execute(select(holder, table.c.expires_at).where(of_image))
    current: dict[int, Instant | None] = {row[0]: row[1] for row in rows}
    gone = sorted(current.keys() - wanted.keys())
    changed = [one for one, end_at in wanted.items() if one not in current or current[one] != end_at]
    if gone or changed:
        transaction.execute(delete(table).where(of_image, holder.in_([*gone, *changed])))
    if changed:
        new = [
            {"image_id": image_id, holder.name: one, "expires_at": wanted[one], "created_at": now} for one in changed
        ]
        transaction.execute(insert(table), new)
    return [
        *(Event(Action.GRANT_DELETE, image_id, subject=f"{side.subject}:{one}") for one in gone),
        *(Event(Action.GRANT_CREATE, image_id, subject=f"{side.subject}:{one}") for one in changed),
    ]
