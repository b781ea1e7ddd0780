"""TIFF, slides of the SVS kind among it, written anew: the levels and frames that are shown, tile for tile.

    header ── pieces of a picture ── its other values ── its directory ──> pieces of the next ...

Label, macro and other pictures beside it, and every field that does not decode or colour the picture, stay behind.
"""

import os
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from pinakes.imaging import directories as fields
from pinakes.imaging.directories import Directory, Tiff
from pinakes.imaging.source import DEFAULT_LIMITS, Description, Limits, Unreadable

_KEPT: Final = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 274, 277, 278, 280, 281, 282, 283, 284, 290, 291),
    *(292, 293, 296, 301, 317, 318, 319, 320, 321, 322, 323, 332, 334, 336, 338, 339, 340, 341, 342, 347),
    *(529, 530, 531, 532, 32995, 32996, 32997, fields.ICC_PROFILE),
}
"""Fields that decode, colour, turn or measure the picture (TIFF 6.0, appendix A; JPEG tables: supplement 2)."""

_OLD_JPEG, _COLOR_FILTERS = 6, 32803
_LONG, _LONG8, _ASCII = 4, 16, 2
_RATIONALS: Final = {5, 10}
_PIECE_BYTES: Final = 1024 * 1024

_APERIO_FIRST_LINE: Final = re.compile(r"Aperio [A-Za-z0-9 .]{1,60}")
_APERIO_SECOND_LINE: Final = re.compile(r"[0-9x, ()\[\]>-]{1,120}")
_APERIO_FIELD: Final = re.compile(r"(AppMag|MPP|OriginalWidth|OriginalHeight) = [0-9.]{1,20}")


def copy(source: Path, target: Path, shown: Description, *, is_aperio: bool, limits: Limits = DEFAULT_LIMITS) -> None:
    """Writes the copy. shown: of the source; directories whose size and tiles are those of a level are kept.

    Raises Unreadable for damaged files, and for those whose pixels cannot be told from the rest.
    """
    with Tiff(source, limits) as tiff, target.open("wb") as out:
        if tiff.is_ndpi():
            raise Unreadable("Slides of this scanner cannot be copied without what tells who is shown.")
        levels = {(level.size, level.tile) for level in shown.levels}
        writer = _Writer(tiff, out, is_aperio=is_aperio)
        kept = [each for each in tiff.directories if (tiff.size(each), tiff.tile(each)) in levels]
        if not kept:
            raise Unreadable("The picture cannot be told from the others in the file.")
        for directory in kept:
            children = [each for each in tiff.children(directory) if (tiff.size(each), tiff.tile(each)) in levels]
            writer.write(directory, [writer.write_child(child) for child in children])


class _Writer:
    """Writes directories one after the other, in the byte order and with the width of offsets of the source."""

    def __init__(self, tiff: Tiff, out: BinaryIO, *, is_aperio: bool) -> None:
        self._tiff, self._out, self._is_aperio = tiff, out, is_aperio
        self._order = "<" if tiff.read(0, 2) == b"II" else ">"
        self._number = "Q" if tiff.is_big else "I"
        self._left = tiff.bytes
        """Bytes that may still be written: pieces that overlap would otherwise make much of little."""
        out.write(tiff.read(0, 2) + (self._packed("HHH", 43, 8, 0) if tiff.is_big else self._packed("H", 42)))
        self._pointer = out.tell()
        out.write(self._packed(self._number, 0))

    def write(self, directory: Directory, children: list[int]) -> None:
        """One directory of the main chain. children: where its smaller copies were written."""
        at = self._directory(directory, children)
        next_pointer = self._out.tell() - struct.calcsize("=" + self._number)
        self._out.seek(self._pointer)
        self._out.write(self._packed(self._number, at))
        self._out.seek(0, os.SEEK_END)
        self._pointer = next_pointer

    def write_child(self, directory: Directory) -> int:
        """A directory beside the main chain; where it lies."""
        return self._directory(directory, [])

    def _directory(self, directory: Directory, children: list[int]) -> int:
        tiff = self._tiff
        if tiff.number(directory, fields.COMPRESSION, 1) == _OLD_JPEG:
            raise Unreadable("The TIFF file is compressed in a way that is not copied here.")
        if tiff.number(directory, fields.PHOTOMETRIC, 1) == _COLOR_FILTERS:
            raise Unreadable("Raw photographs are not copied here.")
        is_tiled = tiff.tile(directory) is not None
        offsets_tag = fields.TILE_OFFSETS if is_tiled else fields.STRIP_OFFSETS
        counts_tag = fields.TILE_COUNTS if is_tiled else fields.STRIP_COUNTS
        offsets, counts = self._pieces(tiff.numbers(directory, offsets_tag), tiff.numbers(directory, counts_tag))
        kind = _LONG8 if tiff.is_big else _LONG
        values: dict[int, tuple[int, bytes]] = {
            tag: (entry.kind, tiff.read(entry.offset, entry.count * _bytes_of(entry.kind)))
            for tag, entry in directory.entries.items()
            if tag in _KEPT
        }
        values[offsets_tag] = kind, self._array(offsets)
        values[counts_tag] = kind, self._array(counts)
        if children:
            values[fields.SUB_DIRECTORIES] = kind, self._array(np.array(children, np.uint64))
        if self._is_aperio:
            values[fields.DESCRIPTION] = _ASCII, aperio_description(tiff.text(directory, fields.DESCRIPTION))
        return self._table(values)

    def _table(self, values: dict[int, tuple[int, bytes]]) -> int:
        """The directory, after those of its values that do not fit into it. It ends in the pointer to the next, 0."""
        room = 8 if self._tiff.is_big else 4
        entries = []
        for tag, (kind, content) in sorted(values.items()):
            count = len(content) // _bytes_of(kind) // (2 if kind in _RATIONALS else 1)
            fits = len(content) <= room
            value = content.ljust(room, b"\0") if fits else self._packed(self._number, self._put(content))
            entries.append(self._packed("HH" + self._number, tag, kind, count) + value)
        length = self._packed("Q" if self._tiff.is_big else "H", len(entries))
        return self._put(length + b"".join(entries) + self._packed(self._number, 0))

    def _pieces(self, offsets: NDArray[Any], counts: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Copies tiles or strips; where they lie now. Those that the file holds once for many are written once."""
        if offsets.size != counts.size or offsets.size == 0:
            raise Unreadable("The TIFF file does not say where its pixels are.")
        places, first, which = np.unique(offsets, return_index=True, return_inverse=True)
        lengths = counts[first]
        if not np.array_equal(lengths[which], counts):
            raise Unreadable("The TIFF file is damaged: its pieces overlap.")
        moved = np.zeros(places.size, np.uint64)
        for index, (place, length) in enumerate(zip(places.tolist(), lengths.tolist(), strict=True)):
            if length:  # a piece that was left out has no place
                moved[index] = self._copied(place, length)
        return moved[which], counts

    def _copied(self, place: int, length: int) -> int:
        self._left -= length
        if self._left < 0:
            raise Unreadable("The TIFF file is damaged: its pieces overlap.")
        start = self._put(self._tiff.read(place, min(length, _PIECE_BYTES)))
        for at in range(_PIECE_BYTES, length, _PIECE_BYTES):
            self._out.write(self._tiff.read(place + at, min(length - at, _PIECE_BYTES)))
        return start

    def _put(self, content: bytes) -> int:
        """Writes at the next even place, which it returns (TIFF 6.0, section 2)."""
        start = self._out.tell()
        if start % 2:
            self._out.write(b"\0")
            start += 1
        if not self._tiff.is_big and start + len(content) > 0xFFFFFFFF:
            raise Unreadable("The copy would be too large for its kind of TIFF.")
        self._out.write(content)
        return start

    def _packed(self, layout: str, *numbers: int) -> bytes:
        return struct.pack(self._order + layout, *numbers)

    def _array(self, numbers: NDArray[Any]) -> bytes:
        return numbers.astype(f"{self._order}u{8 if self._tiff.is_big else 4}").tobytes()


def aperio_description(text: str) -> bytes:
    """What makes it a slide of its kind, its size, magnification and resolution, as the field's bytes.

    What else it says, such as the names of file, user and scanner and the date, is left out.
    """
    head, *rest = text.split("|")
    lines = [line.strip() for line in head.splitlines()]
    first = lines[0] if lines and _APERIO_FIRST_LINE.fullmatch(lines[0]) else "Aperio Image"
    kept = [first, *(f"\r\n{line}" for line in lines[1:2] if _APERIO_SECOND_LINE.fullmatch(line))]
    kept += [f"|{field.strip()}" for field in rest if _APERIO_FIELD.fullmatch(field.strip())]
    return "".join(kept).encode("ascii") + b"\0"


def _bytes_of(kind: int) -> int:
    """Of one number of a TIFF type; a rational is two numbers."""
    return {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}[kind]
