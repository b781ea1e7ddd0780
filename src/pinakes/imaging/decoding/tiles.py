"""Which stored tile a part of a picture is."""

from dataclasses import dataclass
from typing import Protocol

from pinakes.imaging.source import Description, Level, Rect, Size


@dataclass(frozen=True, slots=True)
class Place:
    """Of a tile in the grid of a stored level; all from 0."""

    level: int
    column: int
    row: int


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
