"""The SQL of who shares a namespace: collaborators of roots, and invites to become one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from pinakes.core.access.people import PERSON_WIDTH, Person, person_columns
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import collaborators, invites, namespaces, users
from pinakes.core.namespaces.records import NAMESPACE_WIDTH, Namespace, namespace_columns, namespace_of


@dataclass(frozen=True, slots=True)
class Invite:
    """An invitation to collaborate in a root namespace."""

    id: int
    namespace: Namespace
    invitee: Person
    inviter: Person
    created_at: Instant


MOST_LISTED = 1_000
"""How many invites or collaborators a list gives: they are not paged, and strangers add to a user's invites."""

# -- Collaborators ------------------------------------------------------------------------------------------------

_COLLABORATORS = (
    select(*person_columns(users))
    .join(collaborators, collaborators.c.user_id == users.c.id)
    .where(collaborators.c.root_id == bindparam("root_id"))
    .order_by(users.c.name_folded)
    .limit(MOST_LISTED)
)
_IS_COLLABORATOR = select(collaborators.c.user_id).where(
    collaborators.c.root_id == bindparam("root_id"), collaborators.c.user_id == bindparam("user_id")
)
_ADD = {
    True: sqlite.insert(collaborators).on_conflict_do_nothing(),
    False: postgresql.insert(collaborators).on_conflict_do_nothing(),
}
_REMOVE = delete(collaborators).where(
    collaborators.c.root_id == bindparam("root_id"), collaborators.c.user_id == bindparam("user_id")
)


def collaborators_of(connection: Executor, root_id: int) -> list[Person]:
    """By name."""
    return [Person(*row) for row in connection.execute(_COLLABORATORS, {"root_id": root_id})]


def is_collaborator(connection: Executor, root_id: int, user_id: int) -> bool:
    return connection.execute(_IS_COLLABORATOR, {"root_id": root_id, "user_id": user_id}).first() is not None


def add_collaborator(transaction: Transaction, root_id: int, user_id: int, now: Instant) -> None:
    row = {"root_id": root_id, "user_id": user_id, "created_at": now}
    transaction.execute(_ADD[transaction.is_local], row)


def remove_collaborator(transaction: Transaction, root_id: int, user_id: int) -> bool:
    """False if the user was none."""
    return bool(transaction.execute(_REMOVE, {"root_id": root_id, "user_id": user_id}).rowcount)


# -- Invites ------------------------------------------------------------------------------------------------------

_owner = users.alias("owner")
_invitee = users.alias("invitee")
_inviter = users.alias("inviter")
_INVITES = (
    select(
        invites.c.id,
        invites.c.created_at,
        *namespace_columns(namespaces, _owner),
        *person_columns(_invitee),
        *person_columns(_inviter),
    )
    .select_from(
        invites.join(namespaces, namespaces.c.id == invites.c.namespace_id)
        .join(_owner, _owner.c.id == namespaces.c.owner_id)
        .join(_invitee, _invitee.c.id == invites.c.invitee_id)
        .join(_inviter, _inviter.c.id == invites.c.inviter_id)
    )
    .order_by(invites.c.id)
    .limit(MOST_LISTED)
)
_BY_ID = _INVITES.where(invites.c.id == bindparam("invite_id"))
_TO = _INVITES.where(invites.c.invitee_id == bindparam("user_id"))
_INTO = _INVITES.where(invites.c.namespace_id == bindparam("root_id"))
_INSERT = {
    True: sqlite.insert(invites).on_conflict_do_nothing().returning(invites.c.id),
    False: postgresql.insert(invites).on_conflict_do_nothing().returning(invites.c.id),
}
_DELETE = delete(invites).where(invites.c.id == bindparam("invite_id"))


def find_invite(connection: Executor, invite_id: int) -> Invite | None:
    return next(iter(_invites(connection, _BY_ID, {"invite_id": invite_id})), None)


def invites_to(connection: Executor, user_id: int) -> list[Invite]:
    """Those a user has got, oldest first."""
    return _invites(connection, _TO, {"user_id": user_id})


def invites_into(connection: Executor, root_id: int) -> list[Invite]:
    """Those into a root namespace, oldest first."""
    return _invites(connection, _INTO, {"root_id": root_id})


def _invites(connection: Executor, statement: Select[Any], parameters: Mapping[str, Any]) -> list[Invite]:
    return [_invite_of(row) for row in connection.execute(statement, parameters)]


def _invite_of(row: Sequence[Any]) -> Invite:
    people = row[2 + NAMESPACE_WIDTH :]
    return Invite(
        row[0],
        namespace_of(row[2:]),
        Person(*people[:PERSON_WIDTH]),
        Person(*people[PERSON_WIDTH:]),
        row[1],
    )


def add_invite(transaction: Transaction, root_id: int, invitee_id: int, inviter_id: int, now: Instant) -> int | None:
    """Insert an invite; its id, or None if one was sent before."""
    row = {"namespace_id": root_id, "invitee_id": invitee_id, "inviter_id": inviter_id, "created_at": now}
    invite_id: int | None = transaction.execute(_INSERT[transaction.is_local], row).scalar_one_or_none()
    return invite_id


def remove_invite(transaction: Transaction, invite_id: int) -> bool:
    """False if it was gone."""
    return bool(transaction.execute(_DELETE, {"invite_id": invite_id}).rowcount)
