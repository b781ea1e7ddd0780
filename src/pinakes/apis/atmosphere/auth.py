"""From a request to the actor who makes it (atmosphere contract C3 to C5).

Credentials that are missing or no good make the caller anonymous, which alone is never an error.
"""

from starlette.requests import Request

from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.errors import Unauthenticated
from pinakes.web import callers
from pinakes.web.callers import token_of

API_NAME = "atmosphere"
_SCHEMES = frozenset({"token"})
_LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})


class Callers(callers.Callers):
    """Those who ask Atmosphere's API."""

    async def user(self, request: Request) -> Actor:
        """Who asks, where an anonymous caller has nothing to ask. Raises Unauthenticated (contract C5)."""
        return require_login(await self.identify(request))

    def actor(self, request: Request) -> Actor:
        """Who lacks the kind is anonymous; who only lacks the scope is so for looking (DESIGN.md section 2)."""
        anonymous = Actor(API_NAME)
        token = token_of(request, _SCHEMES)
        if token is None:
            return anonymous
        try:
            actor = self._archive.credentials.actor(API_NAME, token)
        except Unauthenticated:
            return anonymous
        if not actor.has_kind(Kind.MACHINE):
            return anonymous
        if request.method in _LOOKING and not actor.may(Resource.IMAGE, Permission.READ):
            return anonymous
        return actor


def require_login(actor: Actor) -> Actor:
    """The actor, who is somebody. Raises Unauthenticated."""
    if actor.is_anonymous:
        raise Unauthenticated
    return actor
