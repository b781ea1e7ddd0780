"""PathomIQ's API in this process, at the root, over both backends; and clients that talk to it."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from pinakes.apis.pathomiq import API
from pinakes.core.actor import Actor, Kind, Scope
from pinakes.core.archive import Archive, assemble
from pinakes.core.clock import Instant
from pinakes.core.slides.staging import Staged
from pinakes.imaging.formats import sniff
from pinakes.web.api import ApiContext
from pinakes.web.bridge import Bridge
from pinakes.web.mounts import Mount, Mounts
from pinakes.web.origin import Origins
from tests.conftest import Backend, MovableClock
from tests.core.namespaces.making import SYSTEM

ORIGIN = "http://archive.example:8000"
PAGE_ORIGIN = "https://lab.example"
MAX_JSON_BYTES = 64 * 1024
MAX_UPLOAD_BYTES = 4 * 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n" + b"invented pixels"
ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
"""For what is decided before anything is kept."""

NOBODYS_UID = "0123456789abcdef0123456789abcdef"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Client:
    """A client with a token; None for one without. Paths are below ORIGIN."""

    app: ASGIApp
    loop: asyncio.AbstractEventLoop
    user_id: int = 0
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

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def at_once(self, requests: Sequence[tuple[str, str, Mapping[str, Any]]]) -> list[httpx.Response]:
        """Send all of them at once; the core answers them in threads."""

        async def gather() -> list[httpx.Response]:
            return await asyncio.gather(*(self._request(method, path, more) for method, path, more in requests))

        return self.loop.run_until_complete(gather())

    def create(self, filename: str = "Test.png", **members: Any) -> Json:
        """Make an image; its JSON."""
        made: Json = answered(self.post("/Images", json={"filename": filename, **members}))
        return made

    def show(self, image: Json) -> Json:
        """An image as it is now."""
        shown: Json = answered(self.get(f"/Images/{image['image_unique_id']}"))
        return shown

    def log(self, image: Json, kind: str | None = None) -> list[str]:
        """The messages told of an image, all or those of one type."""
        lines = answered(self.get(f"/LogInfo/{image['image_unique_id']}"))
        return [line["message"] for line in lines if kind in (None, line["type"])]

    async def _request(self, method: str, path: str, options: Mapping[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= dict(self.headers) | dict(options.get("headers", {}))
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=True)
        url = path if path.startswith("http") else ORIGIN + path
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
        """A client for a user of the kind slide, or of the kinds named; made if need be."""
        if name not in {user.name for user in self.archive.users.list()}:
            chosen = kinds or (Kind.SLIDE,)
            self.archive.users.add(SYSTEM, name, f"{name}@example.org", None, chosen, is_staff=is_staff)
        parsed = None if scope is None else Scope.parse(scope)
        token = self.archive.credentials.create(SYSTEM, name, scope=parsed, expires_at=expires_at, label="")
        return Client(self.app, self.loop, self.archive.users.get(name).id, token)

    def stranger(self, token: str | None = None) -> Client:
        return Client(self.app, self.loop, 0, token)

    def stage(self, image: Json, content: bytes = PNG) -> None:
        """Have the bytes of an image come in, as its upload does."""
        with self.archive.content.receive(further=["md5"]) as upload:
            upload.write(content)
            received = upload.finish()
            staged = Staged(received.digest, len(content), sniff(content), received.further["md5"])
            self.archive.slide_uploads.stage(Actor("pathomiq"), image["image_unique_id"], upload, staged)

    def uploaded(self, client: Client, filename: str = "Test.png", content: bytes = PNG, **members: Any) -> Json:
        """An image whose bytes are committed; its JSON."""
        image = client.create(filename, **members)
        self.stage(image, content)
        committed: Json = answered(client.put(f"/Images/{image['id']}", json={"status": "Uploaded"}))
        return committed


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


@contextmanager
def world_of(archive: Archive, folder: Path) -> Iterator[World]:
    """The API over an archive, as long as the block lasts. folder: for temporary files."""
    bridge = Bridge(archive.database.is_local)
    context = ApiContext(archive, bridge, Origins(), MAX_JSON_BYTES, UTC, folder, (PAGE_ORIGIN,))
    mount = Mount(API.create(context), API.default_path, "slides.example", API.name, parts=API.parts)
    loop = asyncio.new_event_loop()
    yield World(archive, Mounts([mount]), loop)
    loop.close()
    bridge.close()


@pytest.fixture
def world(archive: Archive, tmp_path: Path) -> Iterator[World]:
    with world_of(archive, tmp_path) as world:
        yield world


@pytest.fixture
def ana(world: World) -> Client:
    return world.user("ana")


@pytest.fixture
def ben(world: World) -> Client:
    return world.user("ben")


@pytest.fixture
def staff(world: World) -> Client:
    return world.user("chief", is_staff=True)


@pytest.fixture
def nobody(world: World) -> Client:
    return world.stranger()


def answered(answer: httpx.Response) -> Any:
    """The JSON of an answer that says all went well."""
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int) -> Json:
    """The JSON of a refusal, in the shape that all of them have (contract D2)."""
    assert answer.status_code == status, answer.text
    body: Json = answer.json()
    assert body["success"] is False
    assert isinstance(body["status"], str)
    assert body["status"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    return body


def share(owner: Client, image: Json, *others: Client) -> Json:
    body = {"userid": [other.user_id for other in others], "imageid": image["image_unique_id"]}
    answer: Json = answered(owner.post("/Images/adduser", json=body))["image"]
    return answer


def in_threads(count: int, call: Any) -> list[Any]:
    """What `call(number)` gives or raises, for so many numbers at once."""

    def attempt(number: int) -> Any:
        try:
            return call(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(attempt, range(count)))
