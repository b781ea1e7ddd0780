"""Atmosphere's API in this process, at the root, over both backends; clients that talk to it, and images to ask for."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from pinakes.apis.atmosphere import API
from pinakes.core.actor import Actor, Kind, Scope, Visibility
from pinakes.core.archive import Archive, assemble
from pinakes.core.catalogue import records
from pinakes.core.catalogue.machines import NewMachine
from pinakes.core.clock import Instant, to_datetime
from pinakes.web.api import ApiContext
from pinakes.web.bridge import Bridge
from pinakes.web.mounts import Mount, Mounts
from pinakes.web.origin import Origins
from tests.conftest import Backend, MovableClock
from tests.core.namespaces.making import SYSTEM

ORIGIN = "http://archive.example:8000"
BASE = f"{ORIGIN}/api/v2"
LAB = "https://lab.example"
MAX_JSON_BYTES = 4 * 1024 * 1024
NO_CREDENTIALS = {"detail": "Authentication credentials were not provided."}
NO_PERMISSION = {"detail": "You do not have permission to perform this action."}
NOT_FOUND = {"detail": "Not found."}
INVALID_PAGE = {"detail": "Invalid page."}


@dataclass(frozen=True, slots=True)
class Client:
    """A client with a token; None for one without. Paths that begin with a slash are below BASE."""

    app: ASGIApp
    loop: asyncio.AbstractEventLoop
    token: str | None = None
    name: str = ""
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

    def names(self, path: str = "/images", **params: str | int) -> list[str]:
        """The names of what a list shows."""
        answer = self.get(path, **({"params": params} if params else {}))
        assert answer.status_code == 200, answer.text
        return [item["name"] for item in answer.json()["results"]]

    def count(self, path: str = "/images", **params: str | int) -> int:
        answer = self.get(path, **({"params": params} if params else {}))
        assert answer.status_code == 200, answer.text
        counted: int = answer.json()["count"]
        return counted

    async def _request(self, method: str, path: str, options: Mapping[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"TOKEN {self.token}"} if self.token else {}
        headers |= dict(self.headers) | dict(options.get("headers", {}))
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=True)
        url = path if path.startswith("http") else BASE + path
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(method, url, **{**options, "headers": encoded})


@dataclass(frozen=True, slots=True)
class World:
    """The archive behind the API, clients for its users, and images they made."""

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
        password: str | None = None,
    ) -> Client:
        """A client for a user of the kind machine, or of the kinds named; made if need be."""
        if name not in {user.name for user in self.archive.users.list()}:
            chosen = kinds or (Kind.MACHINE,)
            self.archive.users.add(SYSTEM, name, f"{name}@example.org", password, chosen, is_staff=is_staff)
        parsed = None if scope is None else Scope.parse(scope)
        token = self.archive.credentials.create(SYSTEM, name, scope=parsed, expires_at=expires_at, label="")
        return Client(self.app, self.loop, token, name)

    def stranger(self, token: str | None = None) -> Client:
        return Client(self.app, self.loop, token)

    def actor(self, client: Client) -> Actor:
        """The same user, for the core."""
        assert client.token is not None
        return self.archive.credentials.actor("system", client.token)

    def image(
        self,
        author: Client,
        name: str,
        *,
        is_public: bool = True,
        visibility: Visibility | None = None,
        description: str | None = None,
        tags: tuple[str, ...] = (),
        end_at: Instant | None = None,
        namespace: str = "",
    ) -> int:
        """The id of a new image without a version; public outside namespaces unless said otherwise."""
        shown = visibility or (Visibility.PUBLIC if is_public and not namespace else Visibility.PRIVATE)
        new = NewMachine(name, namespace=namespace, description=description, visibility=shown, end_at=end_at)
        image_id = self.archive.registration.create(self.actor(author), new)
        with self.archive.database.write() as transaction:
            records.tag(transaction, image_id, [records.ensure_tag(transaction, tag, 0)[0] for tag in tags])
        return image_id

    def tag(self, name: str, description: str = "a tag") -> int:
        """The id of a new tag."""
        keeper = self.user("keeper", is_staff=True)
        return self.archive.tags.create(self.actor(keeper), name, description).id


def stamp(instant: Instant) -> str:
    """An instant as a client writes it."""
    return to_datetime(instant).isoformat()


@pytest.fixture
def archive(backend: Backend, clock: MovableClock, tmp_path: Path) -> Iterator[Archive]:
    archive = assemble(backend.database, backend.store, journal_directory=tmp_path / "journals", clock=clock)
    yield archive
    archive.close()


@pytest.fixture
def world(archive: Archive, tmp_path: Path) -> Iterator[World]:
    bridge = Bridge(archive.database.is_local)
    context = ApiContext(archive, bridge, Origins(), MAX_JSON_BYTES, UTC, tmp_path, (LAB,))
    mount = Mount(
        API.create(context),
        API.default_path,
        None,
        API.name,
        loose_slashes=API.has_loose_slashes,
        parts=API.parts,
    )
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
def staff(world: World) -> Client:
    return world.user("sam", is_staff=True)


@pytest.fixture
def nobody(world: World) -> Client:
    return world.stranger()
