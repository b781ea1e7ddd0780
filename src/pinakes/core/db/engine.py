"""The database: where SQLite and PostgreSQL differ, and nowhere else.

`Database.read()` gives a connection for looking; `Database.write()` gives a `Transaction` that commits when its block
ends well. Both are held per thread: a `read()` inside another, or inside a `write()`, joins it, so that one request
uses one connection however many operations it is made of. A `write()` inside a `write()` is a mistake and raises.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias, Unpack
from zlib import crc32

from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    Executable,
    create_engine,
    event,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy import table as sql_table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.pool import NullPool

from pinakes.core.errors import DatabaseUnavailable, PinakesError, StorageFull

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Rows: TypeAlias = CursorResult[Unpack[tuple[Any, ...]]]

_BUSY_TIMEOUT_SECONDS = 30
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_SECONDS * 1000}",
    "PRAGMA cache_size = -16384",
    "PRAGMA temp_store = MEMORY",
)


class Executor(Protocol):
    """What the SQL of a records module needs: a connection or a transaction."""

    def execute(self, statement: Executable, parameters: Parameters | None = None, /) -> Rows: ...


class Transaction:
    """One open write transaction, and what is to happen once its outcome is certain."""

    def __init__(self, connection: Connection, is_local: bool) -> None:
        self._connection = connection
        self.is_local = is_local
        self._after_commit: list[Callable[[], None]] = []
        self._after_rollback: list[Callable[[], None]] = []

    def execute(self, statement: Executable, parameters: Parameters | None = None, /) -> Rows:
        return self._connection.execute(statement, parameters)

    def lock(self, name: str) -> None:
        """Hold a named lock until the transaction ends.

        SQLite has one writer at a time already; PostgreSQL takes an advisory lock on the name's checksum.
        """
        if not self.is_local:
            self.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": crc32(name.encode())})

    def skip_ids(self, table: str, taken_id: int) -> None:
        """After inserting a chosen id: the next ones given out are above it, as SQLite sees to by itself."""
        if not self.is_local:
            sequence = func.pg_get_serial_sequence(table, "id")
            last = select(literal_column("last_value")).select_from(sql_table(f"{table}_id_seq")).scalar_subquery()
            self.execute(select(func.setval(sequence, func.greatest(taken_id, last))))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo only this block if it raises: PostgreSQL gives up a whole transaction at its first error."""
        self._connection.exec_driver_sql("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self._connection.exec_driver_sql("ROLLBACK TO SAVEPOINT part")
            raise
        finally:
            self._connection.exec_driver_sql("RELEASE SAVEPOINT part")

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back once the commit is certain. Not called if the connection is lost while committing."""
        self._after_commit.append(callback)

    def after_rollback(self, callback: Callable[[], None]) -> None:
        """Call back once it is certain that nothing was committed."""
        self._after_rollback.append(callback)

    def _settle(self, callbacks: list[Callable[[], None]]) -> None:
        for callback in callbacks:
            callback()


class Database:
    """An open SQLite file or PostgreSQL database.

    url: an SQLAlchemy URL, `sqlite:///path` or `postgresql://...`.
    """

    def __init__(self, url: str, *, pool_size: int = 20) -> None:
        parsed = make_url(url)
        self.is_local = parsed.get_backend_name() == "sqlite"
        if self.is_local:
            self.engine = _sqlite_engine(url)
        else:
            parsed = parsed.set(drivername="postgresql+psycopg")
            self.engine = create_engine(
                parsed,
                isolation_level="AUTOCOMMIT",
                pool_size=pool_size,
                max_overflow=10,
                pool_pre_ping=False,
                pool_recycle=1800,
                hide_parameters=True,
            )
        self._held = threading.local()
        self._writer = threading.Lock()  # queues this process's SQLite writers fairly, before the file's own lock

    @contextmanager
    def read(self) -> Iterator[Executor]:
        """A connection for looking: each statement sees what is committed when it starts."""
        if (current := self._current()) is not None:
            yield current
            return
        with _translated(), self._connection() as connection:
            self._held.executor = connection
            try:
                yield connection
            finally:
                self._held.executor = None

    @contextmanager
    def snapshot(self) -> Iterator[Executor]:
        """A connection all of whose statements see one and the same state."""
        if self._current() is not None:
            raise RuntimeError("a snapshot cannot be taken inside another read or write")
        begin = "BEGIN" if self.is_local else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        with self.read() as connection:
            assert isinstance(connection, Connection)
            connection.exec_driver_sql(begin)
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that commits when the block ends and rolls back when it raises."""
        if isinstance(self._current(), Transaction):
            raise RuntimeError("one operation is one transaction: a write cannot open another")
        with _translated(), self._write_turn(), self._connection() as connection:
            before = self._current()
            transaction = Transaction(connection, self.is_local)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if self.is_local else "BEGIN")
            self._held.executor = transaction
            try:
                yield transaction
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                self._held.executor = before
                transaction._settle(transaction._after_rollback)
                raise
            finally:
                self._held.executor = before
            self._commit(connection, transaction)
        transaction._settle(transaction._after_commit)

    def close(self) -> None:
        """Close every connection of this process."""
        self.engine.dispose()

    def _commit(self, connection: Connection, transaction: Transaction) -> None:
        """Commit. Where it fails, only SQLite can say for certain that nothing was kept."""
        try:
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            if self.is_local:
                connection.exec_driver_sql("ROLLBACK")
                transaction._settle(transaction._after_rollback)
            raise

    def _current(self) -> Connection | Transaction | None:
        return getattr(self._held, "executor", None)

    @contextmanager
    def _write_turn(self) -> Iterator[None]:
        if not self.is_local:
            yield
            return
        with self._writer:
            yield

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """SQLite: this thread's own connection, kept open. PostgreSQL: one of the pool."""
        if not self.is_local:
            with self.engine.connect() as connection:
                yield connection
            return
        held: Connection | None = getattr(self._held, "connection", None)
        if held is None or held.closed:
            held = self._held.connection = self.engine.connect()
        yield held


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT_SECONDS, "cached_statements": 256},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: object) -> None:
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(pragma)

    return engine


_FULL_STATES = {"53100"}  # PostgreSQL: disk_full


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's operational failures into the core's errors; integrity errors are for the operation."""
    try:
        yield
    except (PinakesError, IntegrityError):
        raise
    except OperationalError as exc:
        if "disk is full" in str(exc.orig) or getattr(exc.orig, "sqlstate", None) in _FULL_STATES:
            raise StorageFull from exc
        raise DatabaseUnavailable from exc
    except DBAPIError as exc:
        if exc.connection_invalidated:
            raise DatabaseUnavailable from exc
        raise
