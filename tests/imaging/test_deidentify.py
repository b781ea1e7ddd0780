"""Copies without identity: the pixels stay, and of what the file tells of people not a byte is left."""

import io
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
import skimage
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin
from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEGBaseline8Bit

from pinakes.imaging import pyramids, slides
from pinakes.imaging.bare import repainted
from pinakes.imaging.bare.tiff import aperio_description
from pinakes.imaging.deidentify import AS_PNG, deidentify
from pinakes.imaging.dicom import open_dicom
from pinakes.imaging.dicom.parsing import quietly
from pinakes.imaging.opening import open_source
from pinakes.imaging.pixel_digest import pixel_digest
from pinakes.imaging.rasters import Raster, open_raster
from pinakes.imaging.source import ImageSource, ImagingError, LimitExceeded, Limits, Pixels, Rect, Unreadable
from tests.imaging.making_dicom import PYDICOM, ramp, write_dicom
from tests.imaging.making_slides import tissue, write_ndpi, write_ome, write_pyramid, write_svs, write_wsi

JANE = "Jane Doe 1970-01-01"
"""Nobody. It stands wherever a file may name somebody, and must not be found in a copy."""

HEIC = Path(__file__).parents[1] / "data" / "quarters.heic"
PIXELS = np.random.default_rng(7).integers(0, 256, (40, 60, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{JANE}</x:xmpmeta>".encode()


def exif(orientation: int = 6) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    made[0x013B] = made[0x010E] = JANE
    made.get_ifd(0x8825).update({1: "N", 2: (52.0, 22.0, 12.0)})
    return made


def copied(path: Path) -> bytes:
    target = path.with_name("copy")
    deidentify(path, target)
    found = target.read_bytes()
    assert JANE.encode() not in found
    assert JANE.encode("utf-16-le") not in found
    return found


def saved(path: Path, format: str, pixels: Pixels = PIXELS, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, format, **options)
    return path


def with_segment(jpeg: bytes, marker: int, body: bytes) -> bytes:
    """A JPEG with one more segment right after its start."""
    return jpeg[:2] + bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def whole(source: ImageSource, *, frame: int = 0) -> Pixels:
    size = source.description.size
    assert size is not None
    return source.read_region(Rect(0, 0, size.width, size.height), size, frame=frame)


class TestPhotographs:
    @pytest.mark.parametrize(
        ("format", "options"),
        [
            ("JPEG", {"comment": JANE}),
            ("JPEG", {"progressive": True, "quality": 60}),
            ("JPEG", {"restart_marker_rows": 1}),
            ("PNG", {}),
            ("WEBP", {}),
            ("WEBP", {"lossless": True}),
        ],
    )
    def test_pixels_orientation_and_profile_stay_and_all_else_goes(
        self, tmp_path: Path, format: str, options: dict[str, Any]
    ) -> None:
        path = saved(tmp_path / "a", format, exif=exif(), icc_profile=SRGB, xmp=XMP, **options)
        assert JANE.encode() in path.read_bytes()
        with Image.open(path) as before, Image.open(io.BytesIO(copied(path))) as after:
            np.testing.assert_array_equal(np.asarray(after), np.asarray(before))
            assert dict(after.getexif()) == {0x0112: 6}
            assert not after.getexif().get_ifd(0x8825)
            assert after.info["icc_profile"] == SRGB
            assert "comment" not in after.info
            assert "xmp" not in after.info

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
    def test_an_upright_picture_has_no_exif_left(self, tmp_path: Path, format: str) -> None:
        found = copied(saved(tmp_path / "a", format, exif=exif(1), xmp=XMP))
        assert b"Exif" not in found
        assert b"eXIf" not in found
        assert b"EXIF" not in found
        if format == "WEBP":
            assert found[12:16] == b"VP8X"
            assert found[20] & 0b1100 == 0  # it does not say that it has EXIF or XMP

    def test_iptc_unknown_segments_previews_and_what_follows_the_end_of_a_jpeg_go(self, tmp_path: Path) -> None:
        jpeg = saved(tmp_path / "a", "JPEG").read_bytes()
        expected = jpeg
        for marker in (0xE1, 0xE2, 0xE5, 0xED, 0xEF, 0xFE, 0xF0):
            jpeg = with_segment(jpeg, marker, b"Photoshop 3.0\0" + JANE.encode())
        (tmp_path / "a").write_bytes(jpeg + JANE.encode() + jpeg)
        assert copied(tmp_path / "a") == expected

    def test_the_thumbnail_in_a_jfif_header_goes(self, tmp_path: Path) -> None:
        jpeg = saved(tmp_path / "a", "JPEG").read_bytes()
        header = b"JFIF\0\x01\x01\0\0\x01\0\x01\x02\x02" + JANE.encode()[:12]
        (tmp_path / "a").write_bytes(with_segment(jpeg, 0xE0, header))
        assert JANE.encode()[:12] not in copied(tmp_path / "a")

    def test_text_and_times_of_a_png_go(self, tmp_path: Path) -> None:
        text = PngImagePlugin.PngInfo()
        text.add_text("Author", JANE)
        text.add_text("Title", JANE, zip=True)
        text.add_itxt("Comment", JANE)
        path = saved(tmp_path / "a", "PNG", pnginfo=text)
        path.write_bytes(path.read_bytes() + JANE.encode())
        with Image.open(io.BytesIO(copied(path))) as after:
            assert isinstance(after, PngImagePlugin.PngImageFile)
            assert after.text == {}

    @pytest.mark.parametrize("format", ["PNG", "WEBP"])
    def test_animations_stay_animated(self, tmp_path: Path, format: str) -> None:
        frames = [Image.fromarray(np.roll(PIXELS, shift, axis=0)) for shift in (0, 5, 9)]
        frames[0].save(tmp_path / "a", format, save_all=True, append_images=frames[1:], exif=exif(), lossless=True)
        with Image.open(tmp_path / "a") as before, Image.open(io.BytesIO(copied(tmp_path / "a"))) as after:
            assert after.n_frames == 3  # type: ignore[attr-defined]
            for frame in range(3):
                before.seek(frame)
                after.seek(frame)
                np.testing.assert_array_equal(np.asarray(after.convert("RGB")), np.asarray(before.convert("RGB")))

    @given(st.sampled_from(("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")), st.data())
    @settings(max_examples=100, deadline=None)
    def test_damaged_files_are_copied_or_refused(
        self, tmp_path_factory: pytest.TempPathFactory, format: str, data: st.DataObject
    ) -> None:
        path = tmp_path_factory.mktemp("pictures") / "a"
        told: dict[str, Any] = {"exif": exif(), "xmp": XMP} if format in ("JPEG", "PNG", "WEBP", "AVIF") else {}
        content = bytearray(saved(path, format, **told).read_bytes())
        places = st.integers(0, len(content) - 1)
        for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=5)):
            content[place] = byte
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        try:
            deidentify(path, path.with_name("copy"))
        except Unreadable:
            assert not path.with_name("copy").exists()

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"])
    def test_a_file_that_is_cut_off_is_refused_at_any_place(self, tmp_path: Path, format: str) -> None:
        told: dict[str, Any] = {"exif": exif()} if format in ("JPEG", "PNG", "WEBP", "AVIF") else {}
        content = saved(tmp_path / "a", format, **told).read_bytes()
        for length in range(0, len(content) - 1, 97):
            (tmp_path / "a").write_bytes(content[:length])
            with pytest.raises(Unreadable):
                deidentify(tmp_path / "a", tmp_path / "b")
            assert not (tmp_path / "b").exists()


class TestGif:
    def test_comments_other_applications_text_and_what_follows_the_end_go(self, tmp_path: Path) -> None:
        gif = saved(tmp_path / "a", "GIF", comment=JANE.encode()).read_bytes()
        at = gif.index(b"\x21\xfe")
        text = bytes((len(JANE),)) + JANE.encode() + b"\0"
        told = b"\x21\xff\x0bXMP DataXMP" + text + b"\x21\x01\x0c" + JANE.encode()[:12] + text + b"\x21\xce" + text
        looped = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x05\0" + text
        assert gif.count(JANE.encode()) == 1
        (tmp_path / "a").write_bytes(gif[:at] + told + looped + gif[at:] + JANE.encode())
        found = copied(tmp_path / "a")
        assert JANE.encode()[:12] not in found
        assert b"XMP" not in found
        with Image.open(tmp_path / "a") as before, Image.open(io.BytesIO(found)) as after:
            assert after.info["loop"] == before.info["loop"] == 5
            assert "comment" not in after.info
            np.testing.assert_array_equal(np.asarray(after.convert("RGB")), np.asarray(before.convert("RGB")))

    def test_an_animation_stays_animated(self, tmp_path: Path) -> None:
        frames = [Image.fromarray(np.roll(PIXELS, shift, axis=0)) for shift in (0, 5, 9)]
        options: dict[str, Any] = {"duration": [40, 60, 80], "loop": 0, "comment": JANE.encode(), "transparency": 3}
        frames[0].save(tmp_path / "a", "GIF", save_all=True, append_images=frames[1:], disposal=2, **options)
        with Image.open(tmp_path / "a") as before, Image.open(io.BytesIO(copied(tmp_path / "a"))) as after:
            assert (after.n_frames, after.info["loop"]) == (3, 0)  # type: ignore[attr-defined]
            for frame in range(3):
                before.seek(frame)
                after.seek(frame)
                assert after.info["duration"] == before.info["duration"]
                np.testing.assert_array_equal(np.asarray(after.convert("RGBA")), np.asarray(before.convert("RGBA")))

    def test_a_real_one_looks_as_before(self, tmp_path: Path) -> None:
        path = Path(skimage.__file__).parent / "data" / "no_time_for_that_tiny.gif"
        deidentify(path, tmp_path / "copy")
        with open_source(path) as source, open_source(tmp_path / "copy") as copy:
            assert copy.description == source.description
            for frame in range(source.description.frames):
                np.testing.assert_array_equal(whole(copy, frame=frame), whole(source, frame=frame))


class TestPaintedAnew:
    """HEIC, AVIF and BMP come out as PNG."""

    @pytest.mark.parametrize("format", ["AVIF", "BMP"])
    def test_pixels_and_profile_stay_and_nothing_else(self, tmp_path: Path, format: str) -> None:
        options: dict[str, Any] = {"exif": exif(1), "icc_profile": SRGB, "xmp": XMP} if format == "AVIF" else {}
        path = saved(tmp_path / "a", format, **options)
        path.write_bytes(path.read_bytes() + JANE.encode())
        assert deidentify(path, tmp_path / "copy") == AS_PNG
        found = (tmp_path / "copy").read_bytes()
        assert JANE.encode() not in found
        assert png_chunks(found) <= {b"IHDR", b"IDAT", b"IEND", b"iCCP", b"pHYs"}
        with open_source(path) as source, open_source(tmp_path / "copy") as copy:
            assert (copy.description.format, copy.description.identity) == ("png", ())
            assert copy.description.facts["colour_profile"] == source.description.facts["colour_profile"]
            np.testing.assert_array_equal(whole(copy), whole(source))
            assert pixel_digest(copy) == pixel_digest(source)

    def test_a_telephones_heic_stays_turned_as_it_is_and_loses_place_and_time(self, tmp_path: Path) -> None:
        deidentify(HEIC, tmp_path / "copy")
        with open_source(HEIC) as source, open_source(tmp_path / "copy") as copy:
            assert "EXIF GPS" in source.description.identity
            assert (copy.description.identity, copy.description.captured_at) == ((), None)
            np.testing.assert_array_equal(whole(copy), whole(source))

    def test_transparency_and_deep_colours_stay(self, tmp_path: Path) -> None:
        alpha = np.dstack([PIXELS, np.arange(2400, dtype=np.uint16).reshape(40, 60).astype(np.uint8)])
        path = saved(tmp_path / "a", "AVIF", alpha, quality=100)
        deidentify(path, tmp_path / "copy")
        with open_source(path) as source, open_source(tmp_path / "copy") as copy:
            assert copy.description.facts["channels"] == 4
            assert pixel_digest(copy) == pixel_digest(source) is not None

    def test_what_would_lose_colours_or_frames_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        frames = [Image.fromarray(np.roll(PIXELS, shift, axis=0)) for shift in (0, 5)]
        frames[0].save(tmp_path / "a.avif", save_all=True, append_images=frames[1:])
        with pytest.raises(Unreadable, match="Animations"):
            deidentify(tmp_path / "a.avif", tmp_path / "b")

        def deep(path: Path, format: str) -> Raster:
            found = open_raster(path, format)
            return replace(found, header=replace(found.header, bits=10))

        with pytest.raises(LimitExceeded):
            repainted.copy(HEIC, tmp_path / "b", Limits(pixels=96 * 64 - 1))
        monkeypatch.setattr("pinakes.imaging.bare.repainted.open_raster", deep)
        with pytest.raises(Unreadable, match="8 bits"):
            deidentify(HEIC, tmp_path / "b")
        assert not (tmp_path / "b").exists()


def png_chunks(content: bytes) -> set[bytes]:
    found, at = set(), 8
    while at < len(content):
        found.add(content[at + 4 : at + 8])
        at += 12 + int.from_bytes(content[at : at + 4], "big")
    return found


class TestTiff:
    def test_a_slide_keeps_levels_tiles_and_resolution_and_loses_label_macro_and_names(self, tmp_path: Path) -> None:
        write_svs(tmp_path / "a", tissue(1000, 700))
        with tifffile.TiffFile(tmp_path / "a") as before:
            labels = [before.pages[index].asarray().tobytes() for index in (3, 4)]
        found = copied(tmp_path / "a")
        for said in (b"User", b"invented", b"ScanScope", b"Date", b"17:01", b"label", b"macro", *labels):
            assert said not in found
        with slides.open_slide(tmp_path / "a") as source, slides.open_slide(tmp_path / "copy") as copy:
            assert source.description.associated != ()
            assert copy.description.associated == ()
            assert copy.description.identity == ()
            assert copy.description.levels == source.description.levels
            assert copy.description.mpp == source.description.mpp == (0.499, 0.499)
            assert copy.description.facts["vendor"] == "aperio"
            np.testing.assert_array_equal(whole(copy), whole(source))
            assert copy.stored_tile(0, 1, 1) == source.stored_tile(0, 1, 1)

    @pytest.mark.parametrize("write", [write_pyramid, write_ome])
    def test_a_pyramid_keeps_its_levels(self, tmp_path: Path, write: Callable[[Path, Pixels], None]) -> None:
        write(tmp_path / "a", tissue(700, 500))
        found = copied(tmp_path / "a")
        assert b"OME" not in found
        assert b"invented" not in found
        with pyramids.open_tiff(tmp_path / "a") as source, pyramids.open_tiff(tmp_path / "copy") as copy:
            assert copy.description.levels == source.description.levels
            assert copy.description.associated == ()
            assert copy.description.identity == ()
            assert copy.description.frames == source.description.frames
            np.testing.assert_array_equal(whole(copy), whole(source))
            for level in source.description.levels:
                part = Rect(0, 0, 700, 500)
                np.testing.assert_array_equal(
                    copy.read_region(part, level.size), source.read_region(part, level.size)
                )  # fmt: skip

    @pytest.mark.parametrize("byteorder", ["<", ">"])
    @pytest.mark.parametrize("bigtiff", [False, True])
    def test_frames_of_every_kind_of_tiff_stay(self, tmp_path: Path, byteorder: Any, bigtiff: bool) -> None:
        frames = np.random.default_rng(8).integers(0, 65536, (3, 50, 70), dtype=np.uint16)
        with tifffile.TiffWriter(tmp_path / "a", byteorder=byteorder, bigtiff=bigtiff) as tiff:
            for frame in frames:
                tiff.write(
                    frame, rowsperstrip=16, compression="zlib", metadata=None, contiguous=False,
                    description=JANE, software=JANE, datetime="2026:11:21 17:00:00",
                    extratags=[(315, 2, 0, JANE, True)], resolution=(300, 300),
                )  # fmt: skip
            tiff.write(np.zeros((9, 9), np.uint8), metadata=None, description=JANE)
        found = copied(tmp_path / "a")
        assert b"2026:11" not in found
        with tifffile.TiffFile(tmp_path / "copy") as copy:
            assert copy.byteorder == byteorder
            assert copy.is_bigtiff == bigtiff
            assert len(copy.pages) == 3
            np.testing.assert_array_equal(np.stack([page.asarray() for page in copy.pages]), frames)
            assert copy.pages[0].tags["XResolution"].value == (300, 1)  # type: ignore[union-attr]

    def test_exif_and_gps_of_a_photograph_go_and_its_orientation_stays(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "a", "TIFF", exif=exif(), icc_profile=SRGB, compression="tiff_lzw")
        found = copied(path)
        with Image.open(path) as before, Image.open(io.BytesIO(found)) as after:
            assert after.getexif()[0x0112] == 6
            assert not after.getexif().get_ifd(0x8825)
            assert after.info["icc_profile"] == SRGB
            np.testing.assert_array_equal(np.asarray(after), np.asarray(before))

    def test_slides_of_other_scanners_are_refused(self, tmp_path: Path) -> None:
        write_ndpi(tmp_path / "a", tissue(400, 300))
        with pytest.raises(Unreadable):
            deidentify(tmp_path / "a", tmp_path / "b")

    def test_pieces_that_overlap_do_not_make_much_of_little(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "a", np.zeros((1024, 1024), np.uint8), rowsperstrip=1, metadata=None)
        content = bytearray((tmp_path / "a").read_bytes())
        with tifffile.TiffFile(tmp_path / "a") as tiff:
            counts = tiff.pages[0].tags[279]  # type: ignore[union-attr]
            size = {3: 2, 4: 4}[int(counts.dtype)]
            places = range(counts.valueoffset, counts.valueoffset + counts.count * size, size)
        for place in places:
            content[place : place + size] = (60_000).to_bytes(size, "little")
        (tmp_path / "a").write_bytes(content + bytes(60_000))
        with pytest.raises(Unreadable, match="overlap"):
            deidentify(tmp_path / "a", tmp_path / "b")

    def test_a_description_keeps_only_what_is_known(self) -> None:
        assert aperio_description(JANE) == b"Aperio Image\0"
        told = f"Aperio Image Library v1\r\n10x10 [0,0 10x10]|AppMag = 20|User = {JANE}|MPP = 0.5|MPP = {JANE}"
        assert aperio_description(told) == b"Aperio Image Library v1\r\n10x10 [0,0 10x10]|AppMag = 20|MPP = 0.5\0"


class TestDicom:
    def test_of_every_element_that_may_hold_text_nothing_is_left(self, tmp_path: Path) -> None:
        inner = Dataset()
        inner.PatientName = inner.StudyDescription = inner.TextString = JANE
        known = Dataset()
        known.PixelSpacing = [0.5, 0.5]
        known.ImageComments = JANE
        group = Dataset()
        group.PixelMeasuresSequence = [known]
        group.ReferencedImageSequence = [inner]
        path = write_dicom(
            tmp_path / "a", ramp(),
            PatientName=JANE, PatientID=JANE, PatientBirthDate="19700101", PatientComments=JANE, StudyID=JANE[:16],
            InstitutionName=JANE, OperatorsName=JANE, StudyDescription=JANE, RequestAttributesSequence=[inner],
            OtherPatientIDsSequence=[inner], SharedFunctionalGroupsSequence=[group], StudyDate="20261121",
            AcquisitionDateTime="20261121170000", StationName=JANE[:16], PatientAge="056Y", PatientWeight=71.5,
            DerivationDescription=JANE, UnformattedTextValue=JANE, RetrieveURL="https://example.org/Doe",
        )  # fmt: skip
        with quietly():
            dataset = pydicom.dcmread(path)
            block = dataset.private_block(0x0099, "MAKER", create=True)
            block.add_new(1, "LO", JANE)
            block.add_new(2, "OB", JANE.encode() + b"0")
            dataset.add_new(0x60003000, "OW", JANE.encode() + b"0")
            dataset.add_new(0x60004000, "LT", JANE)
            dataset.EncapsulatedDocument = JANE.encode() + b"0"
            dataset.add_new(0x00189999, "UN", JANE.encode() + b"0")
            dataset.add_new(0x0018998A, "CS", JANE)
            dataset.add_new(0xFFFCFFFC, "OB", JANE.encode() + b"0")
            dataset.preamble = JANE.encode().ljust(128)
            dataset.file_meta.SourceApplicationEntityTitle = JANE[:16]
            dataset.file_meta.PrivateInformationCreatorUID = UID("1.2.3")
            dataset.file_meta.PrivateInformation = JANE.encode() + b"0"
            dataset.save_as(path)
        assert path.read_bytes().count(JANE.encode()) > 15
        found = copied(path)
        for said in (JANE[:16].encode(), b"19700101", b"20261121", b"056Y", b"71.5", b"Doe"):
            assert said not in found
        copy = pydicom.dcmread(tmp_path / "copy")
        assert copy.PatientName == copy.PatientID == copy.StudyDate == ""
        assert copy.PatientIdentityRemoved == "YES"
        assert copy.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
        assert copy.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing == [0.5, 0.5]
        for keyword in ("RequestAttributesSequence", "OtherPatientIDsSequence", "EncapsulatedDocument"):
            assert keyword not in copy
        assert "ReferencedImageSequence" not in copy.SharedFunctionalGroupsSequence[0]
        with open_dicom(tmp_path / "copy") as source:
            assert source.description.identity == ()

    def test_text_where_a_number_must_be_does_not_stay(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a", ramp(), SliceThickness="1.50", SeriesNumber="123456")
        content = path.read_bytes().replace(b"1.50", b"Jane").replace(b"123456", b"Doe^J.")
        path.write_bytes(content)
        found = copied(path)
        assert b"Jane" not in found
        assert b"Doe" not in found

    def test_uids_are_new_alike_within_the_copy_and_those_of_the_standard_stay(self, tmp_path: Path) -> None:
        path = write_dicom(
            tmp_path / "a",
            ramp(),
            StudyInstanceUID="1.2.3.4",
            FrameOfReferenceUID="1.2.3.4",
            SeriesInstanceUID="1.2.3.5",
        )
        deidentify(path, tmp_path / "b")
        deidentify(path, tmp_path / "c")
        before, first, second = [pydicom.dcmread(tmp_path / name) for name in "abc"]
        assert first.SOPClassUID == before.SOPClassUID
        assert first.StudyInstanceUID == first.FrameOfReferenceUID
        assert first.StudyInstanceUID != first.SeriesInstanceUID
        assert first.SOPInstanceUID == first.file_meta.MediaStorageSOPInstanceUID
        for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            assert first[keyword].value.is_valid
            assert len({str(each[keyword].value) for each in (before, first, second)}) == 3

    @pytest.mark.parametrize(
        "name",
        [
            "CT_small.dcm", "ExplVR_BigEnd.dcm", "JPEG2000.dcm", "JPEG-lossy.dcm", "MR_small_RLE.dcm",
            "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_dcmtk.dcm",
            "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_small_odd_big_endian.dcm", "SC_ybr_full_422_uncompressed.dcm",
            "badVR.dcm", "examples_palette.dcm", "examples_overlay.dcm", "examples_ybr_color.dcm", "image_dfl.dcm",
            "liver_1frame.dcm", "liver_expb_1frame.dcm", "rtdose_expb.dcm", "dicomdirtests/77654033/CR1/6154",
        ],
    )  # fmt: skip
    def test_real_pictures_look_as_before_and_name_nobody(self, tmp_path: Path, name: str) -> None:
        deidentify(PYDICOM / name, tmp_path / "copy")
        with open_dicom(PYDICOM / name) as source, open_dicom(tmp_path / "copy") as copy:
            assert copy.description.identity == ()
            assert copy.description.captured_at is None
            assert copy.description.mpp == source.description.mpp
            assert copy.description.frames == source.description.frames
            for frame in range(source.description.frames):
                np.testing.assert_array_equal(whole(copy, frame=frame), whole(source, frame=frame))
        with quietly():
            before = pydicom.dcmread(PYDICOM / name)
        for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "SOPInstanceUID"):
            said = str(before.get(keyword) or "").encode()
            assert len(said) < 6 or said not in (tmp_path / "copy").read_bytes()

    def test_comments_within_compressed_frames_go(self, tmp_path: Path) -> None:
        jpeg = bytes(imagecodecs.jpeg8_encode(PIXELS, level=90))
        told = with_segment(with_segment(jpeg, 0xFE, JANE.encode()), 0xE1, b"Exif\0\0" + JANE.encode())
        path = write_dicom(
            tmp_path / "a", PIXELS, syntax=JPEGBaseline8Bit, compressed=[told, told], NumberOfFrames=2,
            PhotometricInterpretation="YBR_FULL_422",
        )  # fmt: skip
        copied(path)
        with open_dicom(path) as source, open_dicom(tmp_path / "copy") as copy:
            for frame in (0, 1):
                np.testing.assert_array_equal(whole(copy, frame=frame), whole(source, frame=frame))

    def test_what_follows_the_pixels_goes(self, tmp_path: Path) -> None:
        pixels = ramp().tobytes() + JANE.encode() + b"0"
        copied(write_dicom(tmp_path / "a", ramp(), PixelData=pixels))

    def test_a_whole_slide_in_tiles_stays_one_and_names_nobody(self, tmp_path: Path) -> None:
        write_wsi(tmp_path / "a", tissue(700, 500), tile=256)
        with quietly():
            dataset = pydicom.dcmread(tmp_path / "a")
            dataset.PatientName = dataset.ContainerIdentifier = dataset.BarcodeValue = JANE
            dataset.save_as(tmp_path / "a")
        found = copied(tmp_path / "a")
        assert b"20261121" not in found
        with slides.open_slide(tmp_path / "a") as source, slides.open_slide(tmp_path / "copy") as copy:
            assert copy.description.levels == source.description.levels
            assert copy.description.mpp == source.description.mpp
            assert copy.description.captured_at is None
            np.testing.assert_array_equal(whole(copy), whole(source))

    @pytest.mark.parametrize(
        ("flavor", "shown", "is_refused"),
        [("LABEL", None, True), ("LABEL", "NO", True), ("OVERVIEW", None, True), ("OVERVIEW", "NO", False),
         ("VOLUME", "YES", True), ("VOLUME", "NO", False), ("THUMBNAIL", None, False)],
    )  # fmt: skip
    def test_a_picture_of_a_slides_label_is_refused(
        self, tmp_path: Path, flavor: str, shown: str | None, is_refused: bool
    ) -> None:
        said: dict[str, Any] = {} if shown is None else {"SpecimenLabelInImage": shown}
        path = write_dicom(tmp_path / "a", ramp(), ImageType=["ORIGINAL", "PRIMARY", flavor, "NONE"], **said)
        if not is_refused:
            copied(path)
            return
        with pytest.raises(Unreadable, match="label"):
            deidentify(path, tmp_path / "b")

    def test_text_that_is_said_to_be_in_the_pixels_is_refused(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a", ramp(), BurnedInAnnotation="YES")
        with pytest.raises(Unreadable, match="part of the picture"):
            deidentify(path, tmp_path / "b")

    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def test_damaged_files_are_copied_or_refused(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        path = tmp_path_factory.mktemp("dicom") / "a"
        content = bytearray((PYDICOM / "SC_rgb_rle_2frame.dcm").read_bytes())
        for place, byte in data.draw(
            st.lists(st.tuples(st.integers(132, len(content) - 1), st.integers(0, 255)), min_size=1, max_size=6)
        ):
            content[place] = byte
        path.write_bytes(content)
        try:
            deidentify(path, path.with_name("copy"))
        except ImagingError:
            assert not path.with_name("copy").exists()


class TestAllKinds:
    @pytest.mark.parametrize(
        "content", [b"", b"%PDF-1.7", b"QFI\xfb", b"GIF89a", b"BM", b"text", struct.pack("<I", 0) * 200]
    )
    def test_kinds_from_which_identity_cannot_be_taken_are_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(Unreadable):
            deidentify(tmp_path / "a", tmp_path / "b")
        assert not (tmp_path / "b").exists()

    def test_the_source_is_never_written_over(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "a", "PNG")
        before = path.read_bytes()
        (tmp_path / "b").hardlink_to(path)
        for target in (path, tmp_path / "b"):
            with pytest.raises(ValueError, match="replace"):
                deidentify(path, target)
        assert path.read_bytes() == before
