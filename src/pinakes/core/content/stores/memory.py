"""Content in memory, for tests: a real store whose bytes go with the process."""

import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from pinakes.core.clock import now
from pinakes.core.content.store import Reader, StoredObject, Writer
from pinakes.core.errors import BlobUnknown, StorageFull, StoreUnavailable


class MemoryStore:
    """Objects in a dictionary.

    capacity_bytes: how much fits, counting unfinished uploads; None for no limit.
    """

    def __init__(self, capacity_bytes: int | None = None) -> None:
        self._capacity_bytes = capacity_bytes
        self._lock = threading.RLock()
        self._objects: dict[str, tuple[bytes, StoredObject]] = {}
        # A writer that is forgotten takes its bytes along, so a partial object never outlives its writer here.
        self._writers: weakref.WeakValueDictionary[str, _MemoryWriter] = weakref.WeakValueDictionary()

    def begin(self, key: str, *, expected_bytes: int | None = None) -> Writer:  # noqa: ARG002
        with self._lock:
            writer = self._writers[key] = _MemoryWriter(self, key)
        return writer

    def open(self, key: str) -> Reader:
        with self._lock:
            if key not in self._objects:
                raise BlobUnknown(key)
            return _MemoryReader(self._objects[key][0])

    def read(self, key: str, offset: int, length: int) -> bytes:
        read = self.open(key).read_at(offset, length)
        if len(read) != length:
            raise StoreUnavailable
        return read

    def path(self, key: str) -> Path | None:  # noqa: ARG002
        return None

    def delete(self, key: str) -> None:
        with self._lock:
            self._objects.pop(key, None)

    def list(self) -> Iterator[StoredObject]:
        with self._lock:
            partial = [StoredObject(key, len(w.buffer), w.begun_at, True) for key, w in self._writers.items()]
            committed = [described for _, described in self._objects.values()]
        yield from partial
        yield from committed

    def remove_partial(self, key: str) -> bool:  # noqa: ARG002
        return False

    def free_bytes(self) -> int | None:
        if self._capacity_bytes is None:
            return None
        with self._lock:
            used = sum(len(content) for content, _ in self._objects.values())
            used += sum(len(writer.buffer) for writer in self._writers.values())
        return self._capacity_bytes - used

    def check(self) -> None:
        """Memory can always be reached."""

    def append(self, writer: "_MemoryWriter", piece: bytes | bytearray | memoryview) -> None:
        with self._lock:
            free = self.free_bytes()
            if free is not None and memoryview(piece).nbytes > free:
                raise StorageFull
            writer.buffer += piece

    def settle(self, writer: "_MemoryWriter", *, keep: bool) -> None:
        """End a writer, keeping its bytes as an object or not."""
        with self._lock:
            del self._writers[writer.key]
            if keep:
                described = StoredObject(writer.key, len(writer.buffer), now(), False)
                self._objects[writer.key] = (bytes(writer.buffer), described)
            writer.buffer.clear()


class _MemoryWriter:
    def __init__(self, store: MemoryStore, key: str) -> None:
        self.key = key
        self.buffer = bytearray()
        self.begun_at = now()
        self._store = store
        self._is_open = True

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        self._require_open()
        self._store.append(self, piece)

    def commit(self) -> None:
        self._require_open()
        self._is_open = False
        self._store.settle(self, keep=True)

    def abort(self) -> None:
        if self._is_open:
            self._is_open = False
            self._store.settle(self, keep=False)

    def _require_open(self) -> None:
        if not self._is_open:
            raise RuntimeError("the object was committed or aborted already")


class _MemoryReader:
    def __init__(self, content: bytes) -> None:
        self.size_bytes = len(content)
        self._content = content

    def read_at(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + length]

    def read_now(self, offset: int, length: int) -> bytes | None:
        return self.read_at(offset, length)

    def close(self) -> None:
        """The bytes go when nobody holds them."""
