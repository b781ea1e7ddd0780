"""Images of any kind: what is the same for all of them, and what has happened to one."""

from starlette.requests import Request

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers
from pinakes.apis.native.models import images as models
from pinakes.apis.native.models.values import Cursor, Limit, PathId
from pinakes.core.access.guard import require_scope
from pinakes.core.actor import Actor, Permission, Resource
from pinakes.core.catalogue.records import Image
from pinakes.web.api import ApiContext


class Images:
    """`/images/{image_id}` and what is below."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._images = context.archive.images
        self._callers = callers

    async def get(self, request: Request, image_id: PathId) -> models.Image:
        """Show an image of any kind that one may read."""

        def look(actor: Actor) -> Image:
            require_scope(actor, Resource.IMAGE, Permission.READ)
            return self._images.get(actor, image_id)

        return representation.image(await self._callers.glance(request, look))

    async def events(
        self, request: Request, image_id: PathId, cursor: Cursor = None, limit: Limit = 50
    ) -> models.EventPage:
        """List what has happened to an image, newest first. For its author and staff."""
        found = await self._callers.read(
            request, lambda actor: self._images.events(actor, image_id, before_id=cursor, most=limit)
        )
        items = [representation.event(event) for event in found]
        return models.EventPage(items=items, next_cursor=representation.cursor_after(found, limit))
