"""Tiles given away as they are stored: what a viewer shows of them is what the slide's own readers show."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
import pyvips
import simplejpeg
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pinakes.imaging import pyramids, slides, splicing
from pinakes.imaging.directories import Tiff
from pinakes.imaging.source import DEFAULT_LIMITS, Rect, Size, StoredTile, Unreadable
from tests.imaging.making_slides import (
    abbreviated,
    jpeg_of,
    tissue,
    unnamed,
    with_field,
    write_jpeg_level,
    write_pyramid,
    write_svs,
)

SLIDE = tissue(1000, 700)
TILE_OFFSETS, TILE_COUNTS, PHOTOMETRIC = 324, 325, 262


def seen(tile: StoredTile | None) -> list[NDArray[np.int16]]:
    """What viewers show of a tile: two decoders that know nothing of TIFF."""
    assert tile is not None
    shown = [np.asarray(Image.open(BytesIO(tile.jpeg)).convert("RGB")), simplejpeg.decode_jpeg(tile.jpeg)]
    assert all(each.shape == (tile.size.height, tile.size.width, 3) for each in shown)
    return [each.astype(np.int16) for each in shown]


def spliced(path: Path, column: int = 0, row: int = 0) -> StoredTile | None:
    with pyramids.open_tiff(path) as source:
        return source.stored_tile(0, column, row)


@pytest.mark.parametrize("rgb", [True, False])
def test_a_spliced_tile_of_a_slide_shows_what_openslide_tifffile_and_we_decode(tmp_path: Path, rgb: bool) -> None:
    path = tmp_path / "slide.svs"
    write_svs(path, SLIDE, tile=240, rgb=rgb)
    with openslide.OpenSlide(path) as theirs:
        by_openslide = np.asarray(theirs.read_region((240, 240), 0, (240, 240)).convert("RGB")).astype(np.int16)
    by_tifffile = tifffile.imread(path, key=0)[240:480, 240:480].astype(np.int16)
    with slides.open_slide(path) as source:
        tile = source.stored_tile(0, 1, 1)
        decoded = source.read_region(Rect(240, 240, 240, 240), Size(240, 240)).astype(np.int16)
    for shown in seen(tile):
        for expected in (by_openslide, by_tifffile, decoded):
            assert np.abs(shown - expected).max() <= 2
        assert np.abs(shown - SLIDE[240:480, 240:480]).mean() < 4


@pytest.mark.parametrize("rgb", [True, False])
def test_a_tile_taken_for_the_other_colour_space_would_be_seen(tmp_path: Path, rgb: bool) -> None:
    """The wrong guess differs by far more than the tests above allow: they can fail."""
    tile = SLIDE[240:480, 240:480]
    tables, rest = abbreviated(jpeg_of(tile, rgb=rgb))
    # Neither says what it is, and components named 1, 2, 3 are taken for YCbCr.
    bare = b"\xff\xd8" + tables[2:-2] + rest[2:]
    marked = b"\xff\xd8" + splicing._ADOBE_RGB + tables[2:-2] + rest[2:]
    wrong = unnamed(bare) if rgb else marked
    assert min(np.abs(shown - tile).mean() for shown in seen(StoredTile(wrong, Size(240, 240)))) > 20


@pytest.mark.parametrize(("options", "photometric"), [({"Q": 80}, 6), ({"Q": 95}, 2)])
def test_tiles_with_the_tables_that_libtiff_shares_are_spliced(
    tmp_path: Path, options: dict[str, int], photometric: int
) -> None:
    """libvips writes through libtiff: YCbCr below quality 90, RGB from there on."""
    path = tmp_path / "libtiff.tif"
    picture = pyvips.Image.new_from_array(SLIDE).copy(interpretation="srgb")
    picture.tiffsave(str(path), compression="jpeg", tile=True, tile_width=256, tile_height=256, pyramid=True, **options)
    theirs = tifffile.TiffFile(path)
    with theirs:
        assert int(theirs.pages.first.tags[PHOTOMETRIC].value) == photometric
        assert theirs.pages.first.tags[347].value
        expected = theirs.pages.first.asarray()[256:512, 512:768].astype(np.int16)
    for shown in seen(spliced(path, 2, 1)):
        assert np.abs(shown - expected).max() <= 2


def test_grey_tiles_are_spliced(tmp_path: Path) -> None:
    path = tmp_path / "grey.tif"
    with tifffile.TiffWriter(path) as tiff:
        write_jpeg_level(tiff, np.ascontiguousarray(SLIDE[:, :, 0]), 128, rgb=False)
    for shown in seen(spliced(path, 1, 1)):
        assert np.abs(shown - SLIDE[128:256, 128:256, :1]).mean() < 4


@pytest.mark.parametrize("rgb", [True, False])
def test_tiles_that_hold_their_own_tables_are_spliced(tmp_path: Path, rgb: bool) -> None:
    path = tmp_path / "whole.tif"
    with tifffile.TiffWriter(path) as tiff:
        write_jpeg_level(tiff, SLIDE, 128, rgb=rgb, shared_tables=False)
    for shown in seen(spliced(path, 1, 1)):
        assert np.abs(shown - SLIDE[128:256, 128:256]).mean() < 4


def test_tiles_at_the_edges_show_more_than_the_picture_and_are_not_given_away(tmp_path: Path) -> None:
    path = tmp_path / "edges.tif"
    write_pyramid(path, SLIDE, tile=256)
    assert spliced(path, 3, 0) is None
    assert spliced(path, 0, 2) is None
    assert spliced(path, 2, 1) is not None


@pytest.mark.parametrize(("column", "row"), [(4, 0), (0, 3), (-1, 0), (0, -1), (10**30, 0)])
def test_a_tile_outside_is_an_index_error(tmp_path: Path, column: int, row: int) -> None:
    path = tmp_path / "slide.tif"
    write_pyramid(path, SLIDE, tile=256)
    with pyramids.open_tiff(path) as source:
        with pytest.raises(IndexError):
            source.stored_tile(0, column, row)
        for level in (-1, 3):
            with pytest.raises(IndexError):
                source.stored_tile(level, 0, 0)


@pytest.mark.parametrize("rgb", [True, False])
def test_a_file_that_names_the_wrong_colour_space_is_never_spliced_wrongly(tmp_path: Path, rgb: bool) -> None:
    """The directory says the one, the tile's own components or markers the other: the tile is decoded instead."""
    path = tmp_path / "lie.tif"
    with tifffile.TiffWriter(path) as tiff:
        write_jpeg_level(tiff, SLIDE, 128, rgb=rgb, shared_tables=False)
    with_field(path, PHOTOMETRIC, [6 if rgb else 2])
    assert spliced(path, 1, 1) is None


def test_a_tile_with_exif_or_a_comment_is_not_given_away(tmp_path: Path) -> None:
    """Whoever may not see identity would be given what the segment holds."""
    whole = jpeg_of(SLIDE[:128, :128], rgb=False)
    for marker in (b"\xff\xe1", b"\xff\xfe"):
        path = tmp_path / "named.tif"
        named = whole[:2] + marker + b"\x00\x0aInvented" + whole[2:]
        with tifffile.TiffWriter(path) as tiff:
            options: dict[str, Any] = {
                "compression": "jpeg",
                "photometric": "ycbcr",
                "subsampling": (2, 2),
                "metadata": None,
            }
            tiff.write(iter([named]), shape=(128, 128, 3), dtype=np.uint8, tile=(128, 128), **options)
        assert spliced(path) is None
        with pyramids.open_tiff(path) as source:
            shown = source.read_region(Rect(0, 0, 128, 128), Size(128, 128))
        assert np.abs(shown.astype(np.int16) - SLIDE[:128, :128]).mean() < 4


def test_a_tile_of_another_size_than_the_directory_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "size.tif"
    with tifffile.TiffWriter(path) as tiff:
        options: dict[str, Any] = {
            "compression": "jpeg",
            "photometric": "ycbcr",
            "subsampling": (2, 2),
            "metadata": None,
        }
        jpeg = jpeg_of(tissue(512, 512), rgb=False)
        tiff.write(iter([jpeg]), shape=(128, 128, 3), dtype=np.uint8, tile=(128, 128), **options)
    with pyramids.open_tiff(path) as source:
        assert source.stored_tile(0, 0, 0) is None
        with pytest.raises(Unreadable, match="another size"):
            source.read_region(Rect(0, 0, 128, 128), Size(128, 128))


def test_tiles_beyond_the_end_of_the_file_are_refused_and_others_are_given(tmp_path: Path) -> None:
    path = tmp_path / "beyond.tif"
    write_pyramid(path, SLIDE, tile=256, levels=1)
    with Tiff(path, DEFAULT_LIMITS) as tiff:
        offsets = tiff.numbers(tiff.directories[0], TILE_OFFSETS).tolist()
    with_field(path, TILE_OFFSETS, [2**32 - 1, *offsets[1:]])
    with pytest.raises(Unreadable, match="beyond its end"):
        spliced(path, 0, 0)
    assert spliced(path, 1, 0) is not None
    with_field(path, TILE_COUNTS, [2**32 - 1])
    with pytest.raises(Unreadable, match="64 MiB"):
        spliced(path, 0, 0)


def test_a_tile_that_ends_early_is_not_given_away(tmp_path: Path) -> None:
    path = tmp_path / "early.tif"
    write_pyramid(path, SLIDE, tile=256, levels=1)
    with Tiff(path, DEFAULT_LIMITS) as tiff:
        counts = tiff.numbers(tiff.directories[0], TILE_COUNTS).tolist()
    with_field(path, TILE_COUNTS, [counts[0] // 2, *counts[1:]])
    assert spliced(path, 0, 0) is None


def test_a_tile_that_was_left_out_is_none(tmp_path: Path) -> None:
    path = tmp_path / "sparse.svs"
    write_svs(path, SLIDE, missing=[1])
    with slides.open_slide(path) as source:
        assert source.stored_tile(0, 1, 0) is None
        assert source.stored_tile(0, 0, 0) is not None


@given(st.binary(max_size=300))
def test_tables_of_any_bytes_are_taken_or_refused(stream: bytes) -> None:
    taken = splicing.tables_within(b"\xff\xd8" + stream + b"\xff\xd9")
    assert taken in (None, stream) or taken == b""
    splicing.tables_within(stream)
    splicing.frame_size(stream)
    splicing.frame_size(b"\xff\xd8\xff" + stream)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_in_a_tiles_head_never_splices_another_size(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    jpeg = bytearray(jpeg_of(SLIDE[:128, :128], rgb=False))
    jpeg[place] = value
    path = tmp_path_factory.getbasetemp() / "changed.tif"
    with tifffile.TiffWriter(path) as tiff:
        options: dict[str, Any] = {
            "compression": "jpeg",
            "photometric": "ycbcr",
            "subsampling": (2, 2),
            "metadata": None,
        }
        tiff.write(iter([bytes(jpeg)]), shape=(128, 128, 3), dtype=np.uint8, tile=(128, 128), **options)
    tile = spliced(path)
    if tile is not None:
        assert splicing.frame_size(tile.jpeg) == tile.size == Size(128, 128)
