"""Which part of a picture a tile is, and which stored tile a part of a picture is."""

from dataclasses import dataclass

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


def _place_in(description: Description, number: int, level: Level, rect: Rect, size: Size) -> Place | None:
    whole, scale, tile = description.levels[0].size, round(level.downsample), level.tile
    if tile is None or scale < 1 or not _is_scaled(whole, level.size, scale):
        return None
    column, rest_x = divmod(rect.x, tile.width * scale)
    row, rest_y = divmod(rect.y, tile.height * scale)
    if rest_x or rest_y:
        return None
    place = Place(number, column, row)
    is_whole_tile = (rect.width, rect.height, size) == (tile.width * scale, tile.height * scale, tile)
    return place if is_whole_tile else None


def _is_scaled(whole: Size, level: Size, scale: int) -> bool:
    sides = ((whole.width, level.width), (whole.height, level.height))
    return all(small in {large // scale, -(-large // scale)} for large, small in sides)


def _stretched(start: int, length: int, small: int, large: int) -> tuple[int, int]:
    """Start and length on a line of `small` pixels, told on the same line of `large` pixels; within it, not empty."""
    begin, end = start * large // small, -(-(start + length) * large // small)
    return begin, end - begin
