"""Atmosphere's API in this process, at the root, over both backends; clients that talk to it, and images to ask for."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pinakes.apis.atmosphere import API
from pinakes.core.actor import Actor, Visibility
from pinakes.core.archive import Archive
from pinakes.core.catalogue import records
from pinakes.core.catalogue.machines import NewMachine
from pinakes.core.clock import Instant, to_datetime
from tests.contracts.serving import ORIGIN as ORIGIN
from tests.contracts.serving import ApiClient, ApiWorld, serving

BASE = f"{ORIGIN}/api/v2"
LAB = "https://lab.example"
MAX_JSON_BYTES = 64 * 1024 * 1024
NO_CREDENTIALS = {"detail": "Authentication credentials were not provided."}
NO_PERMISSION = {"detail": "You do not have permission to perform this action."}
NOT_FOUND = {"detail": "Not found."}
INVALID_PAGE = {"detail": "Invalid page."}


@dataclass(frozen=True, slots=True)
class Client(ApiClient):
    base = BASE
    scheme = "TOKEN"

    name: str = ""

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


class World(ApiWorld[Client]):
    def client(self, token: str | None, name: str, /) -> Client:
        return Client(self.app, self.loop, token, name=name)

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
def world(archive: Archive, tmp_path: Path) -> Iterator[World]:
    with serving(API, archive, tmp_path, max_json_bytes=MAX_JSON_BYTES, allowed_origins=(LAB,)) as (app, loop):
        yield World(archive, app, loop)


@pytest.fixture
def staff(world: World) -> Client:
    return world.user("sam", is_staff=True)
