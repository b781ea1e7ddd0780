"""A slide served by large_image, in an environment of its own: the least that can be put around it.

    /iiif/slide/{x},{y},{width},{height}/{side},{side}/0/default.jpg

Tiles of the slide's own grid by `getTile`, which gives away stored ones as they are, other parts by `getRegion`; called
inline, for each process has a core of its own. No access check, no audit, no canonical form.
"""

import os

import large_image  # type: ignore[import-not-found]
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_SOURCE = large_image.open(os.environ["BENCH_SLIDE"], encoding="JPEG", jpegQuality=85, jpegSubsampling=2)
_TILE = _SOURCE.tileWidth
_LEVELS = {_TILE << below: _SOURCE.levels - 1 - below for below in range(_SOURCE.levels)}
"""By how many pixels of the slide a tile is wide."""


async def _picture(request: Request) -> Response:
    x, y, width, height = (int(number) for number in request.path_params["region"].split(","))
    side = int(request.path_params["size"].split(",")[0])
    level = _LEVELS.get(width) if side == _TILE else None
    if level is not None and not (x % width or y % height):
        return Response(bytes(_SOURCE.getTile(x // width, y // height, level)), media_type="image/jpeg")
    region = {"left": x, "top": y, "width": width, "height": height}
    picture, media_type = _SOURCE.getRegion(region=region, output={"maxWidth": side, "maxHeight": side})
    return Response(bytes(picture), media_type=media_type)


app = Starlette(routes=[Route("/iiif/slide/{region}/{size}/0/default.jpg", _picture)])
