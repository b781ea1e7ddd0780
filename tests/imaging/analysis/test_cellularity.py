"""Counting nuclei, on slides of which each nucleus is known, on a real picture, and on what misleads (contract 8.4)."""

import numpy as np
import pytest
from skimage import data
from skimage.color import rgb2hed

from pinakes.imaging.analysis import cellularity
from pinakes.imaging.analysis.cellularity import Cellularity, Nuclei, count_nuclei, high_threshold
from pinakes.imaging.analysis.tiling import Tile, TilingOptions, read, tiles_of
from pinakes.imaging.analysis.tissue import Tissue
from pinakes.imaging.source import Pixels, Size
from tests.imaging.analysis.making_tissue import DAB, HAEMATOXYLIN, ArraySource, Stain, glass, specimen
from tests.imaging.analysis.measuring_accuracy import STAINS, counted, counted_by_eye, counted_in_tiles


def tissue_of(width: int, height: int, mpp: tuple[float, float] | None) -> Tissue:
    """A slide that is tissue all over."""
    mask = np.ones((8, 8), np.bool_)
    return Tissue(Size(width, height), mask, width / 8, height / 8, mpp, width * height, None, 1.0, ())


@pytest.mark.parametrize(
    ("stain", "precision", "recall"),
    [
        ("usual", 0.95, 0.9),
        ("few nuclei", 0.95, 0.92),
        ("crowded, touching", 0.93, 0.82),
        ("large", 0.94, 0.9),
        ("pale stain", 0.94, 0.88),
        ("strong stain", 0.94, 0.88),
        ("out of focus", 0.92, 0.82),
        ("noisy, JPEG 60", 0.94, 0.88),
    ],
)
def test_nuclei_are_found_where_they_are(stain: str, precision: float, recall: float) -> None:
    """A nucleus is found if its centre is seen within half its radius."""
    found = counted(specimen(640, 640, seed=21, stain=STAINS[stain]))
    assert found.precision > precision
    assert found.recall > recall
    assert 0.85 < found.area < 1.1


@pytest.mark.parametrize("mpp", [0.25, 0.4, 1.0])
def test_the_scale_of_the_picture_does_not_matter(mpp: float) -> None:
    found = counted(specimen(round(300 / mpp), round(300 / mpp), mpp=mpp, seed=4))
    assert found.precision > 0.94
    assert found.recall > 0.88


def test_tiles_side_by_side_count_a_nucleus_between_them_once() -> None:
    slide = specimen(900, 900, seed=3)
    assert counted_in_tiles(slide) == pytest.approx(len(count_nuclei(slide.pixels, 0.5)) / len(slide.nuclei), abs=0.03)


@pytest.mark.parametrize("center_px", [394, 390, 378])
def test_a_nucleus_between_two_tiles_belongs_to_the_one_that_has_its_centre(center_px: int) -> None:
    y, x = np.mgrid[:200, :512] + 0.5
    is_nucleus = np.hypot(y - 100, x - center_px) < 10
    pixels = np.where(is_nucleus[..., np.newaxis], (80, 50, 130), (235, 170, 205)).astype(np.uint8)
    parted = [len(count_nuclei(np.ascontiguousarray(part), 0.5)) for part in (pixels[:, :384], pixels[:, 384:])]
    assert parted == ([0, 1] if center_px > 384 else [1, 0])


@pytest.mark.parametrize(
    "pixels",
    [
        glass(512, 512),
        np.full((512, 512, 3), 255, np.uint8),
        np.zeros((512, 512, 3), np.uint8),
        np.full((1, 1, 3), 90, np.uint8),
        np.full((3, 200, 3), (90, 60, 140), np.uint8),
        specimen(512, 512, stain=Stain(per_mm2=0)).pixels,
        specimen(512, 512, stain=Stain(per_mm2=0, eosin=0.9)).pixels,
    ],
    ids=["glass", "white", "black", "one pixel", "one colour", "tissue", "strong eosin"],
)
def test_where_there_are_no_nuclei_none_are_counted(pixels: Pixels) -> None:
    found = count_nuclei(pixels, 0.5)
    assert (len(found), found.haematoxylin_fraction) == (0, 0.0)


def test_haematoxylin_is_what_scikit_image_says() -> None:
    every = np.random.default_rng(1).integers(0, 256, (200, 300, 3), np.uint8)
    for pixels in (every, data.immunohistochemistry()):
        assert np.abs(cellularity.haematoxylin(pixels) - rgb2hed(pixels)[..., 0]).max() < 1e-6


def test_on_immunohistochemistry_most_of_the_blue_nuclei_that_an_eye_finds_are_counted() -> None:
    """The picture has no scale of its own; half a micrometre is taken for granted."""
    seen = counted_by_eye()
    assert (seen.true, seen.matched >= 18, seen.precision > 0.85) == (24, True, True)
    found = count_nuclei(data.immunohistochemistry(), 0.5)
    assert 230 < len(found) < 330  # of all of it; nobody has counted the nuclei between brown membranes


def test_brown_nuclei_of_a_nuclear_marker_are_not_counted_which_is_a_known_limit() -> None:
    """The number of all nuclei of such a slide is therefore too small by those that are positive."""
    slide = specimen(512, 512, stain=Stain(vectors=(DAB, HAEMATOXYLIN), eosin=0.05))
    assert len(count_nuclei(slide.pixels, 0.5)) < 0.05 * len(slide.nuclei)


def test_a_photograph_gives_a_number_that_means_nothing_and_no_error() -> None:
    assert len(count_nuclei(data.coffee(), 0.5)) < 500


def test_a_row_of_scores_is_the_number_its_density_and_the_stained_part() -> None:
    slide = specimen(512, 512, seed=9)
    ((per_mm2, fraction, nuclei),) = Cellularity().score(slide.pixels[np.newaxis], 0.5)
    found = count_nuclei(slide.pixels, 0.5)
    assert nuclei == len(found) > 100
    assert per_mm2 == pytest.approx(len(found) / 0.256**2)
    assert fraction == pytest.approx(slide.nuclei.areas_um2.sum() / 256**2, rel=0.15)


def test_a_tile_has_the_same_score_in_any_batch_and_at_any_time() -> None:
    tiles = np.stack([specimen(256, 256, seed=seed).pixels for seed in range(3)])
    model = Cellularity()
    together = model.score(tiles, 0.5)
    assert together.tobytes() == Cellularity().score(tiles, 0.5).tobytes()
    for tile, row in zip(tiles, together, strict=True):
        assert model.score(tile[np.newaxis], 0.5).tobytes() == row.tobytes()


def test_no_tiles_have_no_scores() -> None:
    assert Cellularity().score(np.empty((0, 512, 512, 3), np.uint8), 0.5).shape == (0, 3)


def test_crowded_parts_are_found_and_nuclei_counted_per_square_millimetre_of_tissue() -> None:
    crowded = np.full((768, 1536), 0.2, np.float32)
    crowded[:, :512] = 1
    slide = specimen(1536, 768, seed=6, stain=Stain(per_mm2=5000), density=crowded)
    source = ArraySource(slide.pixels, (0.5, 0.5))
    seen = tissue_of(1536, 768, (0.5, 0.5))
    tiles = tiles_of(seen, TilingOptions(256))
    model = Cellularity()
    scores = model.score(np.stack([read(source, tile, 256) for tile in tiles]), 0.5)
    found = model.findings(tiles, scores, seen)
    (high,) = found.classes
    (outline,) = high.outlines
    assert high.name == "High cellularity"
    assert (min(outline.xs), max(outline.xs), outline.area_px) == (0, 512, 512 * 768)
    true = len(slide.nuclei) / (1536 * 768 * 0.25 / 1e6)
    assert found.figures["nuclei_per_mm2"] == pytest.approx(true, rel=0.12)
    assert found.figures["nuclei"] == pytest.approx(len(slide.nuclei), rel=0.12)
    assert found.outcome is None  # contract 8.4: never a prognosis
    assert repr(model.findings(tiles, scores, seen)) == repr(found)


def tile_row(counts: list[int], *, fraction: float = 1.0) -> tuple[tuple[Tile, ...], np.ndarray]:
    tiles = tuple(Tile(512 * place, 0, 512, 512, fraction) for place in range(len(counts)))
    return tiles, np.array([[0, 0.1, count] for count in counts], np.float32)


def test_only_the_tissue_of_a_tile_counts_as_its_area() -> None:
    tiles, scores = tile_row([131], fraction=0.5)
    found = Cellularity().findings(tiles, scores, tissue_of(512, 512, (0.5, 0.5)))
    assert found.figures["nuclei_per_mm2"] == pytest.approx(131 / (0.256**2 / 2), rel=1e-4)


def test_what_was_white_of_a_cut_tile_does_not_thin_the_stained_part() -> None:
    """Three tenths of the slide are stained; of the last tile a quarter is slide."""
    tiles = (Tile(0, 0, 512, 512, 1.0), Tile(512, 0, 128, 512, 1.0, Size(512, 512)))
    scores = np.array([[0, 0.3, 1], [0, 0.3 / 4, 1]], np.float32)
    found = Cellularity().findings(tiles, scores, tissue_of(640, 512, (0.5, 0.5)))
    assert found.figures["haematoxylin_fraction"] == pytest.approx(0.3)


def test_the_heat_map_shows_what_is_known_without_a_scale() -> None:
    assert Cellularity.columns[Cellularity.heat_column] == "nuclei in the tile"


@pytest.mark.parametrize("mpp", [None, (2.0, 2.0)], ids=["no scale", "too coarse"])
def test_where_nuclei_cannot_be_measured_figures_are_unknown_and_not_zero(mpp: tuple[float, float] | None) -> None:
    tiles, scores = tile_row([10, 20, 300])
    found = Cellularity().findings(tiles, scores, tissue_of(1536, 512, mpp))
    assert [found.figures[name] for name in ("nuclei_per_mm2", "nuclei")] == [None, None]
    assert found.figures["haematoxylin_fraction"] == pytest.approx(0.1)
    assert found.classes[0].outlines == ()


def test_no_tissue_has_an_empty_class_and_unknown_figures() -> None:
    found = Cellularity().findings((), np.empty((0, 3), np.float32), tissue_of(512, 512, (0.5, 0.5)))
    assert [each.outlines for each in found.classes] == [()]
    assert set(found.figures.values()) == {None}


def test_a_slide_alike_everywhere_has_no_high_cellularity() -> None:
    assert high_threshold(np.random.default_rng(1).normal(3000, 250, 400)) is None
    assert high_threshold(np.full(50, 3000.0)) is None
    assert high_threshold(np.zeros(50)) is None
    assert high_threshold(np.empty(0)) is None


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.8])
def test_a_crowded_part_of_any_size_stands_out(share: float) -> None:
    chance = np.random.default_rng(2)
    values = np.where(np.arange(400) < share * 400, chance.normal(5000, 500, 400), chance.normal(1500, 300, 400))
    threshold = high_threshold(values)
    assert threshold is not None
    assert 3000 < threshold < 3500


def test_a_single_tile_does_not_move_the_threshold() -> None:
    values = np.append(np.random.default_rng(3).normal(1500, 100, 300), 100_000.0)
    assert high_threshold(values) is None


def test_few_nuclei_are_not_many_though_elsewhere_there_are_fewer() -> None:
    assert high_threshold(np.repeat([10.0, 300.0], 50)) is None


def test_nuclei_of_any_size_but_those_of_nuclei_are_not_counted() -> None:
    """Debris of 7 um2, and a blot of 700 um2."""
    pixels = np.full((200, 200, 3), (235, 170, 205), np.uint8)
    pixels[20:25, 20:25] = pixels[100:153, 100:153] = (80, 50, 130)
    pixels[60:72, 20:32] = (80, 50, 130)  # 36 um2
    found = count_nuclei(pixels, 0.5)
    assert isinstance(found, Nuclei)
    assert [(round(y), round(x)) for y, x in zip(found.ys, found.xs, strict=True)] == [(66, 26)]
    assert found.areas_um2.tolist() == [36.0]
