"""Profiles: the few things a user chooses for themselves."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from pinakes.core import audit
from pinakes.core.access.guard import require_account
from pinakes.core.actor import Actor, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database, Executor
from pinakes.core.db.schema import profiles
from pinakes.core.text import check_words

_MOST_ICON_SET = 32


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user has chosen. icon_set: a word of the web interface's, kept as it is given."""

    sends_emails: bool = True
    icon_set: str = "default"


_FIND = select(profiles.c.sends_emails, profiles.c.icon_set).where(profiles.c.user_id == bindparam("user_id"))


class Profiles:
    """Operations of a user on their own profile. Each raises Unauthenticated and ScopeMissing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, actor: Actor) -> Profile:
        user_id = _user(actor, Permission.READ)
        with self._database.read() as connection:
            return _find(connection, user_id)

    def update(self, actor: Actor, *, sends_emails: bool | None = None, icon_set: str | None = None) -> Profile:
        """Change what is given. Raises InvalidFields."""
        user_id = _user(actor, Permission.WRITE)
        changes: dict[str, Any] = {}
        if sends_emails is not None:
            changes["sends_emails"] = sends_emails
        if icon_set is not None:
            changes["icon_set"] = check_words("icon_set", icon_set, most=_MOST_ICON_SET)
        with self._database.write() as transaction:
            before = _find(transaction, user_id)
            if changes:
                row = {"user_id": user_id, "sends_emails": before.sends_emails, "icon_set": before.icon_set, **changes}
                dialect = sqlite if transaction.is_local else postgresql
                statement = dialect.insert(profiles).values(row)
                transaction.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=changes))
                event = Event(Action.USER_UPDATE, subject=f"user:{user_id}", detail={"changed": sorted(changes)})
                audit.record(transaction, actor, self._clock(), event)
            return _find(transaction, user_id)


def _find(connection: Executor, user_id: int) -> Profile:
    row = connection.execute(_FIND, {"user_id": user_id}).first()
    return Profile(bool(row[0]), row[1]) if row else Profile()


def _user(actor: Actor, permission: Permission) -> int:
    return require_account(actor, Resource.IMAGE, permission)
