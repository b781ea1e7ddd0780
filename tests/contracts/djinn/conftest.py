"""Djinn CI's API in this process, under its prefix, over both backends; and clients that talk to it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pinakes.apis.djinn import API
from pinakes.core.archive import Archive
from tests.contracts.serving import ORIGIN as ORIGIN
from tests.contracts.serving import ApiClient, ApiWorld, serving

BASE = f"{ORIGIN}/djinn"
MAX_JSON_BYTES = 64 * 1024
MAX_UPLOAD_BYTES = 4 * 1024 * 1024
QCOW2 = b"QFI\xfb"


class Client(ApiClient):
    base = BASE

    def upload(
        self, name: str, namespace: str = "", content: bytes | AsyncIterator[bytes] = QCOW2, **options: Any
    ) -> Any:
        """Make an image; its JSON."""
        params = {"name": name, "namespace": namespace}
        answer = self.post("/images", params=params, content=content, **options)
        assert answer.status_code == 201, answer.text
        return answer.json()


class World(ApiWorld[Client]):
    def client(self, token: str | None, _name: str, /) -> Client:
        return Client(self.app, self.loop, token)


@pytest.fixture
def archive_options() -> dict[str, Any]:
    return {"max_upload_bytes": MAX_UPLOAD_BYTES}


@pytest.fixture
def world(archive: Archive, tmp_path: Path) -> Iterator[World]:
    with serving(API, archive, tmp_path, host="ci.example", max_json_bytes=MAX_JSON_BYTES) as (app, loop):
        yield World(archive, app, loop)


def share(owner: Client, place: str, other: Client, handle: str) -> None:
    """Make a user a collaborator. place: `/n/owner/path`."""
    invite = owner.post(f"{place}/-/invites", json={"handle": handle})
    assert invite.status_code == 201, invite.text
    assert other.patch(f"/invites/{invite.json()['id']}").status_code == 200


def rest_of(answer: httpx.Response) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """All of an answer that can be compared."""
    return answer.status_code, answer.content, answer.headers.raw
