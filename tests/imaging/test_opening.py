"""What a file is, is decided by its bytes; who reads it, by that."""

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pydicom.data import get_testdata_file

from pinakes.imaging.opening import format_of, open_source
from pinakes.imaging.source import ImageSource, LimitExceeded, Limits, Rect, Size, Unreadable
from tests.imaging import making_disks, making_slides
from tests.imaging.making_photographs import (
    BLUE,
    GREEN,
    HEIC,
    RED,
    WHITE,
    corners,
    quarters,
    saved,
    shown,
    swapped_profile,
)


def kind(source: ImageSource) -> str:
    """Which reader took it."""
    with source:
        return type(source).__name__


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "gif", "bmp", "avif", "tiff"])
def test_photographs_are_known_by_their_bytes_whatever_their_name(tmp_path: Path, format: str) -> None:
    path = tmp_path / "X-ray.dcm"
    path.write_bytes(saved(quarters(), format.upper()))
    with open_source(path) as source:
        assert source.description.format == format
        assert corners(shown(source)) == [RED, GREEN, BLUE, WHITE]
    assert kind(open_source(path)) == "Photograph"


def test_heic_is_a_photograph() -> None:
    with open_source(HEIC) as source:
        assert source.description.format == "heic"
        assert corners(shown(source)) == [RED, GREEN, BLUE, WHITE]


def test_avif_in_a_container_of_the_general_brand_is_avif(tmp_path: Path) -> None:
    content = saved(quarters(), "AVIF")
    assert content[8:12] == b"avif"
    path = tmp_path / "general"
    path.write_bytes(content[:8] + b"mif1" + content[12:])
    with open_source(path) as source:
        assert source.description.format == "avif"
        assert corners(shown(source)) == [RED, GREEN, BLUE, WHITE]
    assert format_of(HEIC.read_bytes()) == "heic"
    assert format_of(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic") == "heic"


def _write_tiff(path: Path, pixels: np.ndarray[tuple[int, ...], np.dtype[np.generic]], **options: object) -> None:
    tifffile.imwrite(path, pixels, **options)  # type: ignore[arg-type]


def _write_scan(path: Path, **options: object) -> None:
    path.write_bytes(saved(quarters(), "TIFF", **options))


TIFFS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a scan in strips": ("Photograph", _write_scan),
    "a scan with a profile": (
        "Photograph",
        lambda path: _write_scan(path, icc_profile=swapped_profile()),
    ),
    "a scan of 16 bits": (
        "Photograph",
        lambda path: _write_tiff(path, quarters().astype(np.uint16) * 257, photometric="rgb", metadata=None),
    ),
    "a measurement": (
        "TiffPyramid",
        lambda path: _write_tiff(path, quarters()[:, :, 0].astype(np.uint16), metadata=None),
    ),
    "tiles": (
        "TiffPyramid",
        lambda path: _write_tiff(path, quarters(), tile=(32, 32), photometric="rgb", metadata=None),
    ),
    "pages": (
        "TiffPyramid",
        lambda path: _write_tiff(path, np.stack([quarters()] * 3), photometric="rgb", metadata=None),
    ),
    "OME": ("TiffPyramid", lambda path: making_slides.write_ome(path, making_slides.tissue(600, 400))),
    "a pyramid": ("TiffPyramid", lambda path: making_slides.write_pyramid(path, making_slides.tissue(600, 400))),
    "an Aperio slide": ("Slide", lambda path: making_slides.write_svs(path, making_slides.tissue(600, 400))),
}


@pytest.mark.parametrize("tiff", TIFFS)
def test_a_tiff_goes_to_the_reader_for_its_layout(tmp_path: Path, tiff: str) -> None:
    reader, write = TIFFS[tiff]
    path = tmp_path / "noname"
    write(path)
    with open_source(path) as source:
        assert type(source).__name__ == reader
        size = source.description.size
        assert size is not None
        assert source.read_region(Rect(0, 0, size.width, size.height), Size(48, 32)).shape == (32, 48, 3)


def test_a_slide_in_dicom_and_an_x_ray_go_to_readers_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "noname"
    making_slides.write_wsi(path, making_slides.tissue(600, 400), tile=256)
    assert kind(open_source(path)) == "Slide"
    assert kind(open_source(Path(str(get_testdata_file("CT_small.dcm"))))) == "DicomSource"


def test_a_tiff_larger_than_may_be_decoded_whole_is_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "large"
    _write_tiff(path, quarters(), photometric="rgb", rowsperstrip=8, metadata=None)
    assert kind(open_source(path, limits=Limits(pixels=96 * 64))) == "Photograph"
    assert kind(open_source(path, limits=Limits(pixels=96 * 64 - 1))) == "TiffPyramid"


@pytest.mark.parametrize("first", [8, 0])
def test_a_tiff_whose_directories_lead_nowhere_is_refused(tmp_path: Path, first: int) -> None:
    path = tmp_path / "circle"
    directory = struct.pack("<HHHIII", 1, 256, 4, 1, 10, 8)  # the next one is itself
    path.write_bytes(struct.pack("<2sHI", b"II", 42, first) + directory)
    with pytest.raises(Unreadable):
        open_source(path)


def test_a_tiff_of_a_million_directories_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "many"
    path.write_bytes(making_slides.chain_of_directories(1_000_000))
    with pytest.raises(LimitExceeded):
        open_source(path)


def test_a_disk_is_described_and_has_nothing_to_show(tmp_path: Path) -> None:
    path = tmp_path / "photograph.jpg"
    making_disks.write_iso(path)
    with open_source(path) as source:
        assert (source.description.format, source.description.size, source.description.levels) == ("iso", None, ())
        with pytest.raises(Unreadable, match="no pixels"):
            source.read_region(Rect(0, 0, 1, 1), Size(1, 1))
        with pytest.raises(KeyError):
            source.read_associated("label")
        with pytest.raises(IndexError):
            source.stored_tile(0, 0, 0)


@pytest.mark.parametrize(
    ("format", "head"), [("pdf", b"%PDF-1.7\n"), ("gzip", b"\x1f\x8b\x08\0"), ("tar", b"a" + bytes(256) + b"ustar\0")]
)
def test_what_is_kept_but_not_shown_says_so(tmp_path: Path, format: str, head: bytes) -> None:
    path = tmp_path / "noname"
    path.write_bytes(head + bytes(100))
    with open_source(path) as source:
        assert source.description.format == format
        assert source.description.warnings


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"A letter to a friend.", bytes(100_000), b"<svg/>", b"\xff\xd8\xff", b"II*\0", b"BM"]
)
def test_what_nobody_knows_or_can_read_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(Unreadable) as refused:
        open_source(path)
    assert str(tmp_path) not in str(refused.value)


def test_a_path_that_looks_like_options_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "photo[shrink=8,page=2].jpg"
    path.write_bytes(saved(quarters(), "JPEG"))
    with open_source(path) as source:
        assert shown(source).shape == (64, 96, 3)


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / "nothing")


def test_files_that_are_not_closed_do_not_add_up(tmp_path: Path) -> None:
    path = tmp_path / "noname"
    path.write_bytes(saved(quarters(), "TIFF"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with open_source(path) as source:
            shown(source)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_no_picture_library_is_loaded_before_a_file_is_opened() -> None:
    program = """
import sys
import pinakes.imaging.opening
print([name for name in ("PIL", "pyvips", "openslide", "pydicom", "tifffile") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
