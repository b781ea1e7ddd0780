"""Djinn CI's API in this process, under its prefix, over both backends; and clients that talk to it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from pinakes.apis.djinn import API
from pinakes.core.actor import Kind, Scope
from pinakes.core.archive import Archive, assemble
from pinakes.core.clock import Instant
from pinakes.web.api import ApiContext
from pinakes.web.bridge import Bridge
from pinakes.web.mounts import Mount, Mounts
from pinakes.web.origin import Origins
from tests.conftest import Backend, MovableClock
from tests.core.namespaces.making import SYSTEM

ORIGIN = "http://archive.example:8000"
BASE = f"{ORIGIN}/djinn"
MAX_JSON_BYTES = 64 * 1024
MAX_UPLOAD_BYTES = 4 * 1024 * 1024
QCOW2 = b"QFI\xfb"


@dataclass(frozen=True, slots=True)
class Client:
    """A client with a token; None for one without. Paths are below BASE."""

    app: ASGIApp
    loop: asyncio.AbstractEventLoop
    token: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.loop.run_until_complete(self._request(method, path, options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def patch(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def at_once(self, requests: Sequence[tuple[str, str, Mapping[str, Any]]]) -> list[httpx.Response]:
        """Send all of them before any is answered."""

        async def gather() -> list[httpx.Response]:
            return await asyncio.gather(*(self._request(method, path, more) for method, path, more in requests))

        return self.loop.run_until_complete(gather())

    def upload(
        self, name: str, namespace: str = "", content: bytes | AsyncIterator[bytes] = QCOW2, **options: Any
    ) -> Any:
        """Make an image; its JSON."""
        params = {"name": name, "namespace": namespace}
        answer = self.post("/images", params=params, content=content, **options)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def _request(self, method: str, path: str, options: Mapping[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= dict(self.headers) | dict(options.get("headers", {}))
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=True)
        url = path if path.startswith("http") else BASE + path
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(method, url, **{**options, "headers": encoded})


@dataclass(frozen=True, slots=True)
class World:
    """The archive behind the API, and clients for its users."""

    archive: Archive
    app: ASGIApp
    loop: asyncio.AbstractEventLoop

    def user(
        self,
        name: str,
        *kinds: Kind,
        scope: str | None = None,
        is_staff: bool = False,
        expires_at: Instant | None = None,
    ) -> Client:
        """A client for a user of the kind machine, or of the kinds named; made if need be."""
        if name not in {user.name for user in self.archive.users.list()}:
            chosen = kinds or (Kind.MACHINE,)
            self.archive.users.add(SYSTEM, name, f"{name}@example.org", None, chosen, is_staff=is_staff)
        parsed = None if scope is None else Scope.parse(scope)
        token = self.archive.credentials.create(SYSTEM, name, scope=parsed, expires_at=expires_at, label="")
        return Client(self.app, self.loop, token)

    def stranger(self, token: str | None = None) -> Client:
        return Client(self.app, self.loop, token)


@pytest.fixture
def archive(backend: Backend, clock: MovableClock, tmp_path: Path) -> Iterator[Archive]:
    archive = assemble(
        backend.database,
        backend.store,
        journal_directory=tmp_path / "journals",
        clock=clock,
        max_upload_bytes=MAX_UPLOAD_BYTES,
    )
    yield archive
    archive.close()


@pytest.fixture
def world(archive: Archive, tmp_path: Path) -> Iterator[World]:
    bridge = Bridge(archive.database.is_local)
    context = ApiContext(archive, bridge, Origins(), MAX_JSON_BYTES, UTC, tmp_path)
    mount = Mount(API.create(context), API.default_path, "ci.example", API.name, API.collapses_doubled_path)
    loop = asyncio.new_event_loop()
    yield World(archive, Mounts([mount]), loop)
    loop.close()
    bridge.close()


@pytest.fixture
def ana(world: World) -> Client:
    return world.user("ana")


@pytest.fixture
def ben(world: World) -> Client:
    return world.user("ben")


@pytest.fixture
def nobody(world: World) -> Client:
    return world.stranger()


def share(owner: Client, place: str, other: Client, handle: str) -> None:
    """Make a user a collaborator. place: `/n/owner/path`."""
    invite = owner.post(f"{place}/-/invites", json={"handle": handle})
    assert invite.status_code == 201, invite.text
    assert other.patch(f"/invites/{invite.json()['id']}").status_code == 200


def rest_of(answer: httpx.Response) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """All of an answer that can be compared."""
    return answer.status_code, answer.content, answer.headers.raw
