"""Rectangles, sizes and stored levels: whole-number arithmetic without a pixel in it.

Coordinates are those of `source`: x to the right, y down, the right and bottom edges are outside.

    EXIF orientation, as the letter F lies in the file when it is to be shown upright
        1 F    2 flipped left-right    3 turned by 180    4 flipped top-bottom
        5 to 8: the same with rows and columns exchanged
"""

from collections.abc import Sequence

from pinakes.imaging.source import Level, LimitExceeded, Limits, Rect, Size, Unreadable

_EXCHANGED = (5, 6, 7, 8)
"""Orientations whose stored rows are columns of what is shown (EXIF 3.0, tag 0x0112)."""


def whole(size: Size) -> Rect:
    """All of a picture."""
    return Rect(0, 0, size.width, size.height)


def clamp(rect: Rect, size: Size) -> Rect | None:
    """The part of `rect` that lies in a picture; None if there is none."""
    left, top = max(rect.x, 0), max(rect.y, 0)
    right, bottom = min(rect.x + rect.width, size.width), min(rect.y + rect.height, size.height)
    if right <= left or bottom <= top:
        return None
    return Rect(left, top, right - left, bottom - top)


def fit(size: Size, longest: int) -> Size:
    """The same shape with the longer side `longest`, at least 1 pixel each way; never larger than it is."""
    longer = max(size.width, size.height)
    if longer <= longest:
        return size
    return Size(max(1, _scaled(size.width, longest, longer)), max(1, _scaled(size.height, longest, longer)))


def choose_level(levels: Sequence[Level], rect: Rect, size: Size) -> int:
    """Which level to read for `rect` scaled to `size`: the smallest that need not be enlarged, else the largest.

    levels: largest first, at least one.
    """
    wanted = _downsample_of(rect, size)
    fitting = [index for index, level in enumerate(levels) if level.downsample <= wanted]
    return fitting[-1] if fitting else 0


def choose_shrink(level: Level, rect: Rect, size: Size, most: int) -> int:
    """How many times smaller to decode a level for `rect` scaled to `size`: the most that need not be enlarged.

    most: a power of 2; so is what is chosen.
    """
    wanted = _downsample_of(rect, size)
    while most > 1 and level.downsample * most > wanted:
        most //= 2
    return most


def shrunk(size: Size, by: int) -> Size:
    """The size of a picture that is made so many times smaller; parts of a pixel count as one."""
    return Size(-(-size.width // by), -(-size.height // by))


def _downsample_of(rect: Rect, size: Size) -> float:
    """The downsample that a level may have which is to show `rect` at `size`."""
    return min(rect.width / size.width, rect.height / size.height) * (1 + _SLACK)


_SLACK = 0.005
"""A level of 1001 pixels made from 4001 counts as a quarter, though it is a little less."""


def level_rect(rect: Rect, full: Size, stored: Size) -> Rect:
    """Where `rect` of a picture of size `full` lies in the same picture stored at size `stored`: to the nearest pixel,
    at least 1 pixel each way, inside if `rect` is inside."""
    left, right = _span(rect.x, rect.x + rect.width, full.width, stored.width)
    top, bottom = _span(rect.y, rect.y + rect.height, full.height, stored.height)
    return Rect(left, top, right - left, bottom - top)


def tile_grid(size: Size, tile: Size) -> Size:
    """How many columns and rows of tiles cover a picture."""
    return Size(-(-size.width // tile.width), -(-size.height // tile.height))


def tile_rect(size: Size, tile: Size, column: int, row: int) -> Rect:
    """What a tile covers of a picture; those at the right and the bottom may be smaller.

    Raises IndexError for a tile that is outside.
    """
    grid = tile_grid(size, tile)
    if not (0 <= column < grid.width and 0 <= row < grid.height):
        raise IndexError("There is no such tile.")
    x, y = column * tile.width, row * tile.height
    return Rect(x, y, min(tile.width, size.width - x), min(tile.height, size.height - y))


def oriented_size(stored: Size, orientation: int) -> Size:
    """The size as shown, of a picture stored with an EXIF orientation (1 to 8); also the other way round."""
    return Size(stored.height, stored.width) if orientation in _EXCHANGED else stored


def stored_rect(shown: Rect, size: Size, orientation: int) -> Rect:
    """Where `shown`, a part of the picture as shown, lies in the picture as stored.

    size: of the picture as shown.   orientation: EXIF, 1 to 8.
    """
    from_right = size.width - shown.x - shown.width
    from_bottom = size.height - shown.y - shown.height
    if orientation in _EXCHANGED:
        x = from_bottom if orientation in (7, 8) else shown.y
        y = from_right if orientation in (6, 7) else shown.x
        return Rect(x, y, shown.height, shown.width)
    x = from_right if orientation in (2, 3) else shown.x
    y = from_bottom if orientation in (3, 4) else shown.y
    return Rect(x, y, shown.width, shown.height)


def check_region(rect: Rect, size: Size, full: Size | None, limits: Limits) -> None:
    """That a region lies in a picture of size `full`, and may be given back at `size`.

    Raises Unreadable for a region outside, or a picture without pixels; LimitExceeded.
    """
    if full is None or clamp(rect, full) != rect:
        raise Unreadable("The region lies outside of the picture.")
    if size.width < 1 or size.height < 1:
        raise Unreadable("A picture of no size cannot be made.")
    if size.width * size.height > limits.output_pixels:
        raise LimitExceeded(f"More than {limits.output_pixels} pixels cannot be made at once.")


def _span(start: int, end: int, full: int, stored: int) -> tuple[int, int]:
    """`start` and `end` of a side `full` pixels long, on one `stored` pixels long; at least 1 apart."""
    by = max(1, _scaled(1, full, stored))
    if stored not in (full // by, -(-full // by)):
        first, last = _scaled(start, stored, full), _scaled(end, stored, full)
    else:  # a whole number of pixels made each of its own: so tiles lie where they were cut, up to the far end
        first = min(_scaled(start, 1, by), stored)
        last = stored if end == full else min(_scaled(end, 1, by), stored)
    if last > first:
        return first, last
    first = min(first, stored - 1)
    return first, first + 1


def _scaled(value: int, multiplier: int, divisor: int) -> int:
    """value x multiplier / divisor, to the nearest whole number; halves up."""
    return (2 * value * multiplier + divisor) // (2 * divisor)
