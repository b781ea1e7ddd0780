"""Tags: the words that machine images are found by."""

from starlette.requests import Request

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers
from pinakes.apis.native.models import vm_images as models
from pinakes.apis.native.models.values import Cursor, Limit
from pinakes.core.page import PageRequest
from pinakes.web.api import ApiContext


class Tags:
    """`/tags`"""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._tags = context.archive.tags
        self._callers = callers

    async def list(self, request: Request, cursor: Cursor = None, limit: Limit = 50) -> models.TagPage:
        """List all tags, by name."""
        page = PageRequest(cursor or 1, limit)
        found = await self._callers.read(request, lambda _: self._tags.list(page))
        items = [representation.tag(tag) for tag in found.items]
        return models.TagPage(items=items, next_cursor=representation.page_after(page, found.total))

    async def create(self, request: Request, new: models.NewTag) -> models.Tag:
        """Make a tag."""
        return representation.tag(
            await self._callers.change(request, lambda actor: self._tags.create(actor, new.name, new.description))
        )
