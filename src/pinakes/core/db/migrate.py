"""The schema of a database: which revision it has, and bringing it to this program's.

Revisions are numbered `0001`, `0002`, ... and only go forward; they are in `migrations/versions`. Alembic is loaded
when there is something to migrate, so that a start on a database that is up to date costs one small query.

    database            automatic        not automatic
    empty               created          created
    older               migrated         SchemaMismatch, with the command to run
    of this program     -                -
    newer, or another   SchemaMismatch   SchemaMismatch
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

from sqlalchemy import Connection, String, column, inspect, select, text
from sqlalchemy import table as sql_table
from sqlalchemy.exc import DBAPIError

from pinakes.core.db.engine import Database
from pinakes.core.db.schema import metadata
from pinakes.core.errors import DatabaseUnavailable, SchemaMismatch

REVISION = "0005"
"""The newest revision, which this program works with."""

MIGRATIONS = Path(__file__).parent / "migrations"

_VERSION_TABLE = "alembic_version"
_VERSION = select(column("version_num", String)).select_from(sql_table(_VERSION_TABLE))
_LOCK_KEY = crc32(b"pinakes schema")

_one_at_a_time = threading.Lock()  # Alembic keeps the migration it is in globally


def current(database: Database) -> str | None:
    """The revision of a database, None if it has none yet. Raises DatabaseUnavailable."""
    with _connected(database) as connection:
        return _revision(connection)


def migrate(database: Database) -> tuple[str | None, str]:
    """Bring a database to REVISION in one transaction; the revisions before and after.

    Safe when several processes do so at once: the first migrates, the others wait and find nothing to do.
    Raises SchemaMismatch if the database is newer or holds another program's tables, DatabaseUnavailable.
    """
    with _one_at_a_time, _connected(database) as connection, _transaction(connection, database.is_local):
        before = _revision(connection)
        _refuse_newer(before)
        if before is None:
            _refuse_foreign(connection)
        if before != REVISION:
            _upgrade(connection)
        return before, REVISION


def ensure_schema(database: Database, auto: bool) -> None:
    """See to it that a database has the schema of this program.

    auto: whether an older one may be migrated; an empty database always gets its tables.
    Raises SchemaMismatch, DatabaseUnavailable.
    """
    found = current(database)
    if found == REVISION:
        return
    _refuse_newer(found)
    if found is not None and not auto:
        raise SchemaMismatch(
            f"The database has schema {found}, this version of Pinakes needs {REVISION}: run `pinakes migrate`, "
            "after a backup."
        )
    migrate(database)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    found: str | None = connection.execute(_VERSION).scalar_one_or_none()
    return found


def _refuse_newer(found: str | None) -> None:
    if found is not None and found not in _known_revisions():
        raise SchemaMismatch(
            f"The database has schema {found}, which this version of Pinakes does not know; the newest it knows is "
            f"{REVISION}: run the version of Pinakes that made it, or a newer one."
        )


def _refuse_foreign(connection: Connection) -> None:
    taken = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
    if taken:
        raise SchemaMismatch(
            f"The database has tables that Pinakes did not make ({', '.join(taken)}): give it a database of its own."
        )


def _known_revisions() -> set[str]:
    return {path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9][0-9][0-9][0-9]_*.py")}


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, REVISION)


@contextmanager
def _connected(database: Database) -> Iterator[Connection]:
    """A connection of its own. On SQLite it enforces no foreign keys: remaking a table would empty others by them."""
    try:
        with database.engine.connect() as connection:
            if database.is_local:
                connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            yield connection
    except DBAPIError as exc:
        raise DatabaseUnavailable from exc


@contextmanager
def _transaction(connection: Connection, is_local: bool) -> Iterator[None]:
    """One transaction that nobody else migrates beside. The engine is in autocommit mode: begin and end are ours."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_local else "BEGIN")
    try:
        if not is_local:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        yield
        if is_local and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
            raise RuntimeError("a migration left a reference to a row that is not there")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")
