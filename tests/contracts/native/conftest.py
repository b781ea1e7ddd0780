"""The native API in this process, under its prefix, over both backends; and clients that talk to it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from pinakes.apis.native import API
from pinakes.core.actor import Actor, Kind, Scope
from pinakes.core.archive import Archive, assemble
from pinakes.core.clock import Instant
from pinakes.core.content.stores.memory import MemoryStore
from pinakes.core.db.engine import Database
from pinakes.web.api import Api, ApiContext
from pinakes.web.bridge import Bridge
from pinakes.web.mounts import Mount, Mounts
from pinakes.web.origin import Origins
from tests.conftest import Backend, MovableClock

SYSTEM = Actor("system")
ORIGIN = "http://archive.example:8000"
BASE = f"{ORIGIN}/pinakes/v1"
MAX_JSON_BYTES = 256 * 1024
MAX_UPLOAD_BYTES = 4 * 1024 * 1024
QCOW2 = b"QFI\xfb\x00\x00\x00\x03" + bytes(56)


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

    def image(self, name: str = "debian", **members: Any) -> Any:
        """Make a machine image; its JSON."""
        answer = self.post("/vm-images", json={"name": name, **members})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def version(self, image_id: int, **members: Any) -> Any:
        """Add a version; its JSON."""
        answer = self.post(f"/vm-images/{image_id}/versions", json=members)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def filled(self, image_id: int, content: bytes | AsyncIterator[bytes] = QCOW2, **members: Any) -> Any:
        """Add a version with content; its JSON."""
        version = self.version(image_id, **members)
        answer = self.put(content_path(version), content=content)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def _request(self, method: str, path: str, options: Mapping[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= dict(self.headers) | dict(options.get("headers", {}))
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=True)
        url = path if path.startswith("http") else BASE + path
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(method, url, **{**options, "headers": encoded})


def content_path(version: Mapping[str, Any]) -> str:
    return f"/vm-images/{version['image_id']}/versions/{version['id']}/content"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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

    def stored_keys(self) -> set[str]:
        """The keys of everything in the content store, finished or not."""
        return {stored.key for stored in self.archive.store.list()}


def make_world(archive: Archive, folder: Path, *neighbours: Api) -> Iterator[World]:
    """neighbours: other APIs over the same archive, each at its own path."""
    bridge = Bridge(archive.database.is_local)
    context = ApiContext(archive, bridge, Origins(), MAX_JSON_BYTES, UTC, folder)
    mounts = [Mount(API.create(context), API.default_path, "own.example", API.name)]
    for api in neighbours:
        mounts.append(Mount(api.create(context), api.default_path, None, api.name, parts=api.parts))
    loop = asyncio.new_event_loop()
    yield World(archive, Mounts(mounts), loop)
    loop.close()
    bridge.close()


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
    yield from make_world(archive, tmp_path)


@pytest.fixture(scope="module")
def lasting_world(tmp_path_factory: pytest.TempPathFactory, sqlite_template: bytes) -> Iterator[World]:
    """One world for all tests of a module that only ask what is refused, and how: making one takes long."""
    folder = tmp_path_factory.mktemp("lasting")
    (folder / "pinakes.sqlite").write_bytes(sqlite_template)
    database = Database(f"sqlite:///{folder / 'pinakes.sqlite'}")
    archive = assemble(
        database, MemoryStore(), journal_directory=folder / "journals", max_upload_bytes=MAX_UPLOAD_BYTES
    )
    yield from make_world(archive, folder)
    archive.close()


@pytest.fixture(scope="module")
def lasting_ana(lasting_world: World) -> Client:
    return lasting_world.user("ana")


@pytest.fixture
def ana(world: World) -> Client:
    return world.user("ana")


@pytest.fixture
def ben(world: World) -> Client:
    return world.user("ben")


@pytest.fixture
def staff(world: World) -> Client:
    return world.user("sue", is_staff=True)


@pytest.fixture
def nobody(world: World) -> Client:
    return world.stranger()
