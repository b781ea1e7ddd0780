"""From a request to the core: who asks is looked up, and the core called for them, in one hop to a thread or in none.

What a credential looks like, and what becomes of a bad one, is each API's own: `Callers.actor`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import TypeVar

from starlette.requests import Request

from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from pinakes.web.bridge import Bridge

R = TypeVar("R")


class Callers(ABC):
    """Those who ask one API."""

    def __init__(self, archive: Archive, bridge: Bridge) -> None:
        self._archive = archive
        self._bridge = bridge

    @abstractmethod
    def actor(self, request: Request) -> Actor:
        """Who asks; blocks for a look-up. Raises Unauthenticated, KindMissing, as the API has it."""

    async def glance(self, request: Request, operation: Callable[[Actor], R]) -> R:
        """Call an operation that looks at one thing, on the connection of the token's look-up."""
        return await self._bridge.quick(self._looking, request, operation)

    async def read(self, request: Request, operation: Callable[[Actor], R]) -> R:
        """The same for one that looks at many things and may take its time."""
        return await self._bridge.thread(self._looking, request, operation)

    async def change(self, request: Request, operation: Callable[[Actor], R]) -> R:
        """Call an operation that writes."""
        return await self._bridge.thread(lambda: operation(self.actor(request)))

    async def change_as(self, actor: Actor, operation: Callable[[Actor], R]) -> R:
        """The same for an actor who is known already."""
        return await self._bridge.thread(operation, actor)

    async def identify(self, request: Request) -> Actor:
        """The actor alone, for a request whose body is to be read before anything can be done."""
        return await self._bridge.quick(self.actor, request)

    def _looking(self, request: Request, operation: Callable[[Actor], R]) -> R:
        with self._archive.database.read():
            return operation(self.actor(request))


def token_of(request: Request, schemes: Collection[str]) -> str | None:
    """The token of `Authorization: <scheme> <token>`; None unless there is one such header.

    schemes: in lower case; clients write them in any.
    """
    headers = request.headers.getlist("authorization")
    if len(headers) != 1:
        return None
    scheme, _, token = headers[0].strip().partition(" ")
    return token.strip() if scheme.lower() in schemes else None
