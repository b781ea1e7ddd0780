"""The sweep: what crashes, cut connections and the passing of time leave behind.

    trash      keys noted for deletion, in the transaction that let go of them, and not deleted yet
    partials   objects begun by a writer that has died
    orphans    objects that are whole, and that no blob row came to refer to
    expired    login failures that no longer count, tokens that no longer open anything

An upload commits its bytes first and its row second, so a young object without a row is nothing unusual; only one
older than `min_age_us` is an orphan. S3 gives the time at which an upload began, the disk that of its last byte, so
the age has to be longer than the longest upload. Should an upload take longer all the same, it must not come to refer
to bytes that are gone: an orphan is noted as trash before it is deleted, and the note stands for as long again, for
`blobs.adopt` to find.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import ColumnElement, Table, and_, delete, func, or_, select

from pinakes.core.clock import DAY, HOUR, Clock, Instant
from pinakes.core.content import blobs
from pinakes.core.content.store import ContentStore, StoredObject
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import login_failures, tokens, trash
from pinakes.core.errors import BlobUnknown, StoreUnavailable

log = logging.getLogger(__name__)

_BATCH = 500
_LOGIN_FAILURE_AGE = DAY
_USE_IS_KEPT_TO = HOUR  # a token's last use is only written down once an hour


@dataclass(frozen=True, slots=True)
class SweepReport:
    """How many of each went, or would go; bytes_freed counts the three kinds of object together."""

    trash_cleared: int
    partials_removed: int
    orphans_removed: int
    bytes_freed: int
    login_failures_removed: int
    tokens_removed: int


class Sweep:
    """Cleaning up after everybody. Several may run at once, beside a working archive.

    min_age_us: how old, in microseconds, an object without a row must be before it counts as left behind.
    """

    def __init__(self, database: Database, store: ContentStore, clock: Clock, *, min_age_us: int) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._min_age_us = min_age_us

    def run(self, *, dry_run: bool = False) -> SweepReport:
        """Remove what is left behind, or only count it.

        A dry run cannot tell a living upload from a dead one: it counts both among the partials. Raises
        StoreUnavailable if the store cannot be listed, DatabaseUnavailable; what was removed until then stays removed.
        """
        cleared, trash_bytes = self.empty_trash(dry_run=dry_run)
        partials = orphans = object_bytes = 0
        for found in self._left_behind():
            if not dry_run and not self._remove(found):
                continue
            partials += found.is_partial
            orphans += not found.is_partial
            object_bytes += found.size_bytes
        failures, expired = self._expire(dry_run)
        return SweepReport(cleared, partials, orphans, trash_bytes + object_bytes, failures, expired)

    def empty_trash(self, *, dry_run: bool = False) -> tuple[int, int]:
        """Delete what is noted as trash; how many objects and bytes that was. What cannot be deleted stays noted."""
        cleared = freed = 0
        for keys in self._trash_pages():
            gone = []
            for key in keys:
                try:
                    size_bytes = self._size(key)
                    if not dry_run:
                        self._store.delete(key)
                except StoreUnavailable:
                    log.warning("an object noted as trash could not be deleted; the next sweep will retry")
                else:
                    gone.append(key)
                    freed += size_bytes
            cleared += len(gone)
            if gone and not dry_run:
                with self._database.write() as transaction:
                    blobs.clear_trash(transaction, gone)
        return cleared, freed

    def _trash_pages(self) -> Iterator[Sequence[str]]:
        """The keys noted until now, in order; not those of orphans whose note has still to stand."""
        last = ""
        noted = select(trash.c.key).where(trash.c.noted_at <= self._clock()).order_by(trash.c.key).limit(_BATCH)
        while True:
            with self._database.read() as connection:
                keys = connection.execute(noted.where(trash.c.key > last)).scalars().all()
            if not keys:
                return
            last = keys[-1]
            yield keys

    def _left_behind(self) -> Iterator[StoredObject]:
        """Partial objects, and old ones that neither a blob row nor a trash note speaks of."""
        objects = self._store.list()
        youngest = self._clock() - self._min_age_us
        while batch := list(islice(objects, _BATCH)):
            yield from (found for found in batch if found.is_partial)
            old = [found for found in batch if not found.is_partial and found.modified_at <= youngest]
            spoken_for = self._spoken_for([found.key for found in old])
            yield from (found for found in old if found.key not in spoken_for)

    def _remove(self, found: StoredObject) -> bool:
        if found.is_partial:
            return self._store.remove_partial(found.key)
        with self._database.write() as transaction:
            stands_until = self._clock() + self._min_age_us
            if not blobs.condemn(transaction, found.key, stands_until):  # its row has come since it was looked up
                return False
        try:
            self._store.delete(found.key)
        except StoreUnavailable:
            log.warning("an orphan could not be deleted; a sweep will retry when its note has stood long enough")
            return False
        return True

    def _spoken_for(self, keys: list[str]) -> set[str]:
        if not keys:
            return set()
        with self._database.read() as connection:
            noted = connection.execute(select(trash.c.key).where(trash.c.key.in_(keys))).scalars()
            return blobs.known_keys(connection, keys) | set(noted)

    def _size(self, key: str) -> int:
        try:
            reader = self._store.open(key)
        except BlobUnknown:
            return 0
        reader.close()
        return reader.size_bytes

    def _expire(self, dry_run: bool) -> tuple[int, int]:
        """How many login failures and tokens had had their time."""
        now = self._clock()
        failures = login_failures.c.at <= now - _LOGIN_FAILURE_AGE
        return self._delete(login_failures, failures, dry_run), self._delete(tokens, _has_expired(now), dry_run)

    def _delete(self, table: Table, condition: ColumnElement[bool], dry_run: bool) -> int:
        if dry_run:
            with self._database.read() as connection:
                return int(connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one())
        with self._database.write() as transaction:
            return transaction.execute(delete(table).where(condition)).rowcount


def _has_expired(now: Instant) -> ColumnElement[bool]:
    """Tokens that no request can use any more, whatever its last use was within the hour that is not written down."""
    is_idle = and_(
        tokens.c.idle_limit_us.is_not(None),
        tokens.c.last_used_at + tokens.c.idle_limit_us + _USE_IS_KEPT_TO <= now,
    )
    return or_(and_(tokens.c.expires_at.is_not(None), tokens.c.expires_at <= now), is_idle)
