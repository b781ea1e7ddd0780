"""`/pattern_matches`: names and addresses of people, to be attached to images (atmosphere contract B2, E14)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.atmosphere import companions
from pinakes.apis.atmosphere.answers import Answers
from pinakes.apis.atmosphere.auth import Callers, require_login
from pinakes.apis.atmosphere.companions import PATTERN_TYPES
from pinakes.apis.atmosphere.members import Members
from pinakes.apis.atmosphere.requests import key_of, read_object
from pinakes.core.catalogue.changes import Unchanged
from pinakes.core.catalogue.patterns import Pattern, PatternChanges
from pinakes.web.api import ApiContext


class Patterns:
    """The caller's own patterns."""

    def __init__(self, context: ApiContext, callers: Callers, answers: Answers) -> None:
        self._patterns = context.archive.patterns
        self._max_json_bytes = context.max_json_bytes
        self._callers = callers
        self._answers = answers

    async def list(self, request: Request) -> Response:
        return await self._answers.listing(
            self._callers,
            request,
            self._patterns.list,
            lambda pattern, view: companions.pattern(pattern, view.base),
            needs_login=True,
        )

    async def get(self, request: Request) -> Response:
        found = await self._callers.glance(
            request, lambda actor: self._patterns.get(require_login(actor), key_of(request))
        )
        return self._show(request, found)

    async def create(self, request: Request) -> Response:
        actor = await self._callers.user(request)
        new = _changes(await read_object(request, self._max_json_bytes), is_whole=True)
        subject, text, allows = new.subject, new.text, new.allows is not False
        assert subject is not None
        assert text is not None
        made = await self._callers.change_as(
            actor, lambda actor: self._patterns.create(actor, subject, text, allows=allows)
        )
        return self._show(request, made, 201)

    async def replace(self, request: Request) -> Response:
        return await self._update(request, is_whole=True)

    async def update(self, request: Request) -> Response:
        return await self._update(request, is_whole=False)

    async def delete(self, request: Request) -> Response:
        actor = await self._callers.user(request)
        wanted = key_of(request)
        await self._callers.change_as(actor, lambda actor: self._patterns.delete(actor, wanted))
        return self._answers.nothing()

    async def _update(self, request: Request, *, is_whole: bool) -> Response:
        actor = await self._callers.user(request)
        wanted = key_of(request)
        changes = _changes(await read_object(request, self._max_json_bytes), is_whole=is_whole)
        made = await self._callers.change_as(actor, lambda actor: self._patterns.update(actor, wanted, changes))
        return self._show(request, made)

    def _show(self, request: Request, pattern: Pattern, status: int = 200) -> Response:
        return self._answers.json(companions.pattern(pattern, self._answers.base(request)), status)


def _changes(body: dict[str, Any], *, is_whole: bool) -> PatternChanges:
    """is_whole: pattern and type must be there. Raises InvalidFields."""
    members = Members(body)
    text = members.text("pattern", is_required=is_whole)
    subject = members.choice("type", PATTERN_TYPES, is_required=is_whole)
    allows = members.flag("allow_access")
    members.check()
    return PatternChanges(
        subject=None if isinstance(subject, Unchanged) else subject,
        text=None if isinstance(text, Unchanged) else text,
        allows=None if isinstance(allows, Unchanged) else allows,
    )
