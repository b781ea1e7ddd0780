"""A user's own tokens: seeing those that still work, and making, renaming and revoking access tokens.

An access token is never worth more than the token it was made with: it takes over its scope, its end, and the time
without use after which it lapses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, or_, select, update

from pinakes.core import audit
from pinakes.core.access.credentials import TOKEN_COLUMNS, Credentials, Token, token_of
from pinakes.core.access.guard import require_account
from pinakes.core.actor import Actor, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.db.schema import tokens
from pinakes.core.errors import InvalidFields, TokenUnknown, Unauthenticated
from pinakes.core.page import Listed, PageRequest
from pinakes.core.text import check_words

MOST_ACCESS_TOKENS = 100
"""How many working ones a user may have."""

_ACCESS = "access:"
_MOST_NAME = 128

_NOW = bindparam("now", type_=tokens.c.created_at.type)
_IS_LIVE = and_(
    tokens.c.user_id == bindparam("user_id"),
    or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > _NOW),
    or_(tokens.c.idle_limit_us.is_(None), tokens.c.last_used_at + tokens.c.idle_limit_us > _NOW),
)
_IS_ACCESS = tokens.c.origin.startswith(_ACCESS, autoescape=True)


@dataclass(frozen=True, slots=True)
class MadeToken:
    """An access token, and its text, which is told only now."""

    token: Token
    text: str


class OwnTokens:
    """Operations of a user on their own tokens. Each raises Unauthenticated and ScopeMissing beside what it names."""

    def __init__(self, database: Database, credentials: Credentials, clock: Clock) -> None:
        self._database = database
        self._credentials = credentials
        self._clock = clock

    def list(self, actor: Actor, page: PageRequest) -> Listed[Token]:
        """All of the actor's that work, by id."""
        return self._list(actor, page, _IS_LIVE)

    def get(self, actor: Actor, token_id: int) -> Token:
        """One of the actor's that works. Raises TokenUnknown."""
        user_id = _user(actor, Permission.READ)
        with self._database.read() as connection:
            return self._find(connection, user_id, token_id, _IS_LIVE)

    def current(self, actor: Actor) -> Token:
        """The one the actor came with, whatever its scope. Raises Unauthenticated if there is none that works."""
        if actor.user_id is None:
            raise Unauthenticated
        with self._database.read() as connection:
            return self._shown(connection, actor, actor.user_id)

    def list_access(self, actor: Actor, page: PageRequest) -> Listed[Token]:
        """The access tokens among them, by id."""
        return self._list(actor, page, and_(_IS_LIVE, _IS_ACCESS))

    def get_access(self, actor: Actor, token_id: int) -> Token:
        """Raises TokenUnknown."""
        user_id = _user(actor, Permission.READ)
        with self._database.read() as connection:
            return self._find(connection, user_id, token_id, and_(_IS_LIVE, _IS_ACCESS))

    def create_access(self, actor: Actor, name: str) -> MadeToken:
        """Raises InvalidFields."""
        user_id = _user(actor, Permission.WRITE)
        label = check_words("name", name, most=_MOST_NAME)
        with self._database.write() as transaction:
            transaction.lock(f"tokens:{user_id}")
            if self._count(transaction, user_id) >= MOST_ACCESS_TOKENS:
                raise InvalidFields.one("name", f"is one too many; nobody may have more than {MOST_ACCESS_TOKENS}")
            shown = self._shown(transaction, actor, user_id)
            token_id, text = self._credentials.issue(
                transaction,
                actor,
                user_id,
                _ACCESS + actor.api,
                label,
                shown.scope,
                shown.expires_at,
                shown.idle_limit_us,
            )
            return MadeToken(self._find(transaction, user_id, token_id, _IS_ACCESS), text)

    def rename_access(self, actor: Actor, token_id: int, name: str) -> Token:
        """Raises InvalidFields, TokenUnknown."""
        user_id = _user(actor, Permission.WRITE)
        label = check_words("name", name, most=_MOST_NAME)
        with self._database.write() as transaction:
            self._find(transaction, user_id, token_id, and_(_IS_LIVE, _IS_ACCESS))
            transaction.execute(update(tokens).where(tokens.c.id == token_id).values(name=label))
            self._record(transaction, actor, Action.TOKEN_UPDATE, token_id)
            return self._find(transaction, user_id, token_id, _IS_ACCESS)

    def revoke_access(self, actor: Actor, token_id: int) -> None:
        """It stops working at once, everywhere. Raises TokenUnknown."""
        user_id = _user(actor, Permission.DELETE)
        with self._database.write() as transaction:
            self._find(transaction, user_id, token_id, and_(_IS_LIVE, _IS_ACCESS))
            transaction.execute(delete(tokens).where(tokens.c.id == token_id))
            self._record(transaction, actor, Action.TOKEN_REVOKE, token_id)

    def _list(self, actor: Actor, page: PageRequest, condition: ColumnElement[bool]) -> Listed[Token]:
        parameters = {"user_id": _user(actor, Permission.READ), "now": self._clock()}
        with self._database.read() as connection:
            total = connection.execute(select(func.count()).where(condition), parameters).scalar_one()
            statement = select(*TOKEN_COLUMNS).where(condition).order_by(tokens.c.id)
            window = page.window(total)
            statement = statement.limit(window["page_size"]).offset(window["page_offset"])
            return Listed(tuple(token_of(row) for row in connection.execute(statement, parameters)), total)

    def _find(self, connection: Executor, user_id: int, token_id: int, condition: ColumnElement[bool]) -> Token:
        """Raises TokenUnknown."""
        own = select(*TOKEN_COLUMNS).where(tokens.c.id == token_id, tokens.c.user_id == bindparam("user_id"), condition)
        row: Sequence[Any] | None = connection.execute(own, {"user_id": user_id, "now": self._clock()}).first()
        if row is None:
            raise TokenUnknown
        return token_of(row)

    def _count(self, transaction: Transaction, user_id: int) -> int:
        statement = select(func.count()).where(_IS_LIVE, _IS_ACCESS)
        count: int = transaction.execute(statement, {"user_id": user_id, "now": self._clock()}).scalar_one()
        return count

    def _shown(self, connection: Executor, actor: Actor, user_id: int) -> Token:
        """The token the actor came with. Raises Unauthenticated if it was revoked meanwhile."""
        try:
            return self._find(connection, user_id, actor.token_id or 0, _IS_LIVE)
        except TokenUnknown as exc:
            raise Unauthenticated from exc

    def _record(self, transaction: Transaction, actor: Actor, action: Action, token_id: int) -> None:
        audit.record(transaction, actor, self._clock(), Event(action, subject=f"token:{token_id}"))


def _user(actor: Actor, permission: Permission) -> int:
    return require_account(actor, Resource.IMAGE, permission)
