"""Heat maps: where a score is seen, in which colour, and what is not seen (issue 5, item 7)."""

import io
import struct
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pinakes.imaging.analysis import heat
from pinakes.imaging.analysis.heat import COLOURS, NOTHING, Heat
from pinakes.imaging.analysis.requests import TILE
from pinakes.imaging.source import Rect, Size

UNIT = (0.0, 1.0)
Place = tuple[int, int, int, int]


def grid(size: Size, side: int) -> list[Place]:
    """All tiles of a slide, cut at its edges."""
    return [
        (x, y, min(side, size.width - x), min(side, size.height - y))
        for y in range(0, size.height, side)
        for x in range(0, size.width, side)
    ]


def heat_of(
    tiles: Sequence[Place], scores: dict[int, float], range: tuple[float, float] | None = UNIT, columns: int = 1
) -> Heat:
    """Of the tiles with those numbers; with more columns than one, the shown one comes last."""
    layout = heat.layout_of(b"".join(TILE.pack(*tile, 1.0) for tile in tiles))
    rows = [(number, struct.pack(f"<{columns}f", *[9.0] * (columns - 1), score)) for number, score in scores.items()]
    return heat.heat_of(layout, rows, columns=columns, column=columns - 1, range=range)


def all_of(seen: Heat, size: Size, factor: int = 1) -> NDArray[np.uint8]:
    """The whole slide, in pixels of `factor` of its own."""
    whole = Size(-(-size.width // factor), -(-size.height // factor))
    return heat.steps_of(seen, Rect(0, 0, size.width, size.height), whole)


@settings(deadline=None, max_examples=60)
@given(
    st.builds(Size, st.integers(1, 200), st.integers(1, 200)),
    st.integers(3, 64),
    st.data(),
)
def test_at_full_size_every_pixel_has_the_colour_of_the_tile_it_lies_in(
    size: Size, side: int, data: st.DataObject
) -> None:
    tiles = grid(size, side)
    kept = [tile for tile in tiles if data.draw(st.booleans())]  # those without tissue are no tiles
    chosen = data.draw(st.dictionaries(st.integers(0, len(kept) - 1), st.floats(0, 1, width=32))) if kept else {}
    wanted = np.full((size.height, size.width), NOTHING, np.uint8)
    for number, score in chosen.items():
        x, y, width, height = kept[number]
        wanted[y : y + height, x : x + width] = 1 + np.rint(score * (COLOURS - 1))
    seen = heat_of(kept, chosen)
    assert np.array_equal(all_of(seen, size), wanted)
    x, y = data.draw(st.integers(0, size.width - 1)), data.draw(st.integers(0, size.height - 1))
    rect = Rect(x, y, size.width - x, size.height - y)
    assert np.array_equal(heat.steps_of(seen, rect, Size(rect.width, rect.height)), wanted[y:, x:])


@pytest.mark.parametrize("factor", [1, 2, 4, 8, 16])
def test_a_score_colours_exactly_its_place_at_every_level_that_its_borders_lie_on(factor: int) -> None:
    size = Size(1000, 700)
    steps = all_of(heat_of(grid(size, 64), {2 * 16 + 3: 1.0}), size, factor)
    wanted = np.zeros_like(steps)
    wanted[128 // factor : 192 // factor, 192 // factor : 256 // factor] = COLOURS
    assert np.array_equal(steps, wanted)


@settings(deadline=None, max_examples=60)
@given(st.integers(17, 90), st.integers(0, 30), st.sampled_from([1, 2, 4, 8, 16]))
def test_at_every_level_a_tile_is_seen_where_it_is_to_the_nearest_pixel(side: int, number: int, factor: int) -> None:
    size = Size(600, 500)
    tiles = grid(size, side)
    x, y, width, height = tiles[number]
    rows, columns = np.nonzero(all_of(heat_of(tiles, {number: 0.5}), size, factor))
    if min(width, height) > factor:  # one that was cut at an edge may be less than a pixel
        assert abs(columns.min() * factor - x) <= factor
        assert abs((columns.max() + 1) * factor - (x + width)) <= factor
        assert abs(rows.min() * factor - y) <= factor
        assert abs((rows.max() + 1) * factor - (y + height)) <= factor


@settings(deadline=None, max_examples=40)
@given(st.sets(st.integers(0, 1023)), st.sampled_from([16, 32, 64, 128]))
def test_a_pixel_larger_than_tiles_shows_the_mean_of_what_is_scored_of_them(chosen: set[int], factor: int) -> None:
    size = Size(512, 512)
    tiles = grid(size, 16)
    scores = {number: (number % 7) / 8 for number in chosen}
    steps = all_of(heat_of(tiles, scores), size, factor)
    per = factor // 16
    for (row, column), step in np.ndenumerate(steps):
        within = [
            round(scores[number] * 254)
            for number in chosen
            if (number // 32) // per == row and (number % 32) // per == column
        ]
        if not within:
            assert step == NOTHING
        else:
            assert abs(int(step) - 1 - sum(within) / len(within)) <= 0.5


def test_tiles_count_where_their_middles_lie_and_means_are_to_the_nearest_colour() -> None:
    size = Size(70, 10)
    seen = heat_of(grid(size, 30), {0: 0.0, 1: 1.0, 2: 4 / 254})
    assert heat.steps_of(seen, Rect(0, 0, 70, 10), Size(2, 1)).tolist() == [[1, 1 + (254 + 4) // 2]]
    assert heat.steps_of(seen, Rect(0, 0, 70, 10), Size(1, 1)).tolist() == [[1 + 86]]
    halves = heat_of(grid(size, 30), {0: 0.0, 1: 1 / 254, 2: 4 / 254})
    assert heat.steps_of(halves, Rect(0, 0, 70, 10), Size(1, 1)).tolist() == [[1 + 2]], "5 / 3"


def test_one_hot_tile_of_thousands_is_still_seen_in_one_pixel() -> None:
    size = Size(12_800, 12_800)
    steps = all_of(heat_of(grid(size, 128), {4_242: 1.0}), size, 12_800)
    assert steps.tolist() == [[COLOURS]]


def test_cutting_a_picture_into_parts_changes_nothing() -> None:
    size = Size(1024, 768)
    rng = np.random.default_rng(3)
    seen = heat_of(grid(size, 37), {int(number): float(rng.random()) for number in rng.permutation(500)[:300]})
    for factor, side in ((1, 128), (4, 32), (32, 8), (64, 4)):
        whole = all_of(seen, size, factor)
        assert whole.any()
        for top in range(0, whole.shape[0], side):
            for left in range(0, whole.shape[1], side):
                rect = Rect(left * factor, top * factor, side * factor, side * factor)
                part = heat.steps_of(seen, rect, Size(side, side))
                assert np.array_equal(part, whole[top : top + side, left : left + side])


def test_scores_run_from_the_first_colour_to_the_last_and_no_further() -> None:
    size = Size(50, 10)
    seen = heat_of(grid(size, 10), dict(enumerate([-5.0, 2.0, 3.0, 4.0, 1e30])), (2.0, 4.0))
    assert all_of(seen, size, 10).tolist() == [[1, 1, 128, COLOURS, COLOURS]]
    assert seen.range == (2.0, 4.0)


def test_without_a_range_it_is_that_of_the_scores_so_far() -> None:
    size = Size(30, 10)
    seen = heat_of(grid(size, 10), {0: -1.0, 2: 3.0}, None)
    assert (seen.range, seen.scored) == ((-1.0, 3.0), 2)
    assert all_of(seen, size, 10).tolist() == [[1, NOTHING, COLOURS]]
    assert heat_of(grid(size, 10), {}, None).range is None
    alike = heat_of(grid(size, 10), {0: 7.0, 1: 7.0}, None)
    assert all_of(alike, size, 10).tolist() == [[1, 1, NOTHING]]


def test_of_many_columns_one_is_shown() -> None:
    size = Size(20, 10)
    assert all_of(heat_of(grid(size, 10), {1: 1.0}, columns=3), size, 10).tolist() == [[NOTHING, COLOURS]]


def test_a_slide_without_tiles_is_transparent() -> None:
    size = Size(100, 80)
    for factor in (1, 3, 100):
        assert not all_of(heat_of([], {}), size, factor).any()


def test_the_picture_has_the_colours_and_is_transparent_where_nothing_is_scored() -> None:
    size = Size(256, 1)
    steps = np.arange(256, dtype=np.uint8).reshape(1, 256)
    drawn = np.asarray(Image.open(io.BytesIO(heat.png(steps))).convert("RGBA"))
    assert drawn.shape == (size.height, size.width, 4)
    assert drawn[0, :, 3].tolist() == [0] + [255] * 255
    assert [tuple(pixel) for pixel in drawn[0, 1:, :3].tolist()] == heat.palette()[1:]
    assert heat.palette()[1] == heat.ANCHORS[0]
    assert heat.palette()[-1] == heat.ANCHORS[-1]


def test_higher_scores_are_lighter_colours() -> None:
    lightness = [_lightness(colour) for colour in heat.palette()[1:]]
    assert all(later >= earlier for earlier, later in pairwise(lightness))
    steps = np.diff(lightness[::16])
    assert steps.max() < 1.5 * steps.min(), "it rises evenly"


def _lightness(colour: tuple[int, int, int]) -> float:
    """L* of CIELAB, 0 to 100 (CIE 15)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in np.divide(colour, 255)]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


def test_the_same_scores_give_the_same_bytes_in_whatever_order_they_came() -> None:
    size = Size(640, 480)
    tiles = grid(size, 20)
    scores = {number: number / 1000 for number in range(600)}
    backwards = dict(reversed(scores.items()))
    pictures = [heat.png(all_of(heat_of(tiles, each, None), size, 7)) for each in (scores, backwards)]
    assert pictures[0] == pictures[1]


def test_importing_it_loads_no_numpy() -> None:
    code = "import sys, pinakes.imaging.analysis.heat, pinakes.core.analysis.heat; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
