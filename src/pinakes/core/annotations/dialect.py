"""What the formats share: limits and texts; of the dialects of XML, how they are told of elements."""

import math
import re
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from pinakes.core.annotations.model import Layer, Numbers, Region

MAX_LAYERS = 1_000
MAX_LAYER_ATTRIBUTES = 10_000
MAX_NAME = 255
MAX_TEXT = 16 * 1024
FIELD: Final = "annotation"
"""What `InvalidFields` calls a document."""

FARTHEST: Final = 1e15
"""Coordinates beyond it are refused: far outside of any slide, and what is computed of those within stays finite."""

_MAX_NUMBER = 64
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PIECE_BYTES = 64 * 1024

STANDARD_BYTES: Final = 64 * 1024 * 1024
"""The largest file taken unless something else is set (pathomiq contract 4.12)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may hold at most.

    regions: each takes some 500 bytes where all are in memory.   elements: of XML, or positions of GeoJSON.
    """

    regions: int = 250_000
    elements: int = 3_000_000

    @classmethod
    def of(cls, max_bytes: int) -> "Limits":
        """Those of files of so many bytes: as for 64 MiB, and in proportion more where more is taken."""
        scale = max(1.0, max_bytes / STANDARD_BYTES)
        return cls(round(cls().regions * scale), round(cls().elements * scale))


ADMITTED: Final = Limits(sys.maxsize, sys.maxsize)
"""For what was within the limits when it was taken."""

Attributes = Mapping[str, str]

OnRegion = Callable[[int, Region], object]
"""Told of each region when it is complete, with the position of its layer in the dialect's `layers`."""


class Malformed(Exception):
    """The document is not what it should be; the message says what is wrong, the reader where."""


class Drawing(Protocol):
    """What is known of a document beside its regions. layers: those met so far, without them."""

    layers: list[Layer]
    microns_per_pixel: float | None


class Dialect(Drawing, Protocol):
    """One dialect of XML. It is told of every element below the root; what it does not know it passes over."""

    def start(self, depth: int, tag: str, attributes: Attributes) -> None:
        """An element begins; the root has depth 1. Raises Malformed."""

    def end(self, depth: int, tag: str) -> None:
        """An element ends. Raises Malformed."""


class Vertices:
    """The vertices of the region being read."""

    def __init__(self) -> None:
        self.xs: Numbers = array("d")
        self.ys: Numbers = array("d")

    def add(self, x: str | None, y: str | None) -> None:
        self.xs.append(number(x, "X"))
        self.ys.append(number(y, "Y"))


class Counter:
    """Counts what a document may only have so many of."""

    def __init__(self, most: int, what: str) -> None:
        self._count = 0
        self._most = most
        self._what = what

    def add(self) -> None:
        self._count += 1
        if self._count > self._most:
            raise Malformed(f"there are more than {self._most} {self._what}")


def number(text: str | None, name: str) -> float:
    """A decimal number, at most FARTHEST. Raises Malformed."""
    if text is None:
        raise Malformed(f"the coordinate {name} is missing")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # float() also reads underscores, digits of every alphabet, and numbers of any length.
    if not math.isfinite(value) or len(text) > _MAX_NUMBER or "_" in text or not text.isascii():
        raise Malformed(f"the coordinate {name} is not a finite number")
    if abs(value) > FARTHEST:
        raise Malformed(f"the coordinate {name} is farther away than any slide is wide")
    return value


def scale(text: str | None) -> float | None:
    """A positive number, or None for anything else: a scale that cannot be read is one that is not known."""
    try:
        value = number(text, "")
    except Malformed:
        return None
    return value if value > 0 else None


def words(attributes: Attributes, name: str, *, most: int = MAX_TEXT) -> str:
    """A text attribute, empty if it is absent. Raises Malformed if it is too long to be kept."""
    return bounded(attributes.get(name, ""), name, most=most)


def bounded(text: str, name: str, *, most: int = MAX_TEXT) -> str:
    """The text. Raises Malformed if it is too long to be kept."""
    if len(text) > most:
        raise Malformed(f"{name} is longer than {most} characters")
    return text


def is_xml(text: str) -> bool:
    """Whether XML has a place for all of its characters (production [2] of XML 1.0)."""
    return _NOT_XML.search(text) is None


def gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of about 64 KiB."""
    piece = bytearray()
    for part in parts:
        piece += part
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece = bytearray()
    yield bytes(piece)
