"""Verifying: whether every byte that the database promises is there and unchanged, and every count is right."""

import enum
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Select, func, select

from pinakes.core.content import blobs
from pinakes.core.content.blobs import Blob
from pinakes.core.content.store import ContentStore
from pinakes.core.db import schema
from pinakes.core.db.engine import Database
from pinakes.core.errors import BlobUnknown, StoreUnavailable

_BATCH = 500
_READ_BYTES = 1024 * 1024


class What(enum.StrEnum):
    """What can be wrong with a blob."""

    MISSING = "the object is missing"
    WRONG_SIZE = "the object has another size than its row says"
    WRONG_DIGEST = "the object's bytes have changed"
    UNREADABLE = "the object cannot be read"
    WRONG_REFS = "the number of references is not the number of rows that refer to it"
    NO_ROW = "a row refers to a digest that no blob row has"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. key is None where there is no row to tell it."""

    digest: str
    key: str | None
    what: What


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a verification has come. The totals are those of its beginning; uploads go on meanwhile."""

    blobs: int
    bytes: int
    total_blobs: int
    total_bytes: int


def verify(
    database: Database, store: ContentStore, progress: Callable[[Progress], None] | None = None
) -> Iterator[Fault]:
    """Read and hash every blob in order of digest, then compare the counts; each fault as it is found.

    Runs beside a working archive: a blob that is deleted meanwhile is no fault. Holds about 1 MiB at a time, and calls
    progress after each. Raises DatabaseUnavailable.
    """
    with database.read() as connection:
        total_blobs, total_bytes = blobs.total(connection)
    done_blobs = done_bytes = 0

    def advance(count: int, size_bytes: int) -> None:
        nonlocal done_blobs, done_bytes
        done_blobs += count
        done_bytes += size_bytes
        if progress is not None:
            progress(Progress(done_blobs, done_bytes, total_blobs, total_bytes))

    for blob in _all(database):
        what = _inspect(store, blob, lambda size_bytes: advance(0, size_bytes))
        advance(1, 0)
        if what is not None and _is_still_there(database, blob):
            yield Fault(blob.digest, blob.key, what)
    yield from _wrong_refs(database)
    yield from _without_row(database)


def _all(database: Database) -> Iterator[Blob]:
    last = ""
    while True:
        with database.read() as connection:
            page = blobs.after(connection, last, _BATCH)
        if not page:
            return
        yield from page
        last = page[-1].digest


def _inspect(store: ContentStore, blob: Blob, advance: Callable[[int], None]) -> What | None:
    """What is wrong with the object of a blob, None if nothing is."""
    try:
        reader = store.open(blob.key)
    except BlobUnknown:
        return What.MISSING
    except StoreUnavailable:
        return What.UNREADABLE
    hasher = hashlib.sha256()
    offset = 0
    try:
        if reader.size_bytes != blob.size_bytes:
            return What.WRONG_SIZE
        while piece := reader.read_at(offset, _READ_BYTES):
            hasher.update(piece)
            offset += len(piece)
            advance(len(piece))
    except StoreUnavailable:
        return What.UNREADABLE
    finally:
        reader.close()
    return None if hasher.hexdigest() == blob.digest else What.WRONG_DIGEST


def _is_still_there(database: Database, blob: Blob) -> bool:
    with database.read() as connection:
        found = blobs.find(connection, blob.digest)
    return found is not None and found.key == blob.key


def _wrong_refs(database: Database) -> Iterator[Fault]:
    """Blobs whose count differs from the rows that refer to them; a page is one statement, so it sees one state."""
    digest = schema.blobs.c.digest
    counts = [select(func.count()).where(column == digest).scalar_subquery() for column in schema.REFERENCES_TO_BLOBS]
    statement = select(digest, schema.blobs.c.key, schema.blobs.c.refs, *counts)
    for found, key, refs, *counted in _paged(database, statement, digest):
        if refs != sum(counted):
            yield Fault(found, key, What.WRONG_REFS)


def _without_row(database: Database) -> Iterator[Fault]:
    """Digests that no blob row has: the foreign keys forbid them, a damaged database may hold them."""
    for digest in schema.REFERENCES_TO_BLOBS:
        joined = select(digest).outerjoin(schema.blobs, schema.blobs.c.digest == digest)
        statement = joined.where(schema.blobs.c.digest.is_(None)).distinct()
        for (found,) in _paged(database, statement, digest):
            yield Fault(found, None, What.NO_ROW)


def _paged(database: Database, statement: Select[Any], digest: Column[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement whose first column is this digest, in its order, read a page at a time."""
    last = ""
    while True:
        with database.read() as connection:
            page = connection.execute(statement.where(digest > last).order_by(digest).limit(_BATCH)).all()
        if not page:
            return
        yield from map(tuple, page)
        last = page[-1][0]
