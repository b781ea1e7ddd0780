"""What each database needs to find a piece of text inside the texts of `machine_texts`.

SQLite: an FTS5 index of trigrams beside the table, which triggers keep in step with it, also where a row goes with its
image. PostgreSQL (without extensions): a GIN index over an array of the pieces of one, two and three characters of
each text. A very long text has one mark in their place: it comes up in every search, and is then read.
Whoever makes the table again in a migration has to make these again, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from sqlalchemy import ColumnElement, String, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Boolean

OWN_NAMES = ("machine_texts_", "ix_machine_texts_grams")
"""How the names of the databases' own tables and indexes begin, which no `Table` describes."""

_SQLITE = (
    "CREATE VIRTUAL TABLE machine_texts_fts USING fts5("
    "text, content='machine_texts', content_rowid='image_id', tokenize='trigram case_sensitive 1')",
    "CREATE VIRTUAL TABLE machine_texts_grams USING fts5vocab('machine_texts_fts', 'row')",
    "CREATE TRIGGER machine_texts_inserted AFTER INSERT ON machine_texts BEGIN "
    "INSERT INTO machine_texts_fts (rowid, text) VALUES (new.image_id, new.text); END",
    "CREATE TRIGGER machine_texts_deleted AFTER DELETE ON machine_texts BEGIN "
    "INSERT INTO machine_texts_fts (machine_texts_fts, rowid, text) VALUES ('delete', old.image_id, old.text); END",
    "CREATE TRIGGER machine_texts_updated AFTER UPDATE ON machine_texts BEGIN "
    "INSERT INTO machine_texts_fts (machine_texts_fts, rowid, text) VALUES ('delete', old.image_id, old.text); "
    "INSERT INTO machine_texts_fts (rowid, text) VALUES (new.image_id, new.text); END",
)
_POSTGRESQL = (
    """CREATE FUNCTION pinakes_grams(texts text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN length(texts) > 65536 THEN ARRAY['(long)']
    ELSE (SELECT array_agg(DISTINCT gram) FROM (
        SELECT c || coalesce(lead(c) OVER place, '') || coalesce(lead(c, 2) OVER place, '') AS three,
               c || coalesce(lead(c) OVER place, '') AS two, c AS one
        FROM unnest(string_to_array(texts, NULL)) WITH ORDINALITY AS u(c, o) WINDOW place AS (ORDER BY o)
    ) AS t, unnest(ARRAY[one, two, three]) AS gram) END
    $$""",
    "CREATE INDEX ix_machine_texts_grams ON machine_texts USING gin (pinakes_grams(text)) WITH (fastupdate = off)",
)
INDEX_MACHINE_TEXTS: Mapping[str, Sequence[str]] = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
"""By dialect, the statements that follow the making of `machine_texts`."""


class _Condition(ColumnElement[bool]):
    """A condition that is written as it is: SQLAlchemy would add `= 1`, and SQLite then finds no use for an index."""

    inherit_cache = False
    type = Boolean()

    def self_group(self, against: Any = None) -> Self:  # noqa: ARG002 - the seam gives it
        return self


class Contains(_Condition):
    """Whether a column of folded text contains the parameter of that name, character for character."""

    def __init__(self, column: ColumnElement[str], name: str) -> None:
        self.column = column
        self.parameter = bindparam(name, type_=String())


class MayContain(_Condition):
    """Whether a row of machine_texts holds the pieces of the terms that are looked for, as far as the index knows.

    It never leaves out a row that contains them. Bound to `lookup_parameters`.
    image_id: by which SQLite knows the row; PostgreSQL needs `machine_texts` itself in the statement.
    """

    def __init__(self, image_id: ColumnElement[int]) -> None:
        self.image_id = image_id
        self.phrases = bindparam("search_phrases", type_=String())
        self.grams = bindparam("search_grams", type_=String())


@compiles(Contains, "sqlite")
def _contains_sqlite(element: Contains, compiler: SQLCompiler, **kw: Any) -> str:
    return f"instr({compiler.process(element.column, **kw)}, {compiler.process(element.parameter, **kw)}) > 0"


@compiles(Contains, "postgresql")
def _contains_postgresql(element: Contains, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strpos({compiler.process(element.column, **kw)}, {compiler.process(element.parameter, **kw)}) > 0"


@compiles(MayContain, "sqlite")
def _may_contain_sqlite(element: MayContain, compiler: SQLCompiler, **kw: Any) -> str:
    phrases = compiler.process(element.phrases, **kw)
    matching = "SELECT rowid FROM machine_texts_fts WHERE machine_texts_fts MATCH"
    return f"{compiler.process(element.image_id, **kw)} IN ({matching} {phrases})"


@compiles(MayContain, "postgresql")
def _may_contain_postgresql(element: MayContain, compiler: SQLCompiler, **kw: Any) -> str:
    grams = compiler.process(element.grams, **kw)
    return (
        f"(pinakes_grams(machine_texts.text) @> CAST({grams} AS text[]) "
        f"OR pinakes_grams(machine_texts.text) @> ARRAY['(long)'])"
    )


MOST_ASKED = 64
"""Of how many of a term's first characters the index is asked; a longer one has to be compared afterwards."""


def lookup_parameters(terms: Sequence[str]) -> dict[str, Any]:
    """What MayContain is bound to, for folded terms without white space; on SQLite of three characters and more."""
    beginnings = [term[:MOST_ASKED] for term in terms]
    grams = sorted({gram for term in beginnings for gram in _grams(term)})
    return {"search_phrases": " AND ".join(_quoted(term) for term in beginnings), "search_grams": grams}


def lookup_any(pieces: Sequence[str]) -> dict[str, Any]:
    """The same on SQLite for texts that hold one of these pieces of three characters; without any, for none."""
    return {"search_phrases": " OR ".join(_quoted(piece) for piece in pieces) or _quoted("")}


def _grams(term: str) -> list[str]:
    return [term[start : start + 3] for start in range(len(term) - 2)] or [term]


def _quoted(term: str) -> str:
    """A term as a phrase of FTS5."""
    return '"' + term.replace('"', '""') + '"'
