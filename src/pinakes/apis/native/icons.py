"""The icon of a machine image: given and taken away. It is shown at the path the image's `icon` names."""

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.native.auth import Callers
from pinakes.apis.native.models.values import PathId
from pinakes.apis.native.operations import Operation, binary_body
from pinakes.core.actor import Actor
from pinakes.core.catalogue.icons import MOST_BYTES
from pinakes.core.errors import TooLarge
from pinakes.web.api import ApiContext
from pinakes.web.transfer import content_length, read_body


class Icons:
    """`/vm-images/{image_id}/icon`"""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._bridge = context.bridge
        self._icons = context.archive.icons
        self._callers = callers

    def put_operation(self, path: str) -> Operation:
        body = binary_body("image/png", "image/jpeg", "image/webp")
        return Operation("PUT", path, self.put, "icons", 204, (413, 415, 507), extra=body)

    async def put(self, request: Request, image_id: PathId) -> Response:
        """Give an image an icon: a PNG, JPEG or WebP of at most 1 MiB, which is drawn anew."""

        def judge(actor: Actor) -> Actor:
            self._icons.check(actor, image_id)
            return actor

        actor = await self._callers.glance(request, judge)
        announced = content_length(request)
        if announced is not None and announced > MOST_BYTES:
            raise TooLarge(MOST_BYTES)
        picture = await read_body(request.receive, MOST_BYTES)
        await self._bridge.thread(self._icons.put, actor, image_id, picture)
        return Response(None, 204)

    async def remove(self, request: Request, image_id: PathId) -> Response:
        """Take an image's icon away."""
        await self._callers.change(request, lambda actor: self._icons.remove(actor, image_id))
        return Response(None, 204)
