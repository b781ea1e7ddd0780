"""A part of a picture as asked for: scaled, mirrored, turned, in colour or not, in that order (IIIF Image 3, 4)."""

from typing import TYPE_CHECKING, Final, Literal

from pinakes.imaging.geometry import check_region
from pinakes.imaging.source import (
    DEFAULT_LIMITS,
    ImageSource,
    LimitExceeded,
    Limits,
    Pixels,
    Rect,
    Size,
)

if TYPE_CHECKING:  # the server imports this for its names: it is spared the loading of numpy
    import numpy as np
    from numpy.typing import NDArray

Quality = Literal["color", "gray", "bitonal"]

_LUMA: Final = (299, 587, 114)
"""Of red, green and blue in a thousand parts (ITU-R BT.601)."""

_MIDDLE: Final = 128


def render(
    source: ImageSource,
    rect: Rect,
    size: Size,
    *,
    rotation: float = 0,
    mirrored: bool = False,
    quality: Quality = "color",
    frame: int = 0,
    limits: Limits = DEFAULT_LIMITS,
) -> Pixels:
    """The part of a picture within `rect`, scaled to `size`, then mirrored left-right, then turned.

    rotation: degrees, clockwise; the picture grows so that all of it shows, what is uncovered is white.
    Gray and bitonal pixels (0 or 255) have three equal channels. Raises Unreadable, LimitExceeded.
    """
    import numpy as np

    check_region(rect, size, source.description.size, limits)
    pixels = source.read_region(rect, size, frame=frame)
    if mirrored:
        pixels = pixels[:, ::-1]
    if rotation % 360:
        pixels = _turned(pixels, rotation % 360, limits)
    if quality != "color":
        light = _light(pixels)
        gray = np.where(light >= _MIDDLE, 255, 0).astype(np.uint8) if quality == "bitonal" else light
        pixels = np.repeat(gray[:, :, np.newaxis], 3, axis=2)
    return np.ascontiguousarray(pixels)


def _turned(pixels: Pixels, degrees: float, limits: Limits) -> Pixels:
    import numpy as np

    if degrees % 90 == 0:
        return np.rot90(pixels, -int(degrees // 90))
    height, width = pixels.shape[:2]
    angle = np.deg2rad(degrees)
    across, along = abs(np.cos(angle)), abs(np.sin(angle))
    if (width * across + height * along + 2) * (width * along + height * across + 2) > limits.output_pixels:
        raise LimitExceeded(f"Turned, the picture has more than {limits.output_pixels} pixels.")

    from PIL import Image

    drawn = Image.fromarray(np.ascontiguousarray(pixels))
    turned = drawn.rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(255, 255, 255))
    return np.asarray(turned)


def _light(pixels: Pixels) -> "NDArray[np.uint8]":
    """Height x width: how light each pixel is."""
    import numpy as np

    red, green, blue = (pixels[:, :, channel].astype(np.uint32) * _LUMA[channel] for channel in range(3))
    return ((red + green + blue + 500) // 1000).astype(np.uint8)
