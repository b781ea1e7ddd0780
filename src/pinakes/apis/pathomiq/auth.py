"""From a request to the actor who makes it, and to the core with it (pathomiq contract 1, D1).

Only the Authorization header counts: several GETs change something, so a credential that browsers send by themselves
would let any page do it. Nothing of a body is read before the caller is known.
"""

from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.archive import Archive
from pinakes.core.errors import Unauthenticated
from pinakes.web.bridge import Bridge

R = TypeVar("R")

API_NAME = "pathomiq"
_SCHEMES = {"bearer", "token"}


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

    async def identify(self, request: Request, permission: Permission) -> Actor:
        """The actor alone, for a request whose body is to be read before anything can be done.

        Raises Unauthenticated, KindMissing, ScopeMissing.
        """
        return await self._bridge.quick(self._permitted, request, permission)

    def _permitted(self, request: Request, permission: Permission) -> Actor:
        actor = self._actor(request)
        require_user(actor, Kind.SLIDE, Resource.IMAGE, permission)
        return actor

    def _looking(self, request: Request, operation: Callable[[Actor], R]) -> R:
        with self._archive.database.read():
            return operation(self._actor(request))

    def _actor(self, request: Request) -> Actor:
        """Raises Unauthenticated. Whether the user has to do with slides is asked by every operation."""
        headers = request.headers.getlist("authorization")
        scheme, _, token = headers[0].strip().partition(" ") if headers else ("", "", "")
        if len(headers) != 1 or scheme.lower() not in _SCHEMES:
            raise Unauthenticated
        return self._archive.credentials.actor(API_NAME, token.strip())
