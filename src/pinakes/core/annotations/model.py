"""What is drawn on a slide, as values: regions, in layers.

All coordinates are level-0 pixels of the whole slide: origin at the top left, x to the right, y down. They may lie
outside the slide (pathomiq contract 4.12).
"""

import enum
from array import array
from dataclasses import dataclass
from typing import TypeAlias

Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0 to 255 each."""

Numbers: TypeAlias = "array[float]"
"""Doubles, 8 bytes each: a drawing may have millions of vertices."""


class Shape(enum.StrEnum):
    """What the vertices of a region stand for."""

    POLYGON = "polygon"  # closed without being told so
    RECTANGLE = "rectangle"  # its corners, or two opposite ones
    ELLIPSE = "ellipse"  # two opposite corners of the box around it
    LINE = "line"  # open: an arrow, a ruler, and what the program that drew it alone understands
    POINTS = "points"  # one or more, each for itself


@dataclass(frozen=True, slots=True)
class Region:
    """One thing drawn. xs and ys are equally long and finite; they are not to be changed.

    is_hole: it is cut out of what its layer covers.
    """

    shape: Shape
    xs: Numbers
    ys: Numbers
    is_hole: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """Regions of one class, such as `Tissue`. attributes: names and values, in order."""

    name: str
    colour: Colour | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the slide, both ends included."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Markup:
    """Everything drawn on a slide. microns_per_pixel: the scale at level 0; None if unknown."""

    layers: tuple[Layer, ...]
    microns_per_pixel: float | None = None
