"""Where the regions of an annotation lie: arrays in one file, mapped into memory, made once for each version.

    magic, where each array is, CRC-32 of that │ left right top bottom x y side │ layer shape │ rings │ vertices │ texts

A region has rings: the outline first, then the holes that lie in it; a line or points are one ring.
Coordinates are level-0 pixels as float32: exact to 1/64 of a pixel on slides of up to 262,144 pixels. A scan of the
bounds of a million regions takes a few milliseconds, so there is no tree.
"""

import mmap
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from pinakes.core.annotations.model import Colour

FARTHEST: Final = float(2**26)
"""Coordinates beyond it are drawn in to it: no viewer gets there, and what is computed stays finite."""

_MAGIC: Final = b"PINAKES REGIONS\n"
_HEAD_BYTES: Final = len(_MAGIC) + 8
_ALIGN: Final = 64
_TYPES: Final[Mapping[str, str]] = {
    "left": "<f4",
    "right": "<f4",
    "top": "<f4",
    "bottom": "<f4",
    "x": "<f4",
    "y": "<f4",
    "side": "<f4",
    "layer": "<u2",
    "shape": "u1",
    "first_ring": "<u4",
    "ring_start": "<u4",
    "ring_length": "<u4",
    "vertices": "<f4",
    "text_start": "<u4",
    "texts": "u1",
}
OUTLINE: Final = 0
LINE: Final = 1
POINTS: Final = 2
"""What is in the array `shape`."""

Arrays = Mapping[str, NDArray[Any]]
Ints = NDArray[np.int64]


class IndexDamaged(Exception):
    """The file is not what was written."""


class _Head(msgspec.Struct):
    """layers: name and colour of each.   places: of each array, where in the file it begins and how many it has."""

    layers: list[tuple[str, Colour | None]]
    places: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class RegionIndex:
    """The regions of one version, in the order of the document.

    layers: name and colour of each.   left, right, top, bottom: float32, one for each region.
    x, y: of its middle.   side: the longer one of its bounds.
    layer: which of the layers.   shape: OUTLINE, LINE or POINTS.
    first_ring: of each region, and one more: its rings are those up to the next's.
    ring_start, ring_length: in vertices.   vertices: float32 (n, 2), x and y.
    text_start: likewise into `texts`, which is UTF-8.
    """

    layers: list[tuple[str, Colour | None]]
    left: NDArray[np.float32]
    right: NDArray[np.float32]
    top: NDArray[np.float32]
    bottom: NDArray[np.float32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    side: NDArray[np.float32]
    layer: NDArray[np.uint16]
    shape: NDArray[np.uint8]
    first_ring: NDArray[np.uint32]
    ring_start: NDArray[np.uint32]
    ring_length: NDArray[np.uint32]
    vertices: NDArray[np.float32]
    text_start: NDArray[np.uint32]
    texts: NDArray[np.uint8]

    @property
    def count(self) -> int:
        return len(self.left)

    def texts_of(self, regions: Ints) -> list[str]:
        """The text of each; mostly empty."""
        starts, ends = self.text_start[regions], self.text_start[regions + 1]
        found = [""] * len(regions)
        for position in np.flatnonzero(ends > starts).tolist():
            found[position] = self.texts[starts[position] : ends[position]].tobytes().decode()
        return found


def write(
    file: IO[bytes], layers: list[tuple[str, Colour | None]], arrays: Arrays, admit: Callable[[int], object]
) -> None:
    """Write the file; `arrays` are those of RegionIndex by name.   admit: told how many bytes it will have."""
    counts = {name: arrays[name].size for name in _TYPES}
    head = _head(layers, counts, _HEAD_BYTES)
    head = _head(layers, counts, _HEAD_BYTES + len(head) + _ALIGN * 2)  # numbers grow a little with what is before them
    places = msgspec.json.decode(head, type=_Head).places
    size = max(start + count * np.dtype(_TYPES[name]).itemsize for name, (start, count) in places.items())
    admit(size)
    file.write(_MAGIC + len(head).to_bytes(4, "little") + zlib.crc32(head).to_bytes(4, "little") + head)
    for name, kind in _TYPES.items():
        if counts[name]:
            file.seek(places[name][0])
            file.write(np.ascontiguousarray(arrays[name], kind).data.cast("B"))
    file.truncate(size)


def _head(layers: list[tuple[str, Colour | None]], counts: Mapping[str, int], start: int) -> bytes:
    places = {}
    for name, kind in _TYPES.items():
        start = -(-start // _ALIGN) * _ALIGN
        places[name] = (start, counts[name])
        start += counts[name] * np.dtype(kind).itemsize
    return msgspec.json.encode(_Head(layers, places))


def open_index(path: Path) -> RegionIndex:
    """The index in a file, which may be removed then: what is mapped stays. Raises IndexDamaged, OSError."""
    try:
        return _opened(path)
    except (ValueError, KeyError) as exc:  # msgspec's are among them
        raise IndexDamaged from exc


def _opened(path: Path) -> RegionIndex:
    with path.open("rb") as file:
        head = _read_head(file)
        size = file.seek(0, 2)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    arrays: dict[str, Any] = {}
    for name, kind in _TYPES.items():
        start, count = head.places[name]
        if start + count * np.dtype(kind).itemsize > size:
            raise IndexDamaged
        arrays[name] = np.frombuffer(mapped, kind, count, start)
    arrays["vertices"] = arrays["vertices"].reshape(-1, 2)
    return RegionIndex(head.layers, **arrays)


def _read_head(file: IO[bytes]) -> _Head:
    begin = file.read(_HEAD_BYTES)
    length, checksum = (int.from_bytes(begin[at : at + 4], "little") for at in (len(_MAGIC), len(_MAGIC) + 4))
    if not begin.startswith(_MAGIC) or length > 2**24:
        raise IndexDamaged
    text = file.read(length)
    if not text or zlib.crc32(text) != checksum:
        raise IndexDamaged
    return msgspec.json.decode(text, type=_Head)


def ranges(starts: Ints, lengths: Ints, steps: Ints | None = None) -> Ints:
    """The numbers from each start on, as many as the length beside it says, one range after the other.

    steps: how far they are apart in each range; 1 if not given.
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    within = np.arange(total) - np.repeat(ends - lengths, lengths)
    if steps is not None:
        within *= np.repeat(steps, lengths)
    return np.repeat(starts, lengths) + within
