"""From a request to the actor who makes it.

    Authorization: Bearer <token>      or `Token <token>`; the word in any case

Without the header the caller is anonymous. A token that is shown must be good, also where none is needed.
"""

from starlette.requests import Request

from pinakes.core.access.guard import require_scope
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.errors import KindMissing, Unauthenticated
from pinakes.web import callers
from pinakes.web.callers import token_of

API_NAME = "native"
_SCHEMES = frozenset({"bearer", "token"})
_KEY = "pinakes.native.actor"


class Callers(callers.Callers):
    """Those who ask the native API."""

    async def user(self, request: Request) -> Actor:
        """Who asks, for a request whose body is to be read next. Raises Unauthenticated for an anonymous one."""
        actor = await self.identify(request)
        if actor.is_anonymous:
            raise Unauthenticated
        return actor

    def actor(self, request: Request) -> Actor:
        """Raises Unauthenticated for a bad token. Looked up once a request."""
        known: Actor | None = request.scope.get(_KEY)
        if known is None:
            known = request.scope[_KEY] = self._identified(request)
        return known

    def _identified(self, request: Request) -> Actor:
        if "authorization" not in request.headers:
            return Actor(API_NAME)
        token = token_of(request, _SCHEMES)
        if token is None:
            raise Unauthenticated
        return self._archive.credentials.actor(API_NAME, token)


def reading_machines(actor: Actor) -> Actor:
    """The actor, who may ask for machine images: anyone without a token, and users of the kind with the scope.

    Raises KindMissing, ScopeMissing (DESIGN.md section 2).
    """
    if not actor.is_anonymous and not actor.has_kind(Kind.MACHINE):
        raise KindMissing
    require_scope(actor, Resource.IMAGE, Permission.READ)
    return actor
