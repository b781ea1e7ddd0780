"""What is shown of an account beside the things it made or owns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause

from pinakes.core.clock import Instant


@dataclass(frozen=True, slots=True)
class Person:
    """An account as others may see it. Whether they see the e-mail address too is for the API to judge.

    uid: a UUID4 as 32 hex digits.
    """

    id: int
    name: str
    email: str
    created_at: Instant
    uid: str


PERSON_WIDTH = 5
"""How many columns `person_columns` gives."""


def person_columns(users: FromClause) -> Sequence[ColumnElement[Any]]:
    """The columns of `users`, or of an alias of it, that make a Person, in order."""
    return [users.c.id, users.c.name, users.c.email, users.c.created_at, users.c.uid]
