"""From a request to the actor who makes it (pathomiq contract 1, D1).

Only the Authorization header counts: several GETs change something, so a credential that browsers send by themselves
would let any page do it. Nothing of a body is read before the caller is known.
"""

from starlette.requests import Request

from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.errors import Unauthenticated
from pinakes.web import callers
from pinakes.web.callers import token_of

API_NAME = "pathomiq"
_SCHEMES = frozenset({"bearer", "token"})


class Callers(callers.Callers):
    """Those who ask PathomIQ's API."""

    async def permitted(self, request: Request, permission: Permission) -> Actor:
        """Who asks, for a request whose body is to be read before anything can be done.

        Raises Unauthenticated, KindMissing, ScopeMissing.
        """
        return await self._bridge.quick(self._permitted, request, permission)

    def actor(self, request: Request) -> Actor:
        """Raises Unauthenticated. Whether the user has to do with slides is asked by every operation."""
        token = token_of(request, _SCHEMES)
        if token is None:
            raise Unauthenticated
        return self._archive.credentials.actor(API_NAME, token)

    def _permitted(self, request: Request, permission: Permission) -> Actor:
        actor = self.actor(request)
        require_user(actor, Kind.SLIDE, Resource.IMAGE, permission)
        return actor
