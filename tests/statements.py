"""How many statements something takes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from pinakes.core.db.engine import Executor
from pinakes.core.db.query import Query


@contextmanager
def counted_statements(engine: Engine) -> Iterator[list[str]]:
    """Every statement that is executed within the block, through SQLAlchemy or past it."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    def run(query: Query, connection: Executor, parameters: Mapping[str, Any]) -> Any:
        statements.append("a compiled query")
        return run_query(query, connection, parameters)

    run_query = Query._run
    event.listen(engine, "before_cursor_execute", note)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Query, "_run", run)
            yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)
