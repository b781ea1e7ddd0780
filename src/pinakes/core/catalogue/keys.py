"""How one thing is named from outside: by its id, or by its uid where it has one."""

from typing import TypeAlias

from sqlalchemy import ColumnElement, FromClause

Key: TypeAlias = int | str
"""An id (1 to 2^63-1), or a UUID as 32 hex digits."""


def has_key(table: FromClause, key: Key) -> ColumnElement[bool]:
    """Whether a row of a table with the columns `id` and `uid`, or of an alias of one, is the one meant."""
    return table.c.id == key if isinstance(key, int) else table.c.uid == key
