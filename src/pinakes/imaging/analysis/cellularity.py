"""How many nuclei there are: a classical measurement on slides stained with haematoxylin, without weights.

    tile ── 1 um per pixel ──> haematoxylin ── Otsu ──> mask ── distance, peaks, watershed ──> nuclei of 12 to 300 um2

It is a measurement, not a diagnosis (pathomiq contract 8.4). Stains are told apart after Ruifrok and Johnston, with
scikit-image's vectors, which are those of haematoxylin, eosin and DAB.

What misleads it: nuclei that overlap by much are counted as one, nuclei with a pale middle sometimes as two; folds and
thick places; melanin, carbon and black ink, which absorb as haematoxylin does among others. On immunohistochemistry
with DAB it counts what is blue, membranes and cytoplasm brown or not, and misses about a quarter of what an eye finds
in pale counterstain; nuclei that are brown themselves are not counted at all, so that the number is of no use for a
nuclear marker. One in some hundred nuclei is lost where tiles meet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.color import hed_from_rgb
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_holes
from skimage.segmentation import watershed

from pinakes.imaging.analysis import outlines
from pinakes.imaging.analysis.model import Findings, FoundClass, ModelIdentity
from pinakes.imaging.analysis.tiling import Tile
from pinakes.imaging.source import Pixels

if TYPE_CHECKING:
    from pinakes.imaging.analysis.tissue import Tissue

LEAST_UM2: Final = 12.0
MOST_UM2: Final = 300.0

HAEMATOXYLIN_LEAST: Final = 0.03
HAEMATOXYLIN_MOST: Final = 0.1
"""In between lies what separates nuclei from the rest, in the unit of scikit-image's `rgb2hed`."""

COARSEST_MPP: Final = 1.2
"""On a slide with larger pixels nuclei cannot be told from one another."""

_WORKING_MPP: Final = 1.0
_HOLE_UM2: Final = 20.0
_MEANS_APART: Final = 0.02
_STEPS: Final = 1024
"""Of haematoxylin from 0 to _STRONGEST, when its threshold is found."""

_STRONGEST: Final = 0.25

_HIGH_COLOUR: Final = (255, 140, 0)
_HIGH_LEAST_PER_MM2: Final = 500.0
_HIGH_TIMES: Final = 1.5

_DARKEST: Final = 1e-6
"""As in `rgb2hed`, where it also is the unit: haematoxylin 1 would let a millionth of the light through."""

_ABSORBANCE: Final = np.log(np.maximum(np.arange(256) / 255, _DARKEST)) / np.log(_DARKEST)
_TABLES: Final = np.ascontiguousarray(np.outer(hed_from_rgb[:, 0], _ABSORBANCE), dtype=np.float32)
"""3 x 256: what each value of red, green and blue adds to haematoxylin."""

Places: TypeAlias = NDArray[np.intp]

_ROUND: Final = np.ones((3, 3), np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Nuclei:
    """Nuclei found in a picture. ys, xs: their centres in its pixels, where pixel 0 reaches from 0 to 1.

    haematoxylin_fraction: how much of the picture is stained as nuclei are, 0 to 1, whatever its size.
    """

    ys: NDArray[np.float64]
    xs: NDArray[np.float64]
    areas_um2: NDArray[np.float64]
    haematoxylin_fraction: float

    def __len__(self) -> int:
        return len(self.ys)


def haematoxylin(pixels: Pixels) -> NDArray[np.float32]:
    """Height x width: its amount as scikit-image's `rgb2hed` gives it, at least 0, about 0.03 to 0.15 in nuclei."""
    red, green, blue = (np.take(_TABLES[channel], pixels[..., channel]) for channel in range(3))
    red += green
    red += blue
    return np.asarray(np.maximum(red, 0, out=red))


def count_nuclei(pixels: Pixels, mpp: float) -> Nuclei:
    """The nuclei of a picture of `mpp` um per pixel.

    One that is cut by the edge counts if its centre is inside, so tiles that lie side by side count it once.
    """
    factor = max(1, round(_WORKING_MPP / mpp))
    small = np.asarray(Image.fromarray(pixels).reduce(factor)) if factor > 1 else pixels
    pixel_um2 = (mpp * factor) ** 2
    mask = _stained(haematoxylin(small), pixel_um2)
    if not mask.any():
        return Nuclei(np.empty(0), np.empty(0), np.empty(0), 0.0)
    rows, columns = np.nonzero(mask)
    owners, count = _owners(mask, rows, columns)
    sizes = np.bincount(owners, minlength=count + 1)[1:]  # number 0 is what belongs to none
    areas = sizes.astype(np.float64) * pixel_um2
    kept = (areas >= LEAST_UM2) & (areas <= MOST_UM2)
    ys, xs = (
        (np.bincount(owners, places, count + 1)[1:][kept] / sizes[kept] + 0.5) * factor for places in (rows, columns)
    )
    return Nuclei(ys, xs, areas[kept], float(mask.mean()))


def _stained(amount: NDArray[np.float32], pixel_um2: float) -> NDArray[np.bool_]:
    """What is stained as nuclei are, and holes in it; nowhere if all is stained about alike."""
    steps = np.minimum(amount * (_STEPS / _STRONGEST), _STEPS - 1).astype(np.uint16)
    counts = np.bincount(steps.ravel(), minlength=_STEPS)
    if np.count_nonzero(counts) < 2:
        return np.zeros(amount.shape, np.bool_)
    cut = threshold_otsu(hist=(counts, np.arange(_STEPS))) * (_STRONGEST / _STEPS)
    mask = amount > np.clip(cut, HAEMATOXYLIN_LEAST, HAEMATOXYLIN_MOST)
    stained = np.count_nonzero(mask)
    if stained in (0, mask.size) or amount[mask].mean() - amount[~mask].mean() < _MEANS_APART:
        return np.zeros(amount.shape, np.bool_)
    return np.asarray(remove_small_holes(mask, max_size=round(_HOLE_UM2 / pixel_um2)))


def _owners(mask: NDArray[np.bool_], rows: Places, columns: Places) -> tuple[Places, int]:
    """Which nucleus each pixel of the mask belongs to, from 1 on, or 0; and how many there are. It does not cover all.

    Nuclei that touch are parted where they are narrow: each is what surrounds one of the places farthest from outside.
    """
    nearest = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
    depth = np.zeros(mask.shape, np.float32)  # worked out for the pixels of the mask alone, which is half the time
    depth[rows, columns] = np.hypot(nearest[0][rows, columns] - rows, nearest[1][rows, columns] - columns)
    depth = ndimage.uniform_filter(depth, 3)
    peaks = (depth == ndimage.maximum_filter(depth, 3)) & mask
    peaks[[0, -1], :] = peaks[:, [0, -1]] = False  # their nuclei are those of the neighbour
    markers, count = ndimage.label(peaks, _ROUND)
    return watershed(-depth, markers, mask=mask)[rows, columns], count


class Cellularity:
    """The built-in model: nuclei per mm2 of each tile, and where there are many. Its accuracy is in bench/RESULTS.md.

    A tile that was cut at the edge of the slide is scored as if its white part were empty tissue; in findings only
    what is tissue counts.
    """

    identity = ModelIdentity("cellularity", "1.0", None, "classical")
    input_px = 512
    mpp = 0.5
    tiles_at_once = 1
    columns: tuple[str, ...] = ("nuclei_per_mm2", "haematoxylin_fraction", "nuclei in the tile")
    heat_column = 2  # what is known without a scale too
    heat_range: tuple[float, float] | None = (0.0, 500.0)

    def score(self, batch: NDArray[np.uint8], mpp: float) -> NDArray[np.float32]:
        """N x 3: nuclei per mm2 of the tile, the part of it that is stained as nuclei are, the number of nuclei."""
        area_mm2 = batch.shape[1] * batch.shape[2] * mpp**2 / 1e6
        scores = np.empty((len(batch), 3), np.float32)
        for row, pixels in zip(scores, batch, strict=True):
            nuclei = count_nuclei(pixels, mpp)
            row[:] = len(nuclei) / area_mm2, nuclei.haematoxylin_fraction, len(nuclei)
        return scores

    def findings(self, tiles: Sequence[Tile], scores: NDArray[np.float32], tissue: "Tissue") -> Findings:
        """Nuclei per mm2 of tissue, and `High cellularity`: the tiles above a threshold, merged.

        The threshold is relative to the slide (see `high_threshold`). On a slide without scale, or too coarse for
        nuclei, figures are None, and nothing is high.
        """
        figures: dict[str, float | None] = {
            "nuclei_per_mm2": None,
            "nuclei": None,
            "haematoxylin_fraction": _rounded(_mean_fraction(tiles, scores)),
            "high_cellularity_from_nuclei_per_mm2": None,
        }
        areas_mm2 = _tissue_mm2(tiles, tissue)
        high: list[Tile] = []
        if areas_mm2 is not None and len(tiles):
            nuclei = scores[:, 2].astype(np.float64)
            per_mm2 = nuclei / areas_mm2
            threshold = high_threshold(per_mm2)
            if threshold is not None:
                high = [tile for tile, each in zip(tiles, per_mm2, strict=True) if each > threshold]
            figures["nuclei_per_mm2"] = _rounded(nuclei.sum() / areas_mm2.sum())
            figures["nuclei"] = float(nuclei.sum())
            figures["high_cellularity_from_nuclei_per_mm2"] = _rounded(threshold)
        found = FoundClass("High cellularity", _HIGH_COLOUR, outlines.merged(tile.rect for tile in high))
        return Findings((found,), figures)


def high_threshold(per_mm2: NDArray[np.float64]) -> float | None:
    """Above how many nuclei per mm2 a tile of the slide is of high cellularity; None if no tiles stand out.

    Half way between the means of the two classes that Otsu's threshold parts. The highest hundredth of the values is
    cut off before, so that single tiles do not move it. The upper mean has to be 1.5 times the lower, and at least 500.
    """
    if not len(per_mm2):
        return None
    values = np.minimum(per_mm2, np.percentile(per_mm2, 99))
    if values.min() == values.max():
        return None
    is_above = values > threshold_otsu(values)
    above, below = float(values[is_above].mean()), float(values[~is_above].mean())
    return (above + below) / 2 if above >= max(_HIGH_TIMES * below, _HIGH_LEAST_PER_MM2) else None


def _tissue_mm2(tiles: Sequence[Tile], tissue: "Tissue") -> NDArray[np.float64] | None:
    """How much tissue each tile has; None if nuclei of this slide cannot be measured."""
    if tissue.mpp is None or max(tissue.mpp) > COARSEST_MPP:
        return None
    pixel_mm2 = tissue.mpp[0] * tissue.mpp[1] / 1e6
    fractions = [max(tile.tissue_fraction, 0.01) for tile in tiles]  # where all tiles are kept, some have none
    return np.array([tile.width * tile.height for tile in tiles]) * fractions * pixel_mm2


def _mean_fraction(tiles: Sequence[Tile], scores: NDArray[np.float32]) -> float | None:
    """Of what was scored of a cut tile, what lies beyond the slide was white, and is none of its area."""
    if not len(tiles):
        return None
    scored = np.array([size.width * size.height for size in (tile.uncut or tile.rect for tile in tiles)])
    stained = float(scores[:, 1].astype(np.float64) @ scored)
    return min(1.0, stained / sum(tile.width * tile.height for tile in tiles))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)
