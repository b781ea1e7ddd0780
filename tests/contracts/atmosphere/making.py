"""Versions with and without content, groups, and bodies of every wrong kind, for the tests of the companions."""

from collections.abc import Sequence
from typing import Any

import httpx

from pinakes.core.catalogue.registration import VersionDraft
from tests.contracts.atmosphere.conftest import NO_CREDENTIALS, Client, World

QCOW2 = b"QFI\xfb" + bytes(60)


def add_version(world: World, author: Client, image_id: int, name: str = "1.0", **facts: Any) -> int:
    """The id of a new version without content."""
    return world.archive.registration.add_version(world.actor(author), image_id, VersionDraft(name, **facts))


def fill(world: World, author: Client, image_id: int, version_id: int, content: bytes = QCOW2) -> None:
    with world.archive.content.receive() as upload:
        upload.write(content)
        upload.finish()
        world.archive.registration.fill(world.actor(author), image_id, version_id, upload)


def make_group(world: World, owner: Client, name: str, members: Sequence[str] = ()) -> int:
    return world.archive.groups.create(world.actor(owner), name, members).id


def rows(client: Client, path: str, **params: str | int) -> list[dict[str, Any]]:
    """What a list shows."""
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def only(client: Client, path: str, **params: str | int) -> dict[str, Any]:
    """The only row of a list."""
    (row,) = rows(client, path, **params)
    return row


def statuses(*answers: httpx.Response) -> list[int]:
    return [answer.status_code for answer in answers]


WRONG_KEYS: Sequence[str] = (
    "0",
    "-1",
    "abc",
    "9" * 5000,
    str(2**63),
    "1.0",
    "%00",
    "%ff",
    "%D9%A1",  # an Arabic-Indic one
    "00000000-0000-4000-8000-000000000000",
    "00000000-0000-4000-8000-00000000000g",
)
"""What names nothing (contract C8)."""

BROKEN_BODIES: Sequence[tuple[bytes, str, int]] = (
    (b"{", "application/json", 400),
    (b'{"name": "x",}', "application/json", 400),
    (b"[1]", "application/json", 400),
    (b'"text"', "application/json", 400),
    (b"\xff\xfe", "application/json", 400),
    (b'{"name": "\\ud800"}', "application/json", 400),
    (b'{"name":' * 20_000, "application/json", 400),
    (b"name=x", "text/plain", 415),
)
"""Bodies that no handler takes, and their statuses (contract X2 to X4)."""


def check_refusals(method: str, path: str, client: Client, nobody: Client) -> None:
    """What every call that takes a body refuses alike, and that each refusal is a JSON object (contract C5, X7)."""
    for content, media_type, status in BROKEN_BODIES:
        answer = client.request(method, path, content=content, headers={"Content-Type": media_type})
        assert (answer.status_code, isinstance(answer.json(), dict)) == (status, True), content[:20]
    anonymous = nobody.request(method, path, content=b"{", headers={"Content-Type": "application/json"})
    assert (anonymous.status_code, anonymous.json()) == (403, NO_CREDENTIALS)
