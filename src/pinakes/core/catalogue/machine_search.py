"""Searching machine images: from what somebody typed to conditions on `machine_texts` (atmosphere contract F3).

A search is split at white space and commas. Every term must be found, without regard to case, in the name, the
description, or the name or description of a tag; `machine_texts` holds them all. An index finds what may hold the
terms; of those about which it is not sure, the texts are compared character by character.
"""

import re
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, String, bindparam, literal_column, select, table

from pinakes.core.db.engine import Executor
from pinakes.core.db.query import Query
from pinakes.core.db.schema import images, machine_texts
from pinakes.core.db.substrings import MOST_ASKED, Contains, MayContain, lookup_any, lookup_parameters
from pinakes.core.errors import InvalidFields
from pinakes.core.text import fold

MOST_TERMS: Final = 64
_SEPARATORS = re.compile(r"[\s,]+")
_PIECE: Final = 3
_MOST_PIECES: Final = 256


@dataclass(frozen=True, slots=True)
class Search:
    """Terms made ready for a statement.

    slots: how many terms the statement compares with the texts, for which it must have `machine_texts` in it; some may
    be repeated, so that few different statements are made.
    is_indexed: whether the index is asked first.   parameters: what `narrowed` is bound to.
    """

    slots: int
    is_indexed: bool
    parameters: Mapping[str, Any]


NO_SEARCH: Final = Search(0, False, {})


def terms_of(text: str) -> list[str]:
    """The folded terms of a search, without those that are part of another. Raises InvalidFields beyond MOST_TERMS."""
    terms = sorted({fold(term) for term in _SEPARATORS.split(text) if term}, key=lambda term: (-len(term), term))
    needed: list[str] = []
    for term in terms:
        if any(term in other for other in needed):
            continue
        if len(needed) == MOST_TERMS:
            raise InvalidFields.one("search", f"may have at most {MOST_TERMS} words")
        needed.append(term)
    return needed


def prepare(connection: Executor, terms: Sequence[str]) -> Search | None:
    """The search for these terms, longest first; None if nothing can match, since no text holds NUL."""
    if not terms:
        return NO_SEARCH
    if any("\0" in term for term in terms):
        return None
    lookup, unsure = _lookup(connection, terms)
    slots = 1 << (len(unsure) - 1).bit_length() if unsure else 0
    parameters = {f"term_{number}": unsure[min(number, len(unsure) - 1)] for number in range(slots)}
    return Search(slots, lookup is not None, parameters | (lookup or {}))


def narrowed(statement: Select[Any], image_id: ColumnElement[int], slots: int, is_indexed: bool) -> Select[Any]:
    """A statement over `images` with what a Search of that shape asks. Without slots it is for SQLite alone.

    image_id: `images.c.id`, or the same as an expression, so that no index of it is used.
    """
    if not slots:
        return statement.where(MayContain(image_id))
    statement = statement.join(machine_texts, machine_texts.c.image_id == images.c.id)
    if is_indexed:
        statement = statement.where(MayContain(machine_texts.c.image_id))
    return statement.where(*(Contains(machine_texts.c.text, f"term_{number}") for number in range(slots)))


_gram = literal_column("term", String())
_GRAMS = Query(
    select(_gram)
    .select_from(table("machine_texts_grams"))
    .where(_gram.between(bindparam("low"), bindparam("high")))
    .limit(_MOST_PIECES + 1)
)


def _lookup(connection: Executor, terms: Sequence[str]) -> tuple[dict[str, Any] | None, Sequence[str]]:
    """What the index is asked, None if it cannot help; and the terms that have to be compared with what it finds.

    SQLite's has pieces of three characters only, and their places: it is sure of terms that are no shorter, up to
    MOST_ASKED. A term of two is looked for as the beginning of any of them, where these are not too many; for terms of
    one the texts are read, most of which hold them anyway. PostgreSQL's does not tell where in a text a piece is.
    """
    if not isinstance(connection.connection.driver_connection, sqlite3.Connection):
        return lookup_parameters(terms), terms
    long = [term for term in terms if len(term) >= _PIECE]
    if long:
        return lookup_parameters(long), [term for term in terms if not _PIECE <= len(term) <= MOST_ASKED]
    if len(terms[0]) < _PIECE - 1:
        return None, terms
    rows = _GRAMS.all(connection, {"low": terms[0], "high": terms[0] + chr(sys.maxunicode)})
    if len(rows) > _MOST_PIECES:
        return None, terms
    return lookup_any([row[0] for row in rows]), terms[1:]
