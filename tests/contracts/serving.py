"""An API in this process, where the server would mount it, and clients that talk to it; each API's tests add theirs."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import httpx
from starlette.types import ASGIApp

from pinakes.core.actor import Kind, Scope
from pinakes.core.archive import Archive
from pinakes.core.clock import Instant
from pinakes.web.api import Api, ApiContext
from pinakes.web.bridge import Bridge
from pinakes.web.mounts import Mount, Mounts
from pinakes.web.origin import Origins, Place
from tests.core.namespaces.making import SYSTEM

ORIGIN = "http://archive.example:8000"

ClientT = TypeVar("ClientT", bound="ApiClient")


@dataclass(frozen=True, slots=True)
class ApiClient:
    """A client with a token; None for one without. Paths are below `base`, `scheme` comes before the token."""

    base: ClassVar[str]
    scheme: ClassVar[str] = "Bearer"

    app: ASGIApp
    loop: asyncio.AbstractEventLoop
    token: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.loop.run_until_complete(self._request(method, path, options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> httpx.Response:
        return self.request("HEAD", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def at_once(self, requests: Sequence[tuple[str, str, Mapping[str, Any]]]) -> list[httpx.Response]:
        """Send all of them before any is answered."""

        async def gather() -> list[httpx.Response]:
            return await asyncio.gather(*(self._request(method, path, more) for method, path, more in requests))

        return self.loop.run_until_complete(gather())

    async def _request(self, method: str, path: str, options: Mapping[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"{self.scheme} {self.token}"} if self.token else {}
        headers |= dict(self.headers) | dict(options.get("headers", {}))
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=True)
        url = path if path.startswith("http") else self.base + path
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(method, url, **{**options, "headers": encoded})


@dataclass(frozen=True, slots=True)
class ApiWorld(ABC, Generic[ClientT]):
    """The archive behind an API, and clients for its users, who are of the kind `kind` unless others are named."""

    kind: ClassVar[Kind] = Kind.MACHINE

    archive: Archive
    app: ASGIApp
    loop: asyncio.AbstractEventLoop

    @abstractmethod
    def client(self, token: str | None, name: str, /) -> ClientT:
        """A client with a token. name: of the user whose token it is; "" for nobody's."""

    def user(
        self,
        name: str,
        *kinds: Kind,
        scope: str | None = None,
        is_staff: bool = False,
        expires_at: Instant | None = None,
        password: str | None = None,
    ) -> ClientT:
        """A client for a user, who is made if need be, with a new token."""
        if name not in {user.name for user in self.archive.users.list()}:
            chosen = kinds or (self.kind,)
            self.archive.users.add(SYSTEM, name, f"{name}@example.org", password, chosen, is_staff=is_staff)
        parsed = None if scope is None else Scope.parse(scope)
        token = self.archive.credentials.create(SYSTEM, name, scope=parsed, expires_at=expires_at, label="")
        return self.client(token, name)

    def stranger(self, token: str | None = None) -> ClientT:
        return self.client(token, "")


@contextmanager
def serving(
    api: Api,
    archive: Archive,
    folder: Path,
    *,
    max_json_bytes: int,
    host: str | None = None,
    time_zone: tzinfo = UTC,
    allowed_origins: tuple[str, ...] = (),
    neighbours: Sequence[Api] = (),
) -> Iterator[tuple[ASGIApp, asyncio.AbstractEventLoop]]:
    """An API at its own path, and the loop that it runs in, as long as the block lasts.

    folder: for temporary files.   host: where it is found at the root, besides.
    neighbours: other APIs over the same archive, each at its own path.
    """
    bridge = Bridge(archive.database.is_local)
    places = {other.name: Place(other.default_path) for other in (api, *neighbours)}
    context = ApiContext(archive, bridge, Origins(), max_json_bytes, time_zone, folder, allowed_origins, places)
    app = Mounts([_mounted(api, context, host), *(_mounted(other, context, None) for other in neighbours)])
    loop = asyncio.new_event_loop()
    try:
        yield app, loop
    finally:
        loop.close()
        bridge.close()


def _mounted(api: Api, context: ApiContext, host: str | None) -> Mount:
    return Mount(
        api.create(context),
        api.default_path,
        host,
        api.name,
        collapse_doubled=api.collapses_doubled_path,
        loose_slashes=api.has_loose_slashes,
        parts=api.parts,
    )
