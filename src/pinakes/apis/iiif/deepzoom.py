"""Deep Zoom: a small XML file, and tiles at halves of the picture's size.

    /dzi/12.dzi    /dzi/12_files/{level}/{column}_{row}.jpeg

Level 0 is one pixel; each level is twice the one before, the last the whole picture. Tiles do not overlap and are as
large as the stored ones, so that those can be given away as they are.
"""

import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.iiif.answers import Answered, picture, xml
from pinakes.apis.iiif.auth import Callers
from pinakes.apis.iiif.errors import PathUnknown
from pinakes.apis.iiif.identifiers import Identifier
from pinakes.apis.iiif.tiling import shrunk, tile_of
from pinakes.core.actor import Actor
from pinakes.core.errors import TileUnknown
from pinakes.core.renditions.viewed import ViewedImage
from pinakes.core.renditions.wanted import PictureFormat, RegionWanted
from pinakes.imaging.source import Description, Rect, Size
from pinakes.web.api import ApiContext

_DESCRIPTOR: Final = ".dzi"
_FILES: Final = "_files"
_LEVEL: Final = re.compile(r"[0-9]{1,2}")
_TILE: Final = re.compile(r"([0-9]{1,9})_([0-9]{1,9})\.([a-z]+)")
_FORMATS: Final = {
    "jpeg": PictureFormat.JPEG,
    "jpg": PictureFormat.JPEG,
    "png": PictureFormat.PNG,
    "webp": PictureFormat.WEBP,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Which tile is asked for, in which format."""

    level: int
    column: int
    row: int
    ending: str


class DeepZoom:
    """The resources below `/dzi`."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._renditions = context.archive.renditions
        self._callers = callers

    async def descriptor(self, request: Request) -> Response:
        """`{identifier}.dzi`."""
        identifier = _named(request, _DESCRIPTOR)

        def looked_up(_: Actor, viewed: ViewedImage) -> Response:
            return xml(request, descriptor(viewed.description), is_public=viewed.is_public)

        return await self._callers.look(request, identifier, looked_up)

    async def tile(self, request: Request) -> Response:
        """`{identifier}_files/{level}/{column}_{row}.{format}`."""
        identifier = _named(request, _FILES)
        place = place_of(request)
        if place.ending not in _FORMATS:
            raise TileUnknown

        def looked_up(actor: Actor, viewed: ViewedImage) -> Answered:
            rect, size = tile_at(viewed.description, place.level, place.column, place.row)
            wanted = RegionWanted(rect, size, format=_FORMATS[place.ending], frame=identifier.frame)
            return picture(request, self._renditions, actor, viewed, wanted, {})

        return await self._callers.look(request, identifier, looked_up)


def place_of(request: Request) -> Place:
    """The end of a tile's path: `{level}/{column}_{row}.{ending}`. Raises TileUnknown."""
    level = _LEVEL.fullmatch(request.path_params["level"])
    place = _TILE.fullmatch(request.path_params["tile"])
    if level is None or place is None:
        raise TileUnknown
    return Place(int(level[0]), int(place[1]), int(place[2]), place[3])


def descriptor(description: Description, ending: str = "jpeg") -> str:
    """The XML file. ending: of its tiles."""
    size = description.levels[0].size
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Image xmlns="http://schemas.microsoft.com/deepzoom/2008"'
        f' Format="{ending}" Overlap="0" TileSize="{tile_side(description)}">'
        f'<Size Width="{size.width}" Height="{size.height}"/></Image>\n'
    )


def tile_at(description: Description, level: int, column: int, row: int) -> tuple[Rect, Size]:
    """Which part of the picture a tile shows, and how large. Raises TileUnknown for one that is outside."""
    full = description.levels[0].size
    last = (max(full.width, full.height) - 1).bit_length()
    if level > last:
        raise TileUnknown
    factor = 1 << (last - level)
    whole, side = shrunk(full, factor), tile_side(description)
    left, top = column * side, row * side
    if left >= whole.width or top >= whole.height:
        raise TileUnknown
    size = Size(min(side, whole.width - left), min(side, whole.height - top))
    right, bottom = min((left + size.width) * factor, full.width), min((top + size.height) * factor, full.height)
    return Rect(left * factor, top * factor, right - left * factor, bottom - top * factor), size


def tile_side(description: Description) -> int:
    """Of a tile, which here is a square."""
    tile = tile_of(description)
    return max(tile.width, tile.height)


def _named(request: Request, ending: str) -> Identifier:
    """The picture that a part of the path names before its ending. Raises PathUnknown, ImageUnknown."""
    name: str = request.path_params["name"]
    if not name.endswith(ending):
        raise PathUnknown
    return Identifier.parse(name.removesuffix(ending))
