"""From a request to the actor who makes it, and to the core with it (djinn contract, section 2).

A token that is shown must be good, also where none is needed: a bad one is refused everywhere.
"""

from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from pinakes.core.actor import Actor, Kind
from pinakes.core.archive import Archive
from pinakes.core.errors import KindMissing, Unauthenticated
from pinakes.web.bridge import Bridge

R = TypeVar("R")

API_NAME = "djinn"
_SCHEME = "bearer"


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

    async def identify(self, request: Request) -> Actor:
        """The actor alone, for a request whose body is to be read before anything can be done."""
        return await self._bridge.quick(self._actor, request)

    def _looking(self, request: Request, operation: Callable[[Actor], R]) -> R:
        with self._archive.database.read():
            return operation(self._actor(request))

    def _actor(self, request: Request) -> Actor:
        """Raises Unauthenticated for a bad token, KindMissing for a user who has nothing to do with machine images.

        Staff does not count here (DESIGN.md section 2).
        """
        headers = request.headers.getlist("authorization")
        if not any(headers):
            return Actor(API_NAME)
        scheme, _, token = headers[0].strip().partition(" ")
        if len(headers) > 1 or scheme.lower() != _SCHEME:
            raise Unauthenticated
        actor = self._archive.credentials.actor(API_NAME, token.strip()).as_plain_user()
        if not actor.has_kind(Kind.MACHINE):
            raise KindMissing
        return actor
