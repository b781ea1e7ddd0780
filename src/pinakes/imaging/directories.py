"""The directories of a TIFF file, read with limits: what every other reader of TIFF here asks first.

    header ──> directory ──> next directory ──> ... ──> 0
                   └─ SubIFDs: smaller copies of the same picture

A file may claim anything, so nothing is believed: each directory is visited once, there are at most as many as the
limits allow, and every value lies within the file. Rules: TIFF 6.0, section 2; BigTIFF as libtiff writes it.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pinakes.imaging.bytesources import ByteSource, LocalFile
from pinakes.imaging.closing import Closing
from pinakes.imaging.source import LimitExceeded, Limits, Size, Unreadable

SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
DESCRIPTION, STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS = 270, 273, 274, 277, 278, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, DATE_TIME, PREDICTOR = 282, 283, 284, 296, 306, 317
COLOR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SUB_DIRECTORIES = 320, 322, 323, 324, 325, 330
EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES, ICC_PROFILE, NDPI = 338, 339, 347, 34675, 65420

_TYPES: Final[Mapping[int, str]] = {
    1: "u1", 2: "u1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4", 11: "f4", 12: "f8",
    13: "u4", 16: "u8", 17: "i8", 18: "u8",
}  # fmt: skip
_RATIONALS: Final = {5, 10}
"""Two numbers each."""

_MOST_ENTRIES: Final = 4096
_MOST_VALUE_BYTES: Final = 64 * 1024 * 1024
"""Of one field: where 8 million tiles lie, which is 500 gigapixels."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A field of a directory. offset: of its value in the file.   count: of numbers; a rational is two."""

    kind: int
    count: int
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Directory:
    """One picture of the file. offset: where its directory lies. Only itself is equal to it."""

    offset: int
    entries: Mapping[int, Entry]


class Tiff(Closing):
    """An open TIFF file. Used by one thread at a time; a context manager that closes it.

    file: its path, or its bytes, which are closed with it.   directories: the main chain, in order.
    Raises Unreadable for what is no TIFF, or damaged; LimitExceeded for too many directories.
    """

    def __init__(self, file: Path | ByteSource, limits: Limits) -> None:
        self._limits = limits
        self._seen: set[int] = set()
        self._children: dict[int, tuple[Directory, ...]] = {}
        self._source = LocalFile(file) if isinstance(file, Path) else file
        try:
            self.bytes = self._source.size_bytes
            self._order, self.is_big, first = self._header()
            self.directories = self._chain(first)
            if not self.directories:
                raise Unreadable("The TIFF file has no directory.")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file; more than once is once."""
        self._source.close()

    def read(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes from `offset`. Raises Unreadable if they do not lie within the file."""
        return self._source.read(offset, count)

    def is_ndpi(self) -> bool:
        """Whether it is Hamamatsu's kind, which keeps 64-bit offsets where TIFF has 32: its chain is not followed."""
        return NDPI in self.directories[0].entries

    def children(self, directory: Directory) -> tuple[Directory, ...]:
        """The directories that it names as its own, in order; none that another directory had before."""
        if directory.offset not in self._children:
            offsets = [int(offset) for offset in self.numbers(directory, SUB_DIRECTORIES).tolist()]
            found = tuple(self._directory(offset)[0] for offset in offsets if offset not in self._seen)
            self._children[directory.offset] = found
        return self._children[directory.offset]

    def numbers(self, directory: Directory, tag: int) -> NDArray[np.generic]:
        """The numbers of a field in native byte order, rationals as two each; none if it is not there."""
        entry = directory.entries.get(tag)
        if entry is None:
            return np.empty(0, np.uint8)
        kind = np.dtype(self._order + _TYPES[entry.kind])
        read = self.read(entry.offset, entry.count * kind.itemsize)
        return np.frombuffer(read, kind).astype(kind.newbyteorder("="), copy=False)

    def number(self, directory: Directory, tag: int, default: int) -> int:
        """The first number of a field as an integer; the default if it is not there."""
        entry = directory.entries.get(tag)
        if entry is None or entry.count == 0:
            return default
        kind = np.dtype(self._order + _TYPES[entry.kind])
        value = np.frombuffer(self.read(entry.offset, kind.itemsize), kind)[0]
        return int(value) if np.isfinite(value) else default

    def ratio(self, directory: Directory, tag: int) -> float | None:
        """The value of a rational field; None if it is not there or has no value."""
        numbers = self.numbers(directory, tag)
        return float(numbers[0]) / float(numbers[1]) if numbers.size >= 2 and numbers[1] else None

    def raw(self, directory: Directory, tag: int) -> bytes:
        """The bytes of a field; none if it is not there."""
        return self.numbers(directory, tag).tobytes()

    def text(self, directory: Directory, tag: int) -> str:
        """The text of a field up to its NUL; what is not UTF-8 is replaced."""
        return self.raw(directory, tag).partition(b"\0")[0].decode("utf-8", "replace")

    def size(self, directory: Directory) -> Size:
        """Of the picture. Raises Unreadable for one without pixels."""
        width, height = self.number(directory, WIDTH, 0), self.number(directory, HEIGHT, 0)
        if width < 1 or height < 1:
            raise Unreadable("The TIFF file holds a picture of no pixels.")
        return Size(width, height)

    def tile(self, directory: Directory) -> Size | None:
        """The size of its tiles; None for one in strips."""
        width, height = self.number(directory, TILE_WIDTH, 0), self.number(directory, TILE_HEIGHT, 0)
        return Size(width, height) if width > 0 and height > 0 else None

    def _header(self) -> tuple[str, bool, int]:
        """Byte order as numpy writes it, whether it is BigTIFF, and where the first directory lies."""
        head = self.read(0, min(16, self.bytes))
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 8:
            raise Unreadable("This is not a TIFF file.")
        version, first = struct.unpack_from(order + "HI", head, 2)
        if version == 42:
            return order, False, first
        if version != 43 or len(head) < 16 or struct.unpack_from(order + "HH", head, 4) != (8, 0):
            raise Unreadable("This is not a TIFF file.")
        return order, True, struct.unpack_from(order + "Q", head, 8)[0]

    def _chain(self, offset: int) -> tuple[Directory, ...]:
        chain: list[Directory] = []
        while offset:
            directory, offset = self._directory(offset)
            chain.append(directory)
            if NDPI in chain[0].entries:
                break
        return tuple(chain)

    def _directory(self, offset: int) -> tuple[Directory, int]:
        """One directory, and where the next lies. Raises Unreadable if it was visited before."""
        if offset in self._seen:
            raise Unreadable("The TIFF file's directories lead in a circle.")
        if len(self._seen) >= self._limits.directories:
            raise LimitExceeded(f"The TIFF file has more than {self._limits.directories} directories.")
        self._seen.add(offset)
        count_format, step, next_format = ("Q", 20, "Q") if self.is_big else ("H", 12, "I")
        (count,) = self._unpack(count_format, offset)
        if not 1 <= count <= _MOST_ENTRIES:
            raise Unreadable("The TIFF file has a directory without fields, or with too many.")
        start = offset + struct.calcsize("=" + count_format)
        table = self.read(start, count * step)
        entries: dict[int, Entry] = {}
        for place in range(count):
            tag, entry = self._entry(table, place * step, start)
            if entry is not None:
                entries.setdefault(tag, entry)
        return Directory(offset, entries), self._unpack(next_format, start + count * step)[0]

    def _entry(self, table: bytes, place: int, start: int) -> tuple[int, Entry | None]:
        """A field of the table that lies at `start`; None for one of an unknown type. Its value may follow inline."""
        room, number = (8, "Q") if self.is_big else (4, "I")
        tag, kind, count = struct.unpack_from(self._order + "HH" + number, table, place)
        if kind not in _TYPES:
            return tag, None
        numbers = count * 2 if kind in _RATIONALS else count
        length = numbers * np.dtype(_TYPES[kind]).itemsize
        if length > _MOST_VALUE_BYTES:
            raise LimitExceeded("A field of the TIFF file is larger than 64 MiB.")
        inline = place + 4 + room
        offset = start + inline if length <= room else struct.unpack_from(self._order + number, table, inline)[0]
        return tag, Entry(kind, numbers, offset)

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        layout = self._order + layout
        return struct.unpack(layout, self.read(offset, struct.calcsize(layout)))
