"""Tiles: a regular grid, cut at the edges, of which those with tissue are kept (pathomiq contract 8.3)."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinakes.imaging.analysis import tiling
from pinakes.imaging.analysis.tiling import Tile, TilingOptions, read, tile_size, tiles_of, total
from pinakes.imaging.analysis.tissue import Tissue
from pinakes.imaging.source import LimitExceeded, Size
from tests.imaging.analysis.making_tissue import ArraySource
from tests.imaging.making_slides import tissue as picture

SIDES = st.integers(1, 3000)
SCALES = st.one_of(st.none(), st.tuples(st.floats(0.05, 20), st.floats(0.05, 20)))
OPTIONS = st.builds(
    TilingOptions, st.integers(16, 1024), st.sampled_from([0.25, 0.5, 1.0, 4.0]), st.sampled_from([0.0, 0.25, 1.0])
)


def tissue_of(
    width: int, height: int, mpp: tuple[float, float] | None = None, *, mask: np.ndarray | None = None, seed: int = 0
) -> Tissue:
    """A slide with a mask of any size, random if none is given."""
    if mask is None:
        chance = np.random.default_rng(seed)
        mask = chance.random((min(height, 1 + height // 13), min(width, 1 + width // 11))) < 0.4
    scale_x, scale_y = width / mask.shape[1], height / mask.shape[0]
    area = float(mask.sum()) * scale_x * scale_y
    return Tissue(Size(width, height), mask, scale_x, scale_y, mpp, area, None, float(mask.mean()), ())


def covered(tiles: tuple[Tile, ...]) -> int:
    return sum(tile.width * tile.height for tile in tiles)


@settings(deadline=None)
@given(SIDES, SIDES, SCALES, OPTIONS, st.integers(0, 3))
def test_every_tile_lies_in_the_picture_and_none_overlap(
    width: int, height: int, mpp: tuple[float, float] | None, options: TilingOptions, seed: int
) -> None:
    slide = tissue_of(width, height, mpp, seed=seed)
    if total(slide.size, mpp, options) > 2_000:
        return
    tiles = tiles_of(slide, options)
    step = tile_size(mpp, options)
    for tile in tiles:
        assert 0 <= tile.x < tile.x + tile.width <= width
        assert 0 <= tile.y < tile.y + tile.height <= height
        assert (tile.x % step.width, tile.y % step.height) == (0, 0)
        assert tile.width <= step.width
        assert tile.height <= step.height
        assert (tile.uncut is None) == ((tile.width, tile.height) == (step.width, step.height))
        assert options.least_tissue <= tile.tissue_fraction <= 1
    assert len({(tile.x, tile.y) for tile in tiles}) == len(tiles) <= total(slide.size, mpp, options)
    assert [(tile.y, tile.x) for tile in tiles] == sorted((tile.y, tile.x) for tile in tiles)
    if options.least_tissue == 0:
        assert covered(tiles) == width * height


@settings(deadline=None, max_examples=40)
@given(SIDES, SIDES, st.integers(50, 900), st.integers(0, 5))
def test_the_tissue_of_all_tiles_is_the_tissue_of_the_slide(width: int, height: int, side: int, seed: int) -> None:
    slide = tissue_of(width, height, seed=seed)
    tiles = tiles_of(slide, TilingOptions(side, least_tissue=0))
    found = sum(tile.tissue_fraction * tile.width * tile.height for tile in tiles)
    assert found == pytest.approx(slide.area_px, rel=1e-4, abs=1e-4 * width * height)


def test_a_tile_has_the_size_the_model_wants_in_micrometres() -> None:
    assert tile_size((0.25, 0.5), TilingOptions(512, 0.5)) == Size(1024, 512)
    assert tile_size((20.0, 20.0), TilingOptions(512, 0.5)) == Size(13, 13)


def test_a_scale_nearly_as_wanted_is_taken_as_wanted_so_that_tiles_need_not_be_scaled() -> None:
    assert tile_size((0.499, 0.2526), TilingOptions(512, 0.5)) == Size(512, 1024)
    assert tile_size((0.489, 0.511), TilingOptions(512, 0.5)) == Size(524, 501)


def test_without_scale_a_tile_is_counted_in_pixels_of_the_slide() -> None:
    assert tile_size(None, TilingOptions(300, 0.5)) == Size(300, 300)


def test_a_tile_is_kept_from_a_quarter_of_tissue_on() -> None:
    mask = np.zeros((10, 20), np.bool_)
    mask[:5, :5] = True  # a quarter of the left tile
    mask[:5, 10:14] = True  # a fifth of the right one
    (tile,) = tiles_of(tissue_of(200, 100, mask=mask), TilingOptions(100))
    assert (tile.x, tile.tissue_fraction) == (0, 0.25)


def test_the_fraction_of_a_cut_tile_is_of_the_part_that_is_left() -> None:
    mask = np.zeros((10, 15), np.bool_)
    mask[:, 10:] = True
    tiles = tiles_of(tissue_of(150, 100, mask=mask), TilingOptions(100))
    assert tiles == (Tile(100, 0, 50, 100, 1.0, Size(100, 100)),)


def test_no_tissue_has_no_tiles() -> None:
    assert tiles_of(tissue_of(900, 700, mask=np.zeros((70, 90), np.bool_)), TilingOptions()) == ()


def test_a_slide_that_would_be_cut_into_millions_of_tiles_is_refused() -> None:
    """A header can claim any size, and any scale: here 14,000 x 14,000 pixels in tiles of 13."""
    for slide in (
        tissue_of(2**31, 2**31, mask=np.ones((4, 4), np.bool_)),
        tissue_of(14_000, 14_000, (20.0, 20.0), mask=np.ones((4, 4), np.bool_)),
    ):
        with pytest.raises(LimitExceeded):
            tiles_of(slide, TilingOptions())


@pytest.mark.parametrize(
    ("tile_px", "mpp", "least"),
    [
        (15, 0.5, 0.25),
        (4097, 0.5, 0.25),
        (512, 0.0, 0.25),
        (512, math.nan, 0.25),
        (512, 0.5, -0.1),
        (512, 0.5, math.nan),
    ],
)
def test_options_that_make_no_sense_are_refused(tile_px: int, mpp: float, least: float) -> None:
    with pytest.raises(ValueError, match=r"\."):
        TilingOptions(tile_px, mpp, least)


def test_a_tile_is_read_from_the_nearest_finer_level() -> None:
    source = ArraySource(picture(1024, 1024), (0.25, 0.25), levels=3)  # stored at 1, 1/4 and 1/16
    tile = Tile(0, 0, 1024, 1024, 1.0)
    assert read(source, tile, 256).shape == (256, 256, 3)
    read(source, tile, 200)
    read(source, tile, 512)
    assert source.levels_read == [1, 1, 0]


def test_what_was_cut_from_a_tile_is_white() -> None:
    source = ArraySource(picture(300, 200), (0.5, 0.5))
    *_, last = tiles_of(tissue_of(300, 200, (0.5, 0.5)), TilingOptions(256, least_tissue=0))
    assert (last.width, last.height) == (44, 200)
    pixels = read(source, last, 128)
    assert pixels.shape == (128, 128, 3)
    assert (pixels[100:] == 255).all()
    assert (pixels[:, 22:] == 255).all()
    assert (pixels[:100, :22] < 255).any(axis=2).all()


def test_a_picture_of_one_pixel_is_one_tile() -> None:
    slide = tissue_of(1, 1, mask=np.ones((1, 1), np.bool_))
    (tile,) = tiles_of(slide, TilingOptions())
    assert (tile.width, tile.height, tile.tissue_fraction) == (1, 1, 1.0)
    assert read(ArraySource(np.zeros((1, 1, 3), np.uint8), levels=1), tile, 512).shape == (512, 512, 3)


def test_the_same_slide_gives_the_same_tiles() -> None:
    slide = tissue_of(2900, 1700, (0.499, 0.501), seed=4)
    assert repr(tiling.tiles_of(slide, TilingOptions())) == repr(tiling.tiles_of(slide, TilingOptions()))
