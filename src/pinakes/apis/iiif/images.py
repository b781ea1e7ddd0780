"""Pictures and what is known of them: the Image API 3.0, level 2."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.iiif.answers import Places, document, frame_checked, picture
from pinakes.apis.iiif.auth import Callers
from pinakes.apis.iiif.identifiers import Identifier
from pinakes.apis.iiif.information import CONTEXT, PROFILE, information
from pinakes.apis.iiif.parameters import image_request
from pinakes.core.actor import Actor
from pinakes.web.api import ApiContext

_SEE_OTHER: Final = 303


class Images:
    """The resources below `/3/{identifier}`."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._origins = context.origins
        self._archive = context.archive
        self._callers = callers

    async def redirect(self, request: Request) -> Response:
        """The address of the picture itself leads to its info.json (section 2); who may see that is asked there."""
        identifier = Identifier.parse(request.path_params["identifier"])
        service = Places.of(request, self._origins).service(identifier)
        return Response(None, _SEE_OTHER, {"Location": f"{service}/info.json"})

    async def information(self, request: Request) -> Response:
        """`info.json`."""
        identifier = Identifier.parse(request.path_params["identifier"])
        service = Places.of(request, self._origins).service(identifier)

        def looked_up(actor: Actor) -> Response:
            viewed = self._archive.renditions.info(actor, identifier.image_id, identifier.version)
            frame_checked(identifier, viewed)
            return document(request, information(service, viewed.description), CONTEXT, is_public=viewed.is_public)

        return await self._callers.view(request, identifier.image_id, looked_up)

    async def image(self, request: Request) -> Response:
        """`{region}/{size}/{rotation}/{quality}.{format}`."""
        parts: dict[str, str] = request.path_params
        identifier = Identifier.parse(parts["identifier"])
        base = Places.of(request, self._origins).base

        def made(actor: Actor) -> Response:
            viewed = self._archive.renditions.info(actor, identifier.image_id, identifier.version)
            frame_checked(identifier, viewed)
            size = viewed.size
            asked = image_request(
                parts["region"], parts["size"], parts["rotation"], parts["file"], size, frame=identifier.frame
            )
            links = f'<{base}/3/{identifier}/{asked.canonical}>;rel="canonical", <{PROFILE}>;rel="profile"'
            return picture(
                request,
                viewed,
                self._archive.renditions.etag(viewed, asked.wanted),
                lambda: self._archive.renditions.region(actor, viewed, asked.wanted),
                {"Link": links},
            )

        return await self._callers.view(request, identifier.image_id, made)
