"""Tokens and logins: from what a client shows to the actor it stands for.

One table holds every token (DESIGN.md section 2); only its SHA-256 is kept. A token is looked up afresh on every
request, in one indexed statement: one that was revoked is refused at once, by every worker.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, delete, insert, select

from pinakes.core import audit
from pinakes.core.access import logins, users
from pinakes.core.access.passwords import is_password
from pinakes.core.access.users import User, kinds_from_text
from pinakes.core.actor import Actor, Kind, Scope
from pinakes.core.audit import Action, Event
from pinakes.core.clock import DAY, HOUR, Clock, Instant
from pinakes.core.db import schema
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import tokens
from pinakes.core.errors import BadLogin, InvalidFields, KindMissing, TokenUnknown, Unauthenticated, UserUnknown
from pinakes.core.readtrail import ReadTrail
from pinakes.core.text import check_text, fold

MADE = "made"
_LOGIN = "login:"
LOGIN_IDLE_US = 30 * DAY
_TOUCH_US = HOUR
_MOST_TOKEN_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Token:
    """A token as its owner may see it afterwards: never its text."""

    id: int
    name: str
    origin: str
    scope: Scope | None
    created_at: Instant
    last_used_at: Instant
    expires_at: Instant | None
    idle_limit_us: int | None

    @property
    def lapses_at(self) -> Instant | None:
        """When it stops working if it is not used any more; None for never."""
        ends = [self.expires_at, None if self.idle_limit_us is None else self.last_used_at + self.idle_limit_us]
        return min((end for end in ends if end is not None), default=None)


TOKEN_COLUMNS = tuple(tokens.c[name] for name in Token.__dataclass_fields__)
"""The columns that make a Token, in order."""

_SHOWN = select(
    tokens.c.id,
    tokens.c.digest,
    tokens.c.scope,
    tokens.c.last_used_at,
    tokens.c.expires_at,
    tokens.c.idle_limit_us,
    schema.users.c.id,
    schema.users.c.name,
    schema.users.c.email,
    schema.users.c.kinds,
    schema.users.c.is_staff,
    schema.users.c.is_active,
    schema.users.c.created_at,
).select_from(tokens.join(schema.users, schema.users.c.id == tokens.c.user_id))
_LOOK_UP = Query(_SHOWN.where(tokens.c.digest == bindparam("digest")))
_LOOK_UP_BY_ID = Query(_SHOWN.where(tokens.c.id == bindparam("token_id")))
_INSERT = insert(tokens).returning(tokens.c.id)
_LIST = select(*TOKEN_COLUMNS).order_by(tokens.c.id)
_LOGOUT = delete(tokens).where(tokens.c.id == bindparam("token_id"), tokens.c.origin == bindparam("login"))
_PASSWORD = select(schema.users.c.password_hash).where(schema.users.c.name_folded == bindparam("folded"))


class Credentials:
    """Looks tokens up, makes and revokes them, and judges logins."""

    def __init__(self, database: Database, trail: ReadTrail, clock: Clock) -> None:
        self._database = database
        self._trail = trail
        self._clock = clock

    def actor(self, api: str, token: str) -> Actor:
        """The actor a token stands for. Raises Unauthenticated if it is unknown, expired or its user disabled."""
        if not token or len(token) > _MOST_TOKEN_CHARACTERS:
            raise Unauthenticated
        digest = _digest(token)
        with self._database.read() as connection:
            row = _LOOK_UP.first(connection, {"digest": digest})
        if row is None or not hmac.compare_digest(row[1], digest):
            raise Unauthenticated
        return self._actor(api, row)

    def actor_of(self, api: str, token_id: int) -> Actor:
        """The same for what was made with the token of that id (`view_links`). Raises Unauthenticated."""
        with self._database.read() as connection:
            row = _LOOK_UP_BY_ID.first(connection, {"token_id": token_id})
        if row is None:
            raise Unauthenticated
        return self._actor(api, row)

    def _actor(self, api: str, row: Any) -> Actor:
        now = self._clock()
        if not _is_live(row, now):
            raise Unauthenticated
        if now - row[3] > _TOUCH_US:
            self._trail.note_token(row[0], now)
        return Actor(
            api=api,
            user_id=row[6],
            name=row[7],
            email=row[8],
            user_created_at=row[12],
            kinds=_kinds(row[9]),
            is_staff=bool(row[10]),
            scope=None if row[2] is None else _scope(row[2]),
            token_id=row[0],
        )

    def login(
        self,
        api: str,
        name: str,
        password: str,
        address: str,
        *,
        kind: Kind | None = None,
        expires_at: Instant | None = None,
    ) -> tuple[Actor, str]:
        """A new login token for a user's name and password.

        kind: what the user must have to do with; None for no matter what.
        expires_at: when it ends, however much it is used; None for one that lapses when it is not used for long.
        Raises TooManyAttempts before the password is looked at, KindMissing after, BadLogin for everything else that
        is wrong.
        """
        with self._database.read() as connection:
            logins.admit(connection, address, name, self._clock())
            stored = connection.execute(_PASSWORD, {"folded": _foldable(name)}).scalar_one_or_none()
            user = users.find_by_name(connection, _foldable(name))
        if not is_password(stored, password) or user is None or not user.is_active:
            raise BadLogin(self._record_failure(api, name, address))
        if kind is not None and not user.has_kind(kind):
            raise KindMissing
        with self._database.write() as transaction:
            return self._log_in(transaction, api, user, expires_at)

    def logout(self, actor: Actor) -> None:
        """Revoke the caller's own token if a login through the same API gave it; every other token stays."""
        with self._database.write() as transaction:
            gone = transaction.execute(_LOGOUT, {"token_id": actor.token_id, "login": _LOGIN + actor.api}).rowcount
            if gone:
                event = Event(Action.TOKEN_REVOKE, subject=f"token:{actor.token_id}")
                audit.record(transaction, actor, self._clock(), event)

    def create(self, actor: Actor, name: str, *, scope: Scope | None, expires_at: Instant | None, label: str) -> str:
        """Make a token for the user of that name; its text, which is shown only now. Raises UserUnknown."""
        if len(label) > 128:
            raise InvalidFields.one("label", "must have at most 128 characters")
        check_text("label", label)
        with self._database.write() as transaction:
            user = users.find_by_name(transaction, name)
            if user is None:
                raise UserUnknown
            return self.issue(transaction, actor, user.id, MADE, label, scope, expires_at, None)[1]

    def list(self, name: str) -> list[Token]:
        """The tokens of a user, by id. Raises UserUnknown."""
        with self._database.read() as connection:
            user = users.find_by_name(connection, name)
            if user is None:
                raise UserUnknown
            rows = connection.execute(_LIST.where(tokens.c.user_id == user.id)).all()
        return [token_of(row) for row in rows]

    def revoke(self, actor: Actor, token_id: int) -> None:
        """Raises TokenUnknown."""
        with self._database.write() as transaction:
            gone = transaction.execute(delete(tokens).where(tokens.c.id == token_id)).rowcount
            if not gone:
                raise TokenUnknown
            audit.record(transaction, actor, self._clock(), Event(Action.TOKEN_REVOKE, subject=f"token:{token_id}"))

    def _log_in(self, transaction: Transaction, api: str, user: User, expires_at: Instant | None) -> tuple[Actor, str]:
        actor = Actor(
            api, user.id, user.name, user.email, user.created_at, user.kinds, is_staff=user.is_staff, scope=None
        )
        idle_limit_us = LOGIN_IDLE_US if expires_at is None else None
        token_id, token = self.issue(transaction, actor, user.id, _LOGIN + api, "", None, expires_at, idle_limit_us)
        return replace(actor, token_id=token_id), token

    def issue(
        self,
        transaction: Transaction,
        actor: Actor,
        user_id: int,
        origin: str,
        label: str,
        scope: Scope | None,
        expires_at: Instant | None,
        idle_limit_us: int | None,
    ) -> tuple[int, str]:
        """Make a token, within a larger operation; its id, and its text, which is not kept."""
        token = secrets.token_hex(20)  # 40 hex digits, as tscharts clients have seen (contract A5)
        now = self._clock()
        row = {
            "user_id": user_id,
            "digest": _digest(token),
            "name": label,
            "origin": origin,
            "scope": None if scope is None else str(scope),
            "created_at": now,
            "last_used_at": now,
            "expires_at": expires_at,
            "idle_limit_us": idle_limit_us,
        }
        token_id: int = transaction.execute(_INSERT, row).scalar_one()
        action = Action.USER_LOGIN if origin.startswith(_LOGIN) else Action.TOKEN_CREATE
        audit.record(transaction, actor, now, Event(action, subject=f"token:{token_id}", detail={"user": user_id}))
        return token_id, token

    def _record_failure(self, api: str, name: str, address: str) -> float:
        now = self._clock()
        with self._database.write() as transaction:
            audit.record(transaction, Actor(api), now, Event(Action.USER_LOGIN_FAIL))
            return logins.record_failure(transaction, address, name, now)


def token_of(row: Any) -> Token:
    """A token from a row of TOKEN_COLUMNS."""
    token_id, name, origin, scope, created_at, last_used_at, expires_at, idle_limit_us = row
    known = None if scope is None else _scope(scope)
    return Token(token_id, name, origin, known, created_at, last_used_at, expires_at, idle_limit_us)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _foldable(name: str) -> str:
    """A name no user can have is nobody's; databases do not keep all the texts JSON can carry."""
    try:
        return fold(check_text("username", name, most=254))
    except InvalidFields:
        return ""


def _is_live(row: Any, now: Instant) -> bool:
    _, _, _, last_used_at, expires_at, idle_limit_us, *_ = row
    is_active = bool(row[11])
    has_expired = expires_at is not None and expires_at <= now
    is_idle = idle_limit_us is not None and last_used_at + idle_limit_us <= now
    return is_active and not has_expired and not is_idle


# A few texts stand in every token's row; reading each once is enough. They were checked when they were kept.
_kinds = lru_cache(64)(kinds_from_text)
_scope = lru_cache(1024)(Scope.parse)
