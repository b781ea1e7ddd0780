"""Whom an image is shared with: POST /Images/adduser, removeuser, updateuser (pathomiq contract 4.9)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.pathomiq.auth import Callers
from pinakes.apis.pathomiq.bodies import Answers, image_ref_of, read_object, user_id_of
from pinakes.apis.pathomiq.representation import Json
from pinakes.core.actor import Actor, Permission
from pinakes.core.errors import InvalidFields
from pinakes.core.slides.records import Slide
from pinakes.web.api import ApiContext

Operation = Callable[[Actor, str | int, Sequence[int]], Slide]


class Sharing:
    """The three calls; they differ in one word."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._sharing = context.archive.slide_sharing
        self._callers = callers
        self._answers = answers

    async def add(self, request: Request) -> Response:
        return await self._change(request, self._sharing.add, "The users were added.")

    async def remove(self, request: Request) -> Response:
        return await self._change(request, self._sharing.remove, "The users were removed.")

    async def replace(self, request: Request) -> Response:
        return await self._change(request, self._sharing.replace, "The users were updated.", may_be_empty=True)

    async def _change(
        self, request: Request, operation: Operation, text: str, *, may_be_empty: bool = False
    ) -> Response:
        await self._callers.permitted(request, Permission.WRITE)
        body = await read_object(request)
        ref, user_ids = image_ref_of(body), _user_ids(body, may_be_empty=may_be_empty)

        def changed(actor: Actor) -> Json:
            slide = self._answers.explained(request, actor, ref, lambda: operation(actor, ref, user_ids))
            return self._answers.image(request, slide)

        return self._answers.done(text, await self._callers.change(request, changed))


def _user_ids(body: Mapping[str, Any], *, may_be_empty: bool) -> list[int]:
    """A list of positive integers or of their digits; a single one counts as a list of one. Raises InvalidFields."""
    value = body.get("userid")
    given = value if isinstance(value, list) else [value]
    if not given and not may_be_empty:
        raise InvalidFields.one("userid", "must name at least one user")
    return [user_id_of(one) for one in given]
