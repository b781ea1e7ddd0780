"""Heat maps: what a prediction's tiles scored, as a Deep Zoom picture that lies exactly over the slide's own.

    /heat/12/7.dzi    /heat/12/7_files/{level}/{column}_{row}.png    of run 7 of image 12
    /heat/12/7.png?side=1024    all of it in small
    /heat/12/7.json    what the colours mean

In place of the run's number `newest` names the newest one that has a heat map, which may still be going on.
"""

import re
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.iiif.answers import Places, json, made_picture, xml
from pinakes.apis.iiif.auth import Callers
from pinakes.apis.iiif.deepzoom import descriptor, place_of, tile_at
from pinakes.apis.iiif.errors import PathUnknown
from pinakes.core.actor import Actor
from pinakes.core.analysis.heat import HeatMap
from pinakes.core.errors import ImageUnknown, InvalidFields, TileUnknown
from pinakes.imaging.analysis.heat import ANCHORS
from pinakes.web.api import ApiContext
from pinakes.web.paging import parse_id

_SHOWN: Final = re.compile(r"(newest|[0-9]+)\.(dzi|png|json)")
_FILES: Final = re.compile(r"(newest|[0-9]+)_files")
_SIDE: Final = re.compile(r"[0-9]{1,4}")
_USUAL_SIDE: Final = 512
_NEWEST: Final = "newest"


class HeatMaps:
    """The resources below `/heat/{image}`."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._origins = context.origins
        self._heat_maps = context.archive.heat_maps
        self._callers = callers

    async def show(self, request: Request) -> Response:
        """`{run}.dzi`, `{run}.png`, `{run}.json`."""
        image_id, name = _named(request, _SHOWN)

        def shown(actor: Actor) -> Response:
            found = self._heat_maps.find(actor, image_id, parse_id(name[1]))
            viewed = found.viewed
            match name[2]:
                case "dzi":
                    return xml(request, descriptor(viewed.description, "png"), is_public=viewed.is_public)
                case "json":
                    legend = _legend(found, Places.of(request, self._origins))
                    return json(request, legend, is_public=viewed.is_public)
                case _:
                    whole = self._heat_maps.whole(actor, found, _side(request))
                    return made_picture(request, viewed, whole.etag, whole.rendition)

        return await self._callers.view(request, image_id, shown)

    async def tile(self, request: Request) -> Response:
        """`{run}_files/{level}/{column}_{row}.png`."""
        image_id, name = _named(request, _FILES)
        place = place_of(request)
        if place.ending != "png":
            raise TileUnknown

        def made(actor: Actor) -> Response:
            found = self._heat_maps.find(actor, image_id, parse_id(name[1]))
            rect, size = tile_at(found.viewed.description, place.level, place.column, place.row)
            part = self._heat_maps.picture(actor, found, rect, size)
            return made_picture(request, found.viewed, part.etag, part.rendition)

        return await self._callers.view(request, image_id, made)


def _named(request: Request, form: re.Pattern[str]) -> tuple[int, re.Match[str]]:
    """The image, and the name with the run first, a number that can be one or `newest`.

    Raises ImageUnknown, PathUnknown.
    """
    image_id = parse_id(request.path_params["image"])
    if image_id is None:
        raise ImageUnknown
    name = form.fullmatch(request.path_params["name"])
    if name is None or (name[1] != _NEWEST and parse_id(name[1]) is None):
        raise PathUnknown
    return image_id, name


def _side(request: Request) -> int:
    """Raises InvalidFields for what is no number; whether it is too large or too small is the core's to say."""
    given = request.query_params.get("side")
    if given is None:
        return _USUAL_SIDE
    if not _SIDE.fullmatch(given):
        raise InvalidFields.one("side", "must be a number of pixels")
    return int(given)


def _legend(found: HeatMap, places: Places) -> dict[str, Any]:
    """range: the scores of the first and the last colour, null while it is not known.

    colours: evenly spaced, those between are mixed of two; what is not scored is transparent.
    """
    base = f"{places.seen_from}/heat/{found.viewed.image_id}/{found.run_id}"
    return {
        "image": found.viewed.image_id,
        "run": found.run_id,
        "model": f"{found.plan.model_name}@{found.plan.model_version}",
        "column": found.column,
        "range": found.heat.range,
        "colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in ANCHORS],
        "tiles_total": found.plan.tiles,
        "tiles_scored": found.heat.scored,
        "deep_zoom": f"{base}.dzi",
        "picture": f"{base}.png",
    }
