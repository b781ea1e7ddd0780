"""Patterns: names and e-mail addresses, with `*` for any text, of people an image is shared with or kept from.

A pattern belongs to who made it and may be attached to any of their images. Whom it matches is judged on every
request (`access.policy`), so a change takes effect at once.
"""

import enum
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from pinakes.core import audit
from pinakes.core.access.guard import require_user
from pinakes.core.access.people import PERSON_WIDTH, Person, person_columns
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue.keys import Key, has_key
from pinakes.core.clock import Clock, Instant
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.db.schema import image_patterns, patterns, users
from pinakes.core.errors import InvalidFields, PatternUnknown
from pinakes.core.page import Listed, PageRequest, escape_like
from pinakes.core.text import check_words, fold

MOST_PATTERNS = 200
"""How many one user may have."""

MOST_ATTACHED = 50
"""How many may be attached to one image: each costs a comparison whenever somebody asks for the image."""

_MOST_CHARACTERS = 256
_MOST_WILDCARDS = 8
_WILDCARDS = re.compile(r"\*+")


class Subject(enum.StrEnum):
    """What of a user a pattern is compared with."""

    NAME = "name"
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern as its owner sees it.

    allows: whether those it matches may read the image; otherwise they get nothing through other patterns either.
    """

    id: int
    uid: str
    subject: Subject
    text: str
    allows: bool
    created_at: Instant
    owner: Person


@dataclass(frozen=True, slots=True)
class PatternChanges:
    """What is to be different; None leaves as it is."""

    subject: Subject | None = None
    text: str | None = None
    allows: bool | None = None


_OWNER = 6
_ROWS = select(
    patterns.c.id,
    patterns.c.uid,
    patterns.c.subject,
    patterns.c.pattern,
    patterns.c.allows,
    patterns.c.created_at,
    *person_columns(users),
).join(users, users.c.id == patterns.c.owner_id)
_OWN = patterns.c.owner_id == bindparam("owner_id")
_PAGE = _ROWS.where(_OWN).order_by(patterns.c.id).limit(bindparam("page_size")).offset(bindparam("page_offset"))
_COUNT = select(func.count()).where(_OWN)
_ATTACHED = _ROWS.add_columns(image_patterns.c.image_id).join(
    image_patterns, image_patterns.c.pattern_id == patterns.c.id
)


class Patterns:
    """A user's own patterns. Each operation raises Unauthenticated, KindMissing, ScopeMissing beside what it names."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def list(self, actor: Actor, page: PageRequest) -> Listed[Pattern]:
        """The actor's own, by id."""
        parameters = {"owner_id": _user(actor, Permission.READ)}
        with self._database.read() as connection:
            total = connection.execute(_COUNT, parameters).scalar_one()
            rows = connection.execute(_PAGE, parameters | page.window(total)).all()
        return Listed(tuple(_pattern(row) for row in rows), total)

    def get(self, actor: Actor, key: Key) -> Pattern:
        """One of the actor's own. Raises PatternUnknown."""
        owner_id = _user(actor, Permission.READ)
        with self._database.read() as connection:
            return _find(connection, owner_id, key)

    def create(self, actor: Actor, subject: Subject, text: str, *, allows: bool = True) -> Pattern:
        """Raises InvalidFields."""
        owner_id = _user(actor, Permission.WRITE)
        row = {
            "uid": uuid.uuid4().hex,
            "owner_id": owner_id,
            "subject": subject.value,
            "allows": allows,
            "created_at": self._clock(),
            **_compiled(text),
        }
        with self._database.write() as transaction:
            transaction.lock(f"patterns:{owner_id}")
            if transaction.execute(_COUNT, {"owner_id": owner_id}).scalar_one() >= MOST_PATTERNS:
                raise InvalidFields.one("pattern", f"is one too many; nobody may have more than {MOST_PATTERNS}")
            pattern_id: int = transaction.execute(insert(patterns).values(row).returning(patterns.c.id)).scalar_one()
            self._record(transaction, actor, Action.PATTERN_CREATE, pattern_id)
            return _find(transaction, owner_id, pattern_id)

    def update(self, actor: Actor, key: Key, changes: PatternChanges) -> Pattern:
        """Raises InvalidFields, PatternUnknown."""
        owner_id = _user(actor, Permission.WRITE)
        row: dict[str, Any] = {} if changes.text is None else _compiled(changes.text)
        if changes.subject is not None:
            row["subject"] = changes.subject.value
        if changes.allows is not None:
            row["allows"] = changes.allows
        with self._database.write() as transaction:
            found = _find(transaction, owner_id, key)
            if row:
                transaction.execute(update(patterns).where(patterns.c.id == found.id).values(row))
                self._record(transaction, actor, Action.PATTERN_UPDATE, found.id)
            return _find(transaction, owner_id, found.id)

    def delete(self, actor: Actor, key: Key) -> None:
        """Also takes it off every image. Raises PatternUnknown."""
        owner_id = _user(actor, Permission.DELETE)
        with self._database.write() as transaction:
            found = _find(transaction, owner_id, key)
            transaction.execute(delete(patterns).where(patterns.c.id == found.id))
            self._record(transaction, actor, Action.PATTERN_DELETE, found.id)

    def _record(self, transaction: Transaction, actor: Actor, action: Action, pattern_id: int) -> None:
        audit.record(transaction, actor, self._clock(), Event(action, subject=f"pattern:{pattern_id}"))


def attach(transaction: Transaction, owner_id: int, image_id: int, pattern_ids: Sequence[int]) -> None:
    """Make these patterns of the owner's the ones of the image, in place of those it had; an empty list clears.

    The caller has found that the image is the owner's, and records the change.
    Raises InvalidFields (`access_list`) if there are too many, or one is not the owner's.
    """
    wanted = sorted(set(pattern_ids))
    if len(wanted) > MOST_ATTACHED:
        raise InvalidFields.one("access_list", f"may hold at most {MOST_ATTACHED} patterns")
    own = select(patterns.c.id).where(patterns.c.owner_id == owner_id, patterns.c.id.in_(wanted))
    known = set(transaction.execute(own).scalars()) if wanted else set()
    unknown = [pattern_id for pattern_id in wanted if pattern_id not in known]
    if unknown:
        raise InvalidFields({"access_list": [f"holds no pattern of yours: {number}" for number in unknown]})
    transaction.execute(delete(image_patterns).where(image_patterns.c.image_id == image_id))
    if wanted:
        rows = [{"image_id": image_id, "pattern_id": pattern_id} for pattern_id in wanted]
        try:
            transaction.execute(insert(image_patterns), rows)
        except IntegrityError as exc:  # deleted since it was looked up
            raise InvalidFields.one("access_list", "holds a pattern that is no more") from exc


def attached(connection: Executor, image_ids: Sequence[int]) -> dict[int, list[Pattern]]:
    """The patterns of each of these images, by id; images without any are left out. They are for the creator's eyes."""
    found: dict[int, list[Pattern]] = {}
    if image_ids:
        statement = _ATTACHED.where(image_patterns.c.image_id.in_(image_ids)).order_by(patterns.c.id)
        for row in connection.execute(statement):
            found.setdefault(row[-1], []).append(_pattern(row))
    return found


def like_folded(text: str) -> str:
    """What a folded name or address is compared with by LIKE, with a backslash to escape.

    `*` stands for any text, also none; everything else stands for itself.
    """
    return "%".join(escape_like(fold(literal)) for literal in _WILDCARDS.split(text))


def _compiled(text: str) -> dict[str, str]:
    """The columns that hold a pattern's text. Raises InvalidFields."""
    shortened = _WILDCARDS.sub("*", check_words("pattern", text, most=_MOST_CHARACTERS))
    if shortened.count("*") > _MOST_WILDCARDS:
        raise InvalidFields.one("pattern", f"may hold at most {_MOST_WILDCARDS} asterisks")
    return {"pattern": shortened, "like_folded": like_folded(shortened)}


def _user(actor: Actor, permission: Permission) -> int:
    return require_user(actor, Kind.MACHINE, Resource.IMAGE, permission)


def _find(connection: Executor, owner_id: int, key: Key) -> Pattern:
    """Raises PatternUnknown."""
    statement: Select[Any] = _ROWS.where(_OWN, has_key(patterns, key))
    row = connection.execute(statement, {"owner_id": owner_id}).first()
    if row is None:
        raise PatternUnknown
    return _pattern(row)


def _pattern(row: Sequence[Any]) -> Pattern:
    owner = Person(*row[_OWNER : _OWNER + PERSON_WIDTH])
    return Pattern(row[0], row[1], Subject(row[2]), row[3], bool(row[4]), row[5], owner)
