"""The XML of ASAP (pathomiq contract section 7): annotations that each belong to a group.

    ASAP_Annotations
     ├─ Annotations
     │   └─ Annotation      Name, Type, PartOfGroup, Color
     │       └─ Coordinates
     │           └─ Coordinate    Order, X, Y
     └─ AnnotationGroups
         └─ Group           Name, Color

A group becomes a layer; `None` is what ASAP itself calls being in none. Coordinates count in their order, wherever
they stand. ASAP writes decimal commas on machines whose language has them.
"""

import string
from array import array
from collections.abc import Sequence
from dataclasses import replace

from pinakes.core.annotations.dialect import (
    MAX_LAYERS,
    MAX_NAME,
    MAX_REGIONS,
    Attributes,
    Counter,
    OnRegion,
    Vertices,
    number,
    words,
)
from pinakes.core.annotations.model import Colour, Layer, Numbers, Region, Shape

ROOT = "ASAP_Annotations"

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

    def __init__(self, on_region: OnRegion) -> None:
        self.layers: list[Layer] = []
        self.microns_per_pixel: float | None = None
        self._on_region = on_region
        self._positions: dict[str, int] = {}
        self._region: Attributes | None = None
        self._vertices = Vertices()
        self._orders: Numbers = array("d")
        self._region_count = Counter(MAX_REGIONS, "annotations")
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
        position = self._position(words(attributes, "PartOfGroup", most=MAX_NAME) or _NO_GROUP)
        xs, ys = _in_order(self._orders, self._vertices)
        shape = _SHAPES.get(attributes.get("Type", "Polygon"), Shape.LINE)
        self._on_region(position, Region(shape, xs, ys, text=words(attributes, "Name")))
        if self.layers[position].colour is None:
            self._colour(self.layers[position].name, _colour(attributes.get("Color")))

    def _add(self, attributes: Attributes) -> None:
        x, y, order = (attributes.get(name) for name in ("X", "Y", "Order"))
        self._vertices.add(_with_point(x), _with_point(y))
        self._orders.append(number(order, "Order") if order is not None else len(self._orders))

    def _position(self, name: str) -> int:
        """Where the layer of that name is, made if need be."""
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
