"""The native API in this process, under its prefix, over both backends; and clients that talk to it."""

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pinakes.apis.native import API
from pinakes.core.archive import Archive, assemble
from pinakes.core.content.stores.memory import MemoryStore
from pinakes.core.db.engine import Database
from pinakes.web.api import Api
from tests.contracts.serving import ORIGIN as ORIGIN
from tests.contracts.serving import ApiClient, ApiWorld, serving
from tests.core.namespaces.making import SYSTEM as SYSTEM

BASE = f"{ORIGIN}/pinakes/v1"
MAX_JSON_BYTES = 256 * 1024
MAX_UPLOAD_BYTES = 4 * 1024 * 1024
QCOW2 = b"QFI\xfb\x00\x00\x00\x03" + bytes(56)


class Client(ApiClient):
    base = BASE

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


def content_path(version: Mapping[str, Any]) -> str:
    return f"/vm-images/{version['image_id']}/versions/{version['id']}/content"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class World(ApiWorld[Client]):
    def client(self, token: str | None, _name: str, /) -> Client:
        return Client(self.app, self.loop, token)

    def stored_keys(self) -> set[str]:
        """The keys of everything in the content store, finished or not."""
        return {stored.key for stored in self.archive.store.list()}


def make_world(archive: Archive, folder: Path, *neighbours: Api) -> Iterator[World]:
    """neighbours: other APIs over the same archive, each at its own path."""
    served = serving(API, archive, folder, host="own.example", max_json_bytes=MAX_JSON_BYTES, neighbours=neighbours)
    with served as (app, loop):
        yield World(archive, app, loop)


@pytest.fixture
def archive_options() -> dict[str, Any]:
    return {"max_upload_bytes": MAX_UPLOAD_BYTES}


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
def staff(world: World) -> Client:
    return world.user("sue", is_staff=True)
