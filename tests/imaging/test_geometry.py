"""Whole-number arithmetic of rectangles, levels and tiles, on any sizes there may be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.imaging import geometry
from pinakes.imaging.photographs import orient
from pinakes.imaging.source import DEFAULT_LIMITS, Level, LimitExceeded, Limits, Rect, Size, Unreadable

sides = st.integers(1, 100_000)
sizes = st.builds(Size, sides, sides)
small_sizes = st.builds(Size, st.integers(1, 40), st.integers(1, 40))


@st.composite
def parts(draw: st.DrawFn, size: Size) -> Rect:
    x, y = draw(st.integers(0, size.width - 1)), draw(st.integers(0, size.height - 1))
    return Rect(x, y, draw(st.integers(1, size.width - x)), draw(st.integers(1, size.height - y)))


@given(size=sizes, longest=st.integers(1, 4096))
def test_what_fits_keeps_its_shape_and_never_grows(size: Size, longest: int) -> None:
    fitted = geometry.fit(size, longest)
    assert max(fitted.width, fitted.height) == min(longest, max(size.width, size.height))
    assert abs(fitted.width * size.height - fitted.height * size.width) <= max(size.width, size.height)


@given(size=small_sizes, rect=st.builds(Rect, *[st.integers(-50, 50)] * 2, *[st.integers(1, 60)] * 2))
def test_clamping_keeps_exactly_the_pixels_that_are_there(size: Size, rect: Rect) -> None:
    drawn = np.zeros((160, 160), bool)
    drawn[50 : 50 + size.height, 50 : 50 + size.width] = True
    drawn[: 50 + rect.y] = drawn[50 + rect.y + rect.height :] = False
    drawn[:, : 50 + rect.x] = drawn[:, 50 + rect.x + rect.width :] = False
    clamped = geometry.clamp(rect, size)
    again = np.zeros_like(drawn)
    if clamped is not None:
        again[50 + clamped.y : 50 + clamped.y + clamped.height, 50 + clamped.x : 50 + clamped.x + clamped.width] = True
    assert (drawn == again).all()


@given(size=small_sizes, tile=st.builds(Size, st.integers(1, 50), st.integers(1, 50)))
def test_tiles_cover_every_pixel_once(size: Size, tile: Size) -> None:
    covered = np.zeros((size.height, size.width), int)
    grid = geometry.tile_grid(size, tile)
    for row in range(grid.height):
        for column in range(grid.width):
            rect = geometry.tile_rect(size, tile, column, row)
            assert rect.width <= tile.width
            assert rect.height <= tile.height
            covered[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize(("column", "row"), [(-1, 0), (0, -1), (2, 0), (0, 2)])
def test_a_tile_outside_is_an_error(column: int, row: int) -> None:
    with pytest.raises(IndexError):
        geometry.tile_rect(Size(20, 20), Size(16, 16), column, row)


@given(data=st.data(), full=sizes, stored=sizes)
def test_a_part_of_a_picture_is_a_part_of_each_level(data: st.DataObject, full: Size, stored: Size) -> None:
    rect = data.draw(parts(full))
    placed = geometry.level_rect(rect, full, stored)
    assert geometry.clamp(placed, stored) == placed
    assert abs(placed.x - rect.x * stored.width / full.width) <= 1.5
    assert abs(placed.width - rect.width * stored.width / full.width) <= 2


@given(full=st.integers(2, 100_000), by=st.sampled_from([2, 4, 8, 16]), data=st.data())
def test_tiles_of_a_halved_level_lie_where_they_were_cut(full: int, by: int, data: st.DataObject) -> None:
    stored = Size(-(-full // by), 1)
    column = data.draw(st.integers(0, (stored.width - 1) // 256))
    tile = geometry.tile_rect(stored, Size(256, 1), column, 0)
    right = min((tile.x + tile.width) * by, full)
    placed = geometry.level_rect(Rect(tile.x * by, 0, right - tile.x * by, 1), Size(full, 1), stored)
    assert (placed.x, placed.width) == (tile.x, tile.width)


@given(data=st.data(), stored=small_sizes, orientation=st.integers(1, 8))
def test_what_is_cut_before_turning_is_what_is_cut_after(data: st.DataObject, stored: Size, orientation: int) -> None:
    pixels = np.arange(stored.width * stored.height * 3).reshape(stored.height, stored.width, 3).astype(np.uint8)
    upright = orient(pixels, orientation)
    size = geometry.oriented_size(stored, orientation)
    assert upright.shape[:2] == (size.height, size.width)
    rect = data.draw(parts(size))
    within = geometry.stored_rect(rect, size, orientation)
    cut = pixels[within.y : within.y + within.height, within.x : within.x + within.width]
    assert (orient(cut, orientation) == upright[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]).all()


@pytest.mark.parametrize(("wanted", "chosen"), [(2000, 0), (1001, 0), (1000, 0), (510, 0), (500, 1), (499, 1), (10, 2)])
def test_the_smallest_level_that_need_not_be_enlarged_is_read(wanted: int, chosen: int) -> None:
    levels = [Level(Size(1000 // by, 1000 // by), float(by)) for by in (1, 2, 4)]
    assert geometry.choose_level(levels, Rect(0, 0, 1000, 1000), Size(wanted, wanted)) == chosen


def test_a_level_that_is_a_pixel_short_of_a_quarter_is_a_quarter() -> None:
    levels = [Level(Size(4003, 4003), 1.0), Level(Size(1000, 1000), 4.003)]
    assert geometry.choose_level(levels, Rect(0, 0, 2048, 2048), Size(512, 512)) == 1


@pytest.mark.parametrize(
    ("wanted", "most", "chosen"), [(600, 8, 1), (501, 8, 2), (400, 8, 2), (250, 8, 4), (9, 8, 8), (9, 2, 2), (9, 1, 1)]
)
def test_a_level_is_shrunk_as_far_as_it_need_not_be_enlarged(wanted: int, most: int, chosen: int) -> None:
    level = Level(Size(1000, 1000), 1.0)
    assert geometry.choose_shrink(level, Rect(0, 0, 1000, 1000), Size(wanted, wanted), most) == chosen


@pytest.mark.parametrize("rect", [Rect(-1, 0, 5, 5), Rect(0, 0, 11, 5), Rect(10, 0, 1, 1), Rect(0, 0, 0, 5)])
def test_a_region_outside_is_refused(rect: Rect) -> None:
    with pytest.raises(Unreadable):
        geometry.check_region(rect, Size(1, 1), Size(10, 10), DEFAULT_LIMITS)


def test_more_pixels_than_allowed_are_refused() -> None:
    limits = Limits(output_pixels=100)
    geometry.check_region(Rect(0, 0, 10, 10), Size(10, 10), Size(10, 10), limits)
    with pytest.raises(LimitExceeded):
        geometry.check_region(Rect(0, 0, 10, 10), Size(10, 11), Size(10, 10), limits)
    with pytest.raises(Unreadable):
        geometry.check_region(Rect(0, 0, 10, 10), Size(10, 0), Size(10, 10), limits)
