"""With whom a machine image is shared."""

from starlette.requests import Request

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers
from pinakes.apis.native.models import sharing as models
from pinakes.apis.native.models.values import PathId
from pinakes.core.catalogue.shares import NewShare
from pinakes.web.api import ApiContext


class Shares:
    """`/vm-images/{image_id}/shares`"""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._shares = context.archive.shares
        self._callers = callers

    async def get(self, request: Request, image_id: PathId) -> models.Shares:
        """Show with whom an image is shared. For its author and staff."""
        return representation.shares(
            await self._callers.glance(request, lambda actor: self._shares.get(actor, image_id))
        )

    async def set(self, request: Request, image_id: PathId, shares: models.SharesGiven) -> models.Shares:
        """Set with whom an image is shared, each until an end or for good. For its author and staff."""
        users = [NewShare(share.username, share.end_date) for share in shares.users]
        groups = [NewShare(share.name, share.end_date) for share in shares.groups]
        return representation.shares(
            await self._callers.change(request, lambda actor: self._shares.set(actor, image_id, users, groups))
        )
