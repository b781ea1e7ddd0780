"""Photographs of every format: what they show, what they say of themselves, and what happens to those that lie."""

import io
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import pyvips
import skimage
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from pinakes.imaging import photographs
from pinakes.imaging.exif import parse_exif
from pinakes.imaging.photographs import Photograph, open_photograph
from pinakes.imaging.rasters import open_raster
from pinakes.imaging.source import DEFAULT_LIMITS, ImagingError, LimitExceeded, Limits, Rect, Size, Unreadable
from tests.imaging.making_photographs import (
    BLUE,
    GREEN,
    HEIC,
    RED,
    WHITE,
    chunk,
    corners,
    exif,
    noise,
    one_colour,
    png,
    quarters,
    save,
    saved,
    shown,
    smooth,
    swapped_profile,
)

SAMPLES: Final = Path(skimage.__file__).parent / "data"

WRITTEN: Final[dict[str, Callable[[], bytes]]] = {
    "jpeg": lambda: saved(quarters(), "JPEG", quality=95, subsampling=0),
    "png": lambda: saved(quarters(), "PNG"),
    "webp": lambda: saved(quarters(), "WEBP", lossless=True),
    "gif": lambda: saved(quarters(), "GIF"),
    "tiff": lambda: saved(quarters(), "TIFF", compression="tiff_lzw"),
    "bmp": lambda: saved(quarters(), "BMP"),
    "avif": lambda: saved(quarters(), "AVIF", quality=95, subsampling="4:4:4"),
    "heic": HEIC.read_bytes,
}

formats = pytest.mark.parametrize("format", WRITTEN)

_FAITHFUL: Final[dict[str, dict[str, Any]]] = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}


@formats
def test_a_photograph_of_every_format_shows_its_colours(tmp_path: Path, format: str) -> None:
    path = tmp_path / "noname"
    path.write_bytes(WRITTEN[format]())
    with open_photograph(path, format) as source:
        assert (source.description.format, source.description.size) == (format, Size(96, 64))
        assert [level.size for level in source.description.levels] == [Size(96, 64)]
        assert corners(shown(source)) == [RED, GREEN, BLUE, WHITE]
        assert corners(source.read_region(Rect(0, 0, 96, 64), Size(24, 16))) == [RED, GREEN, BLUE, WHITE]
        assert corners(source.read_region(Rect(0, 0, 96, 64), Size(192, 128))) == [RED, GREEN, BLUE, WHITE]
        assert corners(source.read_region(Rect(48, 0, 48, 32), Size(17, 5))) == [GREEN] * 4


@pytest.mark.parametrize("format", ["bmp", "heic"])
def test_pixels_stay_where_they_are_while_a_photograph_is_open(tmp_path: Path, format: str) -> None:
    path = tmp_path / "noname"
    path.write_bytes(saved(quarters(2000, 1000), "BMP") if format == "bmp" else HEIC.read_bytes())
    with open_photograph(path, format) as source:
        first = shown(source)
        others = [noise(2000, 1000, seed) for seed in range(8)]  # which take what memory was given back
        assert (shown(source) == first).all()
        assert len(others) == 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_honoured_as_pillow_does(tmp_path: Path, format: str, orientation: int) -> None:
    path = save(tmp_path / "turned", quarters(96, 40), format, exif=exif(orientation), **_FAITHFUL.get(format, {}))
    with Image.open(path) as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    with open_photograph(path, format.lower()) as source:
        assert source.description.size == Size(upright.shape[1], upright.shape[0])
        assert np.abs(shown(source).astype(int) - upright).max() <= 3
        part = source.read_region(Rect(5, 8, 30, 21), Size(30, 21))
        assert np.abs(part.astype(int) - upright[8:29, 5:35]).max() <= 3


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_shrunk_on_loading_looks_like_one_scaled_by_pillow(tmp_path: Path, orientation: int) -> None:
    path = save(tmp_path / "waves", smooth(1001, 667), "JPEG", quality=95, exif=exif(orientation))
    with Image.open(path) as opened:
        upright = ImageOps.exif_transpose(opened)
    width, height = upright.size
    for side in (2, 3, 5, 8, 20):
        size = Size(-(-width // side), -(-height // side))
        expected = np.asarray(upright.resize((size.width, size.height), Image.Resampling.LANCZOS)).astype(int)
        with open_photograph(path, "jpeg") as source:
            given = source.read_region(Rect(0, 0, width, height), size)
        assert np.abs(given - expected).mean() < 3, side


@pytest.mark.parametrize(("width", "height", "difference"), [(1000, 668, 0), (1001, 667, 12)])
def test_tiles_of_a_shrunk_jpeg_join_to_the_whole(tmp_path: Path, width: int, height: int, difference: int) -> None:
    path = save(tmp_path / "waves", smooth(width, height), "JPEG", quality=95)
    with open_photograph(path, "jpeg") as source:
        whole = source.read_region(Rect(0, 0, width, height), Size(-(-width // 4), -(-height // 4)))
        left = source.read_region(Rect(0, 0, 512, height), Size(128, whole.shape[0]))
        right = source.read_region(Rect(512, 0, width - 512, height), Size(whole.shape[1] - 128, whole.shape[0]))
    joined = np.concatenate([left, right], axis=1).astype(int)
    assert np.abs(joined - whole).max() <= difference


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*.*") if path.suffix in {".png", ".jpg"}))
def test_real_pictures_look_as_pillow_shows_them(name: str) -> None:
    path = SAMPLES / name
    with Image.open(path) as opened:
        profile, rgba = opened.info.get("icc_profile"), opened.convert("RGBA")
        if profile and opened.mode == "RGB":
            ImageCms.profileToProfile(rgba, io.BytesIO(profile), ImageCms.createProfile("sRGB"), inPlace=True)
        white = Image.new("RGBA", rgba.size, "white")
        expected = np.asarray(Image.alpha_composite(white, rgba).convert("RGB")).astype(int)
    with open_photograph(path, "png" if path.suffix == ".png" else "jpeg") as source:
        assert np.abs(shown(source) - expected).mean() < 1.5


def test_a_colour_profile_is_heeded(tmp_path: Path) -> None:
    swapped = [BLUE, GREEN, RED, WHITE]
    for format in ("PNG", "TIFF", "JPEG"):
        path = save(tmp_path / format, quarters(), format, icc_profile=swapped_profile())
        with open_photograph(path, format.lower()) as source:
            assert source.description.facts["colour_profile"] is True
            assert corners(shown(source)) == swapped


def test_a_broken_profile_is_not(tmp_path: Path) -> None:
    path = save(tmp_path / "broken", quarters(), "PNG", icc_profile=b"\0garbage" * 40)
    with open_photograph(path, "png") as source:
        assert corners(shown(source)) == [RED, GREEN, BLUE, WHITE]


def test_a_profile_for_other_inks_is_not(tmp_path: Path) -> None:
    path = save(tmp_path / "gray", quarters()[:, :, 1], "PNG", icc_profile=swapped_profile())
    with open_photograph(path, "png") as source:
        assert corners(shown(source)) == [(0, 0, 0), WHITE, (0, 0, 0), WHITE]


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_transparent_places_are_white_and_half_transparent_ones_half(tmp_path: Path, format: str) -> None:
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:16, 16:, 3] = 255
    pixels[16:, :, 3] = 128
    options: dict[str, Any] = {"lossless": True, "exact": True} if format == "WEBP" else {}
    path = save(tmp_path / "clear", pixels, format, **options)
    with open_photograph(path, format.lower()) as source:
        assert corners(shown(source)) == [WHITE, (0, 0, 0), (128, 128, 128), (128, 128, 128)]


def test_transparent_places_leave_no_dark_rim_when_scaled(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, 31:] = 255  # white, beside black that does not show
    path = save(tmp_path / "rim", pixels, "PNG")
    with open_photograph(path, "png") as source:
        assert source.read_region(Rect(0, 0, 64, 64), Size(10, 10)).min() == 255


@pytest.mark.parametrize(("mode", "colours"), [("LA", "gray"), ("P", "colour"), ("1", "bits"), ("L", "gray")])
def test_few_channels_become_three(tmp_path: Path, mode: str, colours: str) -> None:
    path = tmp_path / colours
    Image.fromarray(quarters()).convert(mode).save(path, "PNG")
    with Image.open(path) as opened:
        expected = np.asarray(opened.convert("RGB"))
    with open_photograph(path, "png") as source:
        assert (shown(source) == expected).all()


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    row = b"\0" + struct.pack(">9H", 65535, 0, 0, 0, 32768, 0, 255, 65535, 65280)
    path.write_bytes(png(3, 2, row * 2, bits=16))
    with open_photograph(path, "png") as source:
        assert source.description.facts["bits"] == 16
        assert shown(source)[1].tolist() == [[255, 0, 0], [0, 128, 0], [0, 255, 255]]


def test_sixteen_bits_with_alpha_lie_on_white(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    path.write_bytes(png(2, 1, b"\0" + struct.pack(">8H", 65535, 0, 0, 65535, 9, 9, 9, 0), bits=16, kind=6))
    with open_photograph(path, "png") as source:
        assert shown(source)[0].tolist() == [[255, 0, 0], [255, 255, 255]]


def test_inks_become_light(tmp_path: Path) -> None:
    inks = np.zeros((64, 96, 4), np.uint8)
    inks[:32, :48, 3] = 255  # black
    inks[:32, 48:, 1:3] = 255  # magenta and yellow: red
    inks[32:, :48, 2] = 255  # yellow
    path = tmp_path / "inks.jpg"
    Image.fromarray(inks, "CMYK").save(path, "JPEG", quality=95)
    with open_photograph(path, "jpeg") as source:
        black, red, yellow, white = (shown(source)[y, x].astype(int) for y in (16, 48) for x in (24, 72))
    assert black.max() < 60
    assert white.min() > 245
    assert red[0] > 180 > 90 > red[1:].max()
    assert yellow[:2].min() > 200 > 100 > yellow[2]


@pytest.mark.parametrize(("format", "options"), [("GIF", {}), ("WEBP", {"lossless": True})])
def test_an_animation_shows_its_first_frame_and_others_when_asked(
    tmp_path: Path, format: str, options: dict[str, Any]
) -> None:
    pictures = [Image.new("RGB", (20, 10), colour) for colour in (RED, GREEN, BLUE)]
    path = tmp_path / "moving"
    pictures[0].save(path, format, save_all=True, append_images=pictures[1:], duration=40, **options)
    with open_photograph(path, format.lower()) as source:
        assert source.description.frames == 3
        assert [tuple(shown(source, frame=frame)[5, 5]) for frame in (0, 1, 2, 0)] == [RED, GREEN, BLUE, RED]
        for frame in (-1, 3):
            with pytest.raises(Unreadable):
                shown(source, frame=frame)


def test_pages_of_another_size_are_shown_at_the_size_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    Image.new("RGB", (20, 10), RED).save(path, save_all=True, append_images=[Image.new("RGB", (7, 31), BLUE)])
    with open_photograph(path, "tiff") as source:
        assert (shown(source, frame=1) == BLUE).all()


def test_heic_is_turned_by_its_container_alone_and_tells_its_date(tmp_path: Path) -> None:
    # Its EXIF says 6, its container says nothing: ISO/IEC 23008-12 has the container decide.
    with open_photograph(HEIC, "heic") as source:
        assert source.description.size == Size(96, 64)
        assert source.description.captured_at == "2021-02-03T04:05:06"
        assert source.description.identity == ("EXIF GPS",)


def test_without_its_library_heic_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(Unreadable, match=r"pinakes\[heic\]"):
        open_photograph(HEIC, "heic")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_what_the_camera_wrote_is_described_without_values_that_tell_on_people(tmp_path: Path, format: str) -> None:
    told = exif(offset="+01:00", gps=True)
    told[0x013B] = "Jane Roe"
    path = save(tmp_path / "told", quarters(), format, exif=told)
    with open_photograph(path, format.lower()) as source:
        description = source.description
    assert description.captured_at == "2021-02-03T04:05:06+01:00"
    assert description.facts["camera"] == "Acme Snap 3"
    assert description.identity == ("EXIF GPS", "EXIF artist")
    assert "Jane" not in repr(description)


def test_a_tiff_tells_when_it_was_made_and_by_whom(tmp_path: Path) -> None:
    told = exif()
    told[0x0132], told[0x013B] = "2021:02:03 04:05:06", "Jane Roe"
    path = save(tmp_path / "told", quarters(), "TIFF", exif=told)
    with open_photograph(path, "tiff") as source:
        assert source.description.captured_at == "2021-02-03T04:05:06"
        assert source.description.identity == ("EXIF artist",)


def test_when_a_jpeg_was_last_changed_is_not_when_it_was_taken(tmp_path: Path) -> None:
    changed = Image.Exif()
    changed[0x0132] = "2021:02:03 04:05:06"
    with open_photograph(save(tmp_path / "a", quarters(), "JPEG", exif=changed), "jpeg") as source:
        assert source.description.captured_at is None


def test_xmp_and_comments_are_named(tmp_path: Path) -> None:
    jpeg = save(tmp_path / "a", quarters(), "JPEG", xmp=b"<x:xmpmeta/>")
    with open_photograph(jpeg, "jpeg") as source:
        assert source.description.identity == ("XMP",)
    path = tmp_path / "b"
    path.write_bytes(png(8, 8, b"\0" * 200, more=chunk(b"tEXt", b"Comment\0Jane Roe")))
    with open_photograph(path, "png") as source:
        assert source.description.identity == ("comment",)


@pytest.mark.parametrize(
    "taken", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2021-02-03", "\0", "2021:13:01 00:00:00"]
)
def test_a_date_that_is_none_is_not_told(taken: str) -> None:
    written = exif()
    written.get_ifd(0x8769)[0x9003] = taken
    assert parse_exif(written.tobytes()).captured_at is None


@given(block=st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: b"Exif\0\0II*\0\x08\0\0\0" + tail))
def test_no_exif_block_raises(block: bytes) -> None:
    parse_exif(block)


def test_a_photograph_is_decoded_once_for_all_its_tiles(tmp_path: Path) -> None:
    path = save(tmp_path / "waves", smooth(640, 480), "JPEG", quality=90)
    source, loads = _counted(path, "jpeg")
    for x in range(0, 640, 64):
        source.read_region(Rect(x, 0, 64, 64), Size(64, 64))
    source.read_region(Rect(0, 0, 640, 480), Size(80, 60))
    assert loads == [(0, 1)]
    source.close()
    source.read_region(Rect(0, 0, 640, 480), Size(80, 60))
    assert loads == [(0, 1), (0, 8)]


def test_a_picture_too_large_to_keep_is_read_as_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "waves", smooth(640, 480), "PNG")
    with open_photograph(path, "png") as source:
        expected = [source.read_region(Rect(x, 100, 64, 300), Size(32, 150)) for x in (0, 320)]
    monkeypatch.setattr(photographs, "_MOST_KEPT_BYTES", 1000)
    source, loads = _counted(path, "png")
    given = [source.read_region(Rect(x, 100, 64, 300), Size(32, 150)) for x in (0, 320)]
    assert np.array_equal(given, expected)
    assert len(loads) == 2


def _counted(path: Path, format: str) -> tuple[Photograph, list[tuple[int, int]]]:
    """A photograph that notes each decoding: frame and shrink."""
    raster, loads = open_raster(path, format), list[tuple[int, int]]()

    def load(frame: int, shrink: int) -> Any:
        loads.append((frame, shrink))
        return raster.load(frame, shrink)

    return Photograph(type(raster)(raster.header, load, raster.can_shrink), format, DEFAULT_LIMITS), loads


def test_there_is_nothing_beside_a_photograph_and_no_stored_tile(tmp_path: Path) -> None:
    with open_photograph(save(tmp_path / "a", quarters(), "PNG"), "png") as source:
        with pytest.raises(KeyError):
            source.read_associated("label")
        assert source.stored_tile(0, 0, 0) is None
        with pytest.raises(IndexError):
            source.stored_tile(1, 0, 0)


# Bad input


@formats
def test_a_file_that_was_cut_off_is_unreadable(tmp_path: Path, format: str) -> None:
    pixels = noise(200, 150)
    whole = HEIC.read_bytes() if format == "heic" else saved(pixels, format.upper())
    for share in (0.01, 0.1, 0.5, 0.9):
        path = tmp_path / "cut"
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(Unreadable) as refused:
            shown(open_photograph(path, format))
        assert str(path) not in str(refused.value)


@formats
def test_no_damage_raises_anything_but_our_own_errors(tmp_path: Path, format: str) -> None:
    chance = random.Random(7)
    whole = WRITTEN[format]()
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path = tmp_path / "damaged"
        path.write_bytes(damaged)
        with suppress(ImagingError), open_photograph(path, format, Limits(pixels=1_000_000)) as source:
            shown(source)


@formats
def test_a_picture_of_another_format_is_unreadable(tmp_path: Path, format: str) -> None:
    path = tmp_path / "other"
    path.write_bytes(b"none of these at all" * 40)
    with pytest.raises(Unreadable):
        open_photograph(path, format)


def test_no_reader_for_a_format_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Unreadable):
        open_photograph(save(tmp_path / "a", quarters(), "PNG"), "svg")


def _patched(format: str, at: int, *, order: str = "<I") -> bytes:
    """A photograph whose header says 50,000 x 50,000."""
    content, side = bytearray(WRITTEN[format]()), struct.pack(order, 50_000)
    content[at : at + 2 * len(side)] = side * 2
    return bytes(content)


@pytest.mark.parametrize(
    ("format", "made"),
    [
        ("jpeg", lambda: _patched("jpeg", WRITTEN["jpeg"]().index(b"\xff\xc0") + 5, order=">H")),
        ("bmp", lambda: _patched("bmp", 18)),
        ("png", lambda: png(50_000, 50_000, b"")),
    ],
)
def test_a_file_that_claims_too_many_pixels_is_described_and_not_shown_in_parts(
    tmp_path: Path, format: str, made: Callable[[], bytes]
) -> None:
    path = tmp_path / "claims"
    path.write_bytes(made())
    with open_photograph(path, format) as source:
        assert (source.description.size, source.description.levels) == (Size(50_000, 50_000), ())
        assert source.description.warnings
        with pytest.raises(LimitExceeded, match="more than"):
            source.read_region(Rect(0, 0, 256, 256), Size(256, 256))


def _jpeg_of_height(height: int) -> bytes:
    jpeg = bytearray(WRITTEN["jpeg"]())
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 7] = height.to_bytes(2, "big")
    return bytes(jpeg)


LIES: Final[dict[str, tuple[str, Callable[[], bytes]]]] = {
    "PNG with fewer rows than it says": ("png", lambda: png(100, 5000, (b"\0" + b"\1" * 300) * 20)),
    "BMP with fewer rows than it says": ("bmp", lambda: WRITTEN["bmp"]()[:22] + b"\0\x10\0\0" + WRITTEN["bmp"]()[26:]),
    "PNG of no width": ("png", lambda: png(0, 10, b"\0" * 10)),
    "PNG of no height": ("png", lambda: png(10, 0, b"")),
    "JPEG of no height": ("jpeg", lambda: _jpeg_of_height(0)),
    "GIF of no size": ("gif", lambda: b"GIF89a\0\0\0\0\0\0\0;"),
    "BMP of no width": ("bmp", lambda: WRITTEN["bmp"]()[:18] + bytes(4) + WRITTEN["bmp"]()[22:]),
    "TIFF of no width": (
        "tiff",
        lambda: WRITTEN["tiff"]().replace(struct.pack("<HHI", 256, 3, 1) + b"\x60", struct.pack("<HHIB", 256, 3, 1, 0)),
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_about_its_size_is_unreadable(tmp_path: Path, lie: str) -> None:
    format, made = LIES[lie]
    path = tmp_path / "lie"
    path.write_bytes(made())
    with pytest.raises(Unreadable):
        shown(open_photograph(path, format))


def test_a_jpeg_with_fewer_rows_than_it_says_shows_those_it_has(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(_jpeg_of_height(128))
    with open_photograph(path, "jpeg") as source:
        assert corners(shown(source)[:64]) == [RED, GREEN, BLUE, WHITE]


_SHOWN_SMALL = """
import sys
from pathlib import Path
from pinakes.imaging.photographs import open_photograph
from pinakes.imaging.source import Rect, Size
with open_photograph(Path(sys.argv[1]), "png") as source:
    whole = source.description.size
    shown = source.read_region(Rect(0, 0, whole.width, whole.height), Size(256, 256))
    print(whole.width, *shown[128, 128])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize("side", [20_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_more_pixels_than_fit_into_memory_are_shown_small(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(one_colour(side))
    assert path.stat().st_size < 500_000
    with open_photograph(path, "png") as source:
        told = source.description
        assert (told.size, told.levels) == (Size(side, side), ())
        assert "300000000 pixels" in told.warnings[0]
        for rect, size in ((Rect(0, 0, 256, 256), Size(256, 256)), (Rect(0, 0, side, side), Size(2049, 2049))):
            with pytest.raises(LimitExceeded, match="300000000"):
                source.read_region(rect, size)
    run = subprocess.run([sys.executable, "-c", _SHOWN_SMALL, path], capture_output=True, text=True, check=True)
    shown, peak = run.stdout.splitlines()
    assert shown == f"{side} 0 0 0"
    assert int(peak) < 350_000  # kilobytes; 100,000 are the program's own


def test_more_pixels_than_may_be_streamed_are_not_shown_at_all(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(one_colour(1000))
    whole = Rect(0, 0, 1000, 1000)
    with open_photograph(path, "png", Limits(pixels=100, streamed_pixels=1_000_000)) as source:
        assert source.read_region(whole, Size(64, 64)).shape == (64, 64, 3)
    with open_photograph(path, "png", Limits(pixels=100, streamed_pixels=999_999)) as source:
        assert source.description.warnings == (
            "The picture has more than 999999 pixels, and can only be decoded whole: it is too large to be shown.",
        )
        with pytest.raises(LimitExceeded):
            source.read_region(whole, Size(64, 64))


@pytest.mark.parametrize(
    ("format", "options", "held_bytes"),
    [
        ("gif", {}, 9), ("webp", {}, 20), ("avif", {}, 16), ("bmp", {}, 14), ("jpeg", {"progressive": True}, 9),
    ],
)  # fmt: skip
def test_what_is_in_memory_whole_is_bounded_by_the_memory_there_is(
    tmp_path: Path, format: str, options: dict[str, object], held_bytes: int
) -> None:
    path = save(tmp_path / "picture", quarters(), format.upper(), **options)
    pixels = 96 * 64
    with open_photograph(path, format, Limits(held_bytes=held_bytes * pixels)) as source:
        assert corners(shown(source)) == [RED, GREEN, BLUE, WHITE]
    with open_photograph(path, format, Limits(held_bytes=held_bytes * pixels - 1)) as source:
        assert (source.description.size, source.description.levels) == (Size(96, 64), ())
        with pytest.raises(LimitExceeded, match=f"more than {pixels - 1} pixels"):
            shown(source)
        assert source.description.warnings


def test_an_interlaced_png_is_bounded_by_the_memory_there_is(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    pyvips.Image.new_from_array(quarters()).pngsave(str(path), interlace=True)
    open_photograph(path, "png", Limits(held_bytes=9 * 96 * 64)).close()
    with open_photograph(path, "png", Limits(held_bytes=9 * 96 * 64 - 1)) as source, pytest.raises(LimitExceeded):
        shown(source)


def test_too_many_frames_are_refused(tmp_path: Path) -> None:
    pictures = [Image.fromarray(noise(8, 8, seed)) for seed in range(12)]
    path = tmp_path / "many.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    open_photograph(path, "gif", Limits(directories=12)).close()
    with pytest.raises(LimitExceeded):
        open_photograph(path, "gif", Limits(directories=11))


def test_a_later_page_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    Image.new("1", (20, 10)).save(path, save_all=True, append_images=[Image.new("1", (2000, 1000))])
    with open_photograph(path, "tiff", Limits(pixels=10_000)) as source, pytest.raises(LimitExceeded):
        shown(source, frame=1)


def test_bombs_in_compressed_chunks_take_no_memory(tmp_path: Path) -> None:
    squeezed = zlib.compressobj(9)
    bomb = b"".join(squeezed.compress(bytes(10_000_000)) for _ in range(40)) + squeezed.flush()
    more = chunk(b"iCCP", b"x\0\0" + bomb) + chunk(b"zTXt", b"x\0\0" + bomb) + chunk(b"iTXt", b"x\0\1\0\0\0" + bomb)
    path = tmp_path / "bomb.png"
    path.write_bytes(png(8, 8, bytes(25 * 8), more=more))
    program = """
import sys
from pathlib import Path
from pinakes.imaging.photographs import open_photograph
from pinakes.imaging.source import Rect, Size, ImagingError
try:
    with open_photograph(Path(sys.argv[1]), "png") as source:
        source.read_region(Rect(0, 0, 8, 8), Size(8, 8))
except ImagingError:
    pass
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    run = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 200_000  # kilobytes; half of them are the program's own


def test_a_lack_of_memory_is_not_taken_for_damage(tmp_path: Path) -> None:
    path = tmp_path / "large"  # a progressive JPEG is decoded whole: here, into 150 MB
    Image.new("RGB", (5000, 5000), RED).save(path, "JPEG", progressive=True, subsampling=0)
    program = """
import resource, sys
from pathlib import Path
from pinakes.imaging.photographs import open_photograph
from pinakes.imaging.source import Rect, Size
with open_photograph(Path(sys.argv[1]), "jpeg") as source:
    taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 100_000_000,) * 2)
    try:
        source.read_region(Rect(0, 0, 5000, 5000), Size(50, 50))
    except MemoryError:
        print("memory")
"""
    run = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert run.stdout == "memory\n"


@settings(max_examples=30)
@given(data=st.data())
def test_any_part_at_any_size_has_that_size(data: st.DataObject) -> None:
    x, y = data.draw(st.integers(0, 95)), data.draw(st.integers(0, 63))
    rect = Rect(x, y, data.draw(st.integers(1, 96 - x)), data.draw(st.integers(1, 64 - y)))
    size = Size(data.draw(st.integers(1, 300)), data.draw(st.integers(1, 300)))
    assert _QUARTERS.read_region(rect, size).shape == (size.height, size.width, 3)


_QUARTERS: Final = open_photograph(HEIC, "heic")
