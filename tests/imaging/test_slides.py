"""Whole slides: what scanners' files say of themselves, what is seen of them, and damaged ones."""

import errno
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import openslide
import pytest

from pinakes.imaging import slides
from pinakes.imaging.alone import asked
from pinakes.imaging.source import DEFAULT_LIMITS, ImagingError, LimitExceeded, Limits, Rect, Size, Unreadable
from tests.imaging.making_slides import (
    chain_of_directories,
    directory_bytes,
    halves,
    tissue,
    with_field,
    write_ndpi,
    write_pyramid,
    write_svs,
    write_wsi,
)

SLIDE = tissue(1000, 700)
WHOLE = Rect(0, 0, 1000, 700)


@pytest.fixture(scope="module")
def svs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slides") / "slide.svs"
    write_svs(path, SLIDE)
    return path


def far(one: np.ndarray, other: np.ndarray) -> float:
    """How far apart two pictures are, on average, in steps of 255."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(np.int16) - other).mean())


@pytest.mark.parametrize(
    "error",
    [MemoryError(), openslide.OpenSlideError("Out of memory"), OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))],
)
def test_a_lack_of_memory_is_not_taken_for_damage(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(MemoryError):
        asked(fail)


def test_a_slide_is_described_without_decoding_a_pixel(svs: Path) -> None:
    with slides.open_slide(svs) as source:
        told = source.description
    assert (told.format, told.size, told.mpp, told.frames) == ("tiff", Size(1000, 700), (0.499, 0.499), 1)
    assert [(level.size, level.downsample, level.tile) for level in told.levels] == [
        (Size(1000, 700), 1.0, Size(240, 240)),
        (Size(250, 175), 4.0, Size(240, 240)),
    ]
    assert set(told.associated) == {"label", "macro", "thumbnail"}
    assert told.captured_at == "2026-11-21T17:01:02+02:00"
    assert told.facts == {
        "kind": "whole slide",
        "vendor": "aperio",
        "has_color_profile": False,
        "objective_power": 20.0,
    }
    assert set(told.identity) == {"aperio.User", "label image", "macro image"}


@pytest.mark.parametrize(
    ("rect", "size"),
    [
        (WHOLE, Size(1000, 700)),
        (Rect(230, 235, 17, 300), Size(17, 300)),
        (Rect(999, 699, 1, 1), Size(1, 1)),
        (Rect(100, 100, 400, 400), Size(200, 200)),
        (WHOLE, Size(250, 175)),
        (Rect(400, 200, 100, 50), Size(200, 100)),
    ],
)
def test_a_region_is_what_the_scanner_saw(svs: Path, rect: Rect, size: Size) -> None:
    part = SLIDE[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
    if size.width < rect.width:
        part = halves(part, {2: 1, 4: 2}[rect.width // size.width])
    if size.width > rect.width:
        part = part.repeat(2, axis=0).repeat(2, axis=1)
    with slides.open_slide(svs) as source:
        assert far(source.read_region(rect, size), part) < 4


def test_tiles_that_were_left_out_are_white_and_their_neighbours_are_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.svs"
    write_svs(path, SLIDE, missing=[1])
    with slides.open_slide(path) as source:
        seen = source.read_region(Rect(120, 0, 240, 240), Size(240, 240))
        assert far(seen[:, 120:], np.full((240, 120, 3), 255)) == 0
        assert far(seen[:, :120], SLIDE[:240, 120:240]) < 4


def test_tiles_that_were_left_out_of_a_smaller_level_are_made_from_the_larger(tmp_path: Path) -> None:
    path = tmp_path / "sparse.svs"
    write_svs(path, SLIDE, missing_smaller=[0])
    with slides.open_slide(path) as source:
        assert far(source.read_region(Rect(0, 0, 960, 640), Size(240, 160)), halves(SLIDE[:640, :960], 2)) < 12


def test_pictures_beside_a_slide_are_read_by_their_names(svs: Path) -> None:
    with slides.open_slide(svs) as source:
        assert source.read_associated("label").tolist() == np.full((60, 90, 3), 200).tolist()
        assert source.read_associated("macro").shape == (60, 90, 3)
        for name in ("nothing", "", "../label", "label\0", "\ud800"):
            with pytest.raises(KeyError):
                source.read_associated(name)


def test_a_picture_beside_a_slide_that_is_too_large_is_refused(svs: Path) -> None:
    with slides.open_slide(svs, Limits(output_pixels=5_000)) as source, pytest.raises(LimitExceeded):
        source.read_associated("label")


def test_a_slide_of_jpegs_with_restarts_is_read(tmp_path: Path) -> None:
    """Hamamatsu NDPI: each level is one JPEG strip."""
    path = tmp_path / "slide.ndpi"
    write_ndpi(path, SLIDE)
    with slides.open_slide(path) as source:
        assert source.description.facts["vendor"] == "hamamatsu"
        assert source.description.facts["objective_power"] == 20.0
        assert source.description.associated == ("macro",)
        assert far(source.read_region(WHOLE, Size(1000, 700)), SLIDE) < 4
        assert source.stored_tile(0, 0, 0) is None


def test_a_dicom_slide_is_read_alone_without_its_neighbours(tmp_path: Path) -> None:
    """OpenSlide joins files of one series that lie in one folder: of other versions, or of other people."""
    write_wsi(tmp_path / "one.dcm", SLIDE, tile=128)
    write_wsi(tmp_path / "two.dcm", halves(SLIDE, 1), tile=128)
    with slides.open_slide(tmp_path / "one.dcm") as source:
        told = source.description
        assert (told.format, told.size, len(told.levels)) == ("dicom", Size(1000, 700), 1)
        assert told.mpp == pytest.approx((0.5, 0.5))
        assert told.captured_at == "2026-11-21T17:01:02"
        assert {"dicom.PatientName", "dicom.PatientID"} <= set(told.identity)
        assert far(source.read_region(WHOLE, Size(1000, 700)), SLIDE) < 4


def test_what_reads_dicom_is_not_loaded_for_other_slides(svs: Path) -> None:
    script = """
import sys
from pathlib import Path
from pinakes.imaging.slides import open_slide
open_slide(Path(sys.argv[1])).close()
raise SystemExit("pydicom" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script, str(svs)], check=False).returncode == 0


def test_a_slide_can_be_read_while_others_are_opened_and_leaves_nothing_behind(
    svs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = os.listdir("/proc/self/fd")
    with slides.open_slide(svs) as first, slides.open_slide(svs) as second:
        assert far(first.read_region(WHOLE, Size(100, 70)), second.read_region(WHOLE, Size(100, 70))) == 0
    first.close()
    (tmp_path / "noise.svs").write_bytes(b"II*\0" + bytes(100))
    for damaged in (tmp_path / "noise.svs", tmp_path / "missing.svs"):
        with pytest.raises(Unreadable):
            slides.open_slide(damaged)
    assert os.listdir(tmp_path) == ["noise.svs"]
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_kinds_of_several_files_are_not_opened(svs: Path, tmp_path: Path) -> None:
    """A VMS names further files: any file of the archive's."""
    vms = tmp_path / "slide.vms"
    vms.write_text(f"[Virtual Microscope Specimen]\nNoLayers=1\nImageFile={svs}\nMapFile={svs}\n")
    assert slides.vendor_of(vms) is None
    with pytest.raises(Unreadable):
        slides.open_slide(vms)


def test_the_kind_of_slide_is_told(svs: Path, tmp_path: Path) -> None:
    assert slides.vendor_of(svs) == "aperio"
    write_pyramid(tmp_path / "generic.tif", SLIDE)
    assert slides.vendor_of(tmp_path / "generic.tif") == slides.GENERIC
    (tmp_path / "text").write_text("invented")
    assert slides.vendor_of(tmp_path / "text") is None


@pytest.mark.parametrize("rect", [Rect(-1, 0, 5, 5), Rect(0, 0, 1001, 5), Rect(2**70, 0, 1, 1), Rect(0, 0, 0, 5)])
def test_a_region_outside_is_refused(svs: Path, rect: Rect) -> None:
    with slides.open_slide(svs) as source:
        with pytest.raises(Unreadable):
            source.read_region(rect, Size(5, 5))
        with pytest.raises(Unreadable):
            source.read_region(WHOLE, Size(5, 5), frame=1)


def test_more_output_than_allowed_is_refused(svs: Path) -> None:
    with slides.open_slide(svs) as source, pytest.raises(LimitExceeded):
        source.read_region(WHOLE, Size(100_000, 100_000))


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 100, 3_000, 60_000])
def test_a_slide_that_is_cut_off_is_unreadable_or_reads_in_part(svs: Path, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.svs"
    path.write_bytes(svs.read_bytes()[:kept])
    with pytest.raises(ImagingError) as refused, slides.open_slide(path) as source:
        source.read_region(WHOLE, Size(1000, 700))
    assert str(tmp_path) not in str(refused.value)


def test_one_damaged_tile_does_not_spoil_the_others(svs: Path, tmp_path: Path) -> None:
    """Also where OpenSlide reads: after an error it answers nothing more until it is opened again."""
    path = tmp_path / "damaged.dcm"
    write_wsi(path, SLIDE, tile=128)
    whole = path.read_bytes()
    first = whole.index(b"\xff\xd8\xff")
    path.write_bytes(whole[:first] + bytes(200) + whole[first + 200 :])
    with slides.open_slide(path) as source:
        for _ in range(2):
            with pytest.raises(Unreadable):
                source.read_region(Rect(0, 0, 128, 128), Size(128, 128))
            seen = source.read_region(Rect(256, 256, 128, 128), Size(128, 128))
            assert far(seen, SLIDE[256:384, 256:384]) < 4


@pytest.mark.parametrize("lie", [2**32 - 9, 60_000, 4])
def test_a_dicom_slide_whose_table_leads_elsewhere_is_refused_before_openslide_crashes(
    tmp_path: Path, lie: int
) -> None:
    path = tmp_path / "table.dcm"
    write_wsi(path, SLIDE, tile=128)
    whole = bytearray(path.read_bytes())
    table = whole.index(b"\xe0\x7f\x10\x00OB") + 20
    whole[table + 4 : table + 8] = struct.pack("<I", lie)
    path.write_bytes(whole)
    with pytest.raises(Unreadable):
        slides.open_slide(path)


@pytest.mark.parametrize("tag", [256, 257, 322, 323])
@pytest.mark.parametrize("value", [0, 1, 16, 65_535])
def test_lies_about_sizes_are_refused_or_read_within_bounds(svs: Path, tmp_path: Path, tag: int, value: int) -> None:
    path = tmp_path / "lie.svs"
    path.write_bytes(svs.read_bytes())
    with_field(path, tag, [value])
    try:
        with slides.open_slide(path) as source:
            size = source.description.size
            assert size is not None
            source.stored_tile(0, 0, 0)
            source.read_region(Rect(0, 0, min(500, size.width), min(500, size.height)), Size(100, 100))
    except ImagingError:
        pass


def test_a_million_directories_and_circles_never_reach_openslide(tmp_path: Path) -> None:
    path = tmp_path / "chain.tif"
    path.write_bytes(chain_of_directories(DEFAULT_LIMITS.directories + 1))
    with pytest.raises(LimitExceeded):
        slides.open_slide(path)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory_bytes({256: 10, 257: 10}, following=8))
    with pytest.raises(Unreadable):
        slides.vendor_of(path)
