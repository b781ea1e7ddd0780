"""The XML of ASAP (pathomiq contract section 7): annotations that each belong to a group.

    ASAP_Annotations
     ├─ Annotations
     │   └─ Annotation      Name, Type, PartOfGroup, Color
     │       └─ Coordinates
     │           └─ Coordinate    Order, X, Y
     └─ AnnotationGroups
         └─ Group           Name, Color

A group becomes a layer; `None` is what ASAP itself calls being in none: a layer without a name. Coordinates count in
their order, wherever they stand. ASAP writes decimal commas on machines whose language has them.

ASAP knows no holes: they are written as annotations with Aperio's `NegativeROA="1"`, which ASAP passes over, showing
the hole as an outline, and drops when it saves the file itself. Nor does it know ellipses, written as polygons, and
lines, written as its `Measurement`.
"""

import string
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pinakes.core.annotations import geometry
from pinakes.core.annotations.aperio import BLACK, decimal, quoted
from pinakes.core.annotations.dialect import (
    MAX_LAYERS,
    MAX_NAME,
    Attributes,
    Counter,
    Limits,
    OnRegion,
    Vertices,
    number,
    words,
)
from pinakes.core.annotations.model import Colour, Layer, Markup, Numbers, Region, Shape

ROOT = "ASAP_Annotations"
REVISION = "asap2"
"""To be counted up whenever the same annotation would give other bytes."""

_ITEM_DEPTH = 3
_COORDINATE_DEPTH = 5
_NO_GROUP = "None"

_SHAPES = {
    "Polygon": Shape.POLYGON,
    "Rectangle": Shape.RECTANGLE,
    "Spline": Shape.POLYGON,  # a closed curve, taken as the polygon of the points it was drawn through
    "Dot": Shape.POINTS,
    "PointSet": Shape.POINTS,
}


class AsapDialect:
    """Reads it."""

    def __init__(self, on_region: OnRegion, limits: Limits) -> None:
        self.layers: list[Layer] = []
        self.microns_per_pixel: float | None = None
        self._on_region = on_region
        self._positions: dict[str, int] = {}
        self._region: Attributes | None = None
        self._vertices = Vertices()
        self._orders: Numbers = array("d")
        self._region_count = Counter(limits.regions, "annotations")
        self._layer_count = Counter(MAX_LAYERS, "groups")

    def start(self, depth: int, tag: str, attributes: Attributes) -> None:
        if depth == _COORDINATE_DEPTH and tag == "Coordinate" and self._region is not None:
            self._add(attributes)
        elif depth == _ITEM_DEPTH and tag == "Annotation":
            self._region_count.add()
            self._region, self._vertices, self._orders = attributes, Vertices(), array("d")
        elif depth == _ITEM_DEPTH and tag == "Group":
            self._colour(words(attributes, "Name", most=MAX_NAME), _colour(attributes.get("Color")))

    def end(self, depth: int, tag: str) -> None:
        if depth != _ITEM_DEPTH or tag != "Annotation" or self._region is None:
            return
        attributes, self._region = self._region, None
        position = self._position(words(attributes, "PartOfGroup", most=MAX_NAME))
        xs, ys = _in_order(self._orders, self._vertices)
        shape = _SHAPES.get(attributes.get("Type", "Polygon"), Shape.LINE)
        is_hole = attributes.get("NegativeROA") == "1"
        self._on_region(position, Region(shape, xs, ys, is_hole, words(attributes, "Name")))
        if self.layers[position].colour is None:
            self._colour(self.layers[position].name, _colour(attributes.get("Color")))

    def _add(self, attributes: Attributes) -> None:
        x, y, order = (attributes.get(name) for name in ("X", "Y", "Order"))
        self._vertices.add(_with_point(x), _with_point(y))
        self._orders.append(number(order, "Order") if order is not None else len(self._orders))

    def _position(self, name: str) -> int:
        """Where the layer of a group is, made if need be."""
        name = "" if name == _NO_GROUP else name
        if name not in self._positions:
            self._layer_count.add()
            self._positions[name] = len(self.layers)
            self.layers.append(Layer(name))
        return self._positions[name]

    def _colour(self, name: str, colour: Colour | None) -> None:
        """Give a layer its colour; the group's own comes last, and counts."""
        position = self._position(name)
        if colour is not None:
            self.layers[position] = replace(self.layers[position], colour=colour)


def _in_order(orders: Sequence[float], vertices: Vertices) -> tuple[Numbers, Numbers]:
    if all(orders[i - 1] <= orders[i] for i in range(1, len(orders))):
        return vertices.xs, vertices.ys
    positions = sorted(range(len(orders)), key=orders.__getitem__)
    return array("d", map(vertices.xs.__getitem__, positions)), array("d", map(vertices.ys.__getitem__, positions))


def _with_point(text: str | None) -> str | None:
    """A decimal comma becomes a point; a text with more than one mark stays what it is, no number."""
    if text is None or "." in text or text.count(",") != 1:
        return text
    return text.replace(",", ".")


def _colour(text: str | None) -> Colour | None:
    """From `#RRGGBB`; None for anything else."""
    if text is None or len(text) != 7 or text[0] != "#" or not all(digit in string.hexdigits for digit in text[1:]):
        return None
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


# -- Writing ------------------------------------------------------------------------------------------------------


def write(markup: Markup) -> Iterator[bytes]:
    """The document in UTF-8, an annotation at a time; the same markup always gives the same bytes.

    A layer without a colour is written black, one without a name as in no group; attributes and the scale are left
    out. Raises ValueError for characters that XML has no place for.
    """
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n<ASAP_Annotations>\n<Annotations>\n'
    for layer in markup.layers:
        group = f'PartOfGroup={quoted(layer.name or _NO_GROUP)} Color="{_hexadecimal(layer.colour)}"'
        for region in layer.regions:
            yield from _annotation(region, group)
    yield b"</Annotations>\n<AnnotationGroups>\n"
    for name, colour in {layer.name: layer.colour for layer in reversed(markup.layers)}.items():
        if name not in {"", _NO_GROUP}:
            group = f'<Group Name={quoted(name)} PartOfGroup="{_NO_GROUP}" Color="{_hexadecimal(colour)}">'
            yield f"{group}<Attributes/></Group>\n".encode()
    yield b"</AnnotationGroups>\n</ASAP_Annotations>\n"


def _annotation(region: Region, group: str) -> Iterator[bytes]:
    xs, ys = geometry.outline(region)
    negative = ' NegativeROA="1"' if region.is_hole else ""
    type = _type(region, len(xs))
    yield f'<Annotation Name={quoted(region.text)} Type="{type}" {group}{negative}><Coordinates>\n'.encode()
    for order, (x, y) in enumerate(zip(xs, ys, strict=True)):
        yield f'<Coordinate Order="{order}" X="{decimal(x)}" Y="{decimal(y)}"/>\n'.encode()
    yield b"</Coordinates></Annotation>\n"


def _type(region: Region, vertices: int) -> str:
    match region.shape:
        case Shape.RECTANGLE:
            return "Rectangle"
        case Shape.POINTS:
            return "Dot" if vertices == 1 else "PointSet"
        case Shape.LINE:
            return "Measurement"
        case _:
            return "Polygon"


def _hexadecimal(colour: Colour | None) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(colour or BLACK))
