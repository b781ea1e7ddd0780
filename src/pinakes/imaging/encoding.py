"""Pixels as a file that any viewer opens: nothing in it but the picture.

Its colours are sRGB, and it says so where the format has a place for that which costs next to nothing: PNG in its
`sRGB` chunk (PNG 3, 11.3.2.5), AVIF in `nclx`. JPEG and WebP without a profile are sRGB to every viewer. The server
imports this module for its names, and so without numpy or Pillow.
"""

import io
from collections.abc import Callable
from typing import Any, Final, Literal

from pinakes.imaging.source import LimitExceeded, Pixels

Format = Literal["jpeg", "png", "webp", "avif"]

MEDIA_TYPES: Final[dict[Format, str]] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
}

LONGEST_SIDE: Final[dict[Format, int]] = {"jpeg": 65_500, "png": 2**31 - 1, "webp": 16_383, "avif": 65_536}
"""In pixels: of libjpeg, PNG 3 (11.2.1), WebP (RFC 9649, 2.6) and AV1 (5.5.1)."""

_QUALITY: Final[dict[Format, int]] = {"jpeg": 85, "png": 0, "webp": 80, "avif": 60}
_AVIF_SPEED: Final = 8
"""0 to 10: at 8 a picture of a million pixels takes about as long as three WebP."""


def encode(pixels: Pixels, format: Format, *, quality: int | None = None, gray: bool = False) -> bytes:
    """The picture as a file.

    quality: 1 to 100, of JPEG, WebP and AVIF; None for what is usual.   gray: one channel, for pixels that are gray.
    Raises LimitExceeded for a picture longer than the format allows.
    """
    if max(pixels.shape[:2]) > LONGEST_SIDE[format]:
        raise LimitExceeded(f"A picture in this format is at most {LONGEST_SIDE[format]} pixels long.")
    import numpy as np

    strength = _QUALITY[format] if quality is None else min(max(quality, 1), 100)
    drawn = np.ascontiguousarray(pixels[:, :, :1] if gray else pixels)
    return _ENCODERS[format](drawn, strength)


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    import simplejpeg

    gray = pixels.shape[2] == 1
    encoded: bytes = simplejpeg.encode_jpeg(
        pixels,
        quality=quality,
        colorspace="GRAY" if gray else "RGB",
        colorsubsampling="Gray" if gray else "444" if quality >= _FINE_QUALITY else "420",
        fastdct=False,
    )
    return encoded


_FINE_QUALITY: Final = 95
"""From here on colours are kept at full resolution, too."""


def _png(pixels: Pixels, _quality: int) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    chunks.add(b"sRGB", b"\0")  # perceptual
    return _pillow(pixels, "PNG", pnginfo=chunks, compress_level=6)


def _webp(pixels: Pixels, quality: int) -> bytes:
    return _pillow(pixels, "WEBP", quality=quality, method=2)


def _avif(pixels: Pixels, quality: int) -> bytes:
    return _pillow(pixels, "AVIF", quality=quality, speed=_AVIF_SPEED, max_threads=1)


def _pillow(pixels: Pixels, name: str, **options: Any) -> bytes:
    from PIL import Image

    drawn = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    written = io.BytesIO()
    Image.fromarray(drawn).save(written, name, **options)
    return written.getvalue()


_ENCODERS: Final[dict[Format, Callable[[Pixels, int], bytes]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "avif": _avif,
}
