"""View links: short-lived addresses of one image, for viewers that cannot send a header."""

from starlette.requests import Request

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers
from pinakes.apis.native.models import viewing as models
from pinakes.apis.native.models.values import PathId
from pinakes.apis.native.viewers import Viewers
from pinakes.core.actor import Actor
from pinakes.core.clock import SECOND
from pinakes.web.api import ApiContext


class ViewLinks:
    """`/images/{image_id}/view-links`"""

    def __init__(self, context: ApiContext, callers: Callers, viewers: Viewers) -> None:
        self._links = context.archive.view_links
        self._clock = context.archive.clock
        self._callers = callers
        self._viewers = viewers

    async def create(self, request: Request, image_id: PathId, new: models.NewViewLink) -> models.ViewLink:
        """Make a link to look at an image, which works without a token, and no longer than the one it is made with."""

        def make(actor: Actor) -> models.ViewLink:
            end_at = self._clock() + new.seconds * SECOND
            link = self._links.create(actor, image_id, new.seconds)
            return representation.view_link(link, end_at, self._viewers.addresses(request, image_id, link=link))

        return await self._callers.change(request, make)
