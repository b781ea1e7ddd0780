"""What the dialects of annotation XML share: how they are told of elements, and how they read attributes."""

import math
from array import array
from collections.abc import Callable, Mapping
from typing import Protocol

from pinakes.core.annotations.model import Layer, Numbers, Region

MAX_LAYERS = 1_000
MAX_REGIONS = 250_000
MAX_LAYER_ATTRIBUTES = 10_000
MAX_NAME = 255
MAX_TEXT = 16 * 1024
_MAX_NUMBER = 64

Attributes = Mapping[str, str]

OnRegion = Callable[[int, Region], object]
"""Told of each region when it is complete, with the position of its layer in the dialect's `layers`."""


class Malformed(Exception):
    """The document is not what it should be; the message says what is wrong, the reader where."""


class Dialect(Protocol):
    """One dialect. It is told of every element below the root; what it does not know it passes over.

    layers: those met so far, without their regions.
    """

    layers: list[Layer]
    microns_per_pixel: float | None

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
    """A finite decimal number. Raises Malformed."""
    if text is None:
        raise Malformed(f"the coordinate {name} is missing")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # float() also reads underscores, digits of every alphabet, and numbers of any length.
    if not math.isfinite(value) or len(text) > _MAX_NUMBER or "_" in text or not text.isascii():
        raise Malformed(f"the coordinate {name} is not a finite number")
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
    text = attributes.get(name, "")
    if len(text) > most:
        raise Malformed(f"{name} is longer than {most} characters")
    return text
