"""A region at any size from a picture that is stored at several: the level is chosen, read block by block, and scaled.

Memory grows with what is given back, not with what is read: the largest block read at once has BLOCK_PIXELS pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from math import ceil, floor
from typing import Final

import numpy as np
from PIL import Image

from pinakes.imaging import geometry
from pinakes.imaging.source import Level, LimitExceeded, Limits, Pixels, Rect, Size, largest_of

BLOCK_PIXELS: Final = 16 * 1024 * 1024

ReadLevel = Callable[[int, Rect, int], Pixels]
"""The pixels of one level, made so many times smaller, within a rectangle of what that gives."""

MostShrink = Callable[[int, Rect], int]
"""How many times smaller a part of a level can be decoded, which costs less than to scale it: a power of 2."""


def read_scaled(
    levels: Sequence[Level], read: ReadLevel, most_shrink: MostShrink, rect: Rect, size: Size, limits: Limits
) -> Pixels:
    """The part of the picture within `rect`, of the whole picture, scaled to `size`.

    levels: largest first.   Raises Unreadable for a region that lies outside; LimitExceeded; what `read` raises.
    """
    full = largest_of(levels)
    geometry.check_region(rect, size, full, limits)
    assert full is not None
    index = geometry.choose_level(levels, rect, size)
    level = levels[index]
    part = geometry.level_rect(rect, full, level.size)
    if part.width * part.height > limits.streamed_pixels:
        raise LimitExceeded("Too many pixels would have to be read: the picture is not stored at a smaller size.")
    shrink = geometry.choose_shrink(level, rect, size, most_shrink(index, part))
    if shrink > 1:
        part = geometry.level_rect(rect, full, geometry.shrunk(level.size, shrink))
    if (part.width, part.height) == (size.width, size.height):
        return read(index, part, shrink)
    scaled = np.empty((size.height, size.width, 3), np.uint8)
    for block in _blocks(part, size):
        right, lower = block.x + block.width, block.y + block.height
        scaled[block.y : lower, block.x : right] = _scaled_block(
            lambda within: read(index, within, shrink), part, size, block
        )
    return scaled


def _blocks(part: Rect, size: Size) -> Iterator[Rect]:
    """Rectangles that cover the output, each made from about BLOCK_PIXELS pixels of the level at most."""
    across, down = part.width / size.width, part.height / size.height
    if across * down > BLOCK_PIXELS:
        raise LimitExceeded("One pixel would have to be made from too many.")
    rows = min(size.height, max(1, int(BLOCK_PIXELS / (part.width * down))))
    columns = min(size.width, max(1, int(BLOCK_PIXELS / (across * down * rows))))
    for y in range(0, size.height, rows):
        for x in range(0, size.width, columns):
            yield Rect(x, y, min(columns, size.width - x), min(rows, size.height - y))


def _scaled_block(read: Callable[[Rect], Pixels], part: Rect, size: Size, block: Rect) -> Pixels:
    """The output within `block`, a rectangle of the output, read and scaled."""
    across, down = part.width / size.width, part.height / size.height
    left, right = block.x * across, min((block.x + block.width) * across, part.width)
    upper, lower = block.y * down, min((block.y + block.height) * down, part.height)
    x, y = floor(left), floor(upper)
    pixels = read(Rect(part.x + x, part.y + y, ceil(right) - x, ceil(lower) - y))
    kind = Image.Resampling.HAMMING if across > 1 and down > 1 else Image.Resampling.BICUBIC
    box = (left - x, upper - y, right - x, lower - y)
    return np.asarray(Image.fromarray(pixels).resize((block.width, block.height), kind, box))
