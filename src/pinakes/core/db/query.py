"""SELECTs on the path of every request, compiled once and run on the driver's own cursor.

SQLAlchemy's execution costs some 60 microseconds a statement on SQLite, where the driver itself takes 3 to 10. A
`Query` is an ordinary SQLAlchemy statement whose text is kept for each dialect. It returns plain tuples as the driver
gives them: use it for integers and texts (booleans are 0 or 1 on SQLite), not for dates.
"""

import sqlite3
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from sqlalchemy import Compiled, Select
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from pinakes.core.db.engine import Executor

_PSYCOPG = PGDialect_psycopg()  # type: ignore[no-untyped-call]

Row = tuple[Any, ...]


class Query:
    """One SELECT. Parameters are given by name; those not given keep the values in the statement.

    It is compiled when a database first asks it: a process asks few of all there are, and mostly of one kind.
    """

    def __init__(self, statement: Select[Any]) -> None:
        self._statement = statement

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
            text, names, constants = self._local
            bound = {**constants, **parameters}
            return driver.execute(text, [bound[name] for name in names])
        text, constants = self._remote
        return driver.execute(text, {**constants, **parameters})

    @cached_property
    def _local(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        """For SQLite: the text, the names of its parameters in order, and those that the statement gives itself."""
        compiled = self._statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        assert compiled.positiontup is not None
        return str(compiled), tuple(compiled.positiontup), _given(compiled)

    @cached_property
    def _remote(self) -> tuple[str, dict[str, Any]]:
        """For PostgreSQL: the text, and the parameters that the statement gives itself."""
        compiled = self._statement.compile(dialect=_PSYCOPG)
        return str(compiled), _given(compiled)


def _given(compiled: Compiled) -> dict[str, Any]:
    return {name: value for name, value in (compiled.params or {}).items() if value is not None}
