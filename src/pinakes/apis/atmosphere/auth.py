"""From a request to the actor who makes it, and to the core with it (atmosphere contract C3 to C5).

Credentials that are missing or no good make the caller anonymous, which alone is never an error.
"""

from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.archive import Archive
from pinakes.core.errors import Unauthenticated
from pinakes.web.bridge import Bridge

R = TypeVar("R")

API_NAME = "atmosphere"
_SCHEME = "token"
_LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})


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

    async def change(self, actor: Actor, operation: Callable[[Actor], R]) -> R:
        """Call an operation that writes, for an actor whom `identify` or `user` has given."""
        return await self._bridge.thread(operation, actor)

    async def identify(self, request: Request) -> Actor:
        """The actor alone, for a request whose body is to be read before anything can be done."""
        return await self._bridge.quick(self._actor, request)

    async def user(self, request: Request) -> Actor:
        """The same where an anonymous caller has nothing to ask. Raises Unauthenticated (contract C5)."""
        return require_login(await self.identify(request))

    def _looking(self, request: Request, operation: Callable[[Actor], R]) -> R:
        with self._archive.database.read():
            return operation(self._actor(request))

    def _actor(self, request: Request) -> Actor:
        """Who lacks the kind is anonymous; who only lacks the scope is so for looking (DESIGN.md section 2)."""
        anonymous = Actor(API_NAME)
        token = _token(request)
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


def _token(request: Request) -> str | None:
    """`Authorization: TOKEN <key>`; the word in any case (contract C3)."""
    headers = request.headers.getlist("authorization")
    if len(headers) != 1:
        return None
    scheme, _, token = headers[0].strip().partition(" ")
    return token.strip() if scheme.lower() == _SCHEME else None
