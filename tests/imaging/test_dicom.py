"""DICOM: what is stored is what is read, shown as the standard says; and files that lie cost an error, no more."""

import struct
import zlib
from pathlib import Path
from typing import Any

import highdicom
import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import fragment_frame
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import (
    MPEG4HP41,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from pinakes.imaging.dicom import open_dicom
from pinakes.imaging.dicom.parsing import quietly
from pinakes.imaging.source import ImagingError, LimitExceeded, Limits, Pixels, Rect, Size, Unreadable
from tests.imaging.making_dicom import PYDICOM, ramp, write_dicom

EXACT = (
    "693_J2KI.dcm", "CT_small.dcm", "ExplVR_BigEnd.dcm", "JPEG2000.dcm", "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm", "J2K_pixelrep_mismatch.dcm", "MR_small.dcm", "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_padded.dcm", "SC_rgb_rle_16bit_2frame.dcm", "SC_rgb_rle_2frame.dcm", "SC_rgb_rle_32bit_2frame.dcm",
    "SC_rgb_small_odd_big_endian.dcm", "examples_overlay.dcm", "examples_jpeg2k.dcm", "examples_palette.dcm",
    "examples_rgb_color.dcm", "image_dfl.dcm", "liver_1frame.dcm", "liver_expb_1frame.dcm", "rtdose.dcm",
    "rtdose_expb.dcm", "rtdose_rle.dcm", "dicomdirtests/77654033/CR1/6154",
)  # fmt: skip
"""Files whose stored numbers pydicom gives as well."""

COLOR = (
    "SC_jpeg_no_color_transform.dcm", "SC_jpeg_no_color_transform_2.dcm", "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_dcmtk_+eb+cy+n1.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_rgb_gdcm_KY.dcm",
    "SC_rgb_jls_lossy_line.dcm", "SC_rgb_jpeg.dcm", "SC_rgb_jpeg_app14_dcmd.dcm", "SC_rgb_jpeg_lossy_gdcm.dcm",
    "SC_rgb_small_odd_jpeg.dcm", "SC_ybr_full_422_uncompressed.dcm", "examples_ybr_color.dcm",
)  # fmt: skip
"""Files whose colours pydicom gives as well, by another decoder."""

WITHOUT_PIXELS = ("rtplan.dcm", "rtplan_truncated.dcm", "test-SR.dcm", "waveform_ecg.dcm", "dicomdirtests/DICOMDIR")


def stored(path: Path) -> list[NDArray[Any]]:
    with open_dicom(path) as source:
        return [source._frames.stored(frame) for frame in range(source.description.frames)]


def shown(path: Path, *, frame: int = 0) -> Pixels:
    """The whole picture at full size."""
    with open_dicom(path) as source:
        size = source.description.size
        assert size is not None
        return source.read_region(Rect(0, 0, size.width, size.height), size, frame=frame)


def grey(path: Path, *, frame: int = 0) -> NDArray[np.uint8]:
    pixels = shown(path, frame=frame)
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert (pixels[..., 0] == pixels[..., 2]).all()
    return pixels[..., 0]


def by_pydicom(path: Path) -> tuple[Dataset, NDArray[Any]]:
    """The data set, and its frames."""
    with quietly():
        dataset = pydicom.dcmread(path)
        pixels = dataset.pixel_array
    frames = int(dataset.get("NumberOfFrames") or 1)
    return dataset, pixels if frames > 1 else pixels[None]


class TestWhatIsStored:
    @pytest.mark.parametrize("name", EXACT)
    def test_the_numbers_are_those_that_pydicom_reads(self, name: str) -> None:
        _, expected = by_pydicom(PYDICOM / name)
        found = stored(PYDICOM / name)
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine.astype(np.int64), theirs.astype(np.int64))

    @pytest.mark.parametrize("name", COLOR)
    def test_colours_are_those_that_pydicom_shows(self, name: str) -> None:
        _, expected = by_pydicom(PYDICOM / name)
        assert np.abs(shown(PYDICOM / name).astype(int) - expected[0]).max() <= 1

    def test_lossless_jpeg_in_colour_is_the_picture_that_was_stored_otherwise_too(self) -> None:
        assert (shown(PYDICOM / "SC_rgb_jpeg_gdcm.dcm") == shown(PYDICOM / "SC_rgb_rle.dcm")).all()

    def test_jpeg_of_twelve_bits_is_read(self) -> None:
        (numbers,) = stored(PYDICOM / "JPEG-lossy.dcm")
        _, (expected,) = by_pydicom(PYDICOM / "JPEG2000.dcm")  # the same picture, by the README beside it
        assert numbers.dtype == np.uint16
        assert np.abs(numbers.astype(int) - expected).mean() < 5

    def test_a_palette_gives_its_colours(self) -> None:
        dataset, (numbers,) = by_pydicom(PYDICOM / "examples_palette.dcm")
        expected = apply_color_lut(numbers, dataset) / 65535 * 255
        assert np.abs(shown(PYDICOM / "examples_palette.dcm") - expected).max() <= 0.5

    @pytest.mark.parametrize(
        ("syntax", "encode"),
        [
            (JPEG2000Lossless, lambda pixels: imagecodecs.jpeg2k_encode(pixels, reversible=True, level=0)),
            (HTJ2KLossless, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True)),
            (JPEGLSLossless, imagecodecs.jpegls_encode),
        ],
    )
    def test_what_was_compressed_without_loss_comes_out_unchanged(
        self, tmp_path: Path, syntax: str, encode: Any
    ) -> None:
        pixels = ramp(20, 30, step=100)
        path = write_dicom(tmp_path / "a", pixels, syntax=syntax, compressed=[encode(pixels)])
        np.testing.assert_array_equal(stored(path)[0], pixels)

    @given(st.integers(1, 16), st.booleans(), st.integers(0, 2**32 - 1))
    @settings(max_examples=40, deadline=None)
    def test_only_the_bits_stored_count_and_their_sign(
        self, tmp_path_factory: pytest.TempPathFactory, bits: int, signed: bool, seed: int
    ) -> None:
        random = np.random.default_rng(seed)
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
        numbers = random.integers(low, high, (5, 7)).astype("i2" if signed else "u2")
        rubbish = random.integers(0, 2**16, (5, 7)).astype("u2") << bits if bits < 16 else np.zeros((5, 7), "u2")
        covered = (numbers.view("u2") & np.uint16(2**bits - 1)) | rubbish.astype("u2")
        path = tmp_path_factory.mktemp("dicom") / "a"
        write_dicom(path, covered.view(numbers.dtype), bits_stored=bits)
        np.testing.assert_array_equal(stored(path)[0], numbers)

    def test_the_bits_stored_may_lie_high(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a", ramp() << np.uint16(4), bits_stored=12, HighBit=15)
        np.testing.assert_array_equal(stored(path)[0], ramp())

    def test_implicit_little_endian_and_planes_one_after_the_other(self, tmp_path: Path) -> None:
        pixels = np.random.default_rng(1).integers(0, 256, (6, 4, 3), dtype=np.uint8)
        planes = pixels.transpose(2, 0, 1).tobytes()
        path = write_dicom(
            tmp_path / "a", pixels, syntax=ImplicitVRLittleEndian, PlanarConfiguration=1, PixelData=planes
        )
        np.testing.assert_array_equal(shown(path), pixels)

    def test_floating_point_pixels_are_shown_from_least_to_greatest(self, tmp_path: Path) -> None:
        values = np.array([[-1.0, 0.0], [1.0, 3.0]], np.float32)
        path = write_dicom(
            tmp_path / "a", np.zeros((2, 2), "u2"), PixelData=None, BitsAllocated=32, FloatPixelData=values.tobytes()
        )
        assert grey(path).tolist() == [[0, 64], [128, 255]]


class TestFrames:
    @pytest.mark.parametrize(("has_table", "fragments"), [(True, 1), (True, 3), (False, 1), (False, 3)])
    def test_each_frame_is_found_with_and_without_a_table_of_offsets(
        self, tmp_path: Path, has_table: bool, fragments: int
    ) -> None:
        frames = [ramp(32, 32, step=step) for step in (1, 2, 3, 4)]
        path = write_dicom(
            tmp_path / "a",
            frames[0],
            syntax=JPEGLSLossless,
            compressed=[bytes(imagecodecs.jpegls_encode(frame)) for frame in frames],
            has_table=has_table,
            fragments=fragments,
            NumberOfFrames=4,
        )
        np.testing.assert_array_equal(stored(path), frames)

    def test_the_extended_table_of_offsets_is_read(self, tmp_path: Path) -> None:
        """Nothing else tells these frames apart: each is in two pieces, and its end marker is not at its end."""
        frames = [ramp(32, 32, step=step) for step in (1, 2, 3)]
        compressed = [bytes(imagecodecs.jpegls_encode(frame)) + bytes(16) for frame in frames]
        lengths = [sum(8 + len(piece) + len(piece) % 2 for piece in fragment_frame(each, 2)) for each in compressed]
        offsets = [sum(lengths[:index]) for index in range(3)]
        path = write_dicom(
            tmp_path / "a", frames[0], syntax=JPEGLSLossless, compressed=compressed, fragments=2, has_table=False,
            NumberOfFrames=3, ExtendedOffsetTable=struct.pack("<3Q", *offsets),
            ExtendedOffsetTableLengths=struct.pack("<3Q", *lengths),
        )  # fmt: skip
        np.testing.assert_array_equal(stored(path), frames)

    def test_frames_of_single_bits_need_not_begin_with_a_byte(self, tmp_path: Path) -> None:
        bits = np.random.default_rng(3).integers(0, 2, (5, 3, 3), dtype=np.uint8)
        packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
        path = write_dicom(
            tmp_path / "a", bits[0], PixelData=packed, BitsAllocated=1, BitsStored=1, HighBit=0, NumberOfFrames=5
        )
        np.testing.assert_array_equal(stored(path), bits)
        np.testing.assert_array_equal(grey(path, frame=4), bits[4] * 255)

    def test_a_file_that_says_it_has_more_frames_than_it_has_shows_those_it_has(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a", ramp(), NumberOfFrames=1_000_000)
        with open_dicom(path) as source:
            assert source.description.frames == 1
            assert source.description.warnings == ("The file says that it has more frames than are there.",)
            with pytest.raises(Unreadable):
                source.read_region(Rect(0, 0, 16, 16), Size(16, 16), frame=1)

    def test_too_many_frames_are_refused(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a", ramp(), NumberOfFrames=20, PixelData=ramp().tobytes() * 20)
        with pytest.raises(LimitExceeded):
            open_dicom(path, Limits(directories=19))


class TestShades:
    """PS3.3, C.11.1 and C.11.2; PS3.4, N.2."""

    def test_a_window_is_linear_between_its_ends(self, tmp_path: Path) -> None:
        values = np.array([[0, 99, 100, 149, 150, 200, 201, 4000]], "u2")
        path = write_dicom(tmp_path / "a", values, WindowCenter=150, WindowWidth=100)
        expected = [round(max(0.0, min(1.0, (value - 149.5) / 99 + 0.5)) * 255) for value in values[0].tolist()]
        assert np.abs(grey(path)[0].astype(int) - expected).max() <= 1
        assert grey(path)[0].tolist()[:3] == [0, 0, 0]
        assert grey(path)[0].tolist()[-2:] == [255, 255]

    def test_an_exact_window_and_one_of_the_form_of_an_s(self, tmp_path: Path) -> None:
        values = np.array([[0, 100, 150, 200, 300]], "u2")
        exact = write_dicom(tmp_path / "a", values, WindowCenter=150, WindowWidth=100, VOILUTFunction="LINEAR_EXACT")
        assert grey(exact)[0].tolist() == [0, 0, 128, 255, 255]
        curved = write_dicom(tmp_path / "b", values, WindowCenter=150, WindowWidth=100, VOILUTFunction="SIGMOID")
        assert grey(curved)[0].tolist() == [1, 30, 128, 225, 254]

    def test_a_window_one_wide_is_a_threshold(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a", ramp(1, 4, step=1), WindowCenter=2, WindowWidth=1)
        assert grey(path)[0].tolist() == [0, 0, 255, 255]

    @pytest.mark.parametrize("width", [0, -5, 0.5])
    def test_a_window_without_width_is_none(self, tmp_path: Path, width: float) -> None:
        path = write_dicom(tmp_path / "a", ramp(1, 2, step=500), WindowCenter=2, WindowWidth=width)
        assert grey(path)[0].tolist() == [0, 255]

    @pytest.mark.parametrize(
        "elements",
        [
            {"RescaleSlope": "1E308", "RescaleIntercept": "-1E308"},
            {"RescaleSlope": "1E308", "WindowCenter": "1E-300", "WindowWidth": "1E308"},
            {"WindowCenter": "-1E308", "WindowWidth": "1E308", "VOILUTFunction": "SIGMOID"},
        ],
    )
    def test_numbers_beyond_all_measure_do_no_harm(self, tmp_path: Path, elements: dict[str, Any]) -> None:
        assert grey(write_dicom(tmp_path / "a", ramp(), **elements)).shape == (16, 16)

    def test_the_window_is_in_the_units_that_rescaling_gives(self, tmp_path: Path) -> None:
        values = np.array([[0, 1024, 2048]], "u2")
        path = write_dicom(
            tmp_path / "a", values, RescaleSlope=2, RescaleIntercept=-2048, WindowCenter=0.5, WindowWidth=2049
        )
        assert grey(path)[0].tolist() == [64 - 64, 128, 255]

    def test_without_a_window_all_values_that_occur_are_shown_but_padding_is_not_counted(self, tmp_path: Path) -> None:
        values = np.array([[-2000, 100, 200, 300]], "i2")
        assert grey(write_dicom(tmp_path / "a", values, PixelPaddingValue=-2000))[0].tolist() == [0, 0, 128, 255]
        assert grey(write_dicom(tmp_path / "b", values))[0, 1] > 200

    def test_eight_bits_without_a_window_are_shown_as_they_are(self, tmp_path: Path) -> None:
        assert grey(write_dicom(tmp_path / "a", np.array([[10, 20]], "u1")))[0].tolist() == [10, 20]

    @pytest.mark.parametrize(
        "elements", [{"PhotometricInterpretation": "MONOCHROME1"}, {"PresentationLUTShape": "INVERSE"}]
    )
    def test_inverted_pictures_have_white_for_the_least_value(self, tmp_path: Path, elements: dict[str, Any]) -> None:
        assert grey(write_dicom(tmp_path / "a", ramp(1, 2), **elements))[0].tolist() == [255, 0]

    @pytest.mark.parametrize("as_words", [False, True])
    def test_look_up_tables_of_the_apparatus_and_for_the_eye_are_applied(self, tmp_path: Path, as_words: bool) -> None:
        def table(first: int, entries: list[int]) -> Dataset:
            item = Dataset()
            item.LUTDescriptor = [len(entries), first, 12]
            item.LUTData = struct.pack(f"<{len(entries)}H", *entries) if as_words else entries
            item["LUTData"].VR = "OW" if as_words else "US"
            return item

        path = write_dicom(
            tmp_path / "a",
            np.array([[0, 1, 2, 3, 9]], "u2"),
            ModalityLUTSequence=[table(1, [10, 12, 11])],
            VOILUTSequence=[table(10, [0, 4095, 2048])],
            WindowCenter=1,
            WindowWidth=1,
        )
        assert grey(path)[0].tolist() == [0, 0, 128, 255, 255]

    def test_each_frame_may_have_a_window_of_its_own(self, tmp_path: Path) -> None:
        def group(center: int) -> Dataset:
            window, frame = Dataset(), Dataset()
            window.WindowCenter, window.WindowWidth = center, 1
            frame.FrameVOILUTSequence = [window]
            return frame

        values = np.array([[0, 100, 200]], "u2")
        path = write_dicom(
            tmp_path / "a", values, NumberOfFrames=2, PixelData=values.tobytes() * 2,
            PerFrameFunctionalGroupsSequence=[group(50), group(150)],
        )  # fmt: skip
        assert grey(path, frame=0)[0].tolist() == [0, 255, 255]
        assert grey(path, frame=1)[0].tolist() == [0, 0, 255]

    def test_colours_of_sixteen_bits_lose_their_lowest_ones(self) -> None:
        assert np.abs(
            shown(PYDICOM / "SC_rgb_rle_16bit.dcm").astype(int) - shown(PYDICOM / "SC_rgb_rle.dcm")
        ).max() <= 1  # fmt: skip


class TestRegions:
    def test_a_part_is_the_part_of_the_whole(self) -> None:
        path = PYDICOM / "examples_rgb_color.dcm"
        with open_dicom(path) as source:
            part = source.read_region(Rect(100, 50, 30, 20), Size(30, 20))
        np.testing.assert_array_equal(part, shown(path)[50:70, 100:130])

    def test_a_smaller_picture_is_the_mean_of_the_larger(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a", np.kron(np.eye(8, dtype=np.uint8) * 200, np.ones((64, 64), np.uint8)))
        with open_dicom(path) as source:
            small = source.read_region(Rect(0, 0, 512, 512), Size(8, 8))
        assert small.shape == (8, 8, 3)
        assert np.abs(small[..., 0].astype(int) - np.eye(8) * 200).max() < 60
        assert abs(small.mean() - 25) < 2

    def test_more_pixels_than_allowed_are_not_given(self) -> None:
        with open_dicom(PYDICOM / "CT_small.dcm", Limits(output_pixels=100)) as source, pytest.raises(LimitExceeded):
            source.read_region(Rect(0, 0, 128, 128), Size(11, 10))

    def test_there_are_no_pictures_beside_it_and_no_tiles(self) -> None:
        with open_dicom(PYDICOM / "CT_small.dcm") as source:
            assert source.stored_tile(0, 0, 0) is None
            with pytest.raises(IndexError):
                source.stored_tile(0, 1, 0)
            with pytest.raises(KeyError):
                source.read_associated("label")


class TestDescription:
    def test_a_real_picture_is_described(self) -> None:
        with open_dicom(PYDICOM / "CT_small.dcm") as source:
            found = source.description
        assert found.format == "dicom"
        assert found.size == Size(128, 128)
        assert [level.downsample for level in found.levels] == [1.0]
        assert found.mpp == pytest.approx((661.468, 661.468))
        assert found.frames == 1
        assert found.captured_at == "1997-04-30T11:29:36-05:00"
        assert found.facts["modality"] == "CT"
        assert found.facts["transfer_syntax"] == "Explicit VR Little Endian"
        assert {"DICOM PatientName", "DICOM PatientID", "DICOM private elements"} <= set(found.identity)

    def test_nothing_that_is_described_is_free_text_of_the_file(self, tmp_path: Path) -> None:
        told = "Doe^Jane"
        path = write_dicom(tmp_path / "a", ramp(), PatientName=told, StudyDescription=told, ImageComments=told)
        with open_dicom(path) as source:
            assert told not in repr(source.description)
            assert source.description.identity == ("DICOM PatientName", "DICOM StudyDescription", "DICOM ImageComments")

    def test_the_spacing_down_comes_first_in_the_file_and_across_first_here(self, tmp_path: Path) -> None:
        with open_dicom(write_dicom(tmp_path / "a", ramp(), PixelSpacing=[0.2, 0.1])) as source:
            assert source.description.mpp == pytest.approx((100.0, 200.0))

    @pytest.mark.parametrize(
        ("elements", "expected"),
        [
            ({"AcquisitionDateTime": "20261121170102.5+0100"}, "2026-11-21T17:01:02.5+01:00"),
            ({"AcquisitionDateTime": "20261121"}, "2026-11-21"),
            ({"StudyDate": "20261121", "StudyTime": "1701"}, "2026-11-21T17:01:00"),
            ({"ContentDate": "20261121", "ContentTime": "noon"}, "2026-11-21"),
            ({"StudyDate": "20261321"}, None),
            ({"StudyDate": "yesterday"}, None),
            ({}, None),
        ],
    )
    def test_when_it_was_taken(self, tmp_path: Path, elements: dict[str, Any], expected: str | None) -> None:
        with quietly():
            path = write_dicom(tmp_path / "a", ramp(), **elements)
        with open_dicom(path) as source:
            assert source.description.captured_at == expected

    def test_text_in_the_pixels_is_warned_of(self, tmp_path: Path) -> None:
        with open_dicom(write_dicom(tmp_path / "a", ramp(), BurnedInAnnotation="YES")) as source:
            assert source.description.identity == ("DICOM text in the pixels",)
            assert len(source.description.warnings) == 1


class TestFilesThatHighdicomWrites:
    def test_a_secondary_capture_is_shown(self, tmp_path: Path) -> None:
        pixels = np.random.default_rng(5).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        made = highdicom.sc.SCImage(
            pixel_array=pixels, photometric_interpretation="RGB", bits_allocated=8, coordinate_system="PATIENT",
            study_instance_uid=generate_uid(), series_instance_uid=generate_uid(), series_number=1,
            sop_instance_uid=generate_uid(), instance_number=1, manufacturer="Pinakes", patient_orientation=("A", "R"),
        )  # fmt: skip
        made.save_as(tmp_path / "a")
        np.testing.assert_array_equal(shown(tmp_path / "a"), pixels)

    def test_a_segmentation_of_several_frames_is_shown(self, tmp_path: Path) -> None:
        with quietly():
            image = pydicom.dcmread(PYDICOM / "CT_small.dcm")
        mask = np.random.default_rng(6).integers(0, 2, (1, 128, 128, 2), dtype=np.uint8)
        code = highdicom.sr.CodedConcept("91723000", "SCT", "Anatomical structure")
        segments = [
            highdicom.seg.SegmentDescription(number, f"Part {number}", code, code, "MANUAL") for number in (1, 2)
        ]
        with quietly():
            made = highdicom.seg.Segmentation(
                [image], mask, "BINARY", segments, generate_uid(), 2, generate_uid(), 1, "Pinakes", "Tests", "1", "0",
            )  # fmt: skip
            made.save_as(tmp_path / "a")
        for frame in (0, 1):
            np.testing.assert_array_equal(grey(tmp_path / "a", frame=frame), mask[0, ..., frame] * 255)


class TestBadInput:
    @pytest.mark.parametrize("name", WITHOUT_PIXELS)
    def test_files_without_pixels_are_refused(self, name: str) -> None:
        with pytest.raises(Unreadable, match="no pixels"):
            open_dicom(PYDICOM / name)

    @pytest.mark.parametrize(
        "elements",
        [
            {"Rows": 0}, {"Columns": 0}, {"Rows": None}, {"Rows": 17}, {"Columns": 60_000}, {"SamplesPerPixel": 3},
            {"SamplesPerPixel": 2}, {"BitsAllocated": 12}, {"BitsAllocated": 64}, {"BitsStored": 17},
            {"BitsAllocated": 1}, {"PhotometricInterpretation": "YBR_FULL_422"}, {"PhotometricInterpretation": "CMYK"},
            {"PixelData": b""}, {"PixelData": b"\0\0"},
        ],
    )  # fmt: skip
    def test_what_lies_about_its_pixels_is_refused(self, tmp_path: Path, elements: dict[str, Any]) -> None:
        with pytest.raises(Unreadable):
            open_dicom(write_dicom(tmp_path / "a", ramp(), **elements))

    def test_a_frame_too_large_to_decode_is_described_and_not_shown(self, tmp_path: Path) -> None:
        with open_dicom(write_dicom(tmp_path / "a", ramp()), Limits(pixels=255)) as source:
            assert (source.description.size, source.description.levels) == (Size(16, 16), ())
            assert source.description.warnings == ("A frame has more than 255 pixels: it is too large to be shown.",)
            with pytest.raises(LimitExceeded, match="too large to be shown"):
                source.read_region(Rect(0, 0, 16, 16), Size(16, 16))

    def test_a_file_cut_off_in_its_pixels_is_refused(self) -> None:
        with pytest.raises(Unreadable, match="cut off"):
            open_dicom(PYDICOM / "MR_truncated.dcm")

    @pytest.mark.parametrize(
        ("syntax", "encode"),
        [
            (JPEGBaseline8Bit, imagecodecs.jpeg8_encode),
            (JPEG2000Lossless, imagecodecs.jpeg2k_encode),
            (JPEGLSLossless, imagecodecs.jpegls_encode),
        ],
    )
    def test_a_compressed_frame_of_another_size_than_the_file_says_is_not_decoded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: str, encode: Any
    ) -> None:
        pixels = ramp(8, 8, dtype="u1", step=1)
        monkeypatch.setattr("pinakes.imaging.dicom.codecs._decoded", lambda *_: pytest.fail("it was decoded"))
        bomb = encode(np.zeros((2000, 2000), np.uint8))
        path = write_dicom(tmp_path / "a", pixels, syntax=syntax, compressed=[bomb])
        with pytest.raises(Unreadable, match="another size"):
            stored(path)

    @pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless, JPEGLSLossless, RLELossless, HTJ2KLossless])
    def test_frames_of_another_syntax_than_the_file_says_are_refused(self, tmp_path: Path, syntax: str) -> None:
        path = write_dicom(tmp_path / "a", ramp(), syntax=syntax, compressed=[b"\x89PNG\r\n\x1a\n" * 10])
        with pytest.raises(Unreadable):
            stored(path)

    @pytest.mark.parametrize("syntax", [b"1.2.840.10008.1.2.9", b"1.2.3.4.5.6.7.8.9.1"])
    def test_unknown_syntaxes_are_refused(self, tmp_path: Path, syntax: bytes) -> None:
        path = write_dicom(tmp_path / "a", ramp(), syntax=RLELossless, compressed=[b"0000"])
        path.write_bytes(path.read_bytes().replace(RLELossless.encode(), syntax))
        with pytest.raises(Unreadable, match="compressed in a way"):
            open_dicom(path)

    def test_video_is_refused(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a", ramp(), syntax=MPEG4HP41, compressed=[b"0000"])
        with pytest.raises(Unreadable, match="compressed in a way"):
            open_dicom(path)

    def test_a_fragment_that_is_cut_off_is_no_frame(self, tmp_path: Path) -> None:
        whole = write_dicom(
            tmp_path / "a", ramp(), syntax=JPEGLSLossless, compressed=[bytes(imagecodecs.jpegls_encode(ramp()))]
        ).read_bytes()
        (tmp_path / "b").write_bytes(whole[:-20])
        with pytest.raises(Unreadable, match="cut off"):
            open_dicom(tmp_path / "b")

    def test_more_bytes_than_a_frame_can_need_are_not_read(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a", ramp(), syntax=JPEGLSLossless, compressed=[bytes(2_000_000)])
        with pytest.raises(LimitExceeded):
            stored(path)

    def test_a_million_fragments_are_refused(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a", ramp(), syntax=JPEGLSLossless, compressed=[bytes(4000)], fragments=1000)
        with pytest.raises(LimitExceeded):
            open_dicom(path, Limits(directories=10))

    def test_sequences_within_sequences_without_end_are_an_error(self, tmp_path: Path) -> None:
        content = write_dicom(tmp_path / "a", ramp()).read_bytes()
        pixels = content.index(struct.pack("<HH", 0x7FE0, 0x0010))
        opened = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
            "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
        )
        (tmp_path / "b").write_bytes(content[:pixels] + opened * 20_000 + content[pixels:])
        with pytest.raises(ImagingError):
            open_dicom(tmp_path / "b")

    def test_a_deflated_data_set_is_not_inflated_beyond_bounds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = (PYDICOM / "image_dfl.dcm").read_bytes()
        start = 144 + struct.unpack("<I", content[140:144])[0]
        deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        bomb = deflater.compress(bytes(4_000_000)) + deflater.flush()
        (tmp_path / "a").write_bytes(content[:start] + bomb)
        monkeypatch.setattr("pinakes.imaging.dicom.parsing._MOST_INFLATED_BYTES", 1_000_000)
        with pytest.raises(LimitExceeded, match="inflates"):
            open_dicom(tmp_path / "a")

    def test_too_many_elements_are_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pinakes.imaging.dicom.parsing._MOST_ELEMENTS", 5)
        with pytest.raises(LimitExceeded, match="elements"):
            open_dicom(write_dicom(tmp_path / "a", ramp()))

    def test_a_damaged_palette_is_an_error(self, tmp_path: Path) -> None:
        elements = {f"{color}PaletteColorLookupTableDescriptor": [256, 0, 16] for color in ("Red", "Green", "Blue")}
        data = {f"{color}PaletteColorLookupTableData": b"\0\0" for color in ("Red", "Green", "Blue")}
        for more in ({}, elements, {**elements, **data}):
            path = write_dicom(tmp_path / "a", ramp(dtype="u1"), PhotometricInterpretation="PALETTE COLOR", **more)
            with pytest.raises(Unreadable):
                shown(path)

    def test_whole_slides_in_tiles_are_left_to_others(self, tmp_path: Path) -> None:
        slide = "1.2.840.10008.5.1.4.1.1.77.1.6"
        path = write_dicom(
            tmp_path / "a", ramp(), SOPClassUID=slide, TotalPixelMatrixColumns=32, TotalPixelMatrixRows=32
        )
        with pytest.raises(Unreadable, match="whole slide"):
            open_dicom(path)

    @given(st.sampled_from(("MR_small_RLE.dcm", "JPEGLSNearLossless_08.dcm", "SC_rgb_jpeg_dcmtk.dcm")), st.data())
    @settings(max_examples=150, deadline=None)
    def test_files_with_any_bytes_changed_are_read_or_refused(
        self, tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
    ) -> None:
        content = bytearray((PYDICOM / name).read_bytes())
        places = st.integers(132, len(content) - 1)
        for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=8)):
            content[place] = byte
        path = tmp_path_factory.mktemp("dicom") / "a"
        path.write_bytes(content[: data.draw(st.integers(132, len(content)))])
        try:
            with open_dicom(path, Limits(pixels=1_000_000)) as source:
                size = source.description.size
                assert size is not None
                pixels = source.read_region(Rect(0, 0, size.width, size.height), Size(8, 8))
                assert pixels.shape == (8, 8, 3)
        except ImagingError:
            pass
