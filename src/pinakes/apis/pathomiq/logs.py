"""What is told of images: `/LogInfo` (pathomiq contract 4.4, 4.5)."""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.pathomiq import representation
from pinakes.apis.pathomiq.auth import Callers
from pinakes.apis.pathomiq.bodies import Answers, image_ref_of, number_of, read_object, text_of
from pinakes.core.actor import Permission
from pinakes.core.slides.logs import MOST_LISTED, LogLine
from pinakes.web.api import ApiContext

_MOST = 100_000
"""The most lines of one answer."""


class Logs:
    """`/LogInfo` and `/LogInfo/:uid`."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._logs = context.archive.slide_logs
        self._callers = callers
        self._answers = answers

    async def list(self, request: Request) -> Response:
        asked = number_of(request, "limit")
        most = MOST_LISTED if asked is None else min(asked, _MOST)
        return await self._callers.read(request, lambda actor: self._shown(self._logs.latest(actor, most)))

    async def of_image(self, request: Request) -> Response:
        uid = request.path_params["image"]
        return await self._callers.read(request, lambda actor: self._shown(self._logs.of_slide(actor, uid)))

    async def post(self, request: Request) -> Response:
        await self._callers.permitted(request, Permission.WRITE)
        body = await read_object(request)
        ref, kind, message = image_ref_of(body), text_of(body, "type"), text_of(body, "message")
        await self._callers.change(request, lambda actor: self._logs.post(actor, ref, kind, message))
        return self._answers.json({"success": True, "msg": "The entry was added."})

    def _shown(self, lines: Iterable[LogLine]) -> Response:
        """Called in a thread: there may be very many."""
        return self._answers.json([representation.log(line) for line in lines])
