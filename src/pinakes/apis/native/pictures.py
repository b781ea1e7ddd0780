"""Pictures as answers: in the format that the client likes best, made only for those who do not have them yet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.native.auth import Callers
from pinakes.apis.native.errors import NotAcceptable
from pinakes.apis.native.operations import Endpoint, Operation, binary_answer
from pinakes.core.actor import Actor
from pinakes.core.renditions.renditions import Rendition, ViewedImage
from pinakes.core.renditions.wanted import PictureFormat, Wanted
from pinakes.web.accept import preferred
from pinakes.web.api import ApiContext
from pinakes.web.ranges import is_unchanged

# In the order of our liking, where the client has none: JPEG is made fastest, AVIF slowest.
_FORMATS: Final = {
    format.media_type: format
    for format in (PictureFormat.JPEG, PictureFormat.WEBP, PictureFormat.AVIF, PictureFormat.PNG)
}
_ENDINGS: Final = {"jpg": PictureFormat.JPEG} | {format.value: format for format in PictureFormat}
_PUBLIC_SECONDS: Final = 300

Ending = Literal["jpg", "jpeg", "webp", "avif", "png"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which picture is wanted, and how it is made.

    is_public: whether caches between may keep it.
    """

    wanted: Wanted
    make: Callable[[], Rendition]
    is_public: bool


Choose = Callable[[Actor, ViewedImage, PictureFormat], Choice]


class Pictures:
    """Answers with pictures of images. in_small: as in `Renditions.info`."""

    def __init__(self, context: ApiContext, callers: Callers, *, in_small: bool = False) -> None:
        self._bridge = context.bridge
        self._renditions = context.archive.renditions
        self._callers = callers
        self._in_small = in_small

    async def accepted(self, request: Request, image_id: int, version: str | None, choose: Choose) -> Response:
        """In the format that the Accept header likes best. Raises NotAcceptable."""
        best = preferred(request.headers.get("accept"), tuple(_FORMATS))
        if best is None:
            raise NotAcceptable
        return await self._shown(request, image_id, version, _FORMATS[best], choose, "Accept, Authorization")

    async def with_ending(
        self, request: Request, image_id: int, version: str | None, ending: Ending, choose: Choose
    ) -> Response:
        """In the format of the ending."""
        return await self._shown(request, image_id, version, _ENDINGS[ending], choose, "Authorization")

    async def _shown(
        self,
        request: Request,
        image_id: int,
        version: str | None,
        format: PictureFormat,
        choose: Choose,
        vary: str,
    ) -> Response:
        def answer(actor: Actor) -> Response:
            viewed = self._renditions.info(actor, image_id, version, in_small=self._in_small)
            choice = choose(actor, viewed, format)
            etag = f'"{self._renditions.etag(viewed, choice.wanted)}"'
            caching = f"public, max-age={_PUBLIC_SECONDS}" if choice.is_public else "private, no-cache"
            told = {"Vary": vary, "ETag": etag, "Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
            if is_unchanged(request.method, request.headers, etag):
                return Response(None, 304, told)
            picture = choice.make()
            return Response(picture.content, 200, told, media_type=picture.media_type)

        actor = await self._callers.identify(request)  # no connection is held while pixels are made
        return await self._bridge.thread(answer, actor)


def operations(path: str, accepted: Endpoint, with_ending: Endpoint) -> list[Operation]:
    """A picture at a path, and at the same with an ending, which comes first where the path ends in a parameter."""
    answers: Mapping[int, Mapping[str, Any]] = {
        200: binary_answer("The picture.", *_FORMATS),
        304: {"description": "It is what the client has."},
    }
    return [
        Operation("GET", f"{path}.{{ending}}", with_ending, "images", errors=(412,), answers=answers),
        Operation("GET", path, accepted, "images", errors=(406, 412), answers=answers),
    ]
