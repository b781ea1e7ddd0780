"""The users who have to do with slides: active accounts of the kind. Anybody else is as unknown here."""

from collections.abc import Collection, Sequence

from sqlalchemy import bindparam, select

from pinakes.core.access.people import Person, person_columns
from pinakes.core.access.users import kinds_from_text
from pinakes.core.actor import Actor, Kind
from pinakes.core.db.engine import Executor
from pinakes.core.db.schema import users

_ACTIVE = select(users.c.id, users.c.kinds).where(users.c.is_active.is_(True))
_SOME = _ACTIVE.where(users.c.id.in_(bindparam("user_ids", expanding=True)))
_PEOPLE = select(*person_columns(users)).where(users.c.id.in_(bindparam("user_ids", expanding=True)))
_ALL = _ACTIVE.order_by(users.c.id)


def known(connection: Executor, user_ids: Sequence[int]) -> set[int]:
    """Those of the ids that belong to users who have to do with slides."""
    rows = connection.execute(_SOME, {"user_ids": list(user_ids)})
    return {user_id for user_id, kinds in rows if Kind.SLIDE in kinds_from_text(kinds)}


def all_known(connection: Executor) -> list[int]:
    """All of them, ascending."""
    return [user_id for user_id, kinds in connection.execute(_ALL) if Kind.SLIDE in kinds_from_text(kinds)]


def by_id(connection: Executor, user_ids: Collection[int]) -> dict[int, Person]:
    """Who they are, also where the account is no longer active."""
    rows = connection.execute(_PEOPLE, {"user_ids": sorted(user_ids)})
    return {row[0]: Person(*row) for row in rows}


def viewer(user_id: int) -> Actor:
    """A user of the kind, for asking what they may see; staff rights do not count in it."""
    return Actor("system", user_id=user_id, kinds=frozenset({Kind.SLIDE}))
