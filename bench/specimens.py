"""A slide to predict: pieces of stained tissue on glass, of which it is known how many nuclei they hold.

The tissue is that of the accuracy tests, a square of it again and again, sparse in most places and crowded in others.
The same seed makes the same slide, whatever its size, with the memory of a few of its rows.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyvips
from numpy.typing import NDArray

from tests.imaging.analysis.making_tissue import Nuclei, Stain, glass, specimen

MPP: Final = 0.5
"""Micrometres per pixel."""

_TILE: Final = 256
_SEED: Final = 5
_SQUARE: Final = 2039  # pixels; a prime, so that no two tiles are cut from the same place
_SPARSE: Final = Stain(per_mm2=1500)
_CROWDED: Final = Stain(per_mm2=5500)
_PIXELS_PER_MM: Final = 1000 / MPP

Numbers = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Made:
    """What is true of a slide. nuclei: how many have their centre on tissue.   tissue_fraction: 0 to 1."""

    nuclei: int
    tissue_fraction: float


def make_slide(path: Path, width: int, height: int) -> Made:
    """A pyramid of JPEG tiles at 0.5 um per pixel, each level half of the one before."""
    chance = np.random.default_rng(_SEED)
    tissue, crowd = (_clouds(chance, bias) for bias in (0.0, -0.9))
    sparse, crowded = (specimen(_SQUARE, _SQUARE, mpp=MPP, seed=_SEED, stain=stain) for stain in (_SPARSE, _CROWDED))
    bare = glass(_SQUARE, _SQUARE, seed=_SEED)
    sides = (width, height)
    stained = _stretched(crowd, *sides).ifthenelse(_covering(crowded.pixels, *sides), _covering(sparse.pixels, *sides))
    # tissue ends softly, where one kind of it turns into the other it does not
    picture = _stretched(tissue, *sides).ifthenelse(stained, _covering(bare, *sides), blend=True)
    picture.tiffsave(
        str(path),
        compression="jpeg",
        Q=80,
        tile=True,
        tile_width=_TILE,
        tile_height=_TILE,
        pyramid=True,
        xres=_PIXELS_PER_MM,
        yres=_PIXELS_PER_MM,
        resunit="cm",
    )
    return _counted(tissue, crowd, sparse.nuclei, crowded.nuclei, sides)


def _clouds(chance: np.random.Generator, bias: float) -> Numbers:
    """A coarse picture, 0 to 255, that is 255 in some places and 0 in others. bias: more of the one or the other."""
    noise = chance.normal(bias, 2.0, (9, 12)).astype(np.float32) * 255 + 128
    large = pyvips.Image.new_from_array(noise).resize(20, kernel="cubic").numpy()
    coarse: Numbers = np.clip(large, 0, 255).astype(np.uint8)
    return coarse


def _counted(tissue: Numbers, crowd: Numbers, sparse: Nuclei, crowded: Nuclei, sides: tuple[int, int]) -> Made:
    """The nuclei of all squares, as far as they lie where their kind of tissue is shown."""
    width, height = sides
    count = 0
    for top in range(0, height, _SQUARE):
        for left in range(0, width, _SQUARE):
            for nuclei, is_crowded in ((sparse, False), (crowded, True)):
                ys, xs = nuclei.ys + top, nuclei.xs + left
                inside = (ys < height) & (xs < width)
                rows, columns = (ys[inside] / height, xs[inside] / width)
                shown = (_at(tissue, rows, columns) > 127) & ((_at(crowd, rows, columns) > 0) == is_crowded)
                count += int(np.count_nonzero(shown))
    return Made(count, float(np.mean(tissue > 127)))


def _at(coarse: Numbers, rows: Numbers, columns: Numbers) -> Numbers:
    """The nearest pixels. rows, columns: 0 to 1 of the whole."""
    found: Numbers = coarse[(rows * coarse.shape[0]).astype(int), (columns * coarse.shape[1]).astype(int)]
    return found


def _covering(pixels: Numbers, width: int, height: int) -> pyvips.Image:
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
    return image.replicate(-(-width // image.width), -(-height // image.height)).crop(0, 0, width, height)


def _stretched(coarse: Numbers, width: int, height: int) -> pyvips.Image:
    image = pyvips.Image.new_from_array(coarse)
    scales = [width / image.width, 0, 0, height / image.height]
    smooth = pyvips.Interpolate.new("bilinear")
    return image.affine(scales, interpolate=smooth, oarea=[0, 0, width, height], extend="copy")
