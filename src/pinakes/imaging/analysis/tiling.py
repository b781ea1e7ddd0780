"""Tiles of a slide: a regular grid at a resolution that a model wants, of which those with tissue are kept.

+-----+-----+--+     The grid begins at the top left and does not overlap.
|     |     |  |     Tiles at the right and the lower edge are cut to the picture;
+-----+-----+--+     when one is read, what is missing of it is white.
|     |     |  |
+-----+-----+--+
"""

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from pinakes.imaging import geometry
from pinakes.imaging.source import ImageSource, LimitExceeded, Pixels, Rect, Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pinakes.imaging.analysis.tissue import Tissue

MAX_TILES = 1_000_000
"""Of one slide: 40,000 x 30,000 pixels at 0.5 um have 4,700 of 512; a slide of 25 x 75 mm has 29,000."""

_SCALE_SLACK = 0.02


@dataclass(frozen=True, slots=True)
class TilingOptions:
    """tile_px: the side of a tile as the model sees it.   mpp: um per pixel at which it sees it.
    least_tissue: the part of a tile, 0 to 1, that has to be tissue for it to be kept.

    Raises ValueError for what lies outside of 16 to 4096, above 0 to 100, 0 to 1.
    """

    tile_px: int = 512
    mpp: float = 0.5
    least_tissue: float = 0.25

    def __post_init__(self) -> None:
        if not 16 <= self.tile_px <= 4096:
            raise ValueError("A tile has a side of 16 to 4096 pixels.")
        if not (isfinite(self.mpp) and 0 < self.mpp <= 100):
            raise ValueError("A tile has above 0 to 100 um per pixel.")
        if not 0 <= self.least_tissue <= 1:
            raise ValueError("The least part of tissue lies in 0 to 1.")


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of the picture at full size, within it. tissue_fraction: how much of it is tissue, 0 to 1.

    uncut: the size of the grid's tiles at full size, for one that was cut at an edge; None for one that was not.
    """

    x: int
    y: int
    width: int
    height: int
    tissue_fraction: float
    uncut: Size | None = None

    @property
    def rect(self) -> Rect:
        return Rect(self.x, self.y, self.width, self.height)


def tile_size(mpp: tuple[float, float] | None, options: TilingOptions) -> Size:
    """A tile's size in level-0 pixels, at least 1 each way. mpp: of level 0; None: its pixels are taken as they are.

    Where `tile_px` pixels, or a multiple, differ from what is wanted by 2 % at most, they are taken: scanners have
    0.499 or 0.2526 um rather than 0.5 or 0.25, and a tile that need not be scaled is read in half the time.
    """
    across, down = mpp or (options.mpp, options.mpp)
    return Size(_side(across, options), _side(down, options))


def _side(mpp: float, options: TilingOptions) -> int:
    wanted = options.tile_px * options.mpp / mpp
    even = options.tile_px * max(1, round(wanted / options.tile_px))
    return even if abs(even / wanted - 1) <= _SCALE_SLACK else max(1, round(wanted))


def total(size: Size, mpp: tuple[float, float] | None, options: TilingOptions) -> int:
    """How many tiles cover a picture, with tissue or without."""
    grid = geometry.tile_grid(size, tile_size(mpp, options))
    return grid.width * grid.height


def tiles_of(tissue: "Tissue", options: TilingOptions) -> tuple[Tile, ...]:
    """The tiles with enough tissue, row by row, each from the left. With `least_tissue` 0: all.

    Raises LimitExceeded if the grid has more than MAX_TILES.
    """
    if total(tissue.size, tissue.mpp, options) > MAX_TILES:
        raise LimitExceeded(f"The slide would be cut into more than {MAX_TILES} tiles.")
    whole = tile_size(tissue.mpp, options)
    fractions = _fractions(tissue, whole)
    tiles = []
    for row, column in np.argwhere(fractions >= options.least_tissue).tolist():
        rect = geometry.tile_rect(tissue.size, whole, column, row)
        uncut = whole if (rect.width, rect.height) != (whole.width, whole.height) else None
        tiles.append(Tile(rect.x, rect.y, rect.width, rect.height, float(fractions[row, column]), uncut))
    return tuple(tiles)


def read(source: ImageSource, tile: Tile, side_px: int) -> Pixels:
    """A tile's pixels, side_px x side_px x 3, from the nearest finer level; white where the tile was cut.

    Raises Unreadable, LimitExceeded.
    """
    if tile.uncut is None:
        return source.read_region(tile.rect, Size(side_px, side_px))
    width = max(1, round(side_px * tile.width / tile.uncut.width))
    height = max(1, round(side_px * tile.height / tile.uncut.height))
    pixels = np.full((side_px, side_px, 3), 255, np.uint8)
    pixels[:height, :width] = source.read_region(tile.rect, Size(width, height))
    return pixels


def tissue_px(
    tissue: "Tissue", lines_y: "NDArray[np.float64]", lines_x: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """Rows x columns between lines in level-0 pixels: how many of those pixels are tissue.

    A pixel of the mask that lies on both sides of a line counts on each as far as it lies there.
    """
    sums = _sums_at(tissue.mask, lines_y / tissue.scale_y, lines_x / tissue.scale_x)
    return np.diff(np.diff(sums, axis=0), axis=1) * (tissue.scale_x * tissue.scale_y)


def _fractions(tissue: "Tissue", tile: Size) -> "NDArray[np.float64]":
    """Rows x columns of the grid: how much of each tile, as cut, is tissue."""
    lines_x = _lines(tissue.size.width, tile.width)
    lines_y = _lines(tissue.size.height, tile.height)
    fractions = tissue_px(tissue, lines_y, lines_x) / np.outer(np.diff(lines_y), np.diff(lines_x))
    return np.clip(np.round(fractions, 6), 0, 1)  # beyond that lies the rounding of sums


def _lines(side: int, step: int) -> "NDArray[np.float64]":
    """Where the grid is cut: 0, step, 2 step, ..., the end."""
    return np.append(np.arange(0, side, step), side).astype(np.float64)


def _sums_at(
    mask: "NDArray[np.bool_]", rows: "NDArray[np.float64]", columns: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """How many pixels of the mask lie above each row and left of each column, parts of pixels counted as parts."""
    above = _between(np.cumsum(mask, axis=0, dtype=np.int32), rows)
    return _between(np.cumsum(above, axis=1).T, columns).T


def _between(sums: "NDArray[np.int32] | NDArray[np.float64]", places: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """The running sums of rows, at places between them: sums[i] is the sum up to and with row i."""
    whole = np.clip(np.floor(places).astype(np.int64), 0, len(sums) - 1)
    part = np.clip(places - whole, 0, 1)[:, np.newaxis]
    before = np.where(whole[:, np.newaxis] > 0, sums[np.maximum(whole - 1, 0)], 0)
    return before + part * (sums[whole] - before)
