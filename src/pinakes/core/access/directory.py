"""The directory: the users that a user of machine images may know of, to share with them.

Those are the active ones of the same kind; staff also sees the disabled ones among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select

from pinakes.core.access.guard import require_user
from pinakes.core.access.people import PERSON_WIDTH, Person, person_columns
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import users
from pinakes.core.errors import Unauthenticated, UserUnknown
from pinakes.core.page import Listed, PageRequest, prefix_pattern
from pinakes.core.text import fold


@dataclass(frozen=True, slots=True)
class Entry:
    """A user in the directory. Which of these facts are shown to whom is for the API to judge."""

    person: Person
    is_active: bool
    is_staff: bool


_ROWS = select(*person_columns(users), users.c.is_active, users.c.is_staff)
_PREFIX = users.c.name_folded.like(bindparam("prefix"), escape="\\")


class Directory:
    """Looking people up. Each operation raises Unauthenticated, KindMissing, ScopeMissing beside what it names."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, actor: Actor, page: PageRequest) -> Listed[Entry]:
        """By id. page.search: how the names begin, in any case."""
        conditions = [*_known_to(actor), _PREFIX]
        if "\0" in page.search:
            return Listed((), 0)  # nobody's name begins so, and no database takes it
        parameters = {"prefix": prefix_pattern(fold(page.search))}
        with self._database.read() as connection:
            total = connection.execute(select(func.count()).where(*conditions), parameters).scalar_one()
            window = page.window(total)
            rows = _ROWS.where(*conditions).order_by(users.c.id)
            found = connection.execute(rows.limit(window["page_size"]).offset(window["page_offset"]), parameters)
            return Listed(tuple(_entry(row) for row in found), total)

    def own(self, actor: Actor) -> Entry:
        """The actor's own. Raises Unauthenticated."""
        if actor.user_id is None:
            raise Unauthenticated
        with self._database.read() as connection:
            return _entry(connection.execute(_ROWS.where(users.c.id == actor.user_id)).one())

    def get(self, actor: Actor, key: int | str) -> Entry:
        """By id or uid. Raises UserUnknown."""
        is_meant = users.c.id == key if isinstance(key, int) else users.c.uid == key
        with self._database.read() as connection:
            row = connection.execute(_ROWS.where(*_known_to(actor), is_meant)).first()
        if row is None:
            raise UserUnknown
        return _entry(row)


def _known_to(actor: Actor) -> Sequence[ColumnElement[bool]]:
    require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.READ)
    is_of_the_kind = users.c.kinds.contains(Kind.MACHINE.value)
    return [is_of_the_kind] if actor.is_staff else [is_of_the_kind, users.c.is_active]


def _entry(row: Sequence[Any]) -> Entry:
    return Entry(Person(*row[:PERSON_WIDTH]), bool(row[PERSON_WIDTH]), bool(row[PERSON_WIDTH + 1]))
