"""TIFF files of every layout: pyramids, OME-TIFF, frames, kinds of numbers and colours; and hostile ones."""

import resource
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import imagecodecs
import numpy as np
import pytest
import pyvips
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pinakes.imaging import directories, pyramids, regions
from pinakes.imaging.segments import Pages, StoredPicture
from pinakes.imaging.source import ImagingError, LimitExceeded, Limits, Pixels, Rect, Size, Unreadable
from tests.imaging.making_slides import halves, tissue, with_field, write_jpeg_level, write_ome, write_pyramid

PICTURE = tissue(600, 420)
WHOLE, FULL = Rect(0, 0, 600, 420), Size(600, 420)
GREY = PICTURE[:, :, 0]


def far(one: NDArray[Any], other: NDArray[Any]) -> float:
    """How far apart two pictures are, on average, in steps of 255."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(np.int16) - other).mean())


def shown(path: Path, rect: Rect = WHOLE, size: Size | None = None, *, frame: int = 0) -> Pixels:
    with pyramids.open_tiff(path) as source:
        return source.read_region(rect, size or Size(rect.width, rect.height), frame=frame)


def written(path: Path, picture: NDArray[Any], **options: Any) -> Path:
    tifffile.imwrite(path, picture, **{"metadata": None, **options})
    return path


def grey_as_rgb(grey: NDArray[Any]) -> Pixels:
    return np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8)


def test_an_ome_tiff_is_described(tmp_path: Path) -> None:
    path = tmp_path / "slide.ome.tif"
    write_ome(path, PICTURE)
    with pyramids.open_tiff(path) as source:
        told = source.description
        assert (told.size, told.mpp, told.frames, told.associated) == (FULL, (0.25, 0.25), 1, ("label",))
        assert [(level.size, level.tile) for level in told.levels] == [
            (FULL, Size(128, 128)),
            (Size(300, 210), Size(128, 128)),
            (Size(150, 105), Size(128, 128)),
        ]
        assert told.identity == ("label image",)
        assert source.read_associated("label").tolist() == np.full((40, 64, 3), 77).tolist()
        with pytest.raises(KeyError):
            source.read_associated("macro")
        assert far(source.read_region(WHOLE, FULL), PICTURE) == 0
        assert far(source.read_region(WHOLE, Size(150, 105)), halves(PICTURE, 2)) == 0


@pytest.mark.parametrize("subifd", [False, True])
def test_a_pyramid_that_libvips_wrote_is_read(tmp_path: Path, subifd: bool) -> None:
    path = tmp_path / "pyramid.tif"
    image = pyvips.Image.new_from_array(PICTURE)
    image.tiffsave(str(path), tile=True, tile_width=64, tile_height=64, pyramid=True, subifd=subifd, compression="lzw")
    with pyramids.open_tiff(path) as source:
        assert [level.size.width for level in source.description.levels] == [600, 300, 150, 75, 37]
        assert source.description.frames == 1
        assert far(source.read_region(Rect(100, 60, 400, 300), Size(400, 300)), PICTURE[60:360, 100:500]) == 0
        assert far(source.read_region(WHOLE, Size(150, 105)), halves(PICTURE, 2)) < 2


@pytest.mark.parametrize("rgb", [True, False])
def test_a_pyramid_of_jpeg_tiles_has_its_resolution(tmp_path: Path, rgb: bool) -> None:
    path = tmp_path / "pyramid.tif"
    write_pyramid(path, PICTURE, rgb=rgb)
    with pyramids.open_tiff(path) as source:
        assert source.description.mpp == (0.25, 0.25)
        assert far(source.read_region(Rect(200, 200, 300, 150), Size(300, 150)), PICTURE[200:350, 200:500]) < 4


@pytest.mark.parametrize(
    ("picture", "options", "expected"),
    [
        (PICTURE, {"photometric": "rgb", "rowsperstrip": 7}, PICTURE),
        (PICTURE, {"photometric": "rgb", "rowsperstrip": 7, "compression": "lzw", "predictor": True}, PICTURE),
        (PICTURE, {"photometric": "rgb", "compression": "zstd", "tile": (64, 32)}, PICTURE),
        (PICTURE, {"photometric": "rgb", "compression": "packbits", "byteorder": ">"}, PICTURE),
        (PICTURE, {"photometric": "rgb", "compression": "jpeg2000", "tile": (64, 64)}, PICTURE),
        (PICTURE.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate", "tile": (64, 64)}, PICTURE),
        (PICTURE.astype(np.uint16) * 257, {"photometric": "rgb", "byteorder": ">"}, PICTURE),
        (GREY, {"photometric": "minisblack", "tile": (64, 64)}, grey_as_rgb(GREY)),
        (GREY, {"photometric": "miniswhite"}, 255 - grey_as_rgb(GREY)),
        (GREY > 128, {"photometric": "minisblack"}, grey_as_rgb((GREY > 128) * 255)),
        (GREY, {"photometric": "palette", "colormap": np.arange(768).reshape(3, 256).astype(np.uint16) << 8}, None),
    ],
    ids=["strips", "lzw", "zstd", "big-endian", "jpeg2000", "planar", "16-bit", "grey", "white", "bilevel", "palette"],
)
def test_every_kind_of_numbers_and_colours_is_shown(
    tmp_path: Path, picture: NDArray[Any], options: dict[str, Any], expected: "NDArray[np.uint8] | None"
) -> None:
    path = written(tmp_path / "kind.tif", picture, **options)
    if expected is None:
        expected = grey_as_rgb(GREY)
    assert far(shown(path), expected) == 0
    assert far(shown(path, Rect(61, 5, 70, 100)), expected[5:105, 61:131]) == 0


def test_transparency_is_put_on_white(tmp_path: Path) -> None:
    alpha = np.zeros((420, 600, 1), np.uint8)
    alpha[:, 300:] = 255
    path = written(
        tmp_path / "alpha.tif", np.concatenate([PICTURE, alpha], axis=2), photometric="rgb", extrasamples=[2]
    )
    seen = shown(path)
    assert far(seen[:, 300:], PICTURE[:, 300:]) == 0
    assert far(seen[:, :300], np.full((420, 300, 3), 255)) == 0


def test_inks_become_colours(tmp_path: Path) -> None:
    inks = np.zeros((420, 600, 4), np.uint8)
    inks[:, :300, 0] = 255
    seen = shown(written(tmp_path / "cmyk.tif", inks, photometric="separated"))
    assert seen[0, 0].tolist() == [0, 255, 255]
    assert seen[0, 599].tolist() == [255, 255, 255]


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.uint32, np.float32])
def test_measured_values_are_shown_from_the_least_to_the_greatest(tmp_path: Path, kind: type) -> None:
    values: NDArray[Any] = (GREY.astype(np.float64) * 10 + 300).astype(kind)
    with tifffile.TiffWriter(tmp_path / "deep.tif") as writer:
        options: dict[str, Any] = {"tile": (64, 64), "photometric": "minisblack", "metadata": None}
        writer.write(values, subifds=1, **options)
        writer.write(values[::2, ::2], subfiletype=1, **options)
    seen = shown(tmp_path / "deep.tif")
    assert seen.min() == 0
    assert seen.max() == 255
    assert np.corrcoef(seen[:, :, 0].ravel(), GREY.ravel())[0, 1] > 0.99
    part = shown(tmp_path / "deep.tif", Rect(100, 100, 50, 50))
    assert far(part, seen[100:150, 100:150]) == 0, "black and white are the same in every tile"


def test_pages_of_one_size_are_frames(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for frame in range(7):
            writer.write(np.full((40, 50), frame * 30, np.uint8), metadata=None)
        writer.write(np.zeros((4, 5), np.uint8), metadata=None)
    with pyramids.open_tiff(path) as source:
        assert source.description.frames == 7
        assert len(source.description.levels) == 1
        for frame in (0, 6, 3, 0):
            assert source.read_region(Rect(0, 0, 50, 40), Size(1, 1), frame=frame)[0, 0, 0] == frame * 30
        for frame in (-1, 7):
            with pytest.raises(Unreadable, match="frame"):
                source.read_region(Rect(0, 0, 50, 40), Size(1, 1), frame=frame)


def test_ome_planes_are_frames_with_levels_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "channels.ome.tif"
    planes = np.stack([GREY, 255 - GREY, GREY // 2])
    with tifffile.TiffWriter(path, ome=True) as writer:
        options: dict[str, Any] = {"tile": (64, 64), "photometric": "minisblack"}
        writer.write(planes, subifds=1, metadata={"axes": "CYX"}, **options)
        writer.write(planes[:, ::2, ::2], subfiletype=1, **options)
    with pyramids.open_tiff(path) as source:
        assert source.description.frames == 3
        assert [level.size for level in source.description.levels] == [FULL, Size(300, 210)]
        assert far(source.read_region(WHOLE, FULL, frame=1), grey_as_rgb(255 - GREY)) == 0
        assert far(source.read_region(WHOLE, Size(300, 210), frame=2), grey_as_rgb((GREY // 2)[::2, ::2])) == 0


def test_other_files_that_ome_xml_names_are_never_opened(tmp_path: Path) -> None:
    secret = written(tmp_path / "secret.tif", 255 - PICTURE, photometric="rgb")
    text = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        '<Image ID="Image:0"><Pixels DimensionOrder="XYCZT" ID="Pixels:0" SizeX="600" SizeY="420" SizeC="3" SizeZ="2"'
        ' SizeT="1" Type="uint8"><Channel ID="Channel:0:0" SamplesPerPixel="3"/><TiffData IFD="0" PlaneCount="1">'
        '<UUID FileName="here.tif">urn:uuid:1</UUID></TiffData><TiffData IFD="0" FirstZ="1" PlaneCount="1">'
        f'<UUID FileName="{secret}">urn:uuid:2</UUID></TiffData></Pixels></Image></OME>'
    )
    path = written(tmp_path / "here.tif", PICTURE, photometric="rgb", description=text)
    with pyramids.open_tiff(path) as source:
        assert source.description.frames == 1
        assert source.description.warnings == ("Parts of this picture are in other files, and are not shown.",)
        assert far(source.read_region(WHOLE, FULL), PICTURE) == 0


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><OME>&a;</OME>',
        "<OME><Image></OME>",
        '<OME xmlns="x"><Image><Pixels SizeZ="-1" SizeC="9999999999" SizeT="٣">'
        '<TiffData IFD="99"/></Pixels></Image></OME>',
        "<OME><Image/><Image><Pixels/></Image></OME>",
        "<OME>" + "<a>" * 20_000 + "</a>" * 20_000 + "</OME>",
    ],
    ids=["entities", "unclosed", "numbers", "empty", "deep"],
)
def test_damaged_ome_xml_is_refused_or_ignored(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "ome.tif", PICTURE, photometric="rgb", description=text.encode("utf-8"))
    with suppress(ImagingError):
        assert far(shown(path), PICTURE) == 0


def test_dates_and_colour_profiles_are_told(tmp_path: Path) -> None:
    path = written(
        tmp_path / "dated.tif", PICTURE, photometric="rgb", datetime="2026:11:21 17:01:02", iccprofile=b"profile"
    )
    with pyramids.open_tiff(path) as source:
        assert source.description.captured_at == "2026-11-21T17:01:02"
        assert source.description.facts["has_color_profile"]


def test_a_large_picture_of_one_size_is_scaled_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "large.tif", PICTURE, photometric="rgb", tile=(64, 64))
    at_once = shown(path, WHOLE, Size(123, 77))
    monkeypatch.setattr(regions, "BLOCK_PIXELS", 5_000)
    in_blocks = shown(path, WHOLE, Size(123, 77))
    assert far(in_blocks, at_once) < 1.5
    assert far(shown(path, WHOLE, Size(150, 105)), halves(PICTURE, 2)) < 6


def test_a_region_that_needs_too_many_pixels_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "single.tif", PICTURE, photometric="rgb", tile=(64, 64))
    with pyramids.open_tiff(path, Limits(pixels=10_000, streamed_pixels=80_000)) as source:
        with pytest.raises(LimitExceeded):
            source.read_region(WHOLE, Size(10, 10))
        assert source.read_region(Rect(0, 0, 100, 100), Size(10, 10)).shape == (10, 10, 3)
    with pytest.raises(LimitExceeded):
        pyramids.open_tiff(path, Limits(pixels=1_000))


def bomb(path: Path, stored: bytes, compression: int, side: int = 64) -> Path:
    """A TIFF file of one tile, whose bytes are something else than its directory says."""
    written(path, np.zeros((side, side, 3), np.uint8), photometric="rgb", tile=(side, side), compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        where = tiff.filehandle.size
        tiff.filehandle.seek(where)
        tiff.filehandle.write(stored)
    for tag, value in ((324, where), (325, len(stored)), (259, compression)):
        with_field(path, tag, [value])
    return path


def test_a_bomb_in_deflate_takes_no_more_room_than_the_tile(tmp_path: Path) -> None:
    """A quarter of a gibibyte of zeros in 64 x 64 pixels."""
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(bytes(1 << 24)) for _ in range(16)) + packer.flush()
    path = bomb(tmp_path / "bomb.tif", packed, 8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with suppress(Unreadable):
        assert shown(path, Rect(0, 0, 64, 64)).max() == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024, "KiB"


def test_pictures_in_tiles_that_are_larger_than_the_tile_are_refused(tmp_path: Path) -> None:
    large = np.zeros((2_000, 2_000, 3), np.uint8)
    for name, stored, compression in (
        ("jpeg", bytes(imagecodecs.jpeg8_encode(large)), 7),
        ("jpeg2000", bytes(imagecodecs.jpeg2k_encode(large)), 34712),
    ):
        path = bomb(tmp_path / f"{name}.tif", stored, compression)
        with pytest.raises(Unreadable, match="another size"):
            shown(path, Rect(0, 0, 64, 64))


@pytest.mark.parametrize("compression", [6, 34887, 50001, 50002, 65000, 12345])
def test_unknown_compressions_are_refused(tmp_path: Path, compression: int) -> None:
    path = bomb(tmp_path / "unknown.tif", bytes(100), compression)
    with pytest.raises(Unreadable):
        shown(path, Rect(0, 0, 64, 64))


def test_a_strip_of_two_gigabytes_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "strip.tif", PICTURE, photometric="rgb", compression="zlib", rowsperstrip=420)
    with_field(path, 256, [60_000])
    with_field(path, 257, [60_000])
    with_field(path, 278, [60_000])
    with pytest.raises(LimitExceeded):
        pyramids.open_tiff(path)


def test_tiles_that_are_missing_from_the_directory_are_refused(tmp_path: Path) -> None:
    for compression in ("zlib", "jpeg"):
        path = written(tmp_path / "few.tif", PICTURE, photometric="rgb", tile=(64, 64), compression=compression)
        with_field(path, 257, [60_000])
        with pytest.raises(Unreadable), pyramids.open_tiff(path) as source:
            source.read_region(Rect(0, 50_000, 64, 64), Size(64, 64))


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    path = tmp_path_factory.mktemp("wholes") / "whole.tif"
    small = np.ascontiguousarray(PICTURE[:100, :130])
    write_pyramid(path, small, tile=32, levels=2)
    wholes = [path.read_bytes()]
    write_ome(path, small, tile=32, levels=2)
    wholes.append(path.read_bytes())
    wholes.append(written(path, small[:, :, 0], rowsperstrip=9, compression="lzw").read_bytes())
    return wholes


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, wholes: list[bytes], data: st.DataObject
) -> None:
    whole = bytearray(data.draw(st.sampled_from(wholes)))
    for _ in range(data.draw(st.integers(1, 4))):
        # Directories and their values lie in the first and the last kilobytes.
        place = data.draw(st.integers(-2_000, 2_000)) % len(whole)
        whole[place] = data.draw(st.sampled_from([0, 1, 2, 7, 0x7F, 0x80, 0xFF]))
    path = tmp_path_factory.getbasetemp() / "damaged.tif"
    path.write_bytes(whole[: data.draw(st.integers(len(whole) // 2, len(whole)))])
    try:
        with pyramids.open_tiff(path, Limits(pixels=10_000_000, output_pixels=1_000_000)) as source:
            size = source.description.size
            assert size is not None
            source.read_region(Rect(0, 0, min(size.width, 200), min(size.height, 200)), Size(50, 40))
            source.stored_tile(0, 0, 0)
    except ImagingError:
        pass


def tiled(path: Path, picture: NDArray[Any], *, tile: int = 256, rgb: bool = False, **options: Any) -> Path:
    """One level of JPEG tiles, and none that is smaller."""
    with tifffile.TiffWriter(path) as tiff:
        write_jpeg_level(tiff, picture, tile, rgb=rgb, **options)
    return path


@contextmanager
def only_picture(path: Path) -> Iterator[StoredPicture]:
    with directories.Tiff(path, Limits()) as tiff:
        pages = Pages(path)
        try:
            yield StoredPicture(tiff, tiff.directories[0], pages, Limits())
        finally:
            pages.close()


@pytest.mark.parametrize("by", [2, 4, 8])
@pytest.mark.parametrize("size", [Size(600, 420), Size(599, 413), Size(336, 224), Size(257, 7)])
@pytest.mark.parametrize("kind", ["rgb", "grey", "ycbcr"])
def test_tiles_decoded_smaller_are_the_means_of_their_pixels_also_where_tiles_meet_and_at_the_edges(
    tmp_path: Path, kind: str, size: Size, by: int
) -> None:
    """What tiles hold beyond the edge of the picture is black, and would show. Halved colours are less exact."""
    picture = np.ascontiguousarray((GREY if kind == "grey" else PICTURE)[: size.height, : size.width])
    beyond: Literal["edge", "constant"] = "edge" if kind == "ycbcr" else "constant"
    path = tiled(tmp_path / "one.tif", picture, tile=112, rgb=kind == "rgb", beyond=beyond)
    with only_picture(path) as stored:
        means = np.asarray(Image.fromarray(stored.read(Rect(0, 0, size.width, size.height))).reduce(by))
        small = stored.read(Rect(0, 0, -(-size.width // by), -(-size.height // by)), by)
    assert small.shape == means.shape
    apart = np.abs(small.astype(np.int16) - means)
    if kind != "ycbcr":
        assert apart.max() <= 2
        return
    assert apart.mean() < 2
    for place in range(112 // by, means.shape[1], 112 // by):  # where tiles meet
        assert apart[:, place - 1 : place + 1].mean() < 2


def test_parts_decoded_smaller_are_those_of_the_whole(tmp_path: Path) -> None:
    path = tiled(tmp_path / "one.tif", PICTURE, tile=112)
    small = shown(path, WHOLE, Size(300, 210))
    for x, y, width, height in [(0, 0, 64, 64), (50, 50, 64, 64), (100, 3, 200, 207), (299, 209, 1, 1)]:
        part = shown(path, Rect(2 * x, 2 * y, 2 * width, 2 * height), Size(width, height))
        assert part.tolist() == small[y : y + height, x : x + width].tolist()


def test_a_scale_between_is_scaled_from_what_was_decoded_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiled(tmp_path / "one.tif", PICTURE, tile=112)
    asked: list[int] = []
    read = StoredPicture.read

    def noted(picture: StoredPicture, rect: Rect, shrink: int = 1) -> Pixels:
        asked.append(shrink)
        return read(picture, rect, shrink)

    monkeypatch.setattr(StoredPicture, "read", noted)
    for size, shrink in ((Size(300, 210), 2), (Size(200, 140), 2), (Size(310, 217), 1), (Size(30, 21), 8)):
        scaled = np.asarray(Image.fromarray(PICTURE).resize((size.width, size.height), Image.Resampling.BOX))
        assert far(shown(path, WHOLE, size), scaled) < 4
        assert asked.pop() == shrink


def test_a_tile_that_was_left_out_stays_white_when_others_are_decoded_smaller(tmp_path: Path) -> None:
    path = tiled(tmp_path / "one.tif", PICTURE, tile=112, missing=[0])
    small = shown(path, WHOLE, Size(150, 105))
    assert (small[:28, :28] == 255).all()
    assert far(small[:, 28:], halves(PICTURE, 2)[:, 28:]) < 4


@pytest.mark.parametrize(("side", "most"), [(112, 8), (120, 1)])
def test_only_tiles_of_whole_blocks_of_jpeg_are_decoded_smaller(tmp_path: Path, side: int, most: int) -> None:
    path = tiled(tmp_path / "one.tif", PICTURE, tile=112)
    with_field(path, 322, [side])
    with only_picture(path) as stored:
        assert stored.most_shrink == most


def test_tiles_that_are_no_jpeg_are_not_decoded_smaller(tmp_path: Path) -> None:
    path = written(tmp_path / "other.tif", PICTURE, tile=(112, 112), compression="zlib", photometric="rgb")
    with only_picture(path) as stored:
        assert stored.most_shrink == 1
