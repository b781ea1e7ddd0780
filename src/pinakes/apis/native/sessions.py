"""The session of a browser: logging in, who one is, logging out."""

from starlette.requests import Request
from starlette.responses import Response

from pinakes.apis.native import representation
from pinakes.apis.native.auth import API_NAME, Callers
from pinakes.apis.native.errors import NOT_KEPT
from pinakes.apis.native.models import sessions as models
from pinakes.core.actor import Actor, Kind
from pinakes.core.clock import SECOND
from pinakes.core.errors import Refused
from pinakes.web import sessions
from pinakes.web.api import ApiContext
from pinakes.web.logins import log_in


class Sessions:
    """`/session`"""

    def __init__(self, context: ApiContext, callers: Callers) -> None:
        self._context = context
        self._archive = context.archive
        self._origins = context.origins
        self._callers = callers

    async def begin(self, request: Request, new: models.NewSession) -> Response:
        """Log in, with a name and a password. The answer sets a cookie, which counts here and in the IIIF API.

        No header or cookie that is shown counts. A page of another origin is refused.
        """
        if sessions.is_from_own_page(request, self._origins) is False:
            raise Refused("A session is begun only from a page of the archive itself.")
        seconds = self._context.session_seconds
        expires_at = self._archive.clock() + seconds * SECOND
        actor, token = await log_in(self._context, request, API_NAME, new.username, new.password, expires_at=expires_at)
        shown = await self._context.bridge.quick(self._shown, actor)
        answer = Response(shown.model_dump_json(), 201, NOT_KEPT, media_type="application/json")
        sessions.begin(answer, request, self._origins, token, seconds)
        return answer

    async def get(self, request: Request) -> models.Session:
        """Show who one is, by a session or by a token, and until when."""
        return await self._callers.glance(request, self._shown)

    async def end(self, request: Request) -> Response:
        """Log out: the session ends at once, everywhere. A token that was not given by a login here goes on."""
        await self._callers.change(request, self._archive.credentials.logout)
        answer = Response(None, 204)
        sessions.end(answer, request, self._origins)
        return answer

    def _shown(self, actor: Actor) -> models.Session:
        """Raises Unauthenticated."""
        token = self._archive.own_tokens.current(actor)
        return models.Session(
            user=representation.person(self._archive.directory.own(actor).person),
            email=actor.email,
            kinds=[kind.value for kind in Kind if actor.has_kind(kind)],
            is_staff=actor.is_staff,
            scope=None if token.scope is None else str(token.scope),
            end_date=token.lapses_at,
        )
