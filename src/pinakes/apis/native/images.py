"""Images of any kind: what is the same for all of them, finding them, and what has happened to one."""

from typing import Annotated, Literal

from fastapi import Query
from starlette.requests import Request

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers
from pinakes.apis.native.models import images as models
from pinakes.apis.native.models.values import Cursor, Limit, PathId, TimeInQuery
from pinakes.apis.native.models.viewing import StateName
from pinakes.apis.native.viewers import Viewers
from pinakes.core.actor import Actor, Kind
from pinakes.core.catalogue.descriptions import Described
from pinakes.core.catalogue.image_listing import ImageFilter, ListedImage
from pinakes.core.catalogue.reading import Reading
from pinakes.core.errors import ContentPending
from pinakes.web.api import ApiContext

KindName = Literal["clinical", "machine", "slide"]
Pixels = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="In pixels, inclusive.")]


class Images:
    """`/images` and what is below, without what is seen in them."""

    def __init__(self, context: ApiContext, callers: Callers, viewers: Viewers) -> None:
        self._images = context.archive.images
        self._listing = context.archive.image_listing
        self._ingest = context.archive.ingest
        self._callers = callers
        self._viewers = viewers

    async def list(
        self,
        request: Request,
        kind: KindName | None = None,
        state: Annotated[StateName | None, Query(description="Of the reading of the content.")] = None,
        format: Annotated[
            str | None,
            Query(pattern="^[a-z0-9-]{1,32}$", description="As read from the content, such as `jpeg`, `qcow2`."),
        ] = None,
        min_width: Pixels = None,
        max_width: Pixels = None,
        min_height: Pixels = None,
        max_height: Pixels = None,
        captured_from: TimeInQuery = None,
        captured_before: TimeInQuery = None,
        pixel_digest: Annotated[
            str | None, Query(pattern="^[0-9a-f]{64}$", description="Of a picture, as its description has it.")
        ] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> models.ImagePage:
        """List images of any kind that one may read, newest first.

        What is said of pictures finds those whose content has been read. A picture that does not tell its offset is
        taken to have been captured in UTC.
        """
        wanted = ImageFilter(
            kind=None if kind is None else Kind(kind),
            state=None if state is None else Reading(state),
            format=format,
            min_width=min_width,
            max_width=max_width,
            min_height=min_height,
            max_height=max_height,
            captured_from=captured_from,
            captured_before=captured_before,
            pixel_digest=pixel_digest,
        )
        found = await self._callers.read(
            request, lambda actor: self._listing.list(actor, wanted, before_id=cursor, most=limit)
        )
        items = [representation.listed_image(image) for image in found]
        return models.ImagePage(items=items, next_cursor=representation.cursor_after(found, limit))

    async def get(self, request: Request, image_id: PathId) -> models.Image:
        """Show an image of any kind that one may read."""

        def look(actor: Actor) -> tuple[ListedImage, Described | None]:
            found = self._listing.get(actor, image_id)
            if found.picture is None or not found.picture.may_have_pixels:
                return found, None
            try:
                return found, self._ingest.find(actor, image_id)
            except ContentPending:  # its only version with content has ended, for all but a few
                return found, None

        found, described = await self._callers.glance(request, look)
        if described is None:
            return representation.image(found, None)
        names = described.description.associated if described.description else ()
        viewer = representation.viewer(
            self._viewers.thumbnail(request, image_id),
            self._viewers.associated(request, image_id, names),
            self._viewers.addresses(request, image_id),
        )
        return representation.image(found, viewer)

    async def events(
        self, request: Request, image_id: PathId, cursor: Cursor = None, limit: Limit = 50
    ) -> models.EventPage:
        """List what has happened to an image, newest first. For its author and staff."""
        found = await self._callers.read(
            request, lambda actor: self._images.events(actor, image_id, before_id=cursor, most=limit)
        )
        items = [representation.event(event) for event in found]
        return models.EventPage(items=items, next_cursor=representation.cursor_after(found, limit))
