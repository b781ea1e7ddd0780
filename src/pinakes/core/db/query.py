"""SELECTs on the path of every request, compiled once and run on the driver's own cursor.

SQLAlchemy's execution costs some 60 microseconds a statement on SQLite, where the driver itself takes 3 to 10. A
`Query` is an ordinary SQLAlchemy statement whose text is kept for each dialect. It returns plain tuples as the driver
gives them: use it for integers and texts (booleans are 0 or 1 on SQLite), not for dates.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from pinakes.core.db.engine import Executor

_PSYCOPG = PGDialect_psycopg()  # type: ignore[no-untyped-call]

Row = tuple[Any, ...]


class Query:
    """One SELECT. Parameters are given by name; those not given keep the values in the statement."""

    def __init__(self, statement: Select[Any]) -> None:
        local = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        remote = statement.compile(dialect=_PSYCOPG)
        assert local.positiontup is not None
        self._local_text = str(local)
        self._names = tuple(local.positiontup)
        self._remote_text = str(remote)
        self._constants = {name: value for name, value in local.params.items() if value is not None}
        self._remote_constants = {name: value for name, value in remote.params.items() if value is not None}

    def first(self, connection: Executor, parameters: Mapping[str, Any]) -> Row | None:
        """The first row, or None."""
        row: Row | None = self._run(connection, parameters).fetchone()
        return row

    def all(self, connection: Executor, parameters: Mapping[str, Any]) -> list[Row]:
        rows: list[Row] = self._run(connection, parameters).fetchall()
        return rows

    def _run(self, connection: Executor, parameters: Mapping[str, Any]) -> Any:
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            bound = {**self._constants, **parameters}
            return driver.execute(self._local_text, [bound[name] for name in self._names])
        return driver.execute(self._remote_text, {**self._remote_constants, **parameters})
