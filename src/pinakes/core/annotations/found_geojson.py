"""What was found in a box, as GeoJSON in level-0 pixels.

Features are annotation objects with the number of the region as `id`. Those that are too small to be outlined are
points with `reduced`; clusters are points with `count`, how many they stand for.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from pinakes.core.annotations.geojson import properties_of
from pinakes.core.annotations.region_index import LINE, OUTLINE, Ints, RegionIndex
from pinakes.core.annotations.region_search import Found

_BATCH: Final = 1024
_encode = msgspec.json.encode


def write(found: Found) -> Iterator[bytes]:
    """The document in pieces of some hundred features."""
    box = found.box
    head = {
        "type": "FeatureCollection",
        "bbox": (box.left, box.top, box.right, box.bottom),
        "unit": found.unit,
        "smallest": found.smallest,
        "clusterSide": found.clusters.side if len(found.clusters.counts) else None,
    }
    yield _encode(head)[:-1] + b',"features":['
    separator = b"\n"
    for features in _batches(found):
        yield separator + b",\n".join(features)
        separator = b",\n"
    yield b"\n]}\n"


def _batches(found: Found) -> Iterator[list[bytes]]:
    """Features, encoded; no batch is empty."""
    for start in range(0, len(found.drawn.regions), _BATCH):
        yield _outlined(found, start, min(start + _BATCH, len(found.drawn.regions)))
    for start in range(0, len(found.small), _BATCH):
        yield _reduced(found, slice(start, start + _BATCH))
    for start in range(0, len(found.clusters.counts), _BATCH):
        yield _clustered(found, slice(start, start + _BATCH))


def _outlined(found: Found, start: int, end: int) -> list[bytes]:
    drawn = found.drawn
    first_ring = drawn.first_ring[start : end + 1]
    ring_start = drawn.ring_start[first_ring[0] : first_ring[-1] + 1]
    texts = _Positions(drawn.points[ring_start[0] : ring_start[-1]], found.unit)
    bounds = (ring_start - ring_start[0]).tolist()
    firsts = (first_ring - first_ring[0]).tolist()
    regions = drawn.regions[start:end]
    shapes = drawn.shapes[start:end].tolist()
    features = []
    for position, (region, properties) in enumerate(
        zip(regions.tolist(), _properties(found.index, regions), strict=True)
    ):
        rings = range(firsts[position], firsts[position + 1])
        lines = [(bounds[ring], bounds[ring + 1]) for ring in rings]
        geometry = _geometry(shapes[position], lines, texts)
        features.append(b'{"type":"Feature","id":%d,"geometry":%b,"properties":%b}' % (region, geometry, properties))
    return features


def _geometry(shape: int, lines: list[tuple[int, int]], texts: "_Positions") -> bytes:
    if shape == OUTLINE:
        rings = [b"[%b,%b]" % (texts.of(start, end), texts.of(start, start + 1)) for start, end in lines]
        return b'{"type":"Polygon","coordinates":[%b]}' % b",".join(rings)
    start, end = lines[0]
    if end - start == 1:
        return b'{"type":"Point","coordinates":%b}' % texts.of(start, end)
    kind = b"LineString" if shape == LINE else b"MultiPoint"
    return b'{"type":"%b","coordinates":[%b]}' % (kind, texts.of(start, end))


_POINT: Final = b'{"type":"Feature",%b"geometry":{"type":"Point","coordinates":%b},"properties":%b}'


def _reduced(found: Found, taken: slice) -> list[bytes]:
    regions = found.small[taken]
    texts = _Positions(found.small_points[taken], found.unit)
    return [
        _POINT % (b'"id":%d,' % region, texts.of(position, position + 1), properties[:-1] + b',"reduced":true}')
        for position, (region, properties) in enumerate(
            zip(regions.tolist(), _properties(found.index, regions), strict=True)
        )
    ]


def _clustered(found: Found, taken: slice) -> list[bytes]:
    clusters = found.clusters
    texts = _Positions(clusters.points[taken], found.unit)
    of_layers = [_encode(properties_of("cluster", *layer))[:-1] for layer in found.index.layers]
    return [
        _POINT % (b"", texts.of(position, position + 1), of_layers[layer] + b',"count":%d}' % count)
        for position, (layer, count) in enumerate(
            zip(clusters.layers[taken].tolist(), clusters.counts[taken].tolist(), strict=True)
        )
    ]


class _Positions:
    """The texts of positions, made all at once: `[1,2],[3,4]`."""

    def __init__(self, points: Ints, unit: float) -> None:
        """points: in units; told in level-0 pixels, whole numbers where the unit is one."""
        pixels = points * (int(unit) if unit >= 1 else unit)
        self._text = _paired(_encode(pixels.ravel().tolist())[1:-1])
        brackets = np.flatnonzero(np.frombuffer(self._text, np.uint8) == ord("]"))
        self._ends = [-1, *(brackets + 1).tolist()]

    def of(self, start: int, end: int) -> bytes:
        """Those from start on, up to end."""
        return self._text[self._ends[start] + 1 : self._ends[end]]


def _paired(numbers: bytes) -> bytes:
    """`1,2,3,4` as `[1,2],[3,4]`. A list for each position would take three times as long, most of it to collect it."""
    if not numbers:
        return b""
    text = np.frombuffer(numbers, np.uint8)
    between = np.flatnonzero(text == ord(","))[1::2]
    brackets = np.repeat(np.frombuffer(b"][", np.uint8), len(between))
    return b"[%b]" % np.insert(text, np.concatenate([between, between + 1]), brackets).tobytes()


def _properties(index: RegionIndex, regions: Ints) -> list[bytes]:
    """Those of each region, encoded."""
    encoded = [_encode(properties_of("annotation", *layer)) for layer in index.layers]
    layers = index.layer[regions].tolist()
    found = [encoded[layer] for layer in layers]
    for position, text in enumerate(index.texts_of(regions)):
        if text:
            name, colour = index.layers[layers[position]]
            found[position] = _encode(properties_of("annotation", name, colour, text))
    return found
