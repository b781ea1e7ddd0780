"""What was found in a box, as a Mapbox Vector Tile (specification 2.1): small, and read by every map viewer.

A tile is written here by hand: a protocol buffer of a few messages, whose geometries are encoded for all regions at
once with arrays. The library there is goes vertex by vertex, and takes thirty times as long (docs/annotations.md).

    layer `regions`     outlines, lines and points      properties: class, color (#rrggbb), name
    layer `points`      regions too small to be outlined, likewise
    layer `clusters`    how many are in a cell           properties: class, color, count

Positions are in units from the tile's corner: level-0 pixels = corner + position * unit (see `corner`).
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pinakes.core.annotations.region_index import LINE, OUTLINE, POINTS, Ints, RegionIndex, ranges
from pinakes.core.annotations.region_search import Drawn, Found, signed_doubled_areas

_MOVE_TO: Final = 1
_LINE_TO: Final = 2
_CLOSE: Final = 15  # the command 7, once
_KINDS: Final = {POINTS: 1, LINE: 2, OUTLINE: 3}
_CLASS, _COLOR, _NAME, _COUNT = range(4)
_KEYS: Final = (b"class", b"color", b"name", b"count")


def corner(found: Found) -> tuple[float, float]:
    """Where the tile begins, in level-0 pixels: the box's corner, rounded down to the unit."""
    left, top = _corner_units(found)
    return left * found.unit, top * found.unit


def write(found: Found) -> bytes:
    """The tile. Its layers are square; their extent is the longer side of the box."""
    origin = np.array(_corner_units(found), np.int64)
    box = found.box
    extent = max(1, int(np.ceil(max(box.right - box.left, box.bottom - box.top) / found.unit)))
    tile = b""
    if len(found.drawn.regions):
        tile += _regions(found, origin, extent)
    if len(found.small):
        tile += _small(found, origin, extent)
    if len(found.clusters.counts):
        tile += _clusters(found, origin, extent)
    return tile


def _corner_units(found: Found) -> tuple[int, int]:
    return int(np.floor(found.box.left / found.unit)), int(np.floor(found.box.top / found.unit))


# -- Layers -------------------------------------------------------------------------------------------------------


def _regions(found: Found, origin: Ints, extent: int) -> bytes:
    drawn = found.drawn
    geometries = _geometries(_wound(drawn), origin)
    table = _Table(found.index)
    kinds = [_KINDS[shape] for shape in drawn.shapes.tolist()]
    features = (
        _feature(tags, kind, geometry, region)
        for region, tags, kind, geometry in zip(
            drawn.regions.tolist(), table.tags(drawn.regions), kinds, geometries, strict=True
        )
    )
    return _layer(b"regions", features, table, extent)


def _small(found: Found, origin: Ints, extent: int) -> bytes:
    table = _Table(found.index)
    geometries = _single_points(found.small_points - origin)
    features = (
        _feature(tags, _KINDS[POINTS], geometry, region)
        for region, tags, geometry in zip(found.small.tolist(), table.tags(found.small), geometries, strict=True)
    )
    return _layer(b"points", features, table, extent)


def _clusters(found: Found, origin: Ints, extent: int) -> bytes:
    table = _Table(found.index)
    clusters = found.clusters
    geometries = _single_points(clusters.points - origin)
    features = (
        _feature(table.tags_of_count(layer, count), _KINDS[POINTS], geometry, None)
        for layer, count, geometry in zip(clusters.layers.tolist(), clusters.counts.tolist(), geometries, strict=True)
    )
    return _layer(b"clusters", features, table, extent)


class _Table:
    """The values of a layer's properties, each once, and which of them a feature has."""

    def __init__(self, index: RegionIndex) -> None:
        self.values: list[bytes] = []
        self._known: dict[str | int, int] = {}
        self._index = index
        self._of_layer = [self._class_tags(name, colour) for name, colour in index.layers]

    def tags(self, regions: Ints) -> list[bytes]:
        """Of each region."""
        tags = [self._of_layer[layer] for layer in self._index.layer[regions].tolist()]
        for position, text in enumerate(self._index.texts_of(regions)):
            if text:
                tags[position] += _varint(_NAME) + _varint(self._value(text))
        return tags

    def tags_of_count(self, layer: int, count: int) -> bytes:
        return self._of_layer[layer] + _varint(_COUNT) + _varint(self._value(count))

    def _class_tags(self, name: str, colour: tuple[int, int, int] | None) -> bytes:
        tags = _varint(_CLASS) + _varint(self._value(name)) if name else b""
        if colour is not None:
            tags += _varint(_COLOR) + _varint(self._value("#{:02x}{:02x}{:02x}".format(*colour)))
        return tags

    def _value(self, value: str | int) -> int:
        position = self._known.get(value)
        if position is None:
            position = self._known[value] = len(self.values)
            encoded = b"\x28" + _varint(value) if isinstance(value, int) else _bytes(1, value.encode())
            self.values.append(encoded)
        return position


# -- Geometries ---------------------------------------------------------------------------------------------------


def _wound(drawn: Drawn) -> Drawn:
    """With outlines clockwise on the screen and holes the other way round, as the specification has it (4.3.4.4)."""
    counts = np.diff(drawn.first_ring)
    starts, ends = drawn.ring_start[:-1], drawn.ring_start[1:]
    is_first = np.zeros(len(starts), bool)
    is_first[drawn.first_ring[:-1]] = True
    is_outline = np.repeat(drawn.shapes == OUTLINE, counts)
    turns = is_outline & ((signed_doubled_areas(drawn.points, drawn.ring_start) > 0) != is_first)
    lengths = ends - starts
    step = np.where(turns, -1, 1)
    order = ranges(np.where(turns, ends - 1, starts), lengths, step)
    return Drawn(drawn.regions, drawn.shapes, drawn.first_ring, drawn.ring_start, drawn.points[order])


def _geometries(drawn: Drawn, origin: Ints) -> Iterable[bytes]:
    """The command integers of each region (specification 4.3), encoded."""
    counts = np.diff(drawn.first_ring)
    shapes = np.repeat(drawn.shapes, counts)
    lengths = np.diff(drawn.ring_start)
    words, word_starts = _words(drawn, shapes, lengths, origin)
    encoded, byte_starts = _varints(words)
    bounds = byte_starts[word_starts[drawn.first_ring]].tolist()
    buffer = encoded.tobytes()
    return (buffer[bounds[position] : bounds[position + 1]] for position in range(len(counts)))


def _words(drawn: Drawn, shapes: NDArray[np.uint8], lengths: Ints, origin: Ints) -> tuple[NDArray[np.uint32], Ints]:
    """All commands and parameters, and where each ring's begin.

    A line is MoveTo(1) x y LineTo(n-1) x y ..., a ring the same and ClosePath, points are MoveTo(n) x y ...
    """
    is_points, is_ring = shapes == POINTS, shapes == OUTLINE
    sizes = 2 * lengths + np.where(is_points, 1, np.where(is_ring, 3, 2))
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    words = np.empty(starts[-1], np.uint32)
    begins = starts[:-1]
    words[begins] = _MOVE_TO | np.where(is_points, lengths, 1) << 3
    lines = ~is_points
    words[begins[lines] + 3] = _LINE_TO | (lengths[lines] - 1) << 3
    words[starts[1:][is_ring] - 1] = _CLOSE
    places = ranges(begins + 1, lengths, np.full(len(lengths), 2))
    # The command of the lines stands behind the first vertex.
    later = np.ones(len(places), np.int64)
    later[drawn.ring_start[:-1]] = 0
    places += later * np.repeat(lines, lengths)
    moves = _moves(drawn, origin)
    words[places] = moves[:, 0]
    words[places + 1] = moves[:, 1]
    return words, starts


def _moves(drawn: Drawn, origin: Ints) -> NDArray[np.uint32]:
    """From each vertex of a region to the next, from the tile's corner to its first, in zigzag encoding."""
    points = drawn.points - origin
    moves = points.copy()
    moves[1:] -= points[:-1]
    firsts = drawn.ring_start[drawn.first_ring[:-1]]
    moves[firsts] = points[firsts]
    return _zigzag(moves)


def _zigzag(values: Ints) -> NDArray[np.uint32]:
    return (values << 1 ^ values >> 63).astype(np.uint32)


def _single_points(points: Ints) -> Iterable[bytes]:
    words = np.empty((len(points), 3), np.uint32)
    words[:, 0] = _MOVE_TO | 1 << 3
    words[:, 1:] = _zigzag(points)
    encoded, starts = _varints(words.ravel())
    bounds, buffer = starts[::3].tolist(), encoded.tobytes()
    return (buffer[bounds[position] : bounds[position + 1]] for position in range(len(points)))


def _varints(values: NDArray[np.uint32]) -> tuple[NDArray[np.uint8], Ints]:
    """All values in base 128, and where each begins, and the last one ends."""
    sizes = np.ones(len(values), np.int64)
    for bits in (7, 14, 21, 28):
        sizes += values >= 1 << bits
    starts = np.zeros(len(values) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    encoded = np.empty(starts[-1], np.uint8)
    for place in range(5):
        has = sizes > place
        goes_on = np.where(sizes[has] > place + 1, 0x80, 0)
        encoded[starts[:-1][has] + place] = values[has] >> 7 * place & 0x7F | goes_on
    return encoded, starts


# -- Protocol buffers ---------------------------------------------------------------------------------------------


def _layer(name: bytes, features: Iterable[bytes], table: _Table, extent: int) -> bytes:
    joined = b"".join(features)
    parts = [
        b"\x78\x02",  # version 2, which should be the first field (specification 4.1)
        _bytes(1, name),
        joined,
        *(_bytes(3, key) for key in _KEYS),
        *(_bytes(4, value) for value in table.values),
        b"\x28" + _varint(extent),
    ]
    return _bytes(3, b"".join(parts))


def _feature(tags: bytes, kind: int, geometry: bytes, region: int | None) -> bytes:
    number = b"" if region is None else b"\x08" + _varint(region)
    body = number + (_bytes(2, tags) if tags else b"") + bytes((0x18, kind)) + _bytes(4, geometry)
    return _bytes(2, body)


def _bytes(field: int, content: bytes) -> bytes:
    return bytes((field << 3 | 2,)) + _varint(len(content)) + content


_ONE_BYTE: Final[Sequence[bytes]] = [bytes((value,)) for value in range(128)]


def _varint(value: int) -> bytes:
    if value < 128:
        return _ONE_BYTE[value]
    encoded = bytearray()
    while value >= 128:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
