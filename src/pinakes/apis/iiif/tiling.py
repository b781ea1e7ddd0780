"""In which pieces a picture is best asked for: the tiles it is stored in, at halves of its size."""

from typing import Final

from pinakes.imaging.source import Description, Size

_USUAL: Final = Size(512, 512)
"""Tiles of a picture that is stored in none, or in some that are of no use to viewers."""

_LEAST: Final = 128
_MOST: Final = 2048


def tile_of(description: Description) -> Size:
    """The size of tiles that cost the least: stored ones are given away as they are."""
    tile = description.levels[0].tile
    if tile is None or not (min(tile.width, tile.height) >= _LEAST and max(tile.width, tile.height) <= _MOST):
        return _USUAL
    return tile


def scale_factors(full: Size, tile: Size) -> list[int]:
    """1, 2, 4 and so on, until the whole picture is one tile."""
    factors = [1]
    while full.width > tile.width * factors[-1] or full.height > tile.height * factors[-1]:
        factors.append(factors[-1] * 2)
    return factors


def shrunk(full: Size, factor: int) -> Size:
    """The size of the picture divided by a factor; parts of a pixel count as one."""
    return Size(-(-full.width // factor), -(-full.height // factor))
