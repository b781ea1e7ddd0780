"""Pictures and what is known of them: the Image API 3.0, level 2."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.iiif.answers import Answered, Places, document, picture
from pinakes.apis.iiif.auth import Callers
from pinakes.apis.iiif.identifiers import Identifier
from pinakes.apis.iiif.information import CONTEXT, PROFILE, information
from pinakes.apis.iiif.parameters import image_request
from pinakes.core.actor import Actor
from pinakes.core.renditions.viewed import ViewedImage
from pinakes.web.api import ApiContext

_SEE_OTHER: Final = 303


class Images:
    """The resources below `/3/{identifier}`."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._origins = context.origins
        self._renditions = context.archive.renditions
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

        def looked_up(_: Actor, viewed: ViewedImage) -> Response:
            return document(request, information(service, viewed.description), CONTEXT, is_public=viewed.is_public)

        return await self._callers.look(request, identifier, looked_up)

    async def image(self, request: Request) -> Response:
        """`{region}/{size}/{rotation}/{quality}.{format}`."""
        parts: dict[str, str] = request.path_params
        identifier = Identifier.parse(parts["identifier"])
        base = self._origins.base_url(request.scope)

        def looked_up(actor: Actor, viewed: ViewedImage) -> Answered:
            asked = image_request(
                parts["region"], parts["size"], parts["rotation"], parts["file"], viewed.size, frame=identifier.frame
            )
            links = f'<{base}/3/{identifier}/{asked.canonical}>;rel="canonical", <{PROFILE}>;rel="profile"'
            return picture(request, self._renditions, actor, viewed, asked.wanted, {"Link": links})

        return await self._callers.look(request, identifier, looked_up)
