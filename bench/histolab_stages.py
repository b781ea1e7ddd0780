"""The stages of an analysis by a straightforward script on histolab and scikit-image, as `analysis_stages` tells them.

It is run by the Python of an environment of its own: `python histolab_stages.py STAGE SLIDE`. histolab finds the tissue
and reads the tiles; nuclei are counted as scikit-image's examples count objects, at full resolution or at that of
--mpp. Tiles lie in a grid, as ours do, and are kept in memory: histolab's own tilers write each to a file first.
"""

import argparse
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2hed
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.segmentation import watershed

_SIDE = 512
_LEAST_TISSUE = 0.25
_FULL_MPP = 0.5
_SIGMA_UM = 0.5
_LEAST_APART_UM = 2.0
_AREAS_UM2 = (12, 300)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("stage", choices=("tissue", "tiling", "read", "predict"))
    arguments.add_argument("slide")
    arguments.add_argument("--part", default="0/1")
    arguments.add_argument("--mpp", type=float, default=_FULL_MPP)
    given = arguments.parse_args()
    place, count = map(int, given.part.split("/"))
    told = _measured(given.stage, given.slide, place, count, given.mpp)
    print(json.dumps(told | {"peak_bytes": _peak_bytes()}))


def _peak_bytes() -> int:
    """Of this process alone: what `getrusage` tells is at least what the one held who started it."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def _measured(stage: str, path: str, place: int, count: int, mpp: float) -> dict[str, float]:
    from histolab.masks import TissueMask  # type: ignore[import-not-found]
    from histolab.slide import Slide  # type: ignore[import-not-found]

    slide = Slide(path, processed_path="")
    width, height = slide.dimensions
    started = time.perf_counter()
    mask = TissueMask()(slide)
    if stage == "tissue":
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "pixels": width * height, "looked_at": mask.size, "fraction": float(mask.mean())}
    started = time.perf_counter()
    tiles = list(_grid(mask, width, height))
    if stage == "tiling":
        return {"seconds": time.perf_counter() - started, "pixels": width * height, "tiles": len(tiles)}
    mine = tiles[place::count]
    started = time.perf_counter()
    nuclei = 0
    for x, y in mine:
        pixels = _tile(slide, x, y)
        nuclei += _nuclei(pixels, mpp) if stage == "predict" else 0
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "pixels": len(mine) * _SIDE**2, "tiles": len(mine), "nuclei": nuclei}


def _grid(mask: Any, width: int, height: int) -> Iterator[tuple[int, int]]:
    """The corners of the tiles with enough tissue. histolab refuses those that end where the slide does."""
    for y in range(0, height - _SIDE, _SIDE):
        for x in range(0, width - _SIDE, _SIDE):
            rows = slice(y * len(mask) // height, max(1, (y + _SIDE) * len(mask) // height))
            columns = slice(x * mask.shape[1] // width, max(1, (x + _SIDE) * mask.shape[1] // width))
            if mask[rows, columns].mean() >= _LEAST_TISSUE:
                yield x, y


def _tile(slide: Any, x: int, y: int) -> Any:
    from histolab.types import CoordinatePair  # type: ignore[import-not-found]

    tile = slide.extract_tile(CoordinatePair(x, y, x + _SIDE, y + _SIDE), (_SIDE, _SIDE), level=0)
    return np.asarray(tile.image.convert("RGB"))


def _nuclei(pixels: Any, mpp: float) -> int:
    """How many there are of the size of a nucleus; those that touch are parted by a watershed.

    mpp: at how many um per pixel they are looked for.
    """
    if mpp > _FULL_MPP:
        pixels = np.asarray(Image.fromarray(pixels).reduce(round(mpp / _FULL_MPP)))
    amount = gaussian(rgb2hed(pixels)[..., 0], _SIGMA_UM / mpp)
    mask = amount > threshold_otsu(amount)
    distance = ndimage.distance_transform_edt(mask)
    markers = np.zeros(mask.shape, int)
    peaks = peak_local_max(distance, min_distance=round(_LEAST_APART_UM / mpp), exclude_border=False)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    areas_um2 = np.bincount(watershed(-distance, markers, mask=mask).ravel())[1:] * mpp**2
    least, most = _AREAS_UM2
    return int(np.count_nonzero((areas_um2 >= least) & (areas_um2 <= most)))


if __name__ == "__main__":
    main()
