"""Tissue on slides of which its true area is known, and on what is no slide (pathomiq contract 8.2)."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from pinakes.imaging.analysis import tissue
from pinakes.imaging.analysis.tissue import LONGEST, Tissue, working_size
from pinakes.imaging.opening import WithoutPixels, open_source
from pinakes.imaging.source import Description, Pixels, Rect, Size, Unreadable
from tests.imaging.analysis.making_tissue import ArraySource, Specimen, Stain, blob, glass, specimen, with_pen
from tests.imaging.analysis.measuring_accuracy import tissue_area_error
from tests.imaging.making_slides import write_svs

MPP = 4.0
PEN_BOX = Rect(60, 60, 900, 640)
PEN_PX = 24


def found_in(pixels: Pixels, mpp: float | None = MPP) -> Tissue:
    return tissue.find(ArraySource(pixels, (mpp, mpp) if mpp else None))


@pytest.fixture(scope="module")
def slide() -> Specimen:
    """4 x 3 mm, of which three tenths are tissue."""
    return specimen(1024, 768, mpp=MPP, seed=2, stain=Stain(per_mm2=600), tissue=blob(1024, 768, seed=2, covered=0.3))


@pytest.mark.parametrize("covered", [0.05, 0.4])
def test_the_area_of_tissue_is_right_to_a_hundredth(covered: float) -> None:
    assert abs(tissue_area_error(covered, seed=1, size=Size(1024, 768), mpp=MPP)) < 0.01


def test_tissue_is_found_where_it_is(slide: Specimen) -> None:
    found = found_in(slide.pixels)
    assert found.mask.shape == (384, 512)  # 8 um per pixel
    assert (found.scale_x, found.scale_y) == (2.0, 2.0)
    seen = found.mask.repeat(2, axis=0).repeat(2, axis=1)
    assert (seen & slide.tissue).sum() / (seen | slide.tissue).sum() > 0.98


def test_the_area_is_told_in_every_unit(slide: Specimen) -> None:
    found = found_in(slide.pixels)
    assert found.area_px == found.mask.sum() * 4
    assert found.area_mm2 == pytest.approx(found.area_px * 16 / 1e6)
    assert found.fraction == pytest.approx(found.area_px / (1024 * 768))


def test_outlines_surround_the_area_that_is_told(slide: Specimen) -> None:
    found = found_in(slide.pixels)
    assert sum(outline.area_px for outline in found.outlines) == pytest.approx(found.area_px, rel=0.005)
    assert all(0 <= min(outline.xs) < max(outline.xs) <= 1024 for outline in found.outlines)


def test_holes_stay_holes_and_specks_are_no_tissue() -> None:
    """Contract 8.2: 0.02 mm2 is the smallest of both. A pixel is 4 um wide, so 0.02 mm2 are 35 x 35."""
    truth = np.zeros((600, 800), np.bool_)
    truth[100:500, 100:600] = True
    truth[200:300, 200:300] = False  # 0.16 mm2
    truth[400:420, 400:420] = False  # 0.006 mm2
    truth[300:325, 700:725] = True  # 0.01 mm2
    found = found_in(specimen(800, 600, mpp=MPP, stain=Stain(per_mm2=0), tissue=truth).pixels)
    (only,) = found.outlines
    assert len(only.holes) == 1
    assert found.area_px == pytest.approx(400 * 500 - 100 * 100, rel=0.02)


def test_glass_at_the_edge_goes_on_beyond_it_and_is_no_hole() -> None:
    """Two corners of 100 x 100 um, and as much in the middle of a side; in the tissue it is a pinhole."""
    truth = np.ones((600, 800), np.bool_)
    truth[:25, :25] = truth[-25:, -25:] = truth[300:325, :25] = truth[300:325, 400:425] = False
    found = found_in(specimen(800, 600, mpp=MPP, stain=Stain(per_mm2=0), tissue=truth).pixels)
    assert not any(part.any() for part in (found.mask[:10, :10], found.mask[-10:, -10:], found.mask[152:160, :10]))
    assert found.mask[140:170, 190:220].all()


@pytest.mark.parametrize("part", [0.1, 0.5, 1.0])
def test_a_picture_smaller_than_any_speck_is_neither_all_tissue_nor_none(part: float) -> None:
    """256 x 256 pixels of 0.5 um are 0.016 mm2; the mask has 16 x 16."""
    truth = np.zeros((256, 256), np.bool_)
    truth[:, : round(part * 256)] = True
    found = found_in(specimen(256, 256, stain=Stain(per_mm2=2000), tissue=truth).pixels, 0.5)
    assert found.fraction == pytest.approx(part, abs=0.04)


def test_a_spot_of_ink_on_tissue_is_no_pinhole() -> None:
    pixels = specimen(800, 600, mpp=MPP, stain=Stain(per_mm2=0)).pixels.copy()
    pixels[300:320, 400:420] = (30, 140, 70)  # 0.006 mm2
    assert not found_in(pixels).mask[151:159, 201:209].any()


@pytest.mark.parametrize(
    "pixels",
    [
        glass(1024, 768),
        glass(1024, 768, noise=5),
        np.full((300, 400, 3), 255, np.uint8),
        np.zeros((300, 400, 3), np.uint8),
        np.full((1, 1, 3), 190, np.uint8),
        np.array([[[200, 20, 90]]], np.uint8),
    ],
    ids=["glass", "noisy glass", "white", "black", "one gray pixel", "one red pixel"],
)
@pytest.mark.parametrize("mpp", [MPP, None])
def test_an_empty_slide_has_no_tissue_and_that_is_no_error(pixels: Pixels, mpp: float | None) -> None:
    found = found_in(pixels, mpp)
    assert (found.area_px, found.fraction, found.outlines) == (0.0, 0.0, ())
    assert found.area_mm2 == (0.0 if mpp else None)


def test_what_was_not_scanned_is_black_with_noise_in_it_and_no_tissue(slide: Specimen) -> None:
    """JPEGs leave such as (4, 0, 2) in black, which is fully saturated by the formula."""
    beside = np.random.default_rng(1).integers((3, 0, 1), (9, 2, 4), (768, 300, 3)).astype(np.uint8)
    found = found_in(np.hstack([beside, slide.pixels]))
    assert found.area_px == pytest.approx(slide.tissue.sum(), rel=0.02)
    assert not found.mask[:, :145].any()


def test_without_scale_there_are_pixels_but_no_square_millimetres(slide: Specimen) -> None:
    found = found_in(slide.pixels, None)
    assert found.mask.shape == (750, 1000)
    assert (found.mpp, found.area_mm2) == (None, None)
    assert found.area_px == pytest.approx(slide.tissue.sum(), rel=0.02)


def test_a_printers_resolution_is_no_scale(slide: Specimen) -> None:
    assert found_in(slide.pixels, 352.8).area_mm2 is None


def test_a_slide_covered_all_over_is_tissue_all_over() -> None:
    covered = specimen(400, 300, mpp=MPP, stain=Stain(per_mm2=800))
    assert found_in(covered.pixels).fraction > 0.99


def test_on_an_almost_covered_slide_pale_tissue_beside_strong_tissue_still_counts() -> None:
    """Otsu's threshold alone would part the two."""
    truth = np.ones((300, 400), np.bool_)
    truth[:, :25] = False
    crowded = np.zeros(truth.shape, np.float32)
    crowded[:, 200:] = 1
    stain = Stain(per_mm2=4000)
    slide = specimen(400, 300, mpp=MPP, stain=stain, tissue=truth, density=crowded)
    assert found_in(slide.pixels).area_px == pytest.approx(truth.sum(), rel=0.08)


@pytest.mark.parametrize(
    "ink", [(30, 140, 70), (40, 160, 180), (20, 40, 200), (25, 25, 28)], ids=["green", "cyan", "blue", "black"]
)
def test_strong_ink_is_no_tissue_and_spoils_none(slide: Specimen, ink: tuple[int, int, int]) -> None:
    inked = with_pen(slide.pixels, ink, PEN_BOX, thickness=PEN_PX)
    assert found_in(inked).area_px == pytest.approx(slide.tissue.sum(), rel=0.04)


@pytest.mark.parametrize("ink", [(200, 30, 40), (110, 40, 160)], ids=["red", "violet"])
def test_ink_of_the_colours_of_stains_counts_as_tissue_which_is_a_known_limit(
    slide: Specimen, ink: tuple[int, int, int]
) -> None:
    inked = with_pen(slide.pixels, ink, PEN_BOX, thickness=PEN_PX)
    assert found_in(inked).area_px > 1.2 * slide.tissue.sum()


def test_a_photograph_is_analysed_without_an_error_though_it_means_nothing() -> None:
    found = found_in(data.astronaut(), None)
    assert 0 < found.fraction < 1
    assert found.area_mm2 is None


def test_of_immunohistochemistry_the_brown_is_found_and_pale_blue_beside_it_is_lost_which_is_a_known_limit() -> None:
    picture = data.immunohistochemistry()
    found = found_in(picture, None)
    red, blue = picture[..., 0].astype(int), picture[..., 2].astype(int)
    assert found.mask[red > blue + 60].mean() > 0.97
    assert found.mask[:, 450:].mean() < 0.5


def test_one_slide_gives_the_same_bytes_twice(slide: Specimen) -> None:
    first, second = found_in(slide.pixels), found_in(slide.pixels)
    assert first.mask.tobytes() == second.mask.tobytes()
    assert repr(first.outlines) == repr(second.outlines)
    assert repr(first.area_mm2) == repr(second.area_mm2)


def test_a_slide_is_read_at_a_coarse_level_in_strips(monkeypatch: pytest.MonkeyPatch, slide: Specimen) -> None:
    monkeypatch.setattr(tissue, "_READ_PIXELS", 512 * 50)
    monkeypatch.setattr(tissue, "_STRIP_PIXELS", 512 * 7)
    source = ArraySource(slide.pixels, (0.5, 0.5), levels=3)  # to be seen at 1/16, which is stored
    whole = tissue.find(ArraySource(slide.pixels, (MPP, MPP)))
    assert tissue.find(source).mask.shape == (48, 64)
    assert set(source.levels_read) == {2}
    strips = ArraySource(slide.pixels, (MPP, MPP))
    found = tissue.find(strips)
    assert max(strips.read_px) <= 512 * 50
    assert sum(strips.read_px) == 512 * 384
    assert (found.mask != whole.mask).mean() < 0.002


def test_the_mask_of_no_slide_is_larger_than_its_memory_allows() -> None:
    assert working_size(Size(400_000, 150_000), (0.25, 0.25)) == Size(LONGEST, 1536)
    assert working_size(Size(2**31, 2**31), (20.0, 20.0)) == Size(LONGEST, LONGEST)
    assert working_size(Size(2**31, 1), None) == Size(1000, 1)
    assert working_size(Size(300, 200), (20.0, 20.0)) == Size(300, 200)


def test_what_has_no_pixels_is_refused_with_its_reason() -> None:
    with pytest.raises(Unreadable, match="no pixels"):
        tissue.find(WithoutPixels(Description("pdf", None)))


def test_a_real_file_is_analysed(tmp_path: Path) -> None:
    truth = blob(1200, 900, seed=3, covered=0.35)
    write_svs(tmp_path / "slide.svs", specimen(1200, 900, seed=3, tissue=truth).pixels)
    with open_source(tmp_path / "slide.svs") as source:
        found = tissue.find(source)
    assert found.mpp == (0.499, 0.499)
    assert found.area_px == pytest.approx(truth.sum(), rel=0.08)  # 75 x 56 pixels of 8 um


@pytest.mark.slow
def test_the_server_does_not_load_what_analyses() -> None:
    program = """
import sys
import pinakes.server
parts = ["skimage", "scipy", "shapely", "onnxruntime"]
parts += [f"pinakes.imaging.analysis.{name}" for name in ("tissue", "tiling", "outlines", "model", "cellularity")]
print([name for name in parts if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
