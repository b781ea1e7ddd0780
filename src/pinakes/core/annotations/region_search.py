"""What of an annotation is to be seen in a box, at a zoom: as much of it as can be seen, and no more.

    zoom        0 is full size; at n one pixel of the screen is 2^n level-0 pixels
    smallest    regions whose longer side is less are not outlined: two pixels of the screen; nothing at zoom 0; twice,
                four times as much and so on while more than MOST_REGIONS would be
    unit        positions are whole multiples of it, a quarter of a pixel of the screen; twice as much and so on while
                there would be more than MOST_VERTICES
    points      what is too small, each by its middle, if there is room for all of it
    clusters    else counted, class by class, in square cells

So nothing in the box is left out: it is outlined, a point, or counted. All is done by arrays, nothing vertex by vertex.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pinakes.core.annotations.model import Box
from pinakes.core.annotations.region_index import FARTHEST, LINE, OUTLINE, POINTS, Ints, RegionIndex, ranges

MOST_REGIONS: Final = 5_000
MOST_VERTICES: Final = 100_000
_MOST_READ: Final = 2_000_000
"""Vertices looked at; of long outlines, some are left out while there would be more."""
_MOST_CELLS: Final = 4_096
_MOST_COUNTERS: Final = 262_144
_CELL_PIXELS: Final = 32
_UNITS_PER_PIXEL: Final = 4
_SMALLEST_PIXELS: Final = 2


@dataclass(frozen=True, slots=True)
class Drawn:
    """Regions with their outlines.

    regions: their numbers.   shapes: OUTLINE, LINE or POINTS, of what is left at this zoom.
    first_ring: of each region, and one more.   ring_start: of each ring in `points`, and one more.
    points: (n, 2) in units; rings are not closed. The first ring of a region is its outline.
    """

    regions: Ints
    shapes: NDArray[np.uint8]
    first_ring: Ints
    ring_start: Ints
    points: Ints


@dataclass(frozen=True, slots=True)
class Clusters:
    """Regions counted in cells. layers: of which class.   points: the middle of their middles, in units.   side: of a
    cell, in level-0 pixels."""

    layers: Ints
    counts: Ints
    points: Ints
    side: float


@dataclass(frozen=True, slots=True)
class Found:
    """What is in a box. unit, smallest: in level-0 pixels.   small, small_points: regions that are points here."""

    index: RegionIndex
    box: Box
    unit: float
    smallest: float
    drawn: Drawn
    small: Ints
    small_points: Ints
    clusters: Clusters


def search(index: RegionIndex, box: Box, zoom: int) -> Found:
    """zoom: 0 to region_files.MOST_ZOOM."""
    pixel = 2.0**zoom
    box = Box(*(min(max(end, -FARTHEST), FARTHEST) for end in (box.left, box.top, box.right, box.bottom)))
    hits = np.flatnonzero(
        (index.right >= box.left) & (index.left <= box.right) & (index.bottom >= box.top) & (index.top <= box.bottom)
    )
    sides = _of(index.side, hits)
    smallest = _SMALLEST_PIXELS * pixel if zoom else 0.0
    while np.count_nonzero(sides >= smallest) > MOST_REGIONS:
        smallest = max(1.0, smallest * 2)
    is_drawn = sides >= smallest
    drawn, unit = _drawn(index, hits[is_drawn], pixel / _UNITS_PER_PIXEL)
    small = hits[~is_drawn]
    is_little = len(hits) <= MOST_REGIONS
    points, counted = (small, small[:0]) if is_little else (small[:0], small)
    middles = np.stack([index.x[points], index.y[points]], axis=1)
    clusters = _clustered(index, counted, pixel, unit)
    return Found(index, box, unit, smallest, drawn, points, _units(middles, unit), clusters)


# -- Outlines -----------------------------------------------------------------------------------------------------


def _drawn(index: RegionIndex, regions: Ints, unit: float) -> tuple[Drawn, float]:
    """The regions with as much of their outlines as can be seen, and the unit that they are told in."""
    firsts = index.first_ring[regions].astype(np.int64)
    ring_counts = index.first_ring[regions + 1] - firsts
    rings = ranges(firsts, ring_counts)
    vertices, ring_start = _vertices(index, rings)
    shapes = index.shape[regions]
    while True:
        drawn = _simplified(regions, shapes, ring_counts, ring_start, _units(vertices, unit))
        if len(drawn.points) <= MOST_VERTICES:
            return drawn, unit
        unit *= 2


def _vertices(index: RegionIndex, rings: Ints) -> tuple[NDArray[np.float32], Ints]:
    """The vertices of the rings, and where each ring's begin."""
    lengths = index.ring_length[rings].astype(np.int64)
    step = max(1, -(-int(lengths.sum()) // _MOST_READ))
    steps = np.where(lengths > step * 64, step, 1)
    lengths = -(-lengths // steps)
    picked = ranges(index.ring_start[rings].astype(np.int64), lengths, steps)
    return index.vertices[picked], _starts(lengths)


def _simplified(regions: Ints, shapes: NDArray[np.uint8], ring_counts: Ints, ring_start: Ints, points: Ints) -> Drawn:
    """Without vertices that fall on the one before them, without holes that vanish; what encloses nothing is a line."""
    starts, ends = ring_start[:-1], ring_start[1:]
    keeps = np.ones(len(points), bool)
    keeps[1:] = (points[1:] != points[:-1]).any(axis=1)
    keeps[starts] = True
    of_region = np.repeat(np.arange(len(regions)), ring_counts)
    is_outline = shapes[of_region] == OUTLINE
    kept = np.flatnonzero(keeps)
    last = kept[np.searchsorted(kept, ends) - 1]
    closes = is_outline & (last > starts) & (points[last] == points[starts]).all(axis=1)
    keeps[last[closes]] = False
    points, lengths = points[keeps], _sums(keeps, starts)
    ring_start = _starts(lengths)
    is_flat = is_outline & (_doubled_areas(points, ring_start) == 0)
    is_first = np.zeros(len(lengths), bool)
    is_first[_starts(ring_counts)[:-1]] = True
    stays = is_first | ~is_flat
    shapes = shapes.copy()
    flat = of_region[is_first & is_flat]
    shapes[flat] = LINE
    # With an outline that is flat go its holes: there is nothing to cut them out of.
    stays &= is_first | (shapes[of_region] != LINE)
    first_lengths = lengths[is_first]
    shapes[first_lengths == 1] = POINTS
    points = points[np.repeat(stays, lengths)]
    counts = _sums(stays, _starts(ring_counts)[:-1])
    return Drawn(regions, shapes, _starts(counts), _starts(lengths[stays]), points)


def _doubled_areas(points: Ints, ring_start: Ints) -> Ints:
    return np.abs(signed_doubled_areas(points, ring_start))


def signed_doubled_areas(points: Ints, ring_start: Ints) -> Ints:
    """Of each ring, by the surveyor's formula; positive where it runs clockwise on the screen."""
    starts, lengths = ring_start[:-1], np.diff(ring_start)
    if not len(lengths):
        return np.zeros(0, np.int64)
    following = np.arange(1, len(points) + 1)
    following[ring_start[1:] - 1] = starts
    local = points - np.repeat(points[starts], lengths, axis=0)
    after = local[following]
    crossed = local[:, 0] * after[:, 1] - after[:, 0] * local[:, 1]
    areas: Ints = np.add.reduceat(crossed, starts)
    return areas


# -- What is too small --------------------------------------------------------------------------------------------


def _clustered(index: RegionIndex, regions: Ints, pixel: float, unit: float) -> Clusters:
    """Count the regions, class by class, in cells whose corners are multiples of their side."""
    layer_count = len(index.layers)
    side = pixel * _CELL_PIXELS
    if not len(regions):
        nothing = np.zeros(0, np.int64)
        return Clusters(nothing, nothing, np.zeros((0, 2), np.int64), side)
    x, y = _of(index.x, regions), _of(index.y, regions)
    while True:
        first_column, columns = _cells(x, side)
        first_row, rows = _cells(y, side)
        if columns * rows <= min(_MOST_CELLS, _MOST_COUNTERS // layer_count):
            break
        side *= 2
    # A side is a power of two: float32 divides by it exactly.
    column = np.floor(x * np.float32(1 / side)).astype(np.int32) - first_column
    row = np.floor(y * np.float32(1 / side)).astype(np.int32) - first_row
    keys = (_of(index.layer, regions).astype(np.int32) * rows + row) * columns + column
    size = layer_count * rows * columns
    counts = np.bincount(keys, minlength=size)
    found = np.flatnonzero(counts)
    means = [np.bincount(keys, weights=axis, minlength=size)[found] / counts[found] for axis in (x, y)]
    return Clusters(found // (rows * columns), counts[found], _units(np.stack(means, axis=1), unit), side)


def _cells(along: NDArray[np.float32], side: float) -> tuple[int, int]:
    """The first cell of a side that anything is in, and how many there are up to the last."""
    first, last = (int(np.floor(float(end) / side)) for end in (along.min(), along.max()))
    return first, last - first + 1


# -- Arithmetic ---------------------------------------------------------------------------------------------------


def _of(values: NDArray[Any], regions: Ints) -> NDArray[Any]:
    """The values of some regions, ascending; of all without copying them."""
    return values if len(regions) == len(values) else values[regions]


def _units(points: NDArray[Any], unit: float) -> Ints:
    scaled = np.rint(points * (1 / unit))  # a power of two: exact
    units: Ints = scaled.astype(np.int64)
    return units


def _starts(lengths: NDArray[Any]) -> Ints:
    """Where ranges of these lengths begin, and where the last one ends."""
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def _sums(values: NDArray[np.bool_], starts: Ints) -> Ints:
    if not len(starts):
        return np.zeros(0, np.int64)
    sums: Ints = np.add.reduceat(values.astype(np.int64), starts)
    return sums
