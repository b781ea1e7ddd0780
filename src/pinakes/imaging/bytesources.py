"""Where the bytes of a file are read from: a file of this machine, or someone who is asked for parts of it.

LocalFile      a path
DistantFile    a function that gives any range; what was read is kept in blocks, up to a bound
"""

import io
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from pinakes.imaging.source import ImagingError, Unreadable

if TYPE_CHECKING:
    from typing_extensions import Buffer

BLOCK_BYTES: Final = 64 * 1024
"""Directories lie all over a file, and a block is fetched for each of them; most tiles lie in one block or two."""

_KEPT_BYTES: Final = 32 * 1024 * 1024
_STRAIGHT_BYTES: Final = 1024 * 1024
"""Whoever wants as much at once takes it into memory of his own."""

_CUT_OFF: Final = "The file ends before its bytes do."

Fetch = Callable[[int, int], bytes]
"""Gives exactly so many bytes from an offset on, which lie within the file; or raises."""


class NeedsWhole(ImagingError):
    """The file has to be there whole: parts of it are not enough, or too many would be needed."""


class ByteSource(Protocol):
    """The bytes of a file that does not change. Used by one thread at a time."""

    size_bytes: int

    def read(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes from `offset` on. Raises Unreadable if they do not lie within the file."""

    def close(self) -> None:
        """Let go of it; more than once is once."""


class LocalFile:
    """A file that was opened. Raises Unreadable if it cannot be."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Unreadable("The file cannot be opened.") from error
        self.size_bytes = os.fstat(self._descriptor).st_size

    def read(self, offset: int, count: int) -> bytes:
        """As ByteSource says."""
        _check(self.size_bytes, offset, count)
        read = os.pread(self._descriptor, count, offset)
        if len(read) != count:  # more than 2 GiB in one call, or the file shrank meanwhile
            raise Unreadable(_CUT_OFF)
        return read

    def close(self) -> None:
        """As ByteSource says."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class DistantFile:
    """A file of which ranges are fetched, in whole blocks: neighbours that are missing in one go.

    kept_bytes: how much of it is remembered, the latest used.
    """

    def __init__(self, fetch: Fetch, size_bytes: int, *, kept_bytes: int = _KEPT_BYTES) -> None:
        self.size_bytes = size_bytes
        self._most_blocks = kept_bytes // BLOCK_BYTES
        self._fetch = fetch
        self._blocks: OrderedDict[int, bytes] = OrderedDict()  # by number, the latest used last

    def read(self, offset: int, count: int) -> bytes:
        """As ByteSource says; raises what `fetch` raises, too."""
        _check(self.size_bytes, offset, count)
        if not count:
            return b""
        if count >= _STRAIGHT_BYTES:
            return self._fetch(offset, count)
        first, last = offset // BLOCK_BYTES, (offset + count - 1) // BLOCK_BYTES
        blocks = self._blocks_between(first, last)
        start = offset - first * BLOCK_BYTES
        return (blocks[0] if len(blocks) == 1 else b"".join(blocks))[start : start + count]

    def close(self) -> None:
        """As ByteSource says."""
        self._blocks.clear()

    def _blocks_between(self, first: int, last: int) -> list[bytes]:
        missing = [number for number in range(first, last + 1) if number not in self._blocks]
        if missing:
            self._take(missing[0], missing[-1])
        for number in range(first, last + 1):
            self._blocks.move_to_end(number)
        found = [self._blocks[number] for number in range(first, last + 1)]
        while len(self._blocks) > self._most_blocks:
            self._blocks.popitem(last=False)
        return found

    def _take(self, first: int, last: int) -> None:
        start, end = first * BLOCK_BYTES, min((last + 1) * BLOCK_BYTES, self.size_bytes)
        fetched = self._fetch(start, end - start)
        for number in range(first, last + 1):
            place = number * BLOCK_BYTES - start
            self._blocks[number] = fetched[place : place + BLOCK_BYTES]


class Stream(io.RawIOBase):
    """A ByteSource as an open file, for libraries that read from one. Closing it leaves the source open."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._source.size_bytes}[whence]
        self._place = max(0, start + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: "Buffer", /) -> int:
        room = memoryview(buffer).cast("B")
        count = max(0, min(len(room), self._source.size_bytes - self._place))
        room[:count] = self._source.read(self._place, count) if count else b""
        self._place += count
        return count


def _check(size_bytes: int, offset: int, count: int) -> None:
    if offset < 0 or count < 0 or offset + count > size_bytes:
        raise Unreadable("The file is cut off: it names bytes beyond its end.")
