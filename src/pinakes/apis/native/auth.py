"""From a request to the actor who makes it: by a token in a header, or by a session's cookie (`web.callers`)."""

from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from pinakes.core.access.guard import require_scope
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.errors import KindMissing, Unauthenticated
from pinakes.web import callers

API_NAME = "native"
_KEY = "pinakes.native.actor"

R = TypeVar("R")


class Callers(callers.PageCallers):
    """Those who ask the native API."""

    api = API_NAME

    async def user(self, request: Request) -> Actor:
        """Who asks, for a request whose body is to be read next. Raises Unauthenticated for an anonymous one."""
        actor = await self.identify(request)
        if actor.is_anonymous:
            raise Unauthenticated
        return actor

    def actor(self, request: Request) -> Actor:
        """Looked up once a request."""
        known: Actor | None = request.scope.get(_KEY)
        if known is None:
            known = request.scope[_KEY] = super().actor(request)
        return known

    async def read_anew(self, request: Request, operation: Callable[[Actor], R]) -> R:
        """`read` for an answer that goes on: whoever asks is looked up again, as a token may end meanwhile."""
        request.scope.pop(_KEY, None)
        return await self.read(request, operation)


def reading_machines(actor: Actor) -> Actor:
    """The actor, who may ask for machine images: anyone without a token, and users of the kind with the scope.

    Raises KindMissing, ScopeMissing (DESIGN.md section 2).
    """
    if not actor.is_anonymous and not actor.has_kind(Kind.MACHINE):
        raise KindMissing
    require_scope(actor, Resource.IMAGE, Permission.READ)
    return actor
