"""Pixels as files: what another program reads of them, and that nothing else is in them."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pinakes.imaging.encoding import LONGEST_SIDE, MEDIA_TYPES, Format, encode
from pinakes.imaging.source import LimitExceeded
from tests.imaging.making_photographs import BLUE, GREEN, RED, WHITE, corners, quarters, smooth

formats = pytest.mark.parametrize("format", MEDIA_TYPES)


def read(content: bytes) -> Image.Image:
    opened = Image.open(io.BytesIO(content))
    opened.load()
    return opened


@formats
def test_another_program_reads_the_same_picture(format: Format) -> None:
    opened = read(encode(quarters(), format))
    assert (Image.MIME[str(opened.format)], opened.mode) == (MEDIA_TYPES[format], "RGB")
    assert corners(np.asarray(opened)) == [RED, GREEN, BLUE, WHITE]
    waves = smooth(257, 129)
    assert np.abs(np.asarray(read(encode(waves, format))).astype(int) - waves).mean() < 3


def test_png_is_exact() -> None:
    waves = smooth(257, 129)
    assert (np.asarray(read(encode(waves, "png"))) == waves).all()


@formats
def test_gray_pictures_stay_gray(format: Format) -> None:
    gray = np.repeat(smooth(64, 48)[:, :, :1], 3, axis=2)
    opened = read(encode(gray, format, gray=True))
    shown = np.asarray(opened.convert("RGB")).astype(int)
    assert np.abs(shown - gray).mean() < 3
    assert np.ptp(shown, axis=2).max() <= 3
    if format in ("jpeg", "png"):
        assert opened.mode == "L"


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_more_quality_is_more_bytes_and_less_difference(format: Format) -> None:
    waves = smooth(200, 100)
    files = [encode(waves, format, quality=quality) for quality in (10, 50, 95)]
    assert [len(file) for file in files] == sorted(len(file) for file in files)
    differences = [np.abs(np.asarray(read(file)).astype(int) - waves).mean() for file in files]
    assert differences == sorted(differences, reverse=True)


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
@pytest.mark.parametrize("quality", [-3, 0, 1, 100, 1000])
def test_quality_out_of_range_is_the_nearest_in_range(format: Format, quality: int) -> None:
    assert read(encode(quarters(), format, quality=quality)).size == (96, 64)


@formats
def test_nothing_but_the_picture_is_written(format: Format) -> None:
    content = encode(quarters(), format)
    assert not {"exif", "xmp", "icc_profile", "comment"} & set(read(content).info)
    for mark in (b"Exif", b"http://", b"tEXt", b"tIME", b"pHYs", b"Photoshop"):
        assert mark not in content


def test_files_say_that_they_are_srgb_where_that_is_cheap() -> None:
    assert read(encode(quarters(), "png")).info["srgb"] == 0
    assert b"colrnclx" in encode(quarters(), "avif")


@formats
def test_pixels_that_do_not_lie_in_a_row_are_written_right(format: Format) -> None:
    assert corners(np.asarray(read(encode(quarters()[:, ::-1], format)))) == [GREEN, RED, WHITE, BLUE]
    assert corners(np.asarray(read(encode(quarters().transpose(1, 0, 2), format)))) == [RED, BLUE, GREEN, WHITE]


def test_a_picture_longer_than_its_format_allows_is_refused() -> None:
    strip = np.zeros((1, LONGEST_SIDE["webp"] + 1, 3), np.uint8)
    with pytest.raises(LimitExceeded):
        encode(strip, "webp")
    assert read(encode(strip[:, :-1], "webp")).width == LONGEST_SIDE["webp"]
    with pytest.raises(LimitExceeded):
        encode(np.zeros((LONGEST_SIDE["jpeg"] + 1, 1, 3), np.uint8), "jpeg")
    assert read(encode(np.zeros((LONGEST_SIDE["jpeg"], 1, 3), np.uint8), "jpeg")).height == LONGEST_SIDE["jpeg"]


@settings(max_examples=20)
@given(width=st.integers(1, 40), height=st.integers(1, 40), format=st.sampled_from(list(MEDIA_TYPES)))
def test_every_size_can_be_written(width: int, height: int, format: Format) -> None:
    assert read(encode(np.zeros((height, width, 3), np.uint8), format)).size == (width, height)
