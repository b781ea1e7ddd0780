"""Thumbnails: small pictures of what can be seen, in the format that the client likes best."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.native.auth import Callers
from pinakes.apis.native.errors import NotAcceptable, PreconditionFailed
from pinakes.apis.native.models.values import PathId, VersionName
from pinakes.apis.native.operations import Operation, binary_answer
from pinakes.core.actor import Actor
from pinakes.core.renditions.renditions import LEAST_SIDE, MOST_SIDE
from pinakes.core.renditions.wanted import PictureFormat
from pinakes.web.accept import preferred
from pinakes.web.api import ApiContext
from pinakes.web.ranges import Condition, conditional

# In the order of our liking, where the client has none: JPEG is made fastest, AVIF slowest.
_FORMATS: Final = {
    format.media_type: format
    for format in (PictureFormat.JPEG, PictureFormat.WEBP, PictureFormat.AVIF, PictureFormat.PNG)
}
_ENDINGS: Final = {"jpg": PictureFormat.JPEG} | {format.value: format for format in PictureFormat}
_PUBLIC_SECONDS: Final = 300

Side = Annotated[
    int, Query(ge=LEAST_SIDE, le=MOST_SIDE, description="The long side in pixels; smaller pictures stay as they are.")
]
Ending = Literal["jpg", "jpeg", "webp", "avif", "png"]


class Thumbnails:
    """`/images/{image_id}/thumbnail` and `/images/{image_id}/thumbnail.{ending}`"""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._bridge = context.bridge
        self._renditions = context.archive.renditions
        self._callers = callers

    def operations(self, path: str) -> list[Operation]:
        answers: Mapping[int, Mapping[str, Any]] = {
            200: binary_answer("The picture.", *_FORMATS),
            304: {"description": "It is what the client has."},
        }
        return [
            Operation("GET", path, self.thumbnail, "images", errors=(406, 412), answers=answers),
            Operation("GET", f"{path}.{{ending}}", self.thumbnail_in, "images", errors=(412,), answers=answers),
        ]

    async def thumbnail(
        self, request: Request, image_id: PathId, side: Side = 256, version: VersionName = None
    ) -> Response:
        """Show an image in small, as JPEG, WebP, AVIF or PNG, whatever the Accept header likes best."""
        wanted = preferred(request.headers.get("accept"), tuple(_FORMATS))
        if wanted is None:
            raise NotAcceptable
        return await self._shown(request, image_id, side, _FORMATS[wanted], version, {"Vary": "Accept, Authorization"})

    async def thumbnail_in(
        self, request: Request, image_id: PathId, ending: Ending, side: Side = 256, version: VersionName = None
    ) -> Response:
        """Show an image in small, in the format of the ending."""
        return await self._shown(request, image_id, side, _ENDINGS[ending], version, {"Vary": "Authorization"})

    async def _shown(
        self,
        request: Request,
        image_id: int,
        side: int,
        format: PictureFormat,
        version: str | None,
        headers: Mapping[str, str],
    ) -> Response:
        def make(actor: Actor) -> Response:
            viewed = self._renditions.info(actor, image_id, version)
            wanted = self._renditions.thumbnail_wanted(viewed, side, format)
            etag = f'"{self._renditions.etag(viewed, wanted)}"'
            caching = f"public, max-age={_PUBLIC_SECONDS}" if viewed.is_public else "private, no-cache"
            told = {**headers, "ETag": etag, "Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
            match conditional(request.method, request.headers, etag, None):
                case Condition.NOT_MODIFIED:
                    return Response(None, 304, told)
                case Condition.FAILED:
                    raise PreconditionFailed
            picture = self._renditions.region(actor, viewed, wanted)
            return Response(picture.content, 200, told, media_type=picture.media_type)

        actor = await self._callers.identify(request)  # no connection is held while pixels are made
        return await self._bridge.thread(make, actor)
