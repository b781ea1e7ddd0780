"""Secrets that the archive makes up once for itself, and keeps in the database for all of its processes."""

from collections.abc import Callable

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database, Executor
from pinakes.core.db.query import Query
from pinakes.core.db.schema import secrets

_FIND = Query(select(secrets.c.value).where(secrets.c.name == bindparam("name")))
_ADD = {
    True: sqlite.insert(secrets).on_conflict_do_nothing(),
    False: postgresql.insert(secrets).on_conflict_do_nothing(),
}


def kept(database: Database, name: str, make: Callable[[], str], clock: Clock) -> str:
    """The secret of that name, made at the first use: the one kept first, where several processes make it at once.

    Not to be asked for inside a write transaction.
    """
    with database.read() as connection:
        found = _read(connection, name)
    if found is not None:
        return found
    with database.write() as transaction:
        transaction.execute(_ADD[transaction.is_local], {"name": name, "value": make(), "created_at": clock()})
        made = _read(transaction, name)
    assert made is not None
    return made


def _read(connection: Executor, name: str) -> str | None:
    row = _FIND.first(connection, {"name": name})
    return None if row is None else str(row[0])
