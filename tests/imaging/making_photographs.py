"""Photographs for tests: four coloured quarters, written in every format, and files that lie."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageCms

from pinakes.imaging.geometry import whole
from pinakes.imaging.source import ImageSource, Pixels, Size

HEIC: Final = Path(__file__).parents[1] / "data" / "quarters.heic"
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(width: int = 96, height: int = 64) -> Pixels:
    """Red and green above, blue and white below."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    return pixels


def noise(width: int, height: int, seed: int = 1) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(width: int, height: int) -> Pixels:
    """Waves, which look the same at any size."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / width * 9), np.cos(y / height * 7), np.sin((x / width + y / height) * 5)]
    return np.stack([(wave + 1) * 127 for wave in waves], axis=-1).astype(np.uint8)


def corners(pixels: Pixels) -> list[tuple[int, ...]]:
    """The colours near the corners, row by row, each channel rounded to 0, 128 or 255."""
    height, width = pixels.shape[:2]
    places = [(y, x) for y in (height // 8, -height // 8) for x in (width // 8, -width // 8)]
    return [tuple(0 if v < 40 else 255 if v > 215 else 128 for v in pixels[y, x]) for y, x in places]


def save(path: Path, pixels: Any, format: str, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, format, **options)
    return path


def saved(pixels: Any, format: str, **options: Any) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, format, **options)
    return written.getvalue()


def exif(orientation: int = 1, *, offset: str | None = None, gps: bool = False) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    made[0x010F], made[0x0110] = "Acme", "Acme Snap 3"
    taken = made.get_ifd(0x8769)
    taken[0x9003] = "2021:02:03 04:05:06"
    if offset:
        taken[0x9011] = offset
    if gps:
        made.get_ifd(0x8825)[1] = "N"
    return made


def swapped_profile() -> bytes:
    """A profile whose first channel is blue and whose third is red: whoever heeds it sees the two exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, 128)
    places = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    red, blue = places[b"rXYZ"], places[b"bXYZ"]
    profile[red + 4 : red + 12], profile[blue + 4 : blue + 12] = (
        profile[blue + 4 : blue + 12],
        profile[red + 4 : red + 12],
    )
    return bytes(profile)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, rows: bytes, *, bits: int = 8, kind: int = 2, more: bytes = b"") -> bytes:
    """A PNG written by hand. rows: with their filter bytes, not compressed.   kind: of colour, as in IHDR."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def one_colour(side: int) -> bytes:
    """A complete PNG of one bit a pixel."""
    squeezed = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    rows = b"".join(squeezed.compress(row * 500) for _ in range(side // 500)) + squeezed.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def shown(source: ImageSource, *, frame: int = 0) -> Pixels:
    """All of a picture at its own size."""
    size = source.description.size
    assert size is not None
    return source.read_region(whole(size), Size(size.width, size.height), frame=frame)
