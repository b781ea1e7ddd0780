"""Tiles in cells: of how many parts, across and down, the maps of a model are made, and where a class is by them."""

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from pinakes.imaging.analysis import outlines, tiling
from pinakes.imaging.analysis.outlines import Outline
from pinakes.imaging.analysis.requests import AnalysisFailed
from pinakes.imaging.analysis.tiling import Tile
from pinakes.imaging.source import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pinakes.imaging.analysis.tissue import Tissue


def of_maps(maps: "NDArray[np.float32]", side: int) -> "NDArray[np.float32]":
    """The means of N x C x h x w numbers in N x C x side x side cells. Raises AnalysisFailed if they do not fit."""
    count, classes, height, width = maps.shape
    if height % side or width % side:
        raise AnalysisFailed(f"The model returned maps of {height} x {width}, which are no {side} x {side} cells.")
    parts = maps.reshape(count, classes, side, height // side, side, width // side)
    return np.asarray(parts.mean(axis=(3, 5), dtype=np.float64), np.float32)


def outlined(tiles: Sequence[Tile], inside: "NDArray[np.bool_]", size: Size) -> tuple[Outline, ...]:
    """Around the cells that are inside: N x side x side, of the tiles of one grid. size: of the slide, level 0.

    As `outlines.of_mask` draws them. About 20 bytes are taken for each cell of the grid, up to the last tile.
    """
    if not inside.any():
        return ()
    side, grid = inside.shape[1], _grid(tiles)
    rows, columns = _places(tiles, grid)
    cells = np.zeros((rows.max() + 1, side, columns.max() + 1, side), np.bool_)
    cells[rows, :, columns, :] = inside
    mask = cells.reshape(cells.shape[0] * side, cells.shape[2] * side)
    shown = mask[: ceil(size.height * side / grid.height), : ceil(size.width * side / grid.width)]
    return outlines.of_mask(shown, grid.width / side, grid.height / side, within=size)


def tissue_px(tiles: Sequence[Tile], side: int, tissue: "Tissue") -> "NDArray[np.float64]":
    """N x side x side: how many level-0 pixels of each cell are tissue."""
    if not tiles:
        return np.empty((0, side, side), np.float64)
    grid = _grid(tiles)
    rows, columns = _places(tiles, grid)
    lines_y = _lines(int(rows.max()) + 1, side, grid.height, tissue.size.height)
    lines_x = _lines(int(columns.max()) + 1, side, grid.width, tissue.size.width)
    found = tiling.tissue_px(tissue, lines_y, lines_x).reshape(rows.max() + 1, side, columns.max() + 1, side)
    return found[rows, :, columns, :]


def _lines(tiles: int, side: int, step: int, end: int) -> "NDArray[np.float64]":
    """Where cells begin and end, along so many tiles; none beyond the end of the picture."""
    return np.minimum(np.arange(tiles * side + 1) * step / side, end)


def _grid(tiles: Sequence[Tile]) -> Size:
    """The size of tiles that are not cut."""
    return tiles[0].uncut or Size(tiles[0].width, tiles[0].height)


def _places(tiles: Sequence[Tile], grid: Size) -> "tuple[NDArray[np.int_], NDArray[np.int_]]":
    """In which row and in which column of the grid each is."""
    return (
        np.array([tile.y // grid.height for tile in tiles]),
        np.array([tile.x // grid.width for tile in tiles]),
    )
