"""The committed bytes of an image: `/S3/file/:uid` (pathomiq contract 4.11)."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.pathomiq.auth import Callers
from pinakes.apis.pathomiq.representation import MEDIA_TYPES
from pinakes.core.errors import ImageUnknown
from pinakes.core.slides.records import Slide
from pinakes.web.api import ApiContext
from pinakes.web.disposition import attachment
from pinakes.web.download import respond_content
from pinakes.web.ranges import select

_CACHING = "private, no-cache"
"""What a client keeps it asks about each time: it may no longer be allowed to see it."""


class Files:
    """Downloads."""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._bridge = context.bridge
        self._slides = context.archive.slides
        self._callers = callers

    async def download(self, request: Request) -> Response:
        """The content, or the range of it that is asked for. A HEAD is no read of it."""
        uid = request.path_params["image"]
        actor, slide = await self._callers.glance(request, lambda actor: (actor, self._slides.get(actor, uid)))
        version = slide.content
        if version is None or not slide.is_uploaded:
            raise ImageUnknown
        selected = select(request.method, request.headers, version.size_bytes, f'"{slide.etag or version.digest}"')
        media_type = MEDIA_TYPES.get(version.format, "application/octet-stream")
        open_reader = partial(self._slides.open, actor, slide)
        return await respond_content(request, selected, self._bridge, open_reader, _headers(slide), media_type)


def _headers(slide: Slide) -> dict[str, str]:
    return {
        "Content-Disposition": attachment(slide.filename),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": _CACHING,
    }
