"""Which part of a picture a tile of one of its levels is, told as what a region is asked for by."""

from collections.abc import Sequence
from typing import TypedDict

from pinakes.imaging.source import Level, Rect, Size


class Part(TypedDict):
    """rect: of the whole picture.   size: at which it is shown."""

    rect: Rect
    size: Size


def tile(levels: Sequence[Level], number: int, column: int, row: int, side: int | None = None) -> Part:
    """Of tiles of that side, or the level's own; cut off at the right and lower edge."""
    level, whole = levels[number], levels[0].size
    own = level.tile if side is None else Size(side, side)
    assert own is not None
    x, y = column * own.width, row * own.height
    size = Size(min(own.width, level.size.width - x), min(own.height, level.size.height - y))
    scale = round(level.downsample)
    width, height = min(size.width * scale, whole.width - x * scale), min(size.height * scale, whole.height - y * scale)
    return {"rect": Rect(x * scale, y * scale, width, height), "size": size}
