"""PathomIQ's API in this process, at the root, over both backends; and clients that talk to it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from pinakes.apis.pathomiq import API
from pinakes.core.actor import Actor, Kind
from pinakes.core.archive import Archive
from pinakes.core.slides.staging import Staged
from pinakes.imaging.formats import sniff
from tests.contracts.serving import ORIGIN as ORIGIN
from tests.contracts.serving import ApiClient, ApiWorld, serving

PAGE_ORIGIN = "https://lab.example"
MAX_JSON_BYTES = 64 * 1024
MAX_UPLOAD_BYTES = 4 * 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n" + b"invented pixels"
ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
"""For what is decided before anything is kept."""

NOBODYS_UID = "0123456789abcdef0123456789abcdef"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Client(ApiClient):
    """user_id: 0 for a stranger."""

    base = ORIGIN

    user_id: int = 0

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


class World(ApiWorld[Client]):
    kind = Kind.SLIDE

    def client(self, token: str | None, name: str, /) -> Client:
        return Client(self.app, self.loop, token, user_id=self.archive.users.get(name).id if name else 0)

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
def archive_options() -> dict[str, Any]:
    return {"max_upload_bytes": MAX_UPLOAD_BYTES}


@contextmanager
def world_of(archive: Archive, folder: Path) -> Iterator[World]:
    """The API over an archive, as long as the block lasts. folder: for temporary files."""
    served = serving(
        API,
        archive,
        folder,
        host="slides.example",
        max_json_bytes=MAX_JSON_BYTES,
        allowed_origins=(PAGE_ORIGIN,),
    )
    with served as (app, loop):
        yield World(archive, app, loop)


@pytest.fixture
def world(archive: Archive, tmp_path: Path) -> Iterator[World]:
    with world_of(archive, tmp_path) as world:
        yield world


@pytest.fixture
def staff(world: World) -> Client:
    return world.user("chief", is_staff=True)


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
