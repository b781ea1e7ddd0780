"""Outlines of areas: rings with holes, made of masks and of rectangles.

All coordinates are level-0 pixels of the whole picture, x to the right, y down. The geometry is shapely's, and the
contours are scikit-image's; what is here fixes an order, so that the same input always gives the same numbers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import find_contours

from pinakes.imaging.source import Rect, Size

Numbers: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Ring:
    """A closed line; its last vertex is followed by its first. xs and ys are equally long, at least 3."""

    xs: Numbers
    ys: Numbers


@dataclass(frozen=True, slots=True)
class Outline:
    """One area without gaps: a ring, which is not closed explicitly, and the holes in it."""

    xs: Numbers
    ys: Numbers
    holes: tuple[Ring, ...] = ()

    @property
    def area_px(self) -> float:
        """Level-0 pixels within the ring and outside of the holes. Of a ring that crosses itself: undefined."""
        return float(_polygon(self).area)

    def simplified(self, tolerance_px: float) -> "Outline":
        """The same with fewer vertices: those whose triangle with both neighbours has less area than about
        `tolerance_px` squared are left out, as long as no line then crosses another; holes stay.

        Two outlines that touch may overlap a little afterwards.
        """
        # of all of shapely's ways the one whose time is in proportion with the number of holes
        return _outlines(shapely.coverage_simplify([_polygon(self)], tolerance_px)[0])[0]


def merged(rects: Iterable[Rect]) -> tuple[Outline, ...]:
    """The union of rectangles, which may touch and overlap; from the top down, then from the left.

    Rectangles that touch in a corner only stay apart.
    """
    sides = [(rect.x, rect.y, rect.x + rect.width, rect.y + rect.height) for rect in rects]
    if not sides:
        return ()
    left, top, right, bottom = np.array(sides, np.float64).T
    return _outlines(shapely.union_all(shapely.box(left, top, right, bottom)))


def of_mask(
    mask: NDArray[np.bool_], scale_x: float, scale_y: float, *, within: Size | None = None
) -> tuple[Outline, ...]:
    """The outlines of what is True, from the top down, then from the left; pixels that touch by a corner are apart.

    scale_x, scale_y: level-0 pixels per pixel of the mask.   within: cut off at that size, which the mask may exceed.

    A line runs half way between the centre of a pixel that is inside and of one that is not, so each outer ring is
    half a pixel of the mask smaller than its pixels, and each hole as much: corners are cut.
    """
    framed = np.pad(mask, 1)  # what reaches the edge is closed there
    labels, count = ndimage.label(framed)
    rings: list[list[shapely.LinearRing]] = [[] for _ in range(count)]
    for contour in find_contours(framed.astype(np.float32), 0.5, fully_connected="low"):
        y, x = contour[0]  # between two pixels, one of which is inside: its label tells whose ring it is
        label = max(labels[floor(y), floor(x)], labels[ceil(y), ceil(x)])
        ys, xs = contour.T - 0.5  # the centre of a pixel lies half a pixel within it, and the frame is one pixel wide
        rings[label - 1].append(shapely.LinearRing(np.column_stack([xs * scale_x, ys * scale_y])))
    areas = np.array([_nested(of_one) for of_one in rings], dtype=object)
    if within is not None and (mask.shape[1] * scale_x > within.width or mask.shape[0] * scale_y > within.height):
        areas = shapely.intersection(areas, shapely.box(0, 0, within.width, within.height))
    return _outlines(areas)


def _nested(rings: list[shapely.LinearRing]) -> shapely.Polygon:
    """The polygon of the rings of one connected area: the outer one is the largest."""
    outer, *holes = sorted(rings, key=lambda ring: shapely.Polygon(ring).area, reverse=True)
    return shapely.Polygon(outer, holes)


def _polygon(outline: Outline) -> shapely.Polygon:
    holes = [_corners(hole.xs, hole.ys) for hole in outline.holes]
    return shapely.Polygon(_corners(outline.xs, outline.ys), holes)


def _corners(xs: Sequence[float], ys: Sequence[float]) -> NDArray[np.float64]:
    return np.column_stack([xs, ys]).astype(np.float64)


def _outlines(areas: "shapely.Geometry | NDArray[np.object_]") -> tuple[Outline, ...]:
    """The polygons of areas, without vertices on straight lines, in a fixed order."""
    parts = shapely.get_parts(shapely.normalize(areas))
    plain = shapely.simplify(parts, 0, preserve_topology=False)  # nothing moves, so nothing can cross
    found = [_outline(part) for part in plain if part.geom_type == "Polygon" and not part.is_empty]
    return tuple(sorted(found, key=lambda outline: (min(outline.ys), min(outline.xs), outline.ys, outline.xs)))


def _outline(polygon: shapely.Polygon) -> Outline:
    outer = _ring(polygon.exterior)
    return Outline(outer.xs, outer.ys, tuple(_ring(hole) for hole in polygon.interiors))


def _ring(line: shapely.LinearRing) -> Ring:
    xs, ys = shapely.get_coordinates(line)[:-1].T
    return Ring(tuple(xs.tolist()), tuple(ys.tolist()))
