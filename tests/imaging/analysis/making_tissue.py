"""Makes stained slides of which everything is known: where each nucleus lies, how large it is, how much is tissue.

A pixel is made as light is: what it lets through of each colour falls by 10 ** -(amount of stain x its absorbance).
Haematoxylin and eosin absorb a little otherwise than the analysis takes for granted, as on any real slide; nuclei
differ in size, shape, strength and texture, touch and overlap; the picture is blurred, noisy and has been a JPEG.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.spatial import KDTree

from pinakes.imaging import regions
from pinakes.imaging.source import DEFAULT_LIMITS, Description, Level, Pixels, Rect, Size, StoredTile
from tests.imaging.making_slides import halves

Floats = NDArray[np.float32]

HAEMATOXYLIN = (0.68, 0.67, 0.28)
EOSIN = (0.10, 0.95, 0.16)
DAB = (0.27, 0.57, 0.78)
"""Absorbance in red, green and blue; the first two a little off the vectors of Ruifrok and Johnston."""

GLASS = (243, 241, 244)

LEAST_RADIUS_UM = 2.3
MOST_RADIUS_UM = 8.5


@dataclass(frozen=True)
class Nuclei:
    """Where nuclei lie, in pixels, and how large they are."""

    ys: NDArray[np.float64]
    xs: NDArray[np.float64]
    areas_um2: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ys)


@dataclass(frozen=True)
class Specimen:
    """A picture and what is true of it. tissue: True where there is tissue, as large as the picture."""

    pixels: Pixels
    nuclei: Nuclei
    tissue: NDArray[np.bool_]
    mpp: float


@dataclass
class Stain:
    """How a slide is made. per_mm2: nuclei on tissue.   strength: amount of haematoxylin in a nucleus, on average.

    radius_um: of a nucleus, in the middle.   pale: how much paler the middle of a nucleus may be, 0 to 1.
    eosin: its amount in tissue.   spacing: how near the centres of two nuclei may be, in the sum of their radii.
    blur_um: of the lens.   noise: of the camera, in steps of 255.   quality: of the JPEG; None for none.
    vectors: of what stains the nuclei, and of what stains the rest.
    """

    per_mm2: float = 3000
    radius_um: float = 3.4
    strength: float = 0.8
    pale: float = 0.35
    eosin: float = 0.35
    spacing: float = 0.8
    blur_um: float = 0.4
    noise: float = 3.0
    quality: int | None = 80
    vectors: tuple[Sequence[float], Sequence[float]] = field(default=(HAEMATOXYLIN, EOSIN))


def specimen(
    width: int,
    height: int,
    *,
    mpp: float = 0.5,
    seed: int = 1,
    stain: Stain | None = None,
    tissue: NDArray[np.bool_] | None = None,
    density: Floats | None = None,
) -> Specimen:
    """A stained slide. tissue: where there is some; everywhere by default.   density: a factor on the nuclei's number,
    0 to 1, for each pixel."""
    stain = stain or Stain()
    chance = np.random.default_rng(seed)
    tissue = np.ones((height, width), np.bool_) if tissue is None else tissue
    nuclei = _placed(chance, tissue, mpp, stain, density)
    amount, truth = _drawn(chance, nuclei, tissue, mpp, stain)
    ground = _ground(chance, tissue.shape, mpp) * stain.eosin * ndimage.gaussian_filter(tissue.astype(np.float32), 1.5)
    return Specimen(_lit(chance, amount, ground, mpp, stain), truth, tissue, mpp)


def blob(width: int, height: int, *, seed: int = 1, covered: float = 0.4, grain: float = 0.08) -> NDArray[np.bool_]:
    """A ragged piece of tissue away from the edges, of a given part of the picture, without specks and pinholes."""
    chance = np.random.default_rng(seed)
    coarse = chance.normal(size=(64, 64)).astype(np.float32)
    noise = ndimage.gaussian_filter(coarse, 64 * grain)
    y, x = np.mgrid[-1:1:64j, -1:1:64j].astype(np.float32)
    height_map = noise / noise.std() - 3 * (x**2 + y**2)
    height_map[[0, 1, -2, -1], :] = height_map[:, [0, 1, -2, -1]] = height_map.min()
    large = np.asarray(Image.fromarray(height_map).resize((width, height), Image.Resampling.BICUBIC))
    return np.asarray(large > np.quantile(large, 1 - covered))


def _placed(
    chance: np.random.Generator, tissue: NDArray[np.bool_], mpp: float, stain: Stain, density: Floats | None
) -> NDArray[np.float64]:
    """Rows of y, x, radius in pixels: darts that are thrown again where they are too near to another."""
    height, width = tissue.shape
    wanted = int(stain.per_mm2 * tissue.size * mpp**2 / 1e6)
    tries = 3 * wanted
    ys, xs = chance.uniform(0, height, tries), chance.uniform(0, width, tries)
    radii = np.clip(stain.radius_um * chance.lognormal(0, 0.22, tries), LEAST_RADIUS_UM, MOST_RADIUS_UM) / mpp
    here = tissue[ys.astype(int), xs.astype(int)]
    if density is not None:
        here &= chance.uniform(0, 1, tries) < density[ys.astype(int), xs.astype(int)]
    share = here.sum() / max(1, tries)
    kept = np.ones(tries, np.bool_)
    pairs = KDTree(np.column_stack([ys, xs])).query_pairs(
        2 * stain.spacing * MOST_RADIUS_UM / mpp, output_type="ndarray"
    )
    near = np.hypot(ys[pairs[:, 0]] - ys[pairs[:, 1]], xs[pairs[:, 0]] - xs[pairs[:, 1]])
    close = pairs[near < stain.spacing * (radii[pairs[:, 0]] + radii[pairs[:, 1]])]
    for first, second in close[np.lexsort((close[:, 0], close[:, 1]))]:
        if kept[first]:
            kept[second] = False
    found = np.flatnonzero(kept & here)[: int(wanted * share)]
    return np.column_stack([ys, xs, radii])[found]


def _drawn(
    chance: np.random.Generator, nuclei: NDArray[np.float64], tissue: NDArray[np.bool_], mpp: float, stain: Stain
) -> tuple[Floats, Nuclei]:
    """The amount of what stains nuclei in each pixel, and the truth about them."""
    amount = np.zeros(tissue.shape, np.float32)
    areas = np.empty(len(nuclei))
    for number, (y, x, radius) in enumerate(nuclei):
        ratio, angle = chance.uniform(0.55, 1), chance.uniform(0, np.pi)
        strength = stain.strength * np.clip(chance.lognormal(0, 0.2), 0.6, 1.6)
        pale = chance.uniform(0, stain.pale)
        long, short = radius / ratio**0.5, radius * ratio**0.5
        top, left = max(0, int(y - long - 2)), max(0, int(x - long - 2))
        rows, columns = np.mgrid[top : min(tissue.shape[0], y + long + 3), left : min(tissue.shape[1], x + long + 3)]
        along = (columns + 0.5 - x) * np.cos(angle) + (rows + 0.5 - y) * np.sin(angle)
        across = (rows + 0.5 - y) * np.cos(angle) - (columns + 0.5 - x) * np.sin(angle)
        out = np.hypot(along / long, across / short)
        inside = np.clip((1 - out) * short + 0.5, 0, 1) * (1 - pale * np.clip(1 - out, 0, 1))
        part = amount[top : top + inside.shape[0], left : left + inside.shape[1]]
        np.maximum(part, (strength * inside).astype(np.float32), out=part)
        areas[number] = np.pi * long * short * mpp**2
    chromatin = ndimage.gaussian_filter(chance.normal(size=tissue.shape).astype(np.float32), 0.5 / mpp)
    amount *= 1 + 0.15 * chromatin / max(float(chromatin.std()), 1e-6)
    return amount, Nuclei(nuclei[:, 0], nuclei[:, 1], areas)


def _ground(chance: np.random.Generator, shape: tuple[int, ...], mpp: float) -> Floats:
    """How strongly the tissue between nuclei is stained, about 1: patches, and fibres that run across."""
    patches = ndimage.zoom(chance.normal(size=(9, 9)).astype(np.float32), (shape[0] / 9, shape[1] / 9), order=1)
    fibres = ndimage.gaussian_filter(chance.normal(size=shape).astype(np.float32), (1 / mpp, 6 / mpp))
    whole = patches[: shape[0], : shape[1]] * 0.2 + fibres / max(float(fibres.std()), 1e-6) * 0.2
    ground: Floats = np.clip(1 + whole, 0.3, 2).astype(np.float32)
    return ground


def _lit(chance: np.random.Generator, amount: Floats, ground: Floats, mpp: float, stain: Stain) -> Pixels:
    """What the camera sees, and the JPEG keeps."""
    nuclear, other = stain.vectors
    pixels = np.empty((*amount.shape, 3), np.uint8)
    # the ground is a little less where a nucleus lies, and has a trace of haematoxylin itself
    basic, acid = amount + 0.12 * ground, ground * (1 - 0.5 * np.minimum(amount, 1))
    for channel in range(3):
        light = GLASS[channel] * 10 ** -(basic * nuclear[channel] + acid * other[channel])
        seen = ndimage.gaussian_filter(light, stain.blur_um / mpp)
        noise = chance.normal(0, stain.noise, seen.shape).astype(np.float32)
        pixels[..., channel] = np.clip(np.round(seen + noise), 0, 255).astype(np.uint8)
    return pixels if stain.quality is None else after_jpeg(pixels, stain.quality)


def after_jpeg(pixels: Pixels, quality: int) -> Pixels:
    """What is left of a picture after it was kept as a JPEG with halved colours."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(file).convert("RGB"))


def glass(width: int, height: int, *, seed: int = 1, noise: float = 2.0) -> Pixels:
    """An empty slide: light that is not quite even, and the camera's noise."""
    chance = np.random.default_rng(seed)
    light = np.array(GLASS) - 6 * np.linspace(0, 1, width)[np.newaxis, :, np.newaxis]
    noisy = light + chance.normal(0, noise, (height, width, 3))
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def with_pen(pixels: Pixels, color: tuple[int, int, int], box: Rect, *, thickness: int) -> Pixels:
    """A picture with the frame of a box drawn on it in ink, with soft edges; the ink covers."""
    line = np.zeros(pixels.shape[:2], np.float32)
    line[box.y : box.y + box.height, box.x : box.x + box.width] = 1
    inner = line[box.y + thickness : box.y + box.height - thickness, box.x + thickness : box.x + box.width - thickness]
    inner[:] = 0
    soft = ndimage.gaussian_filter(line, thickness / 8)[..., np.newaxis]
    drawn = pixels * (1 - soft) + np.array(color, np.float32) * soft
    inked: Pixels = np.clip(np.round(drawn), 0, 255).astype(np.uint8)
    return inked


class ArraySource:
    """An open picture in memory, stored at full size and `levels` - 1 times at a quarter of the one before.

    `read_px` counts the pixels of the output, `most_px` is the largest of one call.
    """

    def __init__(self, pixels: Pixels, mpp: tuple[float, float] | None = None, *, levels: int = 2) -> None:
        self._stored = [pixels if level == 0 else halves(pixels, 2 * level) for level in range(levels)]
        sizes = [Size(each.shape[1], each.shape[0]) for each in self._stored if each.size]
        stored = tuple(Level(size, sizes[0].width / size.width, Size(256, 256)) for size in sizes)
        self.description = Description("tiff", sizes[0], stored, mpp)
        self.read_px: list[int] = []
        self.levels_read: list[int] = []

    def read_region(self, rect: Rect, size: Size, *, frame: int = 0) -> Pixels:  # noqa: ARG002
        self.read_px.append(size.width * size.height)
        return regions.read_scaled(self.description.levels, self._read, lambda *_: 1, rect, size, DEFAULT_LIMITS)

    def _read(self, level: int, rect: Rect, _: int) -> Pixels:
        self.levels_read.append(level)
        return self._stored[level][rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]

    def read_associated(self, name: str) -> Pixels:
        raise KeyError(name)

    def stored_tile(self, level: int, column: int, row: int) -> StoredTile | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
