"""Annotations in any of the formats, read as they come; which format it is, the first bytes tell.

Nothing is kept but what is at hand: an element of XML, a feature of GeoJSON. What a file may hold is bounded.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from pinakes.core.annotations.dialect import Drawing, Limits, OnRegion
from pinakes.core.annotations.formats import ALL_FORMATS, Format
from pinakes.core.annotations.geojson_reading import GeoJsonReader
from pinakes.core.annotations.model import Layer, Markup, Region
from pinakes.core.annotations.xml_reading import XmlReader

_JSON: Final = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*([^ \t\r\n])", re.DOTALL)
_BOM: Final = b"\xef\xbb\xbf"
_MOST_SPACE: Final = 64 * 1024


class Reader:
    """`feed` it a document in pieces of any size, then `close` it. Both raise InvalidFields, which says where.

    on_region: told of each region as it ends, with the position of its layer.
    formats: those that are taken.   After an exception the reader is of no more use.
    """

    def __init__(
        self, on_region: OnRegion, limits: Limits | None = None, formats: Collection[Format] = ALL_FORMATS
    ) -> None:
        self._on_region = on_region
        self._limits = limits or Limits()
        self._takes_json = Format.GEOJSON in formats
        self._begun = bytearray()
        self._reader: XmlReader | GeoJsonReader | None = None

    @property
    def format(self) -> Format | None:
        """What it is; None while that is not known yet."""
        return self._reader.format if self._reader is not None else None

    def feed(self, piece: bytes | bytearray) -> None:
        """Take the next piece."""
        if self._reader is not None:
            self._reader.feed(piece)
            return
        self._begun += piece
        if len(self._begun) < len(_BOM) and _BOM.startswith(self._begun):
            return  # whether it is one, the next piece will tell
        begin = _JSON.match(self._begun)
        if begin is not None or len(self._begun) > _MOST_SPACE:
            self._choose(begin[1] if begin else b"")

    def close(self) -> Drawing:
        """What was read, with its layers."""
        if self._reader is None:
            self._choose(b"")
        assert self._reader is not None
        return self._reader.close()

    def _choose(self, begin: bytes) -> None:
        """What is no JSON is XML, in whatever encoding, or no annotation at all."""
        is_json = self._takes_json and begin in (b"{", b"[")
        self._reader = (GeoJsonReader if is_json else XmlReader)(self._on_region, self._limits)
        begun, self._begun = self._begun, bytearray()
        self._reader.feed(begun)


def read(pieces: Iterable[bytes], limits: Limits | None = None) -> Markup:
    """A whole document in memory, some 16 bytes a vertex and 500 a region. Raises InvalidFields."""
    regions: dict[int, list[Region]] = {}
    reader = Reader(lambda position, region: regions.setdefault(position, []).append(region), limits)
    for piece in pieces:
        reader.feed(piece)
    drawing = reader.close()
    layers = (_with_regions(layer, regions.get(position, [])) for position, layer in enumerate(drawing.layers))
    return Markup(tuple(layers), drawing.microns_per_pixel)


def format_of(pieces: Iterable[bytes]) -> Format | None:
    """Which format a document is in, one that was admitted. No more of it is read than that takes."""
    reader = Reader(_ignore)
    for piece in pieces:
        reader.feed(piece)
        if reader.format is not None:
            return reader.format
    reader.close()
    return reader.format


def _ignore(layer: int, region: Region) -> None:
    """For a reader that wants nothing."""


def _with_regions(layer: Layer, regions: list[Region]) -> Layer:
    return replace(layer, regions=tuple(regions))
