"""The database: where SQLite and PostgreSQL differ, and nowhere else.

`Database.read()` gives a connection for looking; `Database.write()` gives a `Transaction` that commits when its block
ends well. Both are held per thread: a `read()` inside another, or inside a `write()`, joins it, so that one request
uses one connection however many operations it is made of. A `write()` inside a `write()` is a mistake and raises.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, Protocol, TypeAlias
from zlib import crc32

import psycopg
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
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from pinakes.core.errors import DatabaseUnavailable, StorageFull

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Rows: TypeAlias = CursorResult[*tuple[Any, ...]]

_BUSY_TIMEOUT_SECONDS = 30
_CONNECT_TIMEOUT_SECONDS = 10
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # what is deleted, the password of an import too, does not stay in the file
    f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_SECONDS * 1000}",
    "PRAGMA cache_size = -16384",
    "PRAGMA temp_store = MEMORY",
)


class Executor(Protocol):
    """What the SQL of a records module needs: a connection or a transaction."""

    def execute(self, statement: Executable, parameters: Parameters | None = None, /) -> Rows: ...

    @property
    def connection(self) -> Any: ...


class Transaction:
    """One open write transaction, and what is to happen once its outcome is certain."""

    def __init__(self, connection: Connection, is_local: bool) -> None:
        self._connection = connection
        self.is_local = is_local
        self._after_commit: list[Callable[[], None]] = []
        self._after_rollback: list[Callable[[], None]] = []

    def execute(self, statement: Executable, parameters: Parameters | None = None, /) -> Rows:
        return self._connection.execute(statement, parameters)

    @property
    def connection(self) -> Any:
        """The pool's connection, whose `driver_connection` is the driver's own (core.db.query)."""
        return self._connection.connection

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
                connect_args={"connect_timeout": _CONNECT_TIMEOUT_SECONDS},
                pool_recycle=1800,
                hide_parameters=True,
            )
        self._held = threading.local()
        self._kept: list[Connection] = []  # SQLite: the connections that threads hold, to be closed at the end
        self._writer = threading.Lock()  # queues this process's SQLite writers fairly, before the file's own lock

    def read(self) -> AbstractContextManager[Executor]:
        """A connection for looking: each statement sees what is committed when it starts."""
        return _Read(self)

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
        """Close every connection of this process. Nobody may be using one any more."""
        with self._writer:
            kept, self._kept = self._kept, []
        for connection in kept:
            connection.close()
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

    def _acquire(self) -> Connection:
        """SQLite: this thread's own connection, kept open. PostgreSQL: one of the pool."""
        if not self.is_local:
            return self.engine.connect()
        held: Connection | None = getattr(self._held, "connection", None)
        if held is None or held.closed:
            held = self._held.connection = self.engine.connect()
            self._kept.append(held)
        return held

    def _release(self, connection: Connection) -> None:
        if not self.is_local:
            connection.close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        connection = self._acquire()
        try:
            yield connection
        finally:
            self._release(connection)


class _Read:
    """`Database.read`, as a class because it stands on every request's path and generators cost."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None

    def __enter__(self) -> Executor:
        current = self._database._current()
        if current is not None:
            return current
        try:
            self._connection = self._database._held.executor = self._database._acquire()
        except Exception as exc:
            raise _meaning(exc) from exc
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is None:
            return
        self._database._held.executor = None
        self._database._release(self._connection)
        if isinstance(error, Exception) and (meaning := _meaning(error)) is not error:
            raise meaning from error


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


def _meaning(error: Exception) -> Exception:
    """What a failure of the driver means to the core, or the error itself; integrity errors are for the operation."""
    if isinstance(error, (OperationalError, sqlite3.OperationalError, psycopg.OperationalError)):
        cause = error.orig if isinstance(error, OperationalError) else error
        if "disk is full" in str(cause) or getattr(cause, "sqlstate", None) in _FULL_STATES:
            return StorageFull()
        return DatabaseUnavailable()
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return DatabaseUnavailable()
    return error


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except Exception as exc:
        meaning = _meaning(exc)
        if meaning is exc:
            raise
        raise meaning from exc
