"""Which bytes are where: the blob rows, their reference counts, and the trash (DESIGN.md rule 10).

The row of a digest is the lock: adopting and releasing both update it, so that a release which brings the count to
zero and an adoption of the same digest happen one after the other, never interleaved.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import blobs, trash
from pinakes.core.errors import UploadBroken


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes known by their SHA-256 (hex), kept under a key."""

    digest: str
    key: str
    size_bytes: int


_FIND = Query(select(blobs.c.digest, blobs.c.key, blobs.c.size_bytes).where(blobs.c.digest == bindparam("digest")))
_RELEASE = (
    update(blobs)
    .where(blobs.c.digest == bindparam("blob_digest"))
    .values(refs=blobs.c.refs - 1)
    .returning(blobs.c.refs, blobs.c.key)
)
_IS_TRASH = select(trash.c.key).where(trash.c.key == bindparam("key"))
_FORGET = delete(blobs).where(blobs.c.digest == bindparam("blob_digest"))


def _upsert(dialect_insert: type[sqlite.Insert] | type[postgresql.Insert]) -> sqlite.Insert | postgresql.Insert:
    return (
        dialect_insert(blobs)
        .on_conflict_do_update(index_elements=[blobs.c.digest], set_={"refs": blobs.c.refs + 1})
        .returning(blobs.c.key)  # type: ignore[return-value]
    )


_ADOPT = {True: _upsert(sqlite.Insert), False: _upsert(postgresql.Insert)}


def find(connection: Executor, digest: str) -> Blob | None:
    row = _FIND.first(connection, {"digest": digest})
    return Blob(*row) if row else None


def adopt(transaction: Transaction, blob: Blob, now: Instant) -> str:
    """Count one more reference to a digest; the key under which its bytes are kept from now on.

    That is blob.key only if the digest was not known. Raises UploadBroken if a sweep has taken the object for an
    orphan in the meantime, which only an upload longer than the sweep's patience can meet.
    """
    transaction.lock(blob.key)
    if transaction.execute(_IS_TRASH, {"key": blob.key}).first() is not None:
        raise UploadBroken("The upload took too long, and its bytes were swept.")
    row = {
        "digest": blob.digest,
        "key": blob.key,
        "size_bytes": blob.size_bytes,
        "refs": 1,
        "created_at": now,
    }
    key: str = transaction.execute(_ADOPT[transaction.is_local], row).scalar_one()
    return key


def release(transaction: Transaction, digests: Sequence[str], now: Instant) -> list[str]:
    """Count one reference less for each digest given; the keys whose last reference went, now noted as trash."""
    keys = []
    for digest in sorted(digests):  # one order for everybody, or two releases could wait for each other
        refs, key = transaction.execute(_RELEASE, {"blob_digest": digest}).one()
        if refs == 0:
            transaction.execute(_FORGET, {"blob_digest": digest})
            keys.append(key)
    note_trash(transaction, keys, now)
    return keys


def condemn(transaction: Transaction, key: str, now: Instant) -> bool:
    """Note an object as trash if nothing speaks of it; False, and nothing happens, if something does.

    The lock makes this and `adopt` follow one another: either the row of an upload is seen here, or the note is there.
    """
    transaction.lock(key)
    if known_keys(transaction, [key]) or transaction.execute(_IS_TRASH, {"key": key}).first() is not None:
        return False
    note_trash(transaction, [key], now)
    return True


def note_trash(transaction: Transaction, keys: Sequence[str], now: Instant) -> None:
    if keys:
        transaction.execute(insert(trash), [{"key": key, "noted_at": now} for key in keys])


def clear_trash(transaction: Transaction, keys: Sequence[str]) -> None:
    transaction.execute(delete(trash).where(trash.c.key.in_(keys)))


def known_keys(connection: Executor, keys: Sequence[str]) -> set[str]:
    """Those of the keys that some blob row refers to."""
    return set(connection.execute(select(blobs.c.key).where(blobs.c.key.in_(keys))).scalars())


def known_digests(connection: Executor, digests: Collection[str]) -> set[str]:
    """Those of the digests that have a row."""
    return set(connection.execute(select(blobs.c.digest).where(blobs.c.digest.in_(digests))).scalars())


def after(connection: Executor, digest: str, limit: int) -> list[Blob]:
    """The next blobs in order of digest, for walking them all."""
    statement = (
        select(blobs.c.digest, blobs.c.key, blobs.c.size_bytes)
        .where(blobs.c.digest > digest)
        .order_by(blobs.c.digest)
        .limit(limit)
    )
    return [Blob(*row) for row in connection.execute(statement)]


def total(connection: Executor) -> tuple[int, int]:
    """How many blobs there are, and their bytes together."""
    count, size = connection.execute(select(func.count(), func.coalesce(func.sum(blobs.c.size_bytes), 0))).one()
    return int(count), int(size)
