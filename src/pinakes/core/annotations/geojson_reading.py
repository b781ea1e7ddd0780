"""GeoJSON (RFC 7946) read as it comes, a feature at a time: collections, features and bare geometries.

A feature's class (`properties.classification`, as QuPath writes it) becomes its layer, those without one share a layer
without a name; `properties.name` is its text. Inner rings become holes, parts of a MultiPolygon regions of their own,
of which the first has the text.
What else properties hold, and what kind of object QuPath takes a feature for, stays in the bytes alone. Coordinates
are level-0 pixels, altitudes are passed over. Rings must be closed, as the RFC has it; their last position is dropped.
"""

import codecs
import threading
from array import array
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Final, TypeAlias

import msgspec

from pinakes.core.annotations.dialect import (
    FARTHEST,
    FIELD,
    MAX_LAYERS,
    MAX_NAME,
    Counter,
    Drawing,
    Limits,
    Malformed,
    OnRegion,
    bounded,
    is_xml,
)
from pinakes.core.annotations.formats import Format
from pinakes.core.annotations.json_values import ValueCutter
from pinakes.core.annotations.model import Colour, Layer, Region, Shape
from pinakes.core.errors import InvalidFields

MAX_FEATURE_BYTES: Final = 16 * 1024 * 1024
MAX_FEATURE_POSITIONS: Final = 1_000_000
"""How many brackets and braces a feature may open; a position takes some 120 bytes while its feature is read."""

MAX_PROPERTY_BYTES: Final = 256 * 1024
"""Of each property that is looked at. The longest name there may be, with every character escaped, has fewer."""

_LARGE_BYTES = 1024 * 1024
_LARGE_AT_ONCE = threading.BoundedSemaphore(2)
"""Who reads a large feature waits for a turn: each takes up to some 200 MB meanwhile."""

_RING_POSITIONS = 4
_NULL = b"null"

_Position: TypeAlias = tuple[float, ...]
_Line: TypeAlias = list[_Position]


class _Feature(msgspec.Struct):
    type: str
    geometry: msgspec.Raw = msgspec.Raw(_NULL)
    properties: msgspec.Raw = msgspec.Raw(_NULL)


class _Geometry(msgspec.Struct):
    type: str
    coordinates: msgspec.Raw = msgspec.Raw(_NULL)
    geometries: msgspec.Raw = msgspec.Raw(_NULL)


class _Properties(msgspec.Struct):
    """What is looked at; anything may be there."""

    name: msgspec.Raw = msgspec.Raw(_NULL)
    classification: msgspec.Raw = msgspec.Raw(_NULL)


def _decoders(position: Any) -> dict[str, msgspec.json.Decoder[Any]]:
    line = list[position]
    return {
        "Point": msgspec.json.Decoder(position),
        "MultiPoint": msgspec.json.Decoder(line),
        "LineString": msgspec.json.Decoder(line),
        "MultiLineString": msgspec.json.Decoder(list[line]),
        "Polygon": msgspec.json.Decoder(list[line]),
        "MultiPolygon": msgspec.json.Decoder(list[list[line]]),
    }


_FLAT: Final = _decoders(tuple[float, float])
_WITH_ALTITUDES: Final = _decoders(tuple[float, float, float])
_ANYTHING: Final = msgspec.json.Decoder()
_FEATURE: Final = msgspec.json.Decoder(_Feature)
_GEOMETRY: Final = msgspec.json.Decoder(_Geometry)
_GEOMETRY_IF_ANY: Final = msgspec.json.Decoder(_Geometry | None)
_PROPERTIES: Final = msgspec.json.Decoder(_Properties | None)
_PARTS: Final = msgspec.json.Decoder(list[_Geometry])


class GeoJsonReader:
    """See `reading.Reader`."""

    format = Format.GEOJSON

    def __init__(self, on_region: OnRegion, limits: Limits) -> None:
        self.layers: list[Layer] = []
        self.microns_per_pixel: float | None = None
        self._on_region = on_region
        self._positions: dict[str, int] = {}
        self._cutter = ValueCutter(b"features", self._take, MAX_FEATURE_BYTES)
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._features = 0
        self._text = ""  # of the feature at hand, until a region has it
        self._feature_count = Counter(limits.regions, "features")
        self._region_count = Counter(limits.regions, "regions")
        self._layer_count = Counter(MAX_LAYERS, "classes")
        self._vertices_left = limits.elements
        self._most_vertices = limits.elements

    def feed(self, piece: bytes | bytearray) -> None:
        """Take the next piece."""
        try:
            self._utf8.decode(piece)
            self._cutter.feed(piece)
        except (Malformed, UnicodeDecodeError) as exc:
            raise self._invalid(exc) from exc

    def close(self) -> Drawing:
        """What was read, with its layers."""
        try:
            self._utf8.decode(b"", final=True)
            self._end(self._cutter.close())
        except (Malformed, UnicodeDecodeError) as exc:
            raise self._invalid(exc) from exc
        return self

    def _invalid(self, error: Malformed | UnicodeDecodeError) -> InvalidFields:
        reason = str(error) if isinstance(error, Malformed) else "it is not UTF-8"
        return InvalidFields.one(FIELD, f"after {self._features} features: {reason}")

    def _end(self, rest: bytes) -> None:
        """Judge the root by what is in it beside the features, or draw it, if it is a feature or a geometry itself."""
        if self._cutter.is_array:
            _checked(rest, _ANYTHING)
            return
        root = _checked(rest, _GEOMETRY)
        if self._cutter.has_items or root.type == "FeatureCollection":
            if root.type != "FeatureCollection" or not self._cutter.has_items:
                raise Malformed("it has features, but is no FeatureCollection, or the other way round")
        elif root.type == "Feature":
            self._take(rest)
        else:
            with _turn(rest):
                self._draw(root, self._layer("", None))

    # -- Features --------------------------------------------------------------------------------------------------

    def _take(self, text: bytes) -> None:
        with _turn(text):
            self._take_feature(_checked(text, _FEATURE))
        self._feature_count.add()
        self._features += 1

    def _take_feature(self, feature: _Feature) -> None:
        if feature.type != "Feature":
            raise Malformed("it is no Feature")
        properties = _checked(feature.properties, _PROPERTIES) or _Properties()
        geometry = _checked(feature.geometry, _GEOMETRY_IF_ANY)
        if geometry is not None:
            layer = self._layer(*_class(_property(properties.classification)))
            self._text = _name(_property(properties.name))
            self._draw(geometry, layer)

    def _layer(self, name: str, colour: Colour | None) -> int:
        """Where the layer of a class is, made if need be; the first colour counts."""
        position = self._positions.get(name)
        if position is None:
            self._layer_count.add()
            position = self._positions[name] = len(self.layers)
            self.layers.append(Layer(name, colour))
        elif colour is not None and self.layers[position].colour is None:
            self.layers[position] = replace(self.layers[position], colour=colour)
        return position

    def _draw(self, geometry: _Geometry, layer: int) -> None:
        if geometry.type == "GeometryCollection":
            for part in _checked(geometry.geometries, _PARTS):
                if part.type == "GeometryCollection":
                    raise Malformed("a GeometryCollection is in another")
                self._draw(part, layer)
            return
        coordinates = _coordinates(geometry)
        match geometry.type:
            case "Point":
                self._add(layer, Shape.POINTS, [coordinates])
            case "MultiPoint" if coordinates:
                self._add(layer, Shape.POINTS, coordinates)
            case "LineString" if coordinates:
                self._add(layer, Shape.LINE, coordinates)
            case "MultiLineString":
                for line in coordinates:
                    self._add(layer, Shape.LINE, line)
            case "Polygon":
                self._add_polygon(layer, coordinates)
            case "MultiPolygon":
                for rings in coordinates:
                    self._add_polygon(layer, rings)

    def _add_polygon(self, layer: int, rings: Sequence[_Line]) -> None:
        for number, ring in enumerate(rings):
            if len(ring) < _RING_POSITIONS:
                raise Malformed(f"a ring has fewer than {_RING_POSITIONS} positions")
            if ring[0][:2] != ring[-1][:2]:
                raise Malformed("a ring does not end where it begins")
            del ring[-1]
            self._add(layer, Shape.POLYGON, ring, is_hole=number > 0)

    def _add(self, layer: int, shape: Shape, line: _Line, *, is_hole: bool = False) -> None:
        self._region_count.add()
        self._vertices_left -= len(line)
        if self._vertices_left < 0:
            raise Malformed(f"there are more than {self._most_vertices} positions")
        xs = array("d", [position[0] for position in line])
        ys = array("d", [position[1] for position in line])
        if any(max(axis) > FARTHEST or min(axis) < -FARTHEST for axis in (xs, ys) if axis):
            raise Malformed("a position is farther away than any slide is wide")
        text, self._text = self._text, ""
        self._on_region(layer, Region(shape, xs, ys, is_hole, text))


def _turn(text: bytes) -> AbstractContextManager[object]:
    """To be held while a feature is read. Raises Malformed for one that would take too much memory."""
    if text.count(b"[") + text.count(b"{") > MAX_FEATURE_POSITIONS:
        raise Malformed(f"a feature has more than {MAX_FEATURE_POSITIONS} positions")
    return _LARGE_AT_ONCE if len(text) > _LARGE_BYTES else nullcontext()


def _checked(text: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    """What the text says. Raises Malformed."""
    try:
        return decoder.decode(text)
    except RecursionError as exc:
        raise Malformed("it is nested too deeply") from exc
    except msgspec.ValidationError as exc:
        raise Malformed(f"a member is not as GeoJSON has it: {exc}") from exc
    except (ValueError, OverflowError) as exc:
        raise Malformed("it is not valid JSON") from exc


def _coordinates(geometry: _Geometry) -> Any:
    """Raises Malformed."""
    decoder = _FLAT.get(geometry.type)
    if decoder is None:
        raise Malformed("a geometry is of no type that is known")
    try:
        return _checked(geometry.coordinates, decoder)
    except Malformed:
        try:
            return _WITH_ALTITUDES[geometry.type].decode(geometry.coordinates)
        except (ValueError, RecursionError):
            pass
        raise


def _property(text: msgspec.Raw) -> Any:
    """Raises Malformed."""
    if len(text) > MAX_PROPERTY_BYTES:
        raise Malformed(f"a name or a class is longer than {MAX_PROPERTY_BYTES} bytes")
    return _checked(text, _ANYTHING)


def _class(classification: Any) -> tuple[str, Colour | None]:
    """The name and the colour of a class. QuPath writes either `name`, or `names` of a class and those derived from it.

    Raises Malformed for what cannot be kept.
    """
    if not isinstance(classification, dict):
        return "", None
    name = classification.get("name")
    names = classification.get("names")
    if not isinstance(name, str):
        parts = names if isinstance(names, list) else []
        name = ": ".join(part for part in parts if isinstance(part, str))
    return _kept(bounded(name, "the name of a class", most=MAX_NAME)), _colour(classification)


def _name(name: Any) -> str:
    return _kept(bounded(name, "a name")) if isinstance(name, str) else ""


def _kept(text: str) -> str:
    if not is_xml(text):
        raise Malformed("a name holds a character that XML has no place for")
    return text


def _colour(classification: dict[str, Any]) -> Colour | None:
    """`color` is red, green and blue; before QuPath 0.4, `colorRGB` was one number for them, with a sign."""
    match classification:
        case {"color": [red, green, blue]} if all(_is_byte(value) for value in (red, green, blue)):
            return red, green, blue
        case {"colorRGB": value} if type(value) is int:
            return value >> 16 & 0xFF, value >> 8 & 0xFF, value & 0xFF
        case _:
            return None


def _is_byte(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 255  # to `isinstance` true and false are numbers
