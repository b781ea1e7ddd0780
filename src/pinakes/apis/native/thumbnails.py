"""Thumbnails: small pictures of what can be seen."""

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.native.auth import Callers
from pinakes.apis.native.models.values import PathId, VersionName
from pinakes.apis.native.operations import Operation
from pinakes.apis.native.pictures import Choice, Choose, Ending, Pictures, operations
from pinakes.core.actor import Actor
from pinakes.core.renditions.renditions import LEAST_SIDE, MOST_SIDE, ViewedImage
from pinakes.core.renditions.wanted import PictureFormat
from pinakes.web.api import ApiContext

Side = Annotated[
    int, Query(ge=LEAST_SIDE, le=MOST_SIDE, description="The long side in pixels; smaller pictures stay as they are.")
]


class Thumbnails:
    """`/images/{image_id}/thumbnail` and `/images/{image_id}/thumbnail.{ending}`"""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._renditions = context.archive.renditions
        self._pictures = Pictures(context, callers, in_small=True)

    def operations(self, path: str) -> list[Operation]:
        return operations(path, self.thumbnail, self.thumbnail_in)

    async def thumbnail(
        self, request: Request, image_id: PathId, side: Side = 256, version: VersionName = None
    ) -> Response:
        """Show an image in small, as JPEG, WebP, AVIF or PNG, whatever the Accept header likes best."""
        return await self._pictures.accepted(request, image_id, version, self._of(side))

    async def thumbnail_in(
        self, request: Request, image_id: PathId, ending: Ending, side: Side = 256, version: VersionName = None
    ) -> Response:
        """Show an image in small, in the format of the ending."""
        return await self._pictures.with_ending(request, image_id, version, ending, self._of(side))

    def _of(self, side: int) -> Choose:
        def choose(actor: Actor, viewed: ViewedImage, format: PictureFormat) -> Choice:
            wanted = self._renditions.thumbnail_wanted(viewed, side, format)
            return Choice(wanted, lambda: self._renditions.region(actor, viewed, wanted), viewed.is_public)

        return choose
