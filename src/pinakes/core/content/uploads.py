"""Bytes on their way in: written aside and hashed at the same time, then committed to the store.

    open ──finish──> stored ──Content.adopt──> adopting ──commit──> kept
      │                │  ^                       │
      └──── discard ───┘  └────── rollback ───────┘

`adopting` after the block is the one uncertain state (the connection broke while committing): the bytes are then left
for the sweep, which asks the database who is right.
"""

import enum
import hashlib
import logging
import queue
import threading
from dataclasses import dataclass
from types import TracebackType

from pinakes.core.content.store import ContentStore, Writer
from pinakes.core.errors import ContentMissing, StoreUnavailable, TooLarge

log = logging.getLogger(__name__)

HEAD_BYTES = 4096
"""How many first bytes are kept in memory, for telling formats."""

_SMALL_BYTES = 256 * 1024
_QUEUED_PIECES = 4


class State(enum.Enum):
    OPEN = "open"
    STORED = "stored"
    ADOPTING = "adopting"
    KEPT = "kept"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Received:
    """What came in: digest is the SHA-256 in hex, head the first bytes (up to HEAD_BYTES)."""

    key: str
    digest: str
    size_bytes: int
    head: bytes


class Upload:
    """One upload. Used by one thread at a time, as a context manager: leaving it discards what was not adopted.

    max_bytes: the largest size taken, in bytes; None for no limit.
    """

    def __init__(self, store: ContentStore, key: str, *, max_bytes: int | None, expected_bytes: int | None) -> None:
        self.state = State.OPEN
        self.received: Received | None = None
        self.size_bytes = 0
        self._store = store
        self._key = key
        self._max_bytes = max_bytes
        self._head = bytearray()
        self._hasher = _Hasher()
        self._writer: Writer = store.begin(key, expected_bytes=expected_bytes)

    @property
    def head(self) -> bytes:
        """The first bytes so far, up to HEAD_BYTES."""
        return bytes(self._head)

    def write(self, piece: bytes | bytearray) -> None:
        """Append a piece, which must not be changed afterwards.

        Raises TooLarge, StorageFull or StoreUnavailable.
        """
        self.size_bytes += len(piece)
        if self._max_bytes is not None and self.size_bytes > self._max_bytes:
            raise TooLarge(self._max_bytes)
        if len(self._head) < HEAD_BYTES:
            self._head += piece[: HEAD_BYTES - len(self._head)]
        self._hasher.update(piece)
        self._writer.write(piece)

    def finish(self) -> Received:
        """Commit the bytes to the store. Raises ContentMissing for an empty upload, StorageFull, StoreUnavailable."""
        if self.size_bytes == 0:
            raise ContentMissing
        self._writer.commit()
        self.state = State.STORED
        self.received = Received(self._key, self._hasher.hexdigest(), self.size_bytes, bytes(self._head))
        return self.received

    def discard(self) -> None:
        """Leave nothing behind, unless the bytes were adopted or may have been."""
        self._hasher.stop()
        if self.state is State.OPEN:
            self._writer.abort()
        elif self.state is State.STORED:
            try:
                self._store.delete(self._key)
            except StoreUnavailable:  # the error that led here is the one to be told
                log.warning("an object that was not adopted could not be deleted; the sweep will do it")
        else:
            return
        self.state = State.DISCARDED

    def __enter__(self) -> "Upload":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


class _Hasher:
    """SHA-256 beside the writing: in a thread of its own once there is more than a little to hash."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._pending: queue.Queue[bytes | bytearray | None] | None = None
        self._thread: threading.Thread | None = None

    def update(self, piece: bytes | bytearray) -> None:
        if self._pending is None:
            if len(piece) < _SMALL_BYTES:
                self._hash.update(piece)
                return
            self._pending = queue.Queue(_QUEUED_PIECES)
            self._thread = threading.Thread(target=self._run, args=(self._pending,), name="sha256", daemon=True)
            self._thread.start()
        self._pending.put(piece)

    def hexdigest(self) -> str:
        self.stop()
        return self._hash.hexdigest()

    def stop(self) -> None:
        if self._pending is not None and self._thread is not None:
            self._pending.put(None)
            self._thread.join()
            self._pending = self._thread = None

    def _run(self, pending: queue.Queue[bytes | bytearray | None]) -> None:
        while (piece := pending.get()) is not None:
            self._hash.update(piece)
