"""From a request to the actor who makes it, and to the core with it.

    Authorization: Bearer <token>      or `Token <token>`; the word in any case

Without the header the caller is anonymous. A token that is shown must be good, also where none is needed.
"""

from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from pinakes.core.access.guard import require_scope
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.archive import Archive
from pinakes.core.errors import KindMissing, Unauthenticated
from pinakes.web.bridge import Bridge

R = TypeVar("R")

API_NAME = "native"
_SCHEMES = frozenset({"bearer", "token"})


class Callers:
    """Looks up who asks, and calls the core for them: both in one hop to a thread, or in none."""

    def __init__(self, archive: Archive, bridge: Bridge) -> None:
        self._archive = archive
        self._bridge = bridge

    async def glance(self, request: Request, operation: Callable[[Actor], R]) -> R:
        """Call an operation that looks at one thing, on the connection of the token's look-up."""
        return await self._bridge.quick(self._looking, request, operation)

    async def read(self, request: Request, operation: Callable[[Actor], R]) -> R:
        """The same for one that looks at many things and may take its time."""
        return await self._bridge.thread(self._looking, request, operation)

    async def change(self, request: Request, operation: Callable[[Actor], R]) -> R:
        """Call an operation that writes."""
        return await self._bridge.thread(lambda: operation(self._actor(request)))

    async def user(self, request: Request) -> Actor:
        """The actor alone, for a request whose body is to be read next. Raises Unauthenticated for an anonymous one."""
        actor = await self._bridge.quick(self._actor, request)
        if actor.is_anonymous:
            raise Unauthenticated
        return actor

    def _looking(self, request: Request, operation: Callable[[Actor], R]) -> R:
        with self._archive.database.read():
            return operation(self._actor(request))

    def _actor(self, request: Request) -> Actor:
        """Raises Unauthenticated for a bad token. Looked up once a request."""
        known: Actor | None = request.scope.get(_KEY)
        if known is None:
            known = request.scope[_KEY] = self._identified(request)
        return known

    def _identified(self, request: Request) -> Actor:
        headers = request.headers.getlist("authorization")
        if not headers:
            return Actor(API_NAME)
        scheme, _, token = headers[0].strip().partition(" ")
        if len(headers) > 1 or scheme.lower() not in _SCHEMES:
            raise Unauthenticated
        return self._archive.credentials.actor(API_NAME, token.strip())


_KEY = "pinakes.native.actor"


def reading_machines(actor: Actor) -> Actor:
    """The actor, who may ask for machine images: anyone without a token, and users of the kind with the scope.

    Raises KindMissing, ScopeMissing (DESIGN.md section 2).
    """
    if not actor.is_anonymous and not actor.has_kind(Kind.MACHINE):
        raise KindMissing
    require_scope(actor, Resource.IMAGE, Permission.READ)
    return actor
