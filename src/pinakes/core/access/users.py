"""Users: accounts, the kinds of image they have to do with, and whether they are staff."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from pinakes.core import audit
from pinakes.core.access.passwords import MOST_CHARACTERS, hash_password
from pinakes.core.actor import Actor, Kind
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock, Instant
from pinakes.core.db.engine import Database, Executor
from pinakes.core.db.schema import users
from pinakes.core.errors import InvalidFields, UserExists, UserUnknown
from pinakes.core.text import check_text, fold

_NAME = re.compile(r"[A-Za-z0-9._-]{3,30}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class User:
    """An account. kinds: the kinds of image it has to do with; none unless given."""

    id: int
    name: str
    email: str
    kinds: frozenset[Kind]
    is_staff: bool
    is_active: bool
    created_at: Instant

    def has_kind(self, kind: Kind) -> bool:
        return kind in self.kinds


COLUMNS = (
    users.c.id,
    users.c.name,
    users.c.email,
    users.c.kinds,
    users.c.is_staff,
    users.c.is_active,
    users.c.created_at,
)

_BY_ID = select(*COLUMNS).where(users.c.id == bindparam("user_id"))
_BY_NAME = select(*COLUMNS).where(users.c.name_folded == bindparam("folded"))
_BY_NAMES = select(*COLUMNS).where(users.c.name_folded.in_(bindparam("folded_names", expanding=True)))
_BY_HANDLE = select(*COLUMNS).where(
    or_(users.c.name_folded == bindparam("folded"), users.c.email_folded == bindparam("folded"))
)


def kinds_from_text(text: str) -> frozenset[Kind]:
    """Read `clinical,machine,slide`; raises InvalidFields for a word that is none of them."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        return frozenset(Kind(word) for word in words)
    except ValueError as exc:
        raise InvalidFields.one("kinds", f"must be some of {', '.join(Kind)}, separated by commas") from exc


def kinds_to_text(kinds: Iterable[Kind]) -> str:
    return ",".join(kind for kind in Kind if kind in frozenset(kinds))


def user_of(row: Any) -> User:
    """A user from a row of COLUMNS."""
    return User(row[0], row[1], row[2], kinds_from_text(row[3]), bool(row[4]), bool(row[5]), row[6])


def find(connection: Executor, user_id: int) -> User | None:
    row = connection.execute(_BY_ID, {"user_id": user_id}).first()
    return user_of(row) if row else None


def find_by_name(connection: Executor, name: str) -> User | None:
    """Without regard to case."""
    row = connection.execute(_BY_NAME, {"folded": fold(name)}).first()
    return user_of(row) if row else None


def find_many(connection: Executor, folded_names: Sequence[str]) -> list[User]:
    """The users of these case-folded names, in no order."""
    if not folded_names:
        return []
    rows = connection.execute(_BY_NAMES, {"folded_names": folded_names})
    return [user_of(row) for row in rows]


def find_by_handle(connection: Executor, handle: str) -> User | None:
    """By name or e-mail address, without regard to case."""
    row = connection.execute(_BY_HANDLE, {"folded": fold(handle)}).first()
    return user_of(row) if row else None


class Users:
    """Operations on accounts. The caller has been found to be allowed: only the command line calls them so far."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        actor: Actor,
        name: str,
        email: str,
        password: str | None,
        kinds: Iterable[Kind],
        *,
        is_staff: bool = False,
        user_id: int | None = None,
    ) -> User:
        """Make an account. password: None for one that only uses tokens. user_id: to keep ids of an older system.

        Raises InvalidFields, UserExists.
        """
        if not _NAME.fullmatch(name):
            raise InvalidFields.one("name", "must be 3 to 30 letters, digits, dots, dashes or underscores")
        if not _EMAIL.fullmatch(check_text("email", email, most=254)):
            raise InvalidFields.one("email", "must be an e-mail address")
        if user_id is not None and not 0 < user_id < 2**63:
            raise InvalidFields.one("id", "must be a positive number")
        now = self._clock()
        row: dict[str, Any] = {
            "name": name,
            "name_folded": fold(name),
            "email": email,
            "email_folded": fold(email),
            "password_hash": None if password is None else _hashed(password),
            "kinds": kinds_to_text(kinds),
            "is_staff": is_staff,
            "is_active": True,
            "created_at": now,
        }
        if user_id is not None:
            row["id"] = user_id
        with self._database.write() as transaction:
            try:
                made = user_of(transaction.execute(insert(users).values(row).returning(*COLUMNS)).one())
            except IntegrityError as exc:
                raise UserExists from exc
            if user_id is not None:
                transaction.skip_ids("users", user_id)
            audit.record(transaction, actor, now, Event(Action.USER_CREATE, subject=f"user:{made.id}"))
        return made

    def get(self, name: str) -> User:
        """Raises UserUnknown."""
        with self._database.read() as connection:
            user = find_by_name(connection, name)
        if user is None:
            raise UserUnknown
        return user

    def list(self) -> list[User]:
        """All accounts, by id."""
        with self._database.read() as connection:
            return [user_of(row) for row in connection.execute(select(*COLUMNS).order_by(users.c.id))]

    def set_kinds(self, actor: Actor, name: str, kinds: Iterable[Kind], *, is_staff: bool | None = None) -> None:
        """Raises UserUnknown."""
        changes: dict[str, Any] = {"kinds": kinds_to_text(kinds)}
        if is_staff is not None:
            changes["is_staff"] = is_staff
        self._update(actor, name, changes)

    def set_password(self, actor: Actor, name: str, password: str) -> None:
        """Raises UserUnknown, InvalidFields."""
        self._update(actor, name, {"password_hash": _hashed(password)})

    def set_active(self, actor: Actor, name: str, is_active: bool) -> None:
        """Disable or enable an account; a disabled one's tokens stop working at once. Raises UserUnknown."""
        self._update(actor, name, {"is_active": is_active})

    def _update(self, actor: Actor, name: str, changes: dict[str, Any]) -> None:
        with self._database.write() as transaction:
            statement = update(users).where(users.c.name_folded == fold(name)).values(changes).returning(users.c.id)
            user_id = transaction.execute(statement).scalar_one_or_none()
            if user_id is None:
                raise UserUnknown
            event = Event(Action.USER_UPDATE, subject=f"user:{user_id}", detail={"changed": sorted(changes)})
            audit.record(transaction, actor, self._clock(), event)


def _hashed(password: str) -> str:
    if not password:
        raise InvalidFields.one("password", "must not be empty")
    return hash_password(check_text("password", password, most=MOST_CHARACTERS))
