"""Directories of TIFF files: those that tools wrote, and those that lie."""

import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from pinakes.imaging import directories
from pinakes.imaging.directories import Tiff
from pinakes.imaging.source import DEFAULT_LIMITS, ImagingError, LimitExceeded, Limits, Size, Unreadable
from tests.imaging.making_slides import chain_of_directories, directory_bytes


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_fields_are_read_as_tifffile_wrote_them(tmp_path: Path, byteorder: Literal["<", ">"], bigtiff: bool) -> None:
    path = tmp_path / "made.tif"
    with tifffile.TiffWriter(path, byteorder=byteorder, bigtiff=bigtiff) as writer:
        options: dict[str, Any] = {
            "tile": (16, 32),
            "description": "invented",
            "resolution": (300, 150),
            "metadata": None,
        }
        writer.write(np.zeros((40, 70), np.uint16), photometric="minisblack", subifds=1, **options)
        writer.write(np.zeros((20, 35), np.uint16), photometric="minisblack", metadata=None)
        writer.write(np.zeros((5, 6), np.uint8), photometric="minisblack", metadata=None)
    with Tiff(path, DEFAULT_LIMITS) as tiff:
        first, second = tiff.directories
        assert (tiff.size(first), tiff.tile(first)) == (Size(70, 40), Size(32, 16))
        assert (tiff.size(second), tiff.tile(second)) == (Size(6, 5), None)
        assert tiff.text(first, directories.DESCRIPTION) == "invented"
        assert tiff.ratio(first, directories.Y_RESOLUTION) == 150
        assert [tiff.size(child) for child in tiff.children(first)] == [Size(35, 20)]
        assert tiff.children(first) is tiff.children(first)
        with tifffile.TiffFile(path) as theirs:
            expected = list(theirs.pages.first.tags[directories.TILE_OFFSETS].value)
        assert tiff.numbers(first, directories.TILE_OFFSETS).tolist() == expected


def test_a_circle_of_directories_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "circle.tif"
    one = directory_bytes({256: 10, 257: 10}, following=8)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + one)
    with pytest.raises(Unreadable, match="circle"):
        Tiff(path, DEFAULT_LIMITS)


def test_a_directory_that_names_itself_as_its_child_has_no_child(tmp_path: Path) -> None:
    path = tmp_path / "self.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory_bytes({256: 10, 257: 10, 330: 8}, following=0))
    with Tiff(path, DEFAULT_LIMITS) as tiff:
        assert tiff.children(tiff.directories[0]) == ()


def test_a_million_directories_are_given_up_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "chain.tif"
    path.write_bytes(chain_of_directories(1_000_000))
    with pytest.raises(LimitExceeded, match="10000 directories"):
        Tiff(path, DEFAULT_LIMITS)


def test_children_count_towards_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "children.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((8, 8), np.uint8), subifds=4)
        for _ in range(4):
            writer.write(np.zeros((4, 4), np.uint8))
    with Tiff(path, Limits(directories=4)) as tiff, pytest.raises(LimitExceeded):
        tiff.children(tiff.directories[0])


def test_a_field_beyond_the_end_is_unreadable_when_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "cut.tif"
    table = struct.pack("<H", 1) + struct.pack("<HHII", 324, 4, 1000, 50) + struct.pack("<I", 0)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + table)
    with Tiff(path, DEFAULT_LIMITS) as tiff, pytest.raises(Unreadable, match="beyond its end"):
        tiff.numbers(tiff.directories[0], directories.TILE_OFFSETS)


def test_a_field_of_four_gigabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    table = struct.pack("<H", 1) + struct.pack("<HHII", 324, 4, 2**30, 50) + struct.pack("<I", 0)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + table)
    with pytest.raises(LimitExceeded, match="64 MiB"):
        Tiff(path, DEFAULT_LIMITS)


@given(
    st.binary(max_size=200),
    st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0\x10" + 7 * b"\0"]),
)
def test_whatever_follows_a_header_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, head: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.tif"
    path.write_bytes(head + noise)
    try:
        with Tiff(path, DEFAULT_LIMITS) as tiff:
            for directory in tiff.directories:
                tiff.size(directory)
                tiff.children(directory)
                for tag in directory.entries:
                    tiff.numbers(directory, tag)
                    tiff.number(directory, tag, 0)
                    tiff.ratio(directory, tag)
                    tiff.text(directory, tag)
    except ImagingError:
        pass
