"""Content: the store and the blob rows together. The one way in and out for the bytes of images."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pinakes.core.clock import Clock
from pinakes.core.content import blobs
from pinakes.core.content.blobs import Blob
from pinakes.core.content.copies import Copies
from pinakes.core.content.store import ContentStore, Reader, new_key
from pinakes.core.content.uploads import Found, Incoming, State, Upload
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import BlobUnknown, StoreUnavailable, TooLarge, Unavailable

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class DistantContent:
    """Content that is not on this machine. read: gives exactly so many bytes from an offset on.

    It raises BlobUnknown, StoreUnavailable.
    """

    size_bytes: int
    read: Callable[[int, int], bytes]


class Content:
    """Bytes in, bytes out, and bytes gone.

    max_bytes: the largest upload taken, None for no limit.
    reserve_bytes: how much of the store stays free; an upload announced larger than the rest is refused.
    copies: local copies of content in a store that has no files of its own.
    """

    def __init__(
        self,
        database: Database,
        store: ContentStore,
        clock: Clock,
        *,
        max_bytes: int | None = None,
        reserve_bytes: int = 0,
        copies: Copies | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self.max_bytes = max_bytes
        self._reserve_bytes = reserve_bytes
        self._copies = copies

    def admit(self, expected_bytes: int) -> None:
        """Raises TooLarge if an upload of so many bytes cannot be taken, judged before any is read."""
        if self.max_bytes is not None and expected_bytes > self.max_bytes:
            raise TooLarge(self.max_bytes)
        free = self._store.free_bytes()
        if free is not None and expected_bytes > (room := max(0, free - self._reserve_bytes)):
            raise TooLarge(room)

    def receive(
        self, expected_bytes: int | None = None, *, max_bytes: int | None = None, further: Collection[str] = ()
    ) -> Upload:
        """Begin an upload. Raises TooLarge, StorageFull, StoreUnavailable.

        max_bytes: a limit of its own beside the one for all.   further: see `Upload`.
        """
        if expected_bytes is not None:
            self.admit(expected_bytes)
        limits = [limit for limit in (max_bytes, self.max_bytes) if limit is not None]
        return Upload(
            self._store,
            new_key(),
            max_bytes=min(limits, default=None),
            expected_bytes=expected_bytes,
            further=further,
        )

    def take(self, put: Callable[[str], None]) -> Found:
        """Have an object put into the store under a new key by other means, and read it, so that it can be adopted.

        Raises what `put` raises, ContentMissing if nothing is in it, StoreUnavailable.
        """
        key = new_key()
        try:
            put(key)
            return Found(self._store, key)
        except BaseException:
            with suppress(StoreUnavailable):  # the error that led here is the one to be told; the sweep will do it
                self._store.delete(key)
            raise

    def adopt(self, transaction: Transaction, upload: Incoming) -> str:
        """Make a finished upload the content of something in this transaction; its digest.

        The bytes are kept if the transaction commits. Where the digest is known already, the older object is
        referred to and this one goes to the trash, in the same transaction.
        """
        received = upload.received
        if received is None or upload.state is not State.STORED:
            raise RuntimeError("only a finished upload can be adopted, and only once")
        now = self._clock()
        key = blobs.adopt(transaction, Blob(received.digest, received.key, received.size_bytes), now)
        upload.state = State.ADOPTING
        transaction.after_rollback(lambda: setattr(upload, "state", State.STORED))
        transaction.after_commit(lambda: setattr(upload, "state", State.KEPT))
        if key != received.key:
            blobs.note_trash(transaction, [received.key], now)
            transaction.after_commit(lambda: self.empty_trash([received.key]))
        return received.digest

    def release(self, transaction: Transaction, digests: Sequence[str]) -> None:
        """Let go of one reference to each digest; bytes nobody refers to any more go once this has committed."""
        keys = blobs.release(transaction, digests, self._clock())
        if keys:
            transaction.after_commit(lambda: self.empty_trash(keys))

    def empty_trash(self, keys: Sequence[str]) -> None:
        """Delete objects noted as trash, then clear the notes. What fails stays noted, for the sweep to retry."""
        gone = []
        for key in keys:
            try:
                self._store.delete(key)
            except StoreUnavailable:
                log.warning("an object could not be deleted yet; the sweep will retry")
            else:
                gone.append(key)
        if gone:
            try:
                with self._database.write() as transaction:
                    blobs.clear_trash(transaction, gone)
            except Unavailable:  # what was asked for is committed already: it must not look as if it had failed
                log.warning("deleted objects are still noted as trash; the sweep will clear the notes")

    def open(self, digest: str) -> Reader:
        """Raises BlobUnknown, StoreUnavailable."""
        return self._asked(self._find(digest), self._store.open)

    @contextmanager
    def located(self, digest: str) -> Iterator[Path | DistantContent]:
        """Where the content is for the block, fetching nothing: a file as of `local_copy`, or what gives ranges of it.

        Raises BlobUnknown, StoreUnavailable.
        """
        blob = self._find(digest)
        path = self._store.path(blob.key)
        if path is not None or self._copies is None:
            yield path or self._distant(blob)
            return
        with self._copies.kept(digest) as copied:
            yield copied or self._distant(blob)

    @contextmanager
    def local_copy(
        self, digest: str, *, only_ends: bool = False, check: Callable[[], None] = lambda: None
    ) -> Iterator[Path]:
        """The content as a local file, not to be written to, for the block.

        A disk store's own file; it may be gone at any time, as content may be deleted. Else a copy, bounded in size.
        only_ends: whether the beginning and the end are enough (`copies`); there may be zeros between.
        check: called again and again while it is fetched; what it raises ends that.
        Raises BlobUnknown, StoreUnavailable, StorageFull; TooLarge if no copy can be as large.
        """
        path = self._store.path(self._find(digest).key)
        if path is not None:
            yield path
            return
        if self._copies is None:
            raise RuntimeError("there is no place for local copies")
        copy = self._copies.ends if only_ends else self._copies.whole
        with copy(digest, lambda: _Checked(self.open(digest), check)) as copied:
            yield copied

    def gone(self, digests: Collection[str]) -> set[str]:
        """Those of the digests whose content the archive does not have, or no longer."""
        with self._database.read() as connection:
            return set(digests) - blobs.known_digests(connection, digests)

    def sweep_copies(self) -> None:
        """Remove the local copies of content that the archive no longer has."""
        if self._copies is not None:
            for digest in self.gone(self._copies.digests()):
                self._copies.forget(digest)

    def _distant(self, blob: Blob) -> DistantContent:
        def read(offset: int, length: int) -> bytes:
            return self._asked(blob, lambda key: self._store.read(key, offset, length))

        return DistantContent(blob.size_bytes, read)

    def _asked(self, blob: Blob, ask: Callable[[str], Answer]) -> Answer:
        """What the store answers about a blob's key."""
        try:
            return ask(blob.key)
        except BlobUnknown:
            # The digest may have been let go of and taken in again, under another key, since the row was read.
            again = self._find(blob.digest)
            if again.key == blob.key:
                raise
            return ask(again.key)

    def _find(self, digest: str) -> Blob:
        with self._database.read() as connection:
            blob = blobs.find(connection, digest)
        if blob is None:
            raise BlobUnknown(digest)
        return blob


class _Checked:
    """A reader that calls `check` before it reads."""

    def __init__(self, reader: Reader, check: Callable[[], None]) -> None:
        self.size_bytes = reader.size_bytes
        self.read_now = reader.read_now
        self.close = reader.close
        self._reader = reader
        self._check = check

    def read_at(self, offset: int, length: int) -> bytes:
        self._check()
        return self._reader.read_at(offset, length)
