"""Outlines: unions of rectangles, contours of masks, and fewer vertices."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from pinakes.imaging.analysis import outlines
from pinakes.imaging.analysis.outlines import Outline, Ring
from pinakes.imaging.source import Rect

CELLS = st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=60)
MASKS = arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14)))


def polygon(outline: Outline) -> shapely.Polygon:
    holes = [list(zip(hole.xs, hole.ys, strict=True)) for hole in outline.holes]
    return shapely.Polygon(list(zip(outline.xs, outline.ys, strict=True)), holes)


def cells(places: set[tuple[int, int]]) -> list[Rect]:
    return [Rect(x * 7, y * 5, 7, 5) for x, y in sorted(places)]


def rings_of(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """How many pieces a mask has, and how many holes are in them; pixels touch by their sides, holes by corners too."""
    _, pieces = ndimage.label(mask)
    _, outside = ndimage.label(~np.pad(mask, 1), np.ones((3, 3)))
    return pieces, outside - 1


def test_a_hole_is_not_part_of_the_area() -> None:
    square = Outline((0, 10, 10, 0), (0, 0, 10, 10), (Ring((2, 4, 4, 2), (2, 2, 5, 5)),))
    assert square.area_px == 100 - 6


def test_rectangles_side_by_side_become_one_outline_without_needless_corners() -> None:
    assert outlines.merged([Rect(0, 0, 10, 10), Rect(10, 0, 10, 10), Rect(20, 0, 5, 10)]) == (
        Outline((0.0, 0.0, 25.0, 25.0), (0.0, 10.0, 10.0, 0.0)),
    )


def test_no_rectangles_have_no_outline() -> None:
    assert outlines.merged([]) == ()


def test_a_ring_of_rectangles_has_a_hole() -> None:
    around = [Rect(x * 7, y * 7, 7, 7) for x in range(3) for y in range(3) if (x, y) != (1, 1)]
    (found,) = outlines.merged(around)
    assert len(found.holes) == 1
    assert found.area_px == 8 * 49


@settings(deadline=None)
@given(CELLS)
def test_the_area_of_a_union_is_the_sum_of_what_does_not_overlap(places: set[tuple[int, int]]) -> None:
    found = outlines.merged(cells(places))
    assert sum(outline.area_px for outline in found) == pytest.approx(35 * len(places))
    assert all(polygon(outline).is_valid for outline in found)


@settings(deadline=None)
@given(CELLS, st.randoms())
def test_the_order_of_rectangles_does_not_matter_and_overlap_counts_once(
    places: set[tuple[int, int]], chance: st.DataObject
) -> None:
    twice = cells(places) * 2
    chance.shuffle(twice)  # type: ignore[attr-defined]
    assert outlines.merged(twice) == outlines.merged(cells(places))


@settings(deadline=None)
@given(MASKS)
def test_each_ring_of_a_mask_is_half_a_pixel_smaller_than_its_pixels(mask: NDArray[np.bool_]) -> None:
    found = outlines.of_mask(mask, 16.0, 8.0)
    pieces, holes = rings_of(mask)
    assert (len(found), sum(len(outline.holes) for outline in found)) == (pieces, holes)
    expected = np.count_nonzero(mask) - pieces / 2 + holes / 2
    assert sum(outline.area_px for outline in found) == pytest.approx(expected * 128)
    assert all(polygon(outline).is_valid for outline in found)


@settings(deadline=None)
@given(MASKS)
def test_the_outlines_of_a_mask_lie_in_the_picture_and_around_its_pixels(mask: NDArray[np.bool_]) -> None:
    found = outlines.of_mask(mask, 4.0, 2.0)
    height, width = mask.shape
    for outline in found:
        assert 0 <= min(outline.xs) < max(outline.xs) <= width * 4
        assert 0 <= min(outline.ys) < max(outline.ys) <= height * 2
    drawn = shapely.MultiPolygon([polygon(outline) for outline in found])
    rows, columns = np.indices(mask.shape)
    assert np.array_equal(shapely.contains_xy(drawn, (columns + 0.5) * 4, (rows + 0.5) * 2), mask)


def test_an_island_in_a_hole_is_an_outline_of_its_own() -> None:
    mask = np.ones((9, 9), np.bool_)
    mask[2:7, 2:7] = False
    mask[4, 4] = True
    outer, island = outlines.of_mask(mask, 1, 1)
    assert (len(outer.holes), len(island.holes)) == (1, 0)
    assert island.area_px == 0.5


def test_outlines_come_from_the_top_down_then_from_the_left() -> None:
    mask = np.zeros((9, 9), np.bool_)
    mask[1, 6] = mask[1, 2] = mask[5, 0] = mask[7, 4] = True
    places = [(min(outline.ys), min(outline.xs)) for outline in outlines.of_mask(mask, 1, 1)]
    assert places == [(1, 2), (1, 6), (5, 0), (7, 4)]
    squares = [Rect(30, 0, 5, 5), Rect(0, 20, 5, 5), Rect(10, 0, 5, 5)]
    assert [outline.xs[0] for outline in outlines.merged(squares)] == [10, 30, 0]


def test_a_simpler_outline_keeps_its_area_and_its_holes() -> None:
    y, x = np.mgrid[-60:60, -60:60]
    ring = (np.hypot(x, y) < 55) & (np.hypot(x, y) > 20)
    (fine,) = outlines.of_mask(ring, 16, 16)
    simple = fine.simplified(24)
    assert len(simple.xs) < len(fine.xs) / 2
    assert len(simple.holes) == 1
    assert simple.area_px == pytest.approx(fine.area_px, rel=0.01)
    assert polygon(simple).is_valid


@settings(deadline=None)
@given(MASKS)
def test_simplifying_never_makes_an_outline_invalid(mask: NDArray[np.bool_]) -> None:
    for outline in outlines.of_mask(mask, 16, 16):
        simple = outline.simplified(24)
        assert polygon(simple).is_valid
        assert len(simple.holes) == len(outline.holes)


def test_thousands_of_holes_take_no_time_out_of_proportion() -> None:
    """GEOS' building of areas and its topology-preserving simplification take minutes for as many."""
    mask = np.ones((300, 300), np.bool_)
    mask[1::6, 1::6] = False
    (found,) = outlines.of_mask(mask, 1, 1)
    assert len(found.simplified(1.5).holes) == len(found.holes) == 2_500
