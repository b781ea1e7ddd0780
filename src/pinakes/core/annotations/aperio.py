"""The XML of Aperio ImageScope, read and written (pathomiq contract section 7).

    Annotations          MicronsPerPixel
     └─ Annotation       Name, LineColor: a layer
         ├─ Attributes
         │   └─ Attribute    Name, Value
         ├─ Regions
         │   └─ Region       Type, NegativeROA, Text
         │       └─ Vertices
         │           └─ Vertex    X, Y
         └─ Plots

HALO writes the same with `V` for `Vertex`, and words for types. ImageScope has no numbers that programs agree on for
lines and points: they are written with HALO's words. Some programs find the children of an Annotation by position, so
they are written in this order.
"""

from collections.abc import Iterator
from dataclasses import replace
from xml.sax.saxutils import quoteattr

from pinakes.core.annotations import geometry
from pinakes.core.annotations.dialect import (
    MAX_LAYER_ATTRIBUTES,
    MAX_LAYERS,
    MAX_NAME,
    Attributes,
    Counter,
    Limits,
    OnRegion,
    Vertices,
    is_xml,
    scale,
    words,
)
from pinakes.core.annotations.model import Colour, Layer, Markup, Region, Shape

ROOT = "Annotations"
REVISION = "aperio3"
"""To be counted up whenever the same annotation would give other bytes."""

_LAYER_DEPTH = 2
_ITEM_DEPTH = 4
_VERTEX_DEPTH = 6
_MAX_COLOUR_DIGITS = 20

_SHAPES = {
    "0": Shape.POLYGON,
    "1": Shape.RECTANGLE,
    "2": Shape.ELLIPSE,
    "Polygon": Shape.POLYGON,
    "Rectangle": Shape.RECTANGLE,
    "Ellipse": Shape.ELLIPSE,
    "Pin": Shape.POINTS,
}
_TYPES = {Shape.POLYGON: "0", Shape.RECTANGLE: "1", Shape.ELLIPSE: "2", Shape.LINE: "Ruler", Shape.POINTS: "Pin"}


class AperioDialect:
    """Reads it."""

    def __init__(self, on_region: OnRegion, limits: Limits) -> None:
        self.layers: list[Layer] = []
        self.microns_per_pixel: float | None = None
        self._on_region = on_region
        self._attributes: list[tuple[str, str]] = []
        self._region: Attributes | None = None
        self._vertices = Vertices()
        self._region_count = Counter(limits.regions, "regions")
        self._layer_count = Counter(MAX_LAYERS, "layers")
        self._attribute_count = Counter(MAX_LAYER_ATTRIBUTES, "attributes")

    def start(self, depth: int, tag: str, attributes: Attributes) -> None:
        if depth == _VERTEX_DEPTH and tag in ("Vertex", "V") and self._region is not None:
            self._vertices.add(attributes.get("X"), attributes.get("Y"))
        elif depth == _ITEM_DEPTH and tag == "Region" and self.layers:
            self._region_count.add()
            self._region, self._vertices = attributes, Vertices()
        elif depth == _ITEM_DEPTH and tag == "Attribute" and self.layers:
            self._attribute_count.add()
            self._attributes.append((words(attributes, "Name"), words(attributes, "Value")))
        elif depth == _LAYER_DEPTH and tag == "Annotation":
            self._layer_count.add()
            name = words(attributes, "Name", most=MAX_NAME)
            self.layers.append(Layer(name, _colour(attributes.get("LineColor"))))
        elif depth == 1:
            self.microns_per_pixel = scale(attributes.get("MicronsPerPixel"))

    def end(self, depth: int, tag: str) -> None:
        if depth == _ITEM_DEPTH and tag == "Region" and self._region is not None:
            attributes, self._region = self._region, None
            # Types beyond the first three are arrows, rulers and the like, which enclose nothing.
            shape = _SHAPES.get(attributes.get("Type", "0"), Shape.LINE)
            is_hole = attributes.get("NegativeROA") == "1"
            region = Region(shape, self._vertices.xs, self._vertices.ys, is_hole, words(attributes, "Text"))
            self._on_region(len(self.layers) - 1, region)
        elif depth == _LAYER_DEPTH and tag == "Annotation":
            self.layers[-1] = replace(self.layers[-1], attributes=tuple(self._attributes))
            self._attributes = []


def _colour(text: str | None) -> Colour | None:
    """From red + 256 green + 65536 blue, in decimal digits; None for anything else."""
    if text is None or not text.isdecimal() or not text.isascii() or len(text) > _MAX_COLOUR_DIGITS:
        return None
    value = int(text)
    return value & 0xFF, value >> 8 & 0xFF, value >> 16 & 0xFF


# -- Writing ------------------------------------------------------------------------------------------------------

_SWITCHES = (
    'ReadOnly="0" NameReadOnly="0" LineColorReadOnly="0" Incremental="0" Type="4" '
    'Visible="1" Selected="0" MarkupImagePath="" MacroName=""'
)
_HEADERS = "".join(
    f'<RegionAttributeHeader Id="{id}" Name="{name}" ColumnWidth="-1"/>'
    for id, name in ((9999, "Region"), (9997, "Length"), (9996, "Area"), (9998, "Text"))
)
BLACK: Colour = (0, 0, 0)


def write(markup: Markup) -> Iterator[bytes]:
    """The document in UTF-8, a line at a time; the same markup always gives the same bytes.

    A layer without a colour is written black. Raises ValueError for characters that XML has no place for.
    """
    micron = markup.microns_per_pixel
    scaled = "" if micron is None else f' MicronsPerPixel="{decimal(micron)}"'
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n'
    yield _line(f"<Annotations{scaled}>")
    for number, layer in enumerate(markup.layers, 1):
        yield from _layer(number, layer, micron)
    yield b"</Annotations>\n"


def decimal(value: float) -> str:
    """The shortest text that is read back as the same number."""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _layer(number: int, layer: Layer, micron: float | None) -> Iterator[bytes]:
    red, green, blue = layer.colour or BLACK
    colour = red + 256 * green + 65536 * blue
    yield _line(f'<Annotation Id="{number}" Name={quoted(layer.name)} LineColor="{colour}" {_SWITCHES}>')
    yield _line("<Attributes>")
    for position, (name, value) in enumerate(layer.attributes):
        yield _line(f'<Attribute Id="{position}" Name={quoted(name)} Value={quoted(value)}/>')
    yield _line("</Attributes>")
    yield _line(f"<Regions><RegionAttributeHeaders>{_HEADERS}</RegionAttributeHeaders>")
    for position, region in enumerate(layer.regions, 1):
        yield from _region(position, region, micron)
    yield _line("</Regions>")
    yield _line("<Plots/>")
    yield _line("</Annotation>")


def _region(number: int, region: Region, micron: float | None) -> Iterator[bytes]:
    length, area = geometry.length(region), geometry.area(region)
    # Without a scale ImageScope repeats the lengths in pixels; here nothing is said in microns that is not known.
    microns = "" if micron is None else f' LengthMicrons="{length * micron:.4f}" AreaMicrons="{area * micron**2:.4f}"'
    yield _line(
        f'<Region Id="{number}" Type="{_TYPES[region.shape]}" Zoom="1" Selected="0" ImageLocation="" ImageFocus="0" '
        f'Length="{length:.4f}" Area="{area:.4f}"{microns} Text={quoted(region.text)} '
        f'NegativeROA="{int(region.is_hole)}" InputRegionId="0" Analyze="1" DisplayId="{number}">'
    )
    yield _line("<Vertices>")
    for x, y in zip(region.xs, region.ys, strict=True):
        yield _line(f'<Vertex X="{decimal(x)}" Y="{decimal(y)}" Z="0"/>')
    yield _line("</Vertices>")
    yield _line("</Region>")


def quoted(text: str) -> str:
    """An attribute's value in its quotes; line ends and tabs survive being read. Raises ValueError."""
    if not is_xml(text):
        raise ValueError("a text holds a character that XML has no place for")
    return quoteattr(text)


def _line(text: str) -> bytes:
    return f"{text}\n".encode()
