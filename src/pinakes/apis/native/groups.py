"""Groups of people."""

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers
from pinakes.apis.native.models import sharing as models
from pinakes.apis.native.models.values import Cursor, Limit, PathId
from pinakes.web.api import ApiContext


class Groups:
    """`/groups` and what is below."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._groups = context.archive.groups
        self._callers = callers

    async def list(self, request: Request, cursor: Cursor = None, limit: Limit = 50) -> models.GroupPage:
        """List the groups one owns or is a member of; staff see all."""
        found = await self._callers.read(
            request, lambda actor: self._groups.list(actor, after_id=cursor or 0, most=limit)
        )
        items = [representation.group_in_short(group) for group in found]
        return models.GroupPage(items=items, next_cursor=representation.cursor_after(found, limit))

    async def create(self, request: Request, new: models.NewGroup) -> models.Group:
        """Make a group of one's own."""
        return representation.group(
            await self._callers.change(request, lambda actor: self._groups.create(actor, new.name, new.members))
        )

    async def get(self, request: Request, group_id: PathId) -> models.Group:
        """Show a group with its members."""
        return representation.group(
            await self._callers.glance(request, lambda actor: self._groups.get(actor, group_id))
        )

    async def update(self, request: Request, group_id: PathId, change: models.GroupChange) -> models.Group:
        """Rename a group, or set its members. For its owner and staff."""
        return representation.group(
            await self._callers.change(
                request,
                lambda actor: self._groups.update(actor, group_id, name=change.name, members=change.members),
            )
        )

    async def delete(self, request: Request, group_id: PathId) -> Response:
        """Remove a group; what was shared with it no longer is. For its owner and staff."""
        await self._callers.change(request, lambda actor: self._groups.delete(actor, group_id))
        return Response(None, 204)

    async def leave(self, request: Request, group_id: PathId, username: str) -> Response:
        """Take a member out of a group: oneself, or anyone for its owner and staff."""
        await self._callers.change(request, lambda actor: self._groups.leave(actor, group_id, username))
        return Response(None, 204)
