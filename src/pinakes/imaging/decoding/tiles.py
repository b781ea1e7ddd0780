"""Which part of a picture a tile is, and which stored tile a part of a picture is."""

from dataclasses import dataclass
from typing import Protocol

from pinakes.imaging.decoding.requests import NoSuchPart
from pinakes.imaging.source import Description, Level, Rect, Size


@dataclass(frozen=True, slots=True)
class Place:
    """Of a tile in the grid of a stored level; all from 0."""

    level: int
    column: int
    row: int


def tile_of(description: Description, place: Place, tile: Size) -> tuple[Rect, Size]:
    """The part of the whole picture that a tile shows, and the tile's own size, smaller at the edges.

    tile: size of the tiles of the grid; both at least 1. Raises NoSuchPart for a tile that is outside.
    """
    if not (0 <= place.level < len(description.levels) and place.column >= 0 and place.row >= 0):
        raise NoSuchPart("The picture has no such tile.")
    whole, level = description.levels[0].size, description.levels[place.level].size
    x, y = place.column * tile.width, place.row * tile.height
    if x >= level.width or y >= level.height:
        raise NoSuchPart("The picture has no such tile.")
    size = Size(min(tile.width, level.width - x), min(tile.height, level.height - y))
    left, width = _stretched(x, size.width, level.width, whole.width)
    top, height = _stretched(y, size.height, level.height, whole.height)
    return Rect(left, top, width, height), size


def stored_place(description: Description, rect: Rect, size: Size) -> Place | None:
    """The stored tile that shows just this part of the picture at just this size, if there is one.

    Levels count whose downsample is a whole number, give or take less than one of their pixels over all their width.
    """
    for number, level in enumerate(description.levels):
        place = _place_in(description, number, level, rect, size)
        if place is not None:
            return place
    return None


class Shown(Protocol):
    """How a part of a picture is to be shown, whoever asks."""

    @property
    def rotation(self) -> float: ...
    @property
    def mirrored(self) -> bool: ...
    @property
    def quality(self) -> str: ...
    @property
    def frame(self) -> int: ...
    @property
    def format(self) -> str: ...


def may_be_stored(wanted: Shown) -> bool:
    """Whether a part shown like this can be a stored tile: as it is, as a JPEG, of the first frame."""
    is_plain = not (wanted.rotation % 360 or wanted.mirrored or wanted.frame)
    return is_plain and wanted.quality == "color" and wanted.format == "jpeg"


def _place_in(description: Description, number: int, level: Level, rect: Rect, size: Size) -> Place | None:
    if size != level.tile:
        return None
    scale = round(level.downsample)
    width, height = size.width * scale, size.height * scale
    if (rect.width, rect.height) != (width, height) or rect.x % width or rect.y % height:
        return None
    if not _is_scaled(description.levels[0].size, level.size, scale):
        return None
    return Place(number, rect.x // width, rect.y // height)


def _is_scaled(whole: Size, level: Size, scale: int) -> bool:
    """Whether both sides were divided by a whole number, parts of a pixel dropped or counted as one."""
    across, down = level.width * scale - whole.width, level.height * scale - whole.height
    return -scale < across < scale and -scale < down < scale


def _stretched(start: int, length: int, small: int, large: int) -> tuple[int, int]:
    """Start and length on a line of `small` pixels, told on the same line of `large` pixels; within it, not empty."""
    begin, end = start * large // small, -(-(start + length) * large // small)
    return begin, end - begin
