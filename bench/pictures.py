"""Pictures to measure with: a slide and photographs of invented content that compress as real ones do.

The same seed makes the same pixels. A slide of any size is written with the memory of a few of its rows.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyvips
import simplejpeg
from numpy.typing import NDArray

TILE: Final = 256
"""The side of a slide's tiles, in pixels."""

_SEED: Final = 4
_REPEAT: Final = 2039  # pixels; a prime, so that no two tiles are cut from the same place
_GRAIN: Final = 8  # pixels of a patch of one colour
_TISSUE: Final = (222, 165, 200)
_NUCLEUS: Final = (105, 60, 140)
_GLASS: Final = (243, 241, 244)
_NUCLEI: Final = 9000

_SCENES: Final = 4
_SPARE: Final = 64  # pixels by which noise can be shifted
_DARKEST: Final = 30
_COARSE: Final = 4  # pixels of a photograph than which no shape is finer

Numbers = NDArray[Any]


def make_slide(path: Path, width: int, height: int) -> None:
    """A pyramid of JPEG tiles, each level half of the one before: pieces of tissue on glass, nuclei in the tissue."""
    rng = np.random.default_rng(_SEED)
    tissue = _noisy(rng, _with_nuclei(rng, _patches(rng, _TISSUE, 14)), 5)
    glass = _noisy(rng, _patches(rng, _GLASS, 0), 1)
    pieces = pyvips.Image.new_from_array(rng.normal(90, 510, (12, 16)).astype(np.float32)).resize(20, kernel="cubic")
    where = _stretched(pieces.cast("uchar"), width, height)
    picture = where.ifthenelse(_covering(tissue, width, height), _covering(glass, width, height), blend=True)
    picture.tiffsave(
        str(path), compression="jpeg", Q=80, tile=True, tile_width=TILE, tile_height=TILE, pyramid=True, bigtiff=False
    )


def make_photographs(folder: Path, count: int, width: int, height: int) -> list[Path]:
    """JPEGs of soft shapes with edges under the noise of a camera: of a few scenes, each time with other noise."""
    folder.mkdir()
    rng = np.random.default_rng(_SEED)
    scenes = [_scene(rng, width, height) for _ in range(min(count, _SCENES))]
    shape = (height + _SPARE, width + _SPARE, 1)
    noise = np.clip(rng.normal(0, 7, shape), -_DARKEST, _DARKEST).astype(np.int8).view(np.uint8)
    paths = [folder / f"{number:03d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        x, y = rng.integers(0, _SPARE, 2)
        pixels = scenes[number % len(scenes)] + noise[y : y + height, x : x + width]
        path.write_bytes(simplejpeg.encode_jpeg(pixels, quality=90, colorsubsampling="420"))
    return paths


def _scene(rng: np.random.Generator, width: int, height: int) -> Numbers:
    """No value is so near to an end that noise takes it beyond."""
    soft = pyvips.Image.new_from_array(rng.integers(_DARKEST, 255 - _DARKEST, (9, 12, 3)).astype(np.uint8))
    pixels = _stretched(soft, width // _COARSE, height // _COARSE).numpy().copy()
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    for _ in range(30):
        row, column, radius = (rng.integers(0, most) for most in (*pixels.shape[:2], pixels.shape[0] // 8))
        pixels[np.hypot(y - row, x - column) < radius] = rng.integers(_DARKEST, 255 - _DARKEST, 3)
    scene: Numbers = _stretched(pyvips.Image.new_from_array(pixels), width, height).numpy()
    return scene


def _patches(rng: np.random.Generator, ground: tuple[int, int, int], spread: float) -> Numbers:
    """A square of _REPEAT pixels in patches of colours near one."""
    coarse = rng.normal(ground, spread, (_REPEAT // _GRAIN + 2, _REPEAT // _GRAIN + 2, 3)).astype(np.float32)
    patches: Numbers = pyvips.Image.new_from_array(coarse).resize(_GRAIN, kernel="cubic").numpy()
    return patches[:_REPEAT, :_REPEAT].copy()


def _with_nuclei(rng: np.random.Generator, pixels: Numbers) -> Numbers:
    """Draws dark discs into the pixels."""
    reach = 12
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    for _ in range(_NUCLEI):
        covered = np.clip(rng.uniform(5, reach - 1) - np.hypot(x, y), 0, 1)[..., np.newaxis]
        row, column = rng.integers(0, _REPEAT - 2 * reach - 1, 2)
        place = pixels[row : row + 2 * reach + 1, column : column + 2 * reach + 1]
        place[:] = place * (1 - covered) + np.array(_NUCLEUS) * covered
    return pixels


def _noisy(rng: np.random.Generator, pixels: Numbers, strength: float) -> pyvips.Image:
    noisy = np.clip(pixels + rng.normal(0, strength, pixels.shape), 0, 255).astype(np.uint8)
    return pyvips.Image.new_from_array(noisy).copy(interpretation="srgb")


def _covering(image: pyvips.Image, width: int, height: int) -> pyvips.Image:
    return image.replicate(-(-width // image.width), -(-height // image.height)).crop(0, 0, width, height)


def _stretched(image: pyvips.Image, width: int, height: int) -> pyvips.Image:
    scales = [width / image.width, 0, 0, height / image.height]
    smooth = pyvips.Interpolate.new("bilinear")
    return image.affine(scales, interpolate=smooth, oarea=[0, 0, width, height], extend="copy")
