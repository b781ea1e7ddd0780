"""Numbers of a TIFF file made colours: what its field PhotometricInterpretation means, in sRGB of 8 bits."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pinakes.imaging.source import Pixels, Unreadable

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6

_SHADES: Final = (0.1, 99.9)
"""Percentiles that become black and white where values are not of 8 bits."""


@dataclass(frozen=True, slots=True)
class Coloring:
    """photometric: as in TIFF.   bits: of a sample.   has_alpha: the sample after the colours says how opaque it is.
    palette: all reds, all greens, all blues, of 16 bits each; empty if there is none.
    """

    photometric: int
    bits: int
    has_alpha: bool
    palette: NDArray[np.generic]


def to_rgb(samples: NDArray[Any], coloring: Coloring, window: tuple[float, float] | None = None) -> Pixels:
    """Colours of 8 bits. samples: height x width x samples.

    window: which values are black and white; without one, all that the type can hold. Alpha is put on white.
    Raises Unreadable for a colour space that is not read here.
    """
    count = samples.shape[2]
    if coloring.photometric == PALETTE:
        return _from_palette(samples[:, :, 0], coloring)
    if coloring.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO) or (coloring.photometric == RGB and count < 3):
        grey = _to_8_bits(samples[:, :, :1], coloring.bits, window)
        grey = 255 - grey if coloring.photometric == WHITE_IS_ZERO else grey
        return _on_white(np.repeat(grey, 3, axis=2), samples, 1, coloring)
    if coloring.photometric == RGB:
        return _on_white(_to_8_bits(samples[:, :, :3], coloring.bits, window), samples, 3, coloring)
    if coloring.photometric == CMYK and count >= 4:
        inks = 255 - _to_8_bits(samples[:, :, :4], coloring.bits, None).astype(np.uint16)
        return (inks[:, :, :3] * inks[:, :, 3:] // 255).astype(np.uint8)
    raise Unreadable("The TIFF file's colours are of a kind that is not read here.")


def window_of(samples: NDArray[Any]) -> tuple[float, float]:
    """Which values to show as black and as white: nearly the least and nearly the greatest there are."""
    finite = samples[np.isfinite(samples)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, _SHADES)
    return float(low), float(high) if high > low else float(low) + 1.0


def _to_8_bits(samples: NDArray[Any], bits: int, window: tuple[float, float] | None) -> Pixels:
    if samples.dtype == np.uint8 and bits == 8:
        return samples
    if samples.dtype == np.bool_:
        return np.where(samples, np.uint8(255), np.uint8(0))
    if samples.dtype.kind not in "uif":
        raise Unreadable("The TIFF file's numbers are of a kind that is not read here.")
    if window is None:
        window = (0.0, float(2**bits - 1)) if samples.dtype.kind == "u" else window_of(samples)
    low, high = window
    shades: NDArray[np.float32] = (np.nan_to_num(samples.astype(np.float32), nan=low) - low) * (255.0 / (high - low))
    return np.clip(np.rint(shades), 0, 255).astype(np.uint8)


def _on_white(colors: Pixels, samples: NDArray[Any], place: int, coloring: Coloring) -> Pixels:
    if not coloring.has_alpha or samples.shape[2] <= place:
        return colors
    alpha = _to_8_bits(samples[:, :, place : place + 1], coloring.bits, None).astype(np.uint16)
    return ((colors * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _from_palette(indices: NDArray[Any], coloring: Coloring) -> Pixels:
    length = coloring.palette.size // 3
    if length == 0 or indices.dtype.kind not in "ub":
        raise Unreadable("The TIFF file has no palette for its colours.")
    table = (coloring.palette[: 3 * length].reshape(3, length).T >> 8).astype(np.uint8)  # type: ignore[operator]
    pixels: Pixels = table[np.minimum(indices, length - 1)]
    return pixels
