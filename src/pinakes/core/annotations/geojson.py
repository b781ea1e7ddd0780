"""Annotations as GeoJSON, for QuPath and others that read no XML (pathomiq contract section 7).

A feature collection of annotation objects in level-0 pixels. A hole is an inner ring of the polygon it lies in; one
that lies in none cuts nothing out, and GeoJSON has no way to tell of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from pinakes.core.annotations import geometry
from pinakes.core.annotations.dialect import gathered
from pinakes.core.annotations.model import Colour, Layer, Markup, Numbers, Region, Shape
from pinakes.core.errors import WrongState

MEDIA_TYPE = "application/geo+json"
REVISION = "geojson2"
"""To be counted up whenever the same annotation would give other bytes."""

_PIECE_VERTICES = 4096

_encode = msgspec.json.encode


def write(markup: Markup) -> Iterator[bytes]:
    """The document in pieces of about 64 KiB.

    Raises WrongState, before the first piece, if finding what the holes lie in would take too long.
    """
    try:
        steps = geometry.Steps()
        homes = [geometry.homes(layer.regions, steps) for layer in markup.layers]
    except geometry.TooInvolved as exc:
        raise WrongState("The holes of this annotation are too many and too intertwined for GeoJSON.") from exc
    return gathered(_collection(markup, homes))


def _collection(markup: Markup, homes: Sequence[Mapping[int, Sequence[int]]]) -> Iterator[bytes]:
    yield b'{"type":"FeatureCollection","features":['
    separator = b"\n"
    for layer, holes_of in zip(markup.layers, homes, strict=True):
        for position, region in enumerate(layer.regions):
            if region.is_hole or not region.xs:
                continue
            yield separator
            separator = b",\n"
            yield from _feature(layer, region, [layer.regions[hole] for hole in holes_of.get(position, ())])
    yield b"\n]}\n"


def _feature(layer: Layer, region: Region, holes: Sequence[Region]) -> Iterator[bytes]:
    yield b'{"type":"Feature","geometry":'
    yield from _geometry(region, holes)
    yield b',"properties":' + _encode(properties_of("annotation", layer.name, layer.colour, region.text)) + b"}"


def properties_of(kind: str, class_name: str, colour: Colour | None, text: str = "") -> dict[str, Any]:
    """Those of a feature, as QuPath has them."""
    properties: dict[str, Any] = {"objectType": kind}
    if text:
        properties["name"] = text
    if class_name:
        properties["classification"] = {"name": class_name} | ({} if colour is None else {"color": colour})
    return properties


def _geometry(region: Region, holes: Sequence[Region]) -> Iterator[bytes]:
    """As a polygon if it encloses anything, else as the line or the points it is."""
    xs, ys = geometry.outline(region)
    if geometry.has_outline(region) and _is_ring(xs, ys):
        yield b'{"type":"Polygon","coordinates":['
        yield from _ring(xs, ys)
        for hole in map(geometry.outline, holes):
            if _is_ring(*hole):
                yield b","
                yield from _ring(*hole)
        yield b"]}"
    elif len(xs) == 1:
        yield b'{"type":"Point","coordinates":' + _encode((xs[0], ys[0])) + b"}"
    else:
        kind = b"MultiPoint" if region.shape is Shape.POINTS else b"LineString"
        yield b'{"type":"%b","coordinates":[' % kind
        yield from _positions(xs, ys)
        yield b"]}"


def _is_ring(xs: Numbers, ys: Numbers) -> bool:
    """Whether there are enough vertices for one: a ring has four, counting the last, which is the first again."""
    return len(xs) + (not _is_closed(xs, ys)) >= 4


def _ring(xs: Numbers, ys: Numbers) -> Iterator[bytes]:
    """A ring ends where it began (RFC 7946 section 3.1.6)."""
    yield b"["
    yield from _positions(xs, ys)
    if not _is_closed(xs, ys):
        yield b"," + _encode((xs[0], ys[0]))
    yield b"]"


def _is_closed(xs: Numbers, ys: Numbers) -> bool:
    return (xs[0], ys[0]) == (xs[-1], ys[-1])


def _positions(xs: Numbers, ys: Numbers) -> Iterator[bytes]:
    positions = zip(xs, ys, strict=True)
    separator = b""
    while some := list(islice(positions, _PIECE_VERTICES)):
        yield separator + _encode(some)[1:-1]
        separator = b","
