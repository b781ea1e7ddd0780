"""Where there is tissue on a slide (pathomiq contract 8.2): how colourful it is at about 8 um per pixel.

    picture ── in strips ──> saturation ── median, Otsu ──> mask ── closing, no specks, no pinholes ──> outlines

What it takes for tissue is what is coloured, so it is right for stained slides in bright field, and known to be wrong
for others: of a photograph it gives what is colourful, of a fluorescence slide nothing or noise. Immunohistochemistry
counts by any of its colours, but beside much brown a pale blue counterstain can fall below the cut and be lost.

Pen marks: black ink is colourless, and therefore no tissue. Ink that is green, cyan, or of a blue that haematoxylin
does not reach, is left out together with its soft edge, and what it covers is not counted. Red, violet and pale ink
cannot be told from stains in this way and count as tissue; green dyes (Masson's light green) and Alcian blue that are
as strong as ink do not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_objects

from pinakes.imaging import geometry
from pinakes.imaging.analysis import outlines, scale
from pinakes.imaging.analysis.outlines import Outline
from pinakes.imaging.source import ImageSource, Pixels, Rect, Size, Unreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORKING_MPP: Final = 8.0
UNSCALED_LONGEST: Final = 1000
"""The longer side in pixels at which a picture without scale is looked at."""

LONGEST: Final = 4096
"""The longer side of any mask: above 33 mm the pixels become larger than WORKING_MPP."""

SMALLEST_MM2: Final = 0.02
"""Of what counts as tissue, and of a hole in it. Without scale, pixels of the mask count as if of WORKING_MPP."""

_SMALLEST_PART: Final = 0.01
"""Of a picture so small that SMALLEST_MM2 would be a good part of it, or more than all of it."""

_READ_PIXELS: Final = 2 * 1024 * 1024
_STRIP_PIXELS: Final = 128 * 1024
_MEANS_APART: Final = 0.05
_GLASS: Final = 0.1
"""Bare glass has less saturation than this, of 1."""

_DARK: Final = 40
"""What has no channel above this, of 255, has no colour that could be told: ink, dirt, what was not scanned."""

_MEDIAN_SIDE: Final = 3
_CLOSING_SIDE: Final = 7
_INK_EDGE_SIDE: Final = 7
_OUTLINE_TOLERANCE: Final = 1.5
"""In pixels of the mask; as in `Outline.simplified`."""

_INKS: Final = ((70.0, 215.0, 0.35), (215.0, 245.0, 0.75))
"""From and to which hue, in degrees, and from which saturation on a colour is ink: beyond haematoxylin, eosin, DAB."""


@dataclass(frozen=True, slots=True, eq=False)
class Tissue:
    """The tissue of a slide.

    size: of the slide, level 0.   mask: rows x columns, True for tissue, coarse.
    scale_x, scale_y: level-0 pixels per pixel of the mask.   mpp: um per level-0 pixel, x and y; None if unknown.
    area_px: level-0 pixels.   area_mm2: None without a scale.   fraction: of the slide, 0 to 1.
    outlines: around the tissue, with holes, in level-0 pixels; a little smoother than the mask.
    """

    size: Size
    mask: "NDArray[np.bool_]"
    scale_x: float
    scale_y: float
    mpp: tuple[float, float] | None
    area_px: float
    area_mm2: float | None
    fraction: float
    outlines: tuple[Outline, ...]


def find(source: ImageSource) -> Tissue:
    """The tissue of a slide; none is no error.

    Takes some 20 bytes for each pixel of the mask, so at most 350 MB, beside what the source takes.

    Raises Unreadable, also for what has no pixels; LimitExceeded.
    """
    size = source.description.size
    if size is None:
        raise Unreadable("The file has no pixels to analyse.")
    mpp = scale.accepted(source.description.mpp)
    working = working_size(size, mpp)
    scale_x, scale_y = size.width / working.width, size.height / working.height
    smallest_px = min(_smallest_px(scale_x, scale_y, mpp), round(_SMALLEST_PART * working.width * working.height))
    mask = _mask(source, size, working, smallest_px)
    area_px = float(np.count_nonzero(mask)) * scale_x * scale_y
    area_mm2 = area_px * mpp[0] * mpp[1] / 1e6 if mpp else None
    tolerance_px = _OUTLINE_TOLERANCE * min(scale_x, scale_y)
    around = tuple(each.simplified(tolerance_px) for each in outlines.of_mask(mask, scale_x, scale_y))
    return Tissue(size, mask, scale_x, scale_y, mpp, area_px, area_mm2, float(mask.mean()), around)


def working_size(size: Size, mpp: tuple[float, float] | None) -> Size:
    """The size of the mask of a slide: nuclei are not to be resolved, or they would be told from all other tissue."""
    if mpp is None:
        return geometry.fit(size, UNSCALED_LONGEST)
    sides = (_working_side(size.width, mpp[0]), _working_side(size.height, mpp[1]))
    return geometry.fit(Size(*sides), LONGEST)


def _working_side(side: int, mpp: float) -> int:
    return min(side, max(1, round(side * mpp / WORKING_MPP)))


def _smallest_px(scale_x: float, scale_y: float, mpp: tuple[float, float] | None) -> int:
    """How many pixels of the mask make SMALLEST_MM2."""
    pixel_um2 = scale_x * scale_y * mpp[0] * mpp[1] if mpp else WORKING_MPP**2
    return round(SMALLEST_MM2 * 1e6 / pixel_um2)


def _mask(source: ImageSource, size: Size, working: Size, smallest_px: int) -> "NDArray[np.bool_]":
    """Rows x columns of `working`, True for tissue."""
    saturation = np.empty((working.height, working.width), np.uint8)
    ink = np.empty(saturation.shape, np.bool_)
    for top, pixels in _strips(source, size, working):
        rows = slice(top, top + len(pixels))
        saturation[rows], ink[rows] = _saturation_and_ink(pixels)
    smooth = np.asarray(Image.fromarray(saturation).filter(ImageFilter.MedianFilter(_MEDIAN_SIDE)))
    ink = ndimage.maximum_filter(ink, size=_INK_EDGE_SIDE)
    cut = _cut(np.bincount(smooth[~ink], minlength=256))
    if cut is None:
        return np.zeros(smooth.shape, np.bool_)
    colourful = ((smooth > cut) & ~ink).astype(np.uint8)
    closed = ndimage.grey_closing(colourful, size=(_CLOSING_SIDE, _CLOSING_SIDE)).astype(np.bool_) & ~ink
    largest_left_out = max(0, smallest_px - 1)
    without_specks = np.asarray(remove_small_objects(closed, max_size=largest_left_out))
    return np.asarray(without_specks | (_small_holes(without_specks, largest_left_out) & ~ink))


def _small_holes(mask: "NDArray[np.bool_]", largest_px: int) -> "NDArray[np.bool_]":
    """Where the mask has holes of so many pixels at most. What touches the edge goes on beyond it, so it is none."""
    labels, _ = ndimage.label(~mask)
    is_small = np.bincount(labels.ravel()) <= largest_px
    is_small[0] = False  # the mask itself
    is_small[labels[[0, -1], :]] = is_small[labels[:, [0, -1]]] = False
    return np.asarray(is_small[labels])


def _strips(source: ImageSource, size: Size, working: Size) -> Iterator[tuple[int, Pixels]]:
    """The picture at `working` size, from the top down: the first row of each strip, and its pixels.

    What is read at once is larger than what is worked on at once: stored tiles between two reads are decoded twice.
    """
    rows, few = (max(1, pixels // working.width) for pixels in (_READ_PIXELS, _STRIP_PIXELS))
    for top in range(0, working.height, rows):
        bottom = min(top + rows, working.height)
        first, end = (row * size.height // working.height for row in (top, bottom))
        pixels = source.read_region(Rect(0, first, size.width, end - first), Size(working.width, bottom - top))
        for row in range(0, len(pixels), few):
            yield top + row, pixels[row : row + few]


def _saturation_and_ink(pixels: Pixels) -> "tuple[NDArray[np.uint8], NDArray[np.bool_]]":
    """HSV saturation, 0 to 255, 0 for what is dark; and which pixels have a colour of ink."""
    red, green, blue = (pixels[..., channel].astype(np.float32) for channel in range(3))
    most = np.maximum(np.maximum(red, green), blue)
    spread = most - np.minimum(np.minimum(red, green), blue)
    saturation = np.where(most > _DARK, spread / np.maximum(most, 1), 0)
    some = np.maximum(spread, 1)
    hue = np.select(
        [most == red, most == green], [(green - blue) / some % 6, (blue - red) / some + 2], (red - green) / some + 4
    )
    ink = np.zeros(hue.shape, np.bool_)
    for lowest, highest, least in _INKS:
        ink |= (hue >= lowest / 60) & (hue < highest / 60) & (saturation >= least)
    return np.round(saturation * 255).astype(np.uint8), ink


def _cut(counts: "NDArray[np.int64]") -> int | None:
    """What is more saturated than this, of 255, is tissue; None if nothing is. counts: pixels by saturation.

    Otsu's threshold splits anything, so the means of what it splits have to be apart. Where even the paler part is
    too colourful to be glass, the slide is almost covered, and Otsu has split tissue: all that is not glass counts.
    """
    if np.count_nonzero(counts) < 2:
        return None
    levels = np.arange(256)
    cut = int(threshold_otsu(hist=(counts, levels)))
    paler, stronger = (
        float(np.average(levels[part], weights=counts[part])) / 255 for part in (slice(cut + 1), slice(cut + 1, 256))
    )
    if stronger - paler < _MEANS_APART:
        return None
    return cut if paler < _GLASS else round(_GLASS * 255)
