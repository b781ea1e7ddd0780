"""Annotations of slides: their versions, as XML and GeoJSON, and what of one is to be seen in a box."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.native import representation
from pinakes.apis.native.auth import Callers
from pinakes.apis.native.errors import BodyUnsupported, NotAcceptable
from pinakes.apis.native.models import annotations as models
from pinakes.apis.native.models.values import Cursor, Limit, PathId
from pinakes.apis.native.operations import Operation, binary_answer, binary_body
from pinakes.core.actor import Actor
from pinakes.core.annotations.aperio import decimal
from pinakes.core.annotations.formats import XML, Format
from pinakes.core.annotations.geojson import MEDIA_TYPE as GEOJSON
from pinakes.core.annotations.model import Box
from pinakes.core.annotations.records import Annotation
from pinakes.core.annotations.region_files import MOST_ZOOM, REVISION
from pinakes.core.annotations.uploads import AnnotationUpload
from pinakes.core.errors import ContentMissing, Invalid, InvalidFields
from pinakes.web.accept import preferred
from pinakes.web.api import ApiContext
from pinakes.web.aside import respond_made
from pinakes.web.disposition import attachment
from pinakes.web.download import StreamResponse, respond_content
from pinakes.web.ranges import is_unchanged, select
from pinakes.web.transfer import content_length, receive_into

if TYPE_CHECKING:
    from pinakes.core.annotations.region_search import Found

VECTOR_TILE: Final = "application/vnd.mapbox-vector-tile"

_TAKEN: Final = (XML, "text/xml", GEOJSON, "application/json")
_SEARCHED_AT_ONCE: Final = 4
_NUMBER: Final = r"-?[0-9]{1,9}(\.[0-9]{1,9})?"
_BOX: Final = rf"^{_NUMBER}(,{_NUMBER}){{3}}$"

FormatName = Literal["aperio", "asap", "geojson"]
DrawnFormat = Literal["geojson", "mvt"]


class Annotations:
    """`/images/{image_id}/annotations` and what is below."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._bridge = context.bridge
        self._scratch = context.scratch
        self._annotations = context.archive.annotations
        self._slide_annotations = context.archive.slide_annotations
        self._callers = callers
        self._preparing = asyncio.Lock()
        self._searching = asyncio.Semaphore(_SEARCHED_AT_ONCE)

    def operations(self, path: str) -> Sequence[Operation]:
        one = f"{path}/{{number}}"
        document: Mapping[int, Mapping[str, Any]] = {
            200: _answer("The document.", XML),
            206: binary_answer("A range of it, as it was sent.", XML, GEOJSON),
            304: _UNCHANGED,
        }
        seen = {200: _answer("What is to be seen.", VECTOR_TILE), 304: _UNCHANGED}
        return [
            Operation("GET", path, self.list, "annotations"),
            Operation(
                "POST",
                path,
                self.create,
                "annotations",
                201,
                (409, 413, 415, 507),
                extra=binary_body(*_TAKEN),
            ),
            Operation("GET", one, self.get, "annotations", errors=(406, 409, 412, 416, 507), answers=document),
            Operation("GET", f"{one}/features", self.features, "annotations", errors=(409, 412, 507), answers=seen),
        ]

    async def list(
        self, request: Request, image_id: PathId, cursor: Cursor = None, limit: Limit = 50
    ) -> models.AnnotationPage:
        """List the versions of what is drawn on a slide, by machines and by people, newest first."""
        found = await self._callers.read(
            request, lambda actor: self._slide_annotations.list(actor, image_id, before=cursor, most=limit)
        )
        items = representation.annotations(found)
        following = str(items[-1].number) if len(items) == limit else None
        return models.AnnotationPage(items=items, next_cursor=following)

    async def create(self, request: Request, image_id: PathId) -> models.Annotation:
        """Send a version of what is drawn on a slide, as ImageScope or ASAP XML or as GeoJSON.

        It becomes the newest one; what was there before stays. It is kept as it is sent, and its areas are computed.
        """
        announced = content_length(request)
        actor = await self._callers.glance(request, lambda actor: self._admit(actor, image_id, announced))
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in _TAKEN:
            raise BodyUnsupported(f"The body must be one of {', '.join(_TAKEN)}.")
        if "content-encoding" in request.headers:
            raise BodyUnsupported("An annotation is taken as it is, without a Content-Encoding.")
        if "content-range" in request.headers:
            raise Invalid("An annotation is sent whole, without a Content-Range.")
        if announced == 0:
            raise ContentMissing("The body is empty; send the annotation.")
        upload = await self._bridge.thread(self._annotations.receive)
        try:
            await receive_into(request.receive, upload, self._bridge, expected_bytes=announced)
            return await self._bridge.thread(self._keep, actor, image_id, upload)
        finally:
            await self._bridge.thread(upload.discard)

    async def get(
        self,
        request: Request,
        image_id: PathId,
        number: PathId,
        format: Annotated[FormatName | None, Query(description="What to make of it, whatever is accepted.")] = None,
    ) -> Response:
        """Take a version out: as it was sent, or in the format asked for.

        Without `format` the Accept header counts: `application/xml` is as it was sent if that was XML, else Aperio's.
        """
        actor, annotation = await self._found(request, image_id, number)
        wanted = Format(format) if format is not None else _accepted(request, annotation)
        media_type = annotation.media_type if wanted is None else wanted.media_type
        suffix = "geojson" if media_type == GEOJSON else "xml"
        headers = {
            "Cache-Control": "private, no-cache",
            "Content-Disposition": attachment(f"{image_id}-annotation-{number}.{suffix}"),
            "Vary": "Accept, Authorization",
            "X-Content-Type-Options": "nosniff",
        }
        if wanted is None:
            return await self._sent(request, actor, annotation, headers)
        headers |= {"ETag": f'"{annotation.digest}-{wanted.revision}"', "Content-Type": wanted.media_type}
        if is_unchanged(request.method, request.headers, headers["ETag"]):
            return Response(None, 304, headers)
        if request.method == "HEAD":
            return Response(None, 200, headers)
        make = partial(self._slide_annotations.written, actor, annotation, wanted)
        return await respond_made(make, self._scratch, self._bridge, headers)

    async def features(
        self,
        request: Request,
        image_id: PathId,
        number: PathId,
        bbox: Annotated[
            str,
            Query(
                pattern=_BOX,
                max_length=100,
                description="left,top,right,bottom in level-0 pixels: what reaches into it is shown, uncut.",
            ),
        ],
        zoom: Annotated[
            int,
            Query(ge=0, le=MOST_ZOOM, description="0 is full size; at n a pixel of the screen is 2^n level-0 pixels."),
        ] = 0,
        format: Annotated[DrawnFormat, Query(description="GeoJSON, or a Mapbox Vector Tile.")] = "geojson",
    ) -> Response:
        """Show what of a version is to be seen in a part of the slide, with as much detail as the zoom can show.

        What is too small to be outlined is a point; where there is too much of that, it is counted in clusters. Who
        looks at a version first waits until it has been read, some seconds for the largest.
        """
        box = _box(bbox)
        actor, annotation = await self._found(request, image_id, number)
        tag = f'"{annotation.digest}-regions{REVISION}-{bbox}-{zoom}-{format}"'
        headers = {"Cache-Control": "private, no-cache", "ETag": tag, "Vary": "Authorization"}
        if is_unchanged(request.method, request.headers, tag):
            return Response(None, 304, headers)
        media_type = GEOJSON if format == "geojson" else VECTOR_TILE
        if request.method == "HEAD":
            return Response(None, 200, headers, media_type)
        if not await self._bridge.thread(self._annotations.is_prepared, annotation):
            async with self._preparing:  # some seconds, in which others are searched
                await self._bridge.thread(self._annotations.prepare, annotation)
        async with self._searching:
            found = await self._bridge.thread(self._slide_annotations.search, actor, annotation, box, zoom)
            if format == "mvt":
                return await self._bridge.thread(_tile, found, headers)
        from pinakes.core.annotations import found_geojson  # with numpy, which has been loaded by now

        return StreamResponse(found_geojson.write(found), self._bridge, headers=headers, media_type=media_type)

    # -- Steps -----------------------------------------------------------------------------------------------------

    def _admit(self, actor: Actor, image_id: int, announced: int | None) -> Actor:
        self._slide_annotations.admit(actor, image_id, announced or 0)
        return actor

    def _keep(self, actor: Actor, image_id: int, upload: AnnotationUpload) -> models.Annotation:
        slide, annotation = self._slide_annotations.upload(actor, image_id, upload)
        (shown,) = representation.annotations(self._slide_annotations.described(slide, annotation))
        return shown

    async def _found(self, request: Request, image_id: int, number: int) -> tuple[Actor, Annotation]:
        return await self._callers.glance(
            request, lambda actor: (actor, self._slide_annotations.get(actor, image_id, number))
        )

    async def _sent(
        self, request: Request, actor: Actor, annotation: Annotation, headers: Mapping[str, str]
    ) -> Response:
        selected = select(
            request.method, request.headers, annotation.size_bytes, f'"{annotation.digest}"', annotation.created_at
        )
        open_reader = partial(self._slide_annotations.open, actor, annotation)
        return await respond_content(request, selected, self._bridge, open_reader, headers, annotation.media_type)


def _accepted(request: Request, annotation: Annotation) -> Format | None:
    """What is to be made of a version; None to take it as it was sent. Raises NotAcceptable."""
    made = {Format.APERIO.media_type: Format.APERIO, Format.GEOJSON.media_type: Format.GEOJSON}
    others = [media_type for media_type in made if media_type != annotation.media_type]
    accepted = preferred(request.headers.get("accept"), [annotation.media_type, *others])
    if accepted is None:
        raise NotAcceptable(f"An annotation is {' or '.join(made)}; the Accept header takes neither.")
    return None if accepted == annotation.media_type else made[accepted]


def _box(text: str) -> Box:
    """Raises InvalidFields."""
    left, top, right, bottom = (float(number) for number in re.split(",", text))
    if left > right or top > bottom:
        raise InvalidFields.one("bbox", "must be left,top,right,bottom, the smaller numbers first")
    return Box(left, top, right, bottom)


def _tile(found: "Found", headers: Mapping[str, str]) -> Response:
    from pinakes.core.annotations import vector_tiles

    left, top = vector_tiles.corner(found)
    told = {"X-Tile-Left": decimal(left), "X-Tile-Top": decimal(top), "X-Tile-Unit": decimal(found.unit)}
    return Response(vector_tiles.write(found), 200, {**headers, **told}, VECTOR_TILE)


def _answer(description: str, other: str) -> dict[str, Any]:
    """GeoJSON, or bytes of another media type."""
    answer = binary_answer(description, other)
    answer["content"][GEOJSON] = {"schema": {"type": "object", "required": ["type"]}}
    return answer


_UNCHANGED: dict[str, Any] = {"description": "It is what the client has."}
