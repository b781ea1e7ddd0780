"""Digests of pixels: recomputed here by hand, alike for the same picture in other files, and for no other picture."""

import hashlib
import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydicom.uid import JPEGLSLossless

from pinakes.imaging import pixel_digest as module
from pinakes.imaging.opening import open_source
from pinakes.imaging.pixel_digest import pixel_digest
from pinakes.imaging.source import ImageSource, Rect
from tests.imaging.making_dicom import PYDICOM, ramp, write_dicom
from tests.imaging.making_slides import tissue, write_ome, write_pyramid, write_svs, write_wsi

COLORS: NDArray[np.uint8] = np.random.default_rng(4).integers(0, 256, (300, 70, 3), dtype=np.uint8)
DEEP: NDArray[np.uint16] = np.random.default_rng(5).integers(0, 65536, (20, 30), dtype=np.uint16)
HEIC = Path(__file__).parents[1] / "data" / "quarters.heic"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def by_hand(samples: NDArray[Any]) -> str:
    """As the module describes it. samples: rows x columns, or rows x columns x channels."""
    height, width, channels = samples.shape if samples.ndim == 3 else (*samples.shape, 1)
    head = f"{width} {height} {channels} {samples.dtype.itemsize * 8}\n".encode()
    return hashlib.sha256(head + samples.astype(samples.dtype.newbyteorder("<")).tobytes()).hexdigest()


def of(path: Path) -> str | None:
    with open_source(path) as source:
        return pixel_digest(source)


def saved(path: Path, pixels: NDArray[Any] = COLORS, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("b.png", {"icc_profile": PROFILE}),
        ("c.webp", {"lossless": True}),
        ("d.tif", {"compression": "tiff_lzw"}),
        ("e.bmp", {}),
    ],
)
def test_the_same_picture_has_the_same_digest_in_every_container(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    assert of(saved(tmp_path / name, **options)) == by_hand(COLORS)


def test_a_dicom_file_holds_the_same_picture_as_a_png(tmp_path: Path) -> None:
    assert of(write_dicom(tmp_path / "a", COLORS)) == by_hand(COLORS)
    soft = tissue(80, 60)
    encoded = bytes(imagecodecs.jpegls_encode(soft))
    assert of(write_dicom(tmp_path / "b", soft, syntax=JPEGLSLossless, compressed=[encoded])) == by_hand(soft)
    gray = COLORS[:, :, 0]
    assert of(write_dicom(tmp_path / "c", gray)) == of(saved(tmp_path / "c.png", gray)) == by_hand(gray)


def test_other_exif_fields_and_another_orientation_change_nothing(tmp_path: Path) -> None:
    plain, turned = io.BytesIO(), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "Jane Doe"
    Image.fromarray(COLORS).save(plain, "JPEG", quality=90)
    Image.fromarray(COLORS).save(turned, "JPEG", quality=90, exif=exif, icc_profile=PROFILE, optimize=True)
    (tmp_path / "a").write_bytes(plain.getvalue())
    (tmp_path / "b").write_bytes(turned.getvalue())
    with Image.open(plain) as decoded:
        assert of(tmp_path / "a") == of(tmp_path / "b") == by_hand(np.asarray(decoded))


def test_alpha_and_more_than_8_bits_count(tmp_path: Path) -> None:
    alpha = np.dstack([COLORS, np.full(COLORS.shape[:2], 255, np.uint8)])
    assert of(saved(tmp_path / "a.png", alpha)) == by_hand(alpha)
    assert of(saved(tmp_path / "b.png", DEEP)) == by_hand(DEEP)
    assert of(write_dicom(tmp_path / "c", DEEP)) == by_hand(DEEP)


def test_numbers_of_dicom_are_as_wide_as_they_must_be_and_signed_if_they_are(tmp_path: Path) -> None:
    assert of(write_dicom(tmp_path / "a", ramp(step=1), bits_stored=8)) == by_hand(ramp(step=1, dtype="u1"))
    signed = (ramp(step=8).astype(np.int16) - 900).astype(np.int16)
    assert of(write_dicom(tmp_path / "b", signed)) == by_hand(signed)
    assert of(write_dicom(tmp_path / "c", ramp(), PhotometricInterpretation="MONOCHROME1")) == by_hand(ramp())


def test_frames_of_dicom_follow_each_other() -> None:
    with open_source(PYDICOM / "SC_rgb_rle_2frame.dcm") as source:
        frames = np.vstack([shown(source, 0), shown(source, 1)])
        width, height = frames.shape[1], frames.shape[0] // 2
        expected = hashlib.sha256(f"{width} {height} 3 8\n".encode() + frames.tobytes()).hexdigest()
        assert pixel_digest(source) == expected


def shown(source: ImageSource, frame: int) -> NDArray[np.uint8]:
    size = source.description.size
    assert size is not None
    return source.read_region(Rect(0, 0, size.width, size.height), size, frame=frame)


def test_heic_has_one_of_the_colours_it_is_decoded_to() -> None:
    import pi_heif

    assert of(HEIC) == by_hand(np.asarray(pi_heif.open_heif(HEIC.read_bytes())))


@given(arrays(np.uint8, st.tuples(st.integers(1, 300), st.integers(1, 9), st.just(3))), st.data())
@settings(max_examples=40, deadline=None)
def test_one_sample_more_or_less_is_another_digest(
    tmp_path_factory: pytest.TempPathFactory, pixels: NDArray[np.uint8], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("pictures")
    other = pixels.copy()
    place = tuple(data.draw(st.integers(0, side - 1)) for side in pixels.shape)
    other[place] ^= 1 << data.draw(st.integers(0, 7))
    assert of(saved(folder / "a.png", pixels)) == by_hand(pixels)
    assert of(saved(folder / "b.png", other)) == by_hand(other) != by_hand(pixels)


def test_slides_animations_and_what_is_too_large_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, write in (("a", write_svs), ("b", write_pyramid), ("c", write_ome)):
        write(tmp_path / name, tissue(700, 500))
        assert of(tmp_path / name) is None
    write_wsi(tmp_path / "d", tissue(512, 512), tile=256)
    assert of(tmp_path / "d") is None
    frames = [Image.fromarray(np.roll(COLORS, shift, axis=0)) for shift in (0, 5)]
    frames[0].save(tmp_path / "e.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert of(tmp_path / "e.webp") is None
    path = saved(tmp_path / "f.png")
    monkeypatch.setattr(module, "MOST_PIXELS", 300 * 70 - 1)
    assert of(path) is None
