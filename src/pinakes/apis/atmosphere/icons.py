"""`/images/{name}` at the root: the pictures that `icon` members point at (atmosphere contract D7, V7, 11.4)."""

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.atmosphere.auth import Callers
from pinakes.apis.atmosphere.errors import HEADERS
from pinakes.core.catalogue.icons import MEDIA_TYPE
from pinakes.web.api import ApiContext
from pinakes.web.download import ContentResponse

_ICON_HEADERS = {
    **HEADERS,
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


class Icons:
    """Icons of images that the caller may see."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._icons = context.archive.icons
        self._bridge = context.bridge
        self._callers = callers

    async def get(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.method == "HEAD":
            found = await self._callers.glance(request, lambda actor: self._icons.get(actor, name))
            headers = {**_ICON_HEADERS, "ETag": f'"{found.digest}"', "Content-Length": str(found.size_bytes)}
            return Response(None, 200, headers, MEDIA_TYPE)
        found, reader = await self._callers.read(request, lambda actor: self._icons.open(actor, name))
        headers = {**_ICON_HEADERS, "ETag": f'"{found.digest}"'}
        return ContentResponse(reader, self._bridge, headers=headers, media_type=MEDIA_TYPE)
