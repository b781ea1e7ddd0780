"""Real files through real decoding processes, with the opener and the limits of a server."""

import io
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from pinakes.imaging.decoding.pool import DecodingPool
from pinakes.imaging.decoding.requests import Associated, Bounds, Describe, Encoded, NoSuchPart, Region
from pinakes.imaging.source import ImagingError, LimitExceeded, Rect, Size, Unreadable
from tests.imaging.making_disks import DISK_BYTES, LINUX, write_gpt
from tests.imaging.making_photographs import chunk, png, saved, smooth
from tests.imaging.making_slides import tissue, write_svs
from tests.imaging.parts import tile


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodingPool]:
    with DecodingPool(1, Bounds(memory_bytes=1536 * 1024**2, seconds=20)) as pool:
        yield pool


def pixels_of(encoded: Encoded) -> "np.ndarray[tuple[int, ...], np.dtype[np.int16]]":
    return np.asarray(Image.open(io.BytesIO(encoded.content)).convert("RGB"), np.int16)


def test_a_photograph_is_described_and_shown_in_every_format(pool: DecodingPool, tmp_path: Path) -> None:
    path = tmp_path / "photograph"
    path.write_bytes(saved(smooth(1200, 900), "JPEG", quality=95))
    assert pool.run(Describe(path=str(path), key="photograph")).size == Size(1200, 900)
    expected = smooth(1200, 900)[300:600, 200:600].astype(np.int16)
    for format in ("jpeg", "png", "webp", "avif"):
        part = Region(
            path=str(path), key="photograph", rect=Rect(200, 300, 400, 300), size=Size(400, 300), format=format
        )
        made = pixels_of(pool.run(part))
        assert (made.shape, np.abs(made - expected).mean() < 4) == ((300, 400, 3), True), format


@pytest.mark.parametrize("rgb", [True, False])
def test_a_tile_of_a_slide_is_spliced_and_shows_what_decoding_it_shows(
    pool: DecodingPool, tmp_path: Path, rgb: bool
) -> None:
    path = tmp_path / "slide"
    write_svs(path, tissue(1000, 700), rgb=rgb)
    key = f"slide {rgb}"
    levels = pool.run(Describe(path=str(path), key=key)).levels
    wanted = Region(path=str(path), key=key, **tile(levels, 0, 1, 1))
    spliced = pool.run(wanted)
    decoded = pool.run(msgspec.structs.replace(wanted, format="png"))
    assert (spliced.spliced, decoded.spliced) == (True, False)
    assert np.abs(pixels_of(spliced) - pixels_of(decoded)).max() <= 3
    edge = pool.run(Region(path=str(path), key=key, **tile(levels, 0, 4, 2)))
    assert (edge.spliced, pixels_of(edge).shape) == (False, (220, 40, 3))
    assert pixels_of(pool.run(Associated(path=str(path), key=key, name="label"))).shape == (60, 90, 3)


def test_a_disk_is_described_and_has_no_pixels(pool: DecodingPool, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    write_gpt(path, [(LINUX, 100, 199)])
    described = pool.run(Describe(path=str(path)))
    assert (described.format, described.size, described.facts["virtual_bytes"]) == ("raw", None, DISK_BYTES)
    with pytest.raises(NoSuchPart):
        pool.run(Region(path=str(path), rect=Rect(0, 0, 1, 1), size=Size(1, 1)))


def _bomb() -> bytes:
    """A PNG whose header tells of 50,000 x 50,000 pixels."""
    return png(50_000, 50_000, bytes(1000))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", Unreadable),
        (b"nothing that is known", Unreadable),
        (_bomb(), LimitExceeded),
        (saved(smooth(400, 300), "JPEG")[:3000], ImagingError),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)), Unreadable),
        (b"II*\0\x08\0\0\0" + bytes(100), Unreadable),
    ],
    ids=["empty", "unknown", "huge", "cut off", "without pixels", "loop"],
)
def test_bad_files_are_refused_by_a_process_that_lives_on(
    pool: DecodingPool, tmp_path: Path, content: bytes, error: type[ImagingError]
) -> None:
    (tmp_path / "bad").write_bytes(content)
    place = pool._places[0]
    before = place.process
    with pytest.raises(error):
        pool.run(Describe(path=str(tmp_path / "bad"), key="bad"))
        pool.run(Region(path=str(tmp_path / "bad"), key="bad", rect=Rect(0, 0, 400, 300), size=Size(400, 300)))
    assert before is None or (place.process is before and before.is_alive)
