"""Tiles in cells: where a class is, and how much of the tissue lies there."""

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pinakes.imaging.analysis import cells
from pinakes.imaging.analysis.tiling import Tile
from pinakes.imaging.analysis.tissue import Tissue
from pinakes.imaging.source import Size

SIDE = 3


def tiles_of(size: Size, grid: Size, left_out: set[int]) -> list[Tile]:
    """The tiles of a grid over a picture but some; those at its edges are cut."""
    found = []
    for number in range(-(-size.height // grid.height) * -(-size.width // grid.width)):
        row, column = divmod(number, -(-size.width // grid.width))
        x, y = column * grid.width, row * grid.height
        shown = Size(min(grid.width, size.width - x), min(grid.height, size.height - y))
        if number not in left_out:
            found.append(Tile(x, y, shown.width, shown.height, 1.0, None if shown == grid else grid))
    return found


@settings(max_examples=60)
@given(
    size=st.builds(Size, st.integers(1, 60), st.integers(1, 60)),
    grid=st.builds(Size, st.integers(12, 30), st.integers(12, 30)),
    left_out=st.sets(st.integers(0, 20), max_size=6),
    data=st.data(),
)
def test_outlines_hold_the_cells_that_are_inside_and_no_others(
    size: Size, grid: Size, left_out: set[int], data: st.DataObject
) -> None:
    tiles = tiles_of(size, grid, left_out)
    inside = data.draw(arrays(np.bool_, (len(tiles), SIDE, SIDE)))
    outlines = cells.outlined(tiles, inside, size)
    areas = [
        shapely.Polygon(np.column_stack([each.xs, each.ys]), [np.column_stack([h.xs, h.ys]) for h in each.holes])
        for each in outlines
    ]
    assert all(area.is_valid for area in areas)
    whole = shapely.union_all(areas)
    assert whole.area <= sum(area.area for area in areas) + 1e-6
    assert whole.is_empty or shapely.box(0, 0, size.width, size.height).covers(whole)
    for tile, those in zip(tiles, inside, strict=True):
        for row, column in np.ndindex(SIDE, SIDE):
            x, y = tile.x + (column + 0.5) * grid.width / SIDE, tile.y + (row + 0.5) * grid.height / SIDE
            if x < size.width and y < size.height:
                assert shapely.contains_xy(whole, x, y) == those[row, column]


@settings(max_examples=60)
@given(
    size=st.builds(Size, st.integers(1, 60), st.integers(1, 60)),
    grid=st.sampled_from([Size(12, 15), Size(30, 12)]),
    left_out=st.sets(st.integers(0, 20), max_size=6),
    data=st.data(),
)
def test_a_cell_has_the_tissue_that_lies_in_it(size: Size, grid: Size, left_out: set[int], data: st.DataObject) -> None:
    tiles = tiles_of(size, grid, left_out)
    mask = data.draw(arrays(np.bool_, (size.height, size.width)))
    tissue = Tissue(size, mask, 1, 1, None, int(mask.sum()), None, float(mask.mean()), ())
    found = cells.tissue_px(tiles, SIDE, tissue)
    assert found.shape == (len(tiles), SIDE, SIDE)
    across, down = grid.width // SIDE, grid.height // SIDE
    for tile, those in zip(tiles, found, strict=True):
        for row, column in np.ndindex(SIDE, SIDE):
            x, y = tile.x + column * across, tile.y + row * down
            assert abs(those[row, column] - mask[y : y + down, x : x + across].sum()) < 1e-6


def test_a_cell_has_the_mean_of_its_part_of_a_map() -> None:
    maps = np.arange(2 * 1 * 4 * 6, dtype=np.float32).reshape(2, 1, 4, 6)
    made = cells.of_maps(maps, 2)
    assert made.shape == (2, 1, 2, 2)
    assert made[1, 0, 1, 0] == maps[1, 0, 2:, :3].mean()
