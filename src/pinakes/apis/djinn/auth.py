"""From a request to the actor who makes it (djinn contract, section 2).

A token that is shown must be good, also where none is needed: a bad one is refused everywhere.
"""

from starlette.requests import Request

from pinakes.core.actor import Actor, Kind
from pinakes.core.errors import KindMissing, Unauthenticated
from pinakes.web import callers
from pinakes.web.callers import token_of

API_NAME = "djinn"
_SCHEMES = frozenset({"bearer"})


class Callers(callers.Callers):
    """Those who ask Djinn CI's API."""

    def actor(self, request: Request) -> Actor:
        """Raises Unauthenticated for a bad token, KindMissing for a user who has nothing to do with machine images.

        Staff does not count here (DESIGN.md section 2).
        """
        if not any(request.headers.getlist("authorization")):
            return Actor(API_NAME)
        token = token_of(request, _SCHEMES)
        if token is None:
            raise Unauthenticated
        actor = self._archive.credentials.actor(API_NAME, token).as_plain_user()
        if not actor.has_kind(Kind.MACHINE):
            raise KindMissing
        return actor
