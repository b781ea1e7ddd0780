"""Areas, lengths, and which polygon a hole lies in."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.core.annotations import geometry
from pinakes.core.annotations.model import Region, Shape
from tests.core.annotations.making import INNER, SQUARE, region, shifted

BOW_TIE = ((0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0))


@pytest.mark.parametrize(
    ("drawn", "area", "length"),
    [
        (region(SQUARE), 100, 40),
        (region([*SQUARE, SQUARE[0]]), 100, 40),  # closed by its last vertex
        (region(SQUARE[::-1]), 100, 40),
        (region([(0, 0), (4, 0), (4, 3)]), 6, 12),
        (region(BOW_TIE), 0, 2 * math.hypot(10, 10) + 20),  # both halves walked round in opposite directions
        (region([(0, 0), (10, 5)], Shape.RECTANGLE), 50, 30),
        (region([(10, 5), (0, 0)], Shape.RECTANGLE), 50, 30),
        (region(SQUARE, Shape.RECTANGLE), 100, 40),
        (region([(0, 0), (10, 10)], Shape.ELLIPSE), math.pi * 25, math.pi * 10),
        (region([(20, 0), (0, 10)], Shape.ELLIPSE), math.pi * 50, 48.442),
        (region([(0, 0), (0, 0)], Shape.ELLIPSE), 0, 0),
        (region([(0, 0), (3, 4)], Shape.LINE), 0, 5),
        (region(SQUARE, Shape.LINE), 0, 30),
        (region(SQUARE, Shape.POINTS), 0, 0),
        (region([(0, 0), (3, 4)]), 0, 10),
        (region([(1, 1)]), 0, 0),
        (region([]), 0, 0),
        (region([], Shape.RECTANGLE), 0, 0),
        (region([], Shape.ELLIPSE), 0, 0),
    ],
)
def test_area_and_length(drawn: Region, area: float, length: float) -> None:
    assert geometry.area(drawn) == pytest.approx(area)
    assert geometry.length(drawn) == pytest.approx(length, abs=1e-3)


@given(st.integers(-(10**7), 10**7), st.integers(-(10**7), 10**7), st.integers(0, 3))
def test_where_a_polygon_lies_and_where_it_begins_make_no_difference(x: int, y: int, first: int) -> None:
    points = shifted(SQUARE, x, y)
    assert geometry.area(region(points[first:] + points[:first])) == 100


def test_an_area_beyond_what_doubles_hold_is_not_finite() -> None:
    assert not math.isfinite(geometry.area(region([(0, 0), (1e300, 0), (1e300, 1e300)])))


# -- Holes --------------------------------------------------------------------------------------------------------


def test_a_hole_lies_in_the_polygon_that_encloses_it() -> None:
    far = shifted(SQUARE, 100, 0)
    hole = region(shifted(INNER, 100, 0), is_hole=True)
    assert geometry.homes([hole, region(SQUARE), region(far)]) == {2: [0]}


def test_a_hole_lies_in_the_smallest_of_several() -> None:
    around = region([(-50, -50), (50, -50), (50, 50), (-50, 50)])
    assert geometry.homes([around, region(SQUARE), region(INNER, is_hole=True)]) == {1: [2]}


def test_a_box_that_encloses_is_not_enough() -> None:
    """An L, with a hole in the corner it leaves out."""
    bent = region([(0, 0), (10, 0), (10, 2), (2, 2), (2, 10), (0, 10)])
    assert geometry.homes([bent, region(shifted(INNER, 3, 3), is_hole=True)]) == {}


def test_a_hole_lies_in_the_one_that_it_follows_rather_than_in_the_smallest() -> None:
    around = region([(-50, -50), (50, -50), (50, 50), (-50, 50)])
    assert geometry.homes([region(SQUARE), around, region(INNER, is_hole=True)]) == {1: [2]}


@pytest.mark.parametrize(
    "hole",
    [
        [(10, 5), (5, 3), (5, 7)],  # touches with its first vertex
        [(5, 0), (10, 5), (5, 10), (0, 5)],  # with each
        SQUARE,
        [(5, 0), (10, 5), (10, 10)],  # and has an edge in common
    ],
)
def test_a_hole_may_touch_the_outline_that_it_follows(hole: list[tuple[float, float]]) -> None:
    after = region(shifted(SQUARE, 30, 0))
    assert geometry.homes([region(SQUARE), region(hole, is_hole=True), after]) == {0: [1]}


def test_a_hole_whose_vertices_are_on_slanted_edges_but_for_rounding_is_within() -> None:
    diamond = [(0.0, 0.0), (1.0, 3.0), (0.0, 6.0), (-1.0, 3.0)]
    middles = [(0.5 + 1e-9, 1.5), (0.5 + 1e-9, 4.5), (-0.5 - 1e-9, 4.5), (-0.5 - 1e-9, 1.5)]
    assert geometry.homes([region(diamond), region(middles, is_hole=True)]) == {0: [1]}


def test_a_hole_that_another_region_fills_stays_where_it_is() -> None:
    around, island = region([(-50, -50), (50, -50), (50, 50), (-50, 50)]), region(SQUARE)
    hole = region(SQUARE, is_hole=True)
    for regions, home in (([around, hole, island], 0), ([island, around, hole], 1)):
        assert list(geometry.homes(regions)) == [home]
    far = region(shifted(SQUARE, 90, 0))
    assert geometry.homes([around, island, far, hole]) == {0: [3]}  # it follows neither; to fill it is not to hold it


def test_beside_an_outline_is_not_in_it() -> None:
    """An L and what fills its corner: they have edges in common."""
    bent = region([(0, 0), (10, 0), (10, 2), (2, 2), (2, 10), (0, 10)])
    assert geometry.homes([bent, region([(2, 2), (9, 2), (9, 9), (2, 9)], is_hole=True)]) == {}


def test_holes_keep_their_order() -> None:
    holes = [region(shifted(INNER, x, 0), is_hole=True) for x in (6, 0, 3)]
    assert geometry.homes([region(SQUARE), *holes]) == {0: [1, 2, 3]}


def test_lines_and_empty_regions_neither_are_nor_have_holes() -> None:
    line = region(SQUARE, Shape.LINE)
    assert geometry.homes([line, region([]), region([], is_hole=True), region(INNER, is_hole=True)]) == {}


def test_a_hole_may_lie_in_a_rectangle_or_an_ellipse_given_by_two_corners() -> None:
    corners = [(0.0, 0.0), (10.0, 10.0)]
    for shape in (Shape.RECTANGLE, Shape.ELLIPSE):
        assert geometry.homes([region(corners, shape), region(shifted(INNER, 2, 2), is_hole=True)]) == {0: [1]}


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=12), st.data())
def test_every_hole_is_found_where_it_was_put(places: list[tuple[int, int]], data: st.DataObject) -> None:
    """Squares on a grid wide enough that none touches another, each with a hole or without."""
    corners = sorted({(20 * (x // 20), 20 * (y // 20)) for x, y in places})
    squares = [(region(shifted(SQUARE, *corner)), corner) for corner in corners]
    holed = data.draw(st.lists(st.sampled_from(corners), unique=True))
    drawn = data.draw(st.permutations([*squares, *((region(shifted(INNER, *at), is_hole=True), at) for at in holed)]))
    regions = [each for each, _ in drawn]
    expected = {
        index: [hole for hole, (other, there) in enumerate(drawn) if other.is_hole and there == at]
        for index, (each, at) in enumerate(drawn)
        if not each.is_hole and at in holed
    }
    assert geometry.homes(regions) == expected


def test_finding_them_gives_up_in_time() -> None:
    """A thousand squares, one inside the other, and as many holes outside of all of them but inside their boxes."""
    diamonds = [region([(0, -n), (n, 0), (0, n), (-n, 0)]) for n in range(1000, 2000)]
    holes = [region([(900, 900), (901, 900), (901, 901)], is_hole=True)] * 1000
    with pytest.raises(geometry.TooInvolved):
        geometry.homes([*holes, *diamonds], geometry.Steps(100_000))
    assert geometry.homes([*holes[:1], *diamonds]) == {1 + diamonds.index(_first_around(diamonds, 1800)): [0]}


def _first_around(diamonds: list[Region], sum_of_coordinates: float) -> Region:
    """The smallest diamond that holds a point: those hold it whose size is beyond the sum of its coordinates."""
    return next(diamond for diamond in diamonds if diamond.xs[1] > sum_of_coordinates)
