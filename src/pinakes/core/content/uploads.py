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
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Protocol, Self

from pinakes.core.content.store import ContentStore, Writer
from pinakes.core.errors import ContentMissing, StoreUnavailable, TooLarge
from pinakes.imaging import formats

log = logging.getLogger(__name__)

HEAD_BYTES = formats.HEAD_BYTES
"""How many first bytes are kept in memory, for telling formats."""

_SMALL_BYTES = 256 * 1024
_QUEUED_PIECES = 4
_READ_BYTES = 1024 * 1024


class Hash(Protocol):
    """What computes a digest piece by piece, as those of hashlib do."""

    def update(self, piece: bytes | bytearray, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Crc32:
    """The checksum of zlib, as four bytes with the highest first."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, piece: bytes | bytearray, /) -> None:
        self._value = zlib.crc32(piece, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


FURTHER_DIGESTS: Final[Mapping[str, Callable[[], Hash]]] = {
    "crc32": _Crc32,
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
}
"""What can be computed beside the SHA-256, for protocols that promise or ask for it."""


class State(enum.Enum):
    OPEN = "open"
    STORED = "stored"
    ADOPTING = "adopting"
    KEPT = "kept"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Received:
    """What came in: digest is the SHA-256 in hex, head the first bytes (up to HEAD_BYTES).

    further: the digests that were asked for beside it, in hex.
    """

    key: str
    digest: str
    size_bytes: int
    head: bytes
    further: Mapping[str, str] = field(default_factory=dict)


class Incoming:
    """Bytes that nothing refers to yet. A context manager: leaving it discards what was not adopted."""

    def __init__(self, store: ContentStore, key: str) -> None:
        self.state = State.OPEN
        self.received: Received | None = None
        self._store = store
        self._key = key

    def discard(self) -> None:
        """Leave nothing behind, unless the bytes were adopted or may have been."""
        if self.state is State.OPEN:
            self._abort()
        elif self.state is State.STORED:
            try:
                self._store.delete(self._key)
            except StoreUnavailable:  # the error that led here is the one to be told
                log.warning("an object that was not adopted could not be deleted; the sweep will do it")
        else:
            return
        self.state = State.DISCARDED

    def _abort(self) -> None:
        """Remove what is not whole yet."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


class Upload(Incoming):
    """One upload. Used by one thread at a time.

    max_bytes: the largest size taken, in bytes; None for no limit.
    further: digests to be computed beside the SHA-256, of FURTHER_DIGESTS.
    """

    def __init__(
        self,
        store: ContentStore,
        key: str,
        *,
        max_bytes: int | None,
        expected_bytes: int | None,
        further: Collection[str] = (),
    ) -> None:
        super().__init__(store, key)
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._head = bytearray()
        self._hasher = _Hasher(hashlib.sha256(), "sha256")
        self._further = {name: _Hasher(FURTHER_DIGESTS[name](), name) for name in further}
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
        for hasher in self._further.values():
            hasher.update(piece)
        self._writer.write(piece)

    def finish(self) -> Received:
        """Commit the bytes to the store. Raises ContentMissing for an empty upload, StorageFull, StoreUnavailable."""
        if self.size_bytes == 0:
            raise ContentMissing
        self._writer.commit()
        self.state = State.STORED
        further = {name: hasher.hexdigest() for name, hasher in self._further.items()}
        self.received = Received(self._key, self._hasher.hexdigest(), self.size_bytes, bytes(self._head), further)
        return self.received

    def discard(self) -> None:
        for hasher in (self._hasher, *self._further.values()):
            hasher.stop()
        super().discard()

    def _abort(self) -> None:
        self._writer.abort()


class Found(Incoming):
    """An object that was put under a new key of the store by other means, and is whole: read once, to know it."""

    def __init__(self, store: ContentStore, key: str) -> None:
        """Raises BlobUnknown, ContentMissing, StoreUnavailable; the object is then still there."""
        super().__init__(store, key)
        hasher = hashlib.sha256()
        reader = store.open(key)
        try:
            head = reader.read_at(0, HEAD_BYTES)
            offset = 0
            while piece := reader.read_at(offset, _READ_BYTES):
                hasher.update(piece)
                offset += len(piece)
        finally:
            reader.close()
        if not offset:
            raise ContentMissing
        self.received = Received(key, hasher.hexdigest(), offset, head)
        self.state = State.STORED


class _Hasher:
    """One digest beside the writing: in a thread of its own once there is more than a little to hash."""

    def __init__(self, computed: Hash, name: str) -> None:
        self._hash = computed
        self._name = name
        self._pending: queue.Queue[bytes | bytearray | None] | None = None
        self._thread: threading.Thread | None = None

    def update(self, piece: bytes | bytearray) -> None:
        if self._pending is None:
            if len(piece) < _SMALL_BYTES:
                self._hash.update(piece)
                return
            self._pending = queue.Queue(_QUEUED_PIECES)
            self._thread = threading.Thread(target=self._run, args=(self._pending,), name=self._name, daemon=True)
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
