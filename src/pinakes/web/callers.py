"""From a request to the core: who asks is looked up, and the core called for them, in one hop to a thread or in none.

What a credential looks like, and what becomes of a bad one, is each API's own: `Callers.actor`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import ClassVar, Final, TypeVar

from starlette.requests import Request

from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from pinakes.core.errors import Unauthenticated
from pinakes.web.bridge import Bridge
from pinakes.web.origin import Origins
from pinakes.web.sessions import session_of

R = TypeVar("R")

_SCHEMES: Final = frozenset({"bearer", "token"})


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


class PageCallers(Callers):
    """Those who ask an API that pages of the archive use too.

        Authorization: Bearer <token>      or `Token <token>`; the word in any case
        Cookie: pinakes-session=<token>    a session (`sessions`); looked at only without the header

    Without either the caller is anonymous. A token that is shown must be good, also where none is needed; a session
    that has ended is none, since browsers send its cookie of their own accord.
    """

    api: ClassVar[str]

    def __init__(self, archive: Archive, bridge: Bridge, origins: Origins) -> None:
        super().__init__(archive, bridge)
        self._origins = origins

    def actor(self, request: Request) -> Actor:
        """Raises Unauthenticated for a bad token, and for a session that may not change anything."""
        if "authorization" in request.headers:
            token = token_of(request, _SCHEMES)
            if token is None:
                raise Unauthenticated
            return self._archive.credentials.actor(self.api, token)
        session = session_of(request, self._origins)
        if session is not None:
            with suppress(Unauthenticated):
                return self._archive.credentials.actor(self.api, session)
        return Actor(self.api)


def token_of(request: Request, schemes: Collection[str]) -> str | None:
    """The token of `Authorization: <scheme> <token>`; None unless there is one such header.

    schemes: in lower case; clients write them in any.
    """
    headers = request.headers.getlist("authorization")
    if len(headers) != 1:
        return None
    scheme, _, token = headers[0].strip().partition(" ")
    return token.strip() if scheme.lower() in schemes else None
