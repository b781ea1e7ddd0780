"""Making the index of an annotation's regions while it is read (`region_index` says what is in it)."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, overload

import numpy as np
from numpy.typing import NDArray

from pinakes.core.annotations import geometry, region_index
from pinakes.core.annotations.dialect import ADMITTED
from pinakes.core.annotations.formats import Format
from pinakes.core.annotations.model import Numbers, Region, Shape
from pinakes.core.annotations.reading import Reader
from pinakes.core.annotations.region_index import FARTHEST, LINE, OUTLINE, POINTS, Arrays, Ints
from pinakes.core.errors import WrongState

_CHUNK_VERTICES = 256 * 1024
_RING = 3  # vertices that a ring has at least; one that is closed by hand counts for more and turns out to be flat


def index(pieces: Iterable[bytes], file: IO[bytes], admit: Callable[[int], object]) -> None:
    """Read a document that was admitted, and write its index to a file.

    admit: told before anything is written how many bytes that will be; what it raises is raised.
    Takes some 16 bytes a vertex and 100 a region in memory, and as long as reading does.
    Raises WrongState if finding what the holes lie in would take too long, OSError.
    """
    builder = _Builder()
    reader = Reader(builder.add, ADMITTED)
    for piece in pieces:
        reader.feed(piece)
    layers = [(layer.name, layer.colour) for layer in reader.close().layers]
    region_index.write(file, layers, builder.arrays(follows_outlines=reader.format is Format.GEOJSON), admit)


class _Builder:
    """Gathers regions; each is a ring here, holes too."""

    def __init__(self) -> None:
        self._chunks: list[NDArray[np.float32]] = []
        self._xs: Numbers = array("d")
        self._ys: Numbers = array("d")
        self._lengths = array("I")
        self._layers = array("H")
        self._shapes = array("B")
        self._holes = array("B")
        self._texts = bytearray()
        self._text_ends = array("I")

    def add(self, layer: int, region: Region) -> None:
        xs, ys = geometry.outline(region)
        shape = POINTS if region.shape is Shape.POINTS else LINE
        if geometry.has_outline(region) and len(xs) >= _RING:
            shape = OUTLINE
        if not xs or (region.is_hole and shape != OUTLINE):
            return
        self._xs.extend(xs)
        self._ys.extend(ys)
        self._lengths.append(len(xs))
        self._layers.append(layer)
        self._shapes.append(POINTS if len(xs) == 1 else shape)
        self._holes.append(region.is_hole)
        if not region.is_hole:  # whose texts are not told
            self._texts += region.text.encode()
        self._text_ends.append(len(self._texts))
        if len(self._xs) >= _CHUNK_VERTICES:
            self._flush()

    def arrays(self, *, follows_outlines: bool) -> Arrays:
        """The index's arrays. follows_outlines: whether each hole stands behind the outline that it is cut out of."""
        self._flush()
        vertices = np.concatenate([np.empty((0, 2), np.float32), *self._chunks])
        self._chunks = []
        lengths = np.frombuffer(self._lengths, np.uint32)
        starts = np.cumsum(lengths, dtype=np.uint32) - lengths
        rings = _Rings(vertices, starts, lengths, np.frombuffer(self._holes, bool))
        layers, shapes = np.frombuffer(self._layers, np.uint16), np.frombuffer(self._shapes, np.uint8)
        homes = _preceding(rings.is_hole) if follows_outlines else _enclosing(rings, layers, shapes)
        order, first_ring, regions = _arranged(homes)
        left, top = _reduced(np.minimum, vertices, starts)[regions].T
        right, bottom = _reduced(np.maximum, vertices, starts)[regions].T
        text_ends = np.frombuffer(self._text_ends, np.uint32)[regions]
        return {
            "left": left,
            "right": right,
            "top": top,
            "bottom": bottom,
            "x": left + (right - left) / 2,
            "y": top + (bottom - top) / 2,
            "side": np.maximum(right - left, bottom - top),
            "layer": layers[regions],
            "shape": shapes[regions],
            "first_ring": first_ring,
            "ring_start": starts[order],
            "ring_length": lengths[order],
            "vertices": vertices,
            "text_start": np.concatenate([np.zeros(1, np.uint32), text_ends]),
            "texts": np.frombuffer(self._texts, np.uint8),
        }

    def _flush(self) -> None:
        if not self._xs:
            return
        chunk = np.stack([np.frombuffer(self._xs), np.frombuffer(self._ys)], axis=1)
        self._chunks.append(np.clip(chunk, -FARTHEST, FARTHEST).astype(np.float32))
        self._xs, self._ys = array("d"), array("d")


class _Rings(Sequence[Region]):
    """What was gathered, as regions made when they are asked for."""

    def __init__(
        self,
        vertices: NDArray[np.float32],
        starts: NDArray[np.uint32],
        lengths: NDArray[np.uint32],
        is_hole: NDArray[np.bool_],
        chosen: Ints | None = None,
    ) -> None:
        self.is_hole = is_hole
        self._vertices = vertices
        self._starts = starts
        self._lengths = lengths
        self._chosen = np.arange(len(starts)) if chosen is None else chosen

    def only(self, chosen: Ints) -> "_Rings":
        return _Rings(self._vertices, self._starts, self._lengths, self.is_hole, chosen)

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, position: int) -> Region: ...

    @overload
    def __getitem__(self, position: slice) -> Sequence[Region]: ...

    def __getitem__(self, position: int | slice) -> Region | Sequence[Region]:
        if isinstance(position, slice):
            return self.only(self._chosen[position])
        ring = self._chosen[position]
        start = int(self._starts[ring])
        points = self._vertices[start : start + int(self._lengths[ring])].astype(np.float64)
        xs, ys = (array("d", axis.tobytes()) for axis in points.T)
        return Region(Shape.POLYGON, xs, ys, bool(self.is_hole[ring]))

    def __iter__(self) -> Iterator[Region]:
        return map(self.__getitem__, range(len(self)))


def _preceding(is_hole: NDArray[np.bool_]) -> Ints:
    """Of each ring the one that its hole is cut out of: the last before it that is none; itself if it is none."""
    own = np.where(is_hole, -1, np.arange(len(is_hole)))
    return np.maximum.accumulate(own) if len(own) else own


def _enclosing(rings: _Rings, layers: NDArray[np.uint16], shapes: NDArray[np.uint8]) -> Ints:
    """The same by where holes lie (see `geometry.homes`); -1 for a hole that lies in nothing. Raises WrongState."""
    homes = np.where(rings.is_hole, -1, np.arange(len(rings)))
    steps = geometry.Steps()
    for layer in np.unique(layers[rings.is_hole]):
        chosen = np.flatnonzero((layers == layer) & (shapes == OUTLINE))
        try:
            found = geometry.homes(rings.only(chosen), steps)
        except geometry.TooInvolved as exc:
            raise WrongState("The holes of this annotation are too many and too intertwined to be found.") from exc
        for home, holes in found.items():
            homes[chosen[holes]] = chosen[home]
    return homes


def _arranged(homes: Ints) -> tuple[Ints, NDArray[np.uint32], Ints]:
    """Rings so that those of a region stand together; which is each region's first; which rings are regions."""
    regions = np.flatnonzero(homes == np.arange(len(homes)))
    kept = np.flatnonzero(homes >= 0)
    is_hole = homes[kept] != kept  # it may stand before its outline in the document, but not here
    order = kept[np.lexsort((kept, is_hole, homes[kept]))]
    firsts = np.searchsorted(homes[order], regions)
    return order, np.append(firsts, len(order)).astype(np.uint32), regions


def _reduced(function: "np.ufunc", vertices: NDArray[np.float32], starts: NDArray[np.uint32]) -> NDArray[np.float32]:
    if not len(starts):
        return np.empty((0, 2), np.float32)
    reduced: NDArray[np.float32] = function.reduceat(vertices, starts, axis=0)
    return reduced
