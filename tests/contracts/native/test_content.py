"""The content of a version: sent once, whole and checked; handed out whole or in ranges (atmosphere contract 11.3)."""

import base64
import hashlib
import io
import struct
import tarfile
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from pinakes.imaging import formats
from tests.contracts.native.conftest import MAX_UPLOAD_BYTES, QCOW2, Client, World, content_path, sha256
from tests.web.asgi import GONE, body, call, http_scope


def _ova() -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("appliance.OVF")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"<xml>"))
    return written.getvalue()


def _at(offset: int, mark: bytes, size: int = 40 * 1024) -> bytes:
    return bytes(offset) + mark + bytes(size - offset - len(mark))


FORMATS = {
    "qcow2": QCOW2,
    "vmdk": b"KDMV\x01\0\0\0" + bytes(600),
    "vhdx": b"vhdxfile" + bytes(600),
    "vdi": _at(64, b"\x7f\x10\xda\xbe"),
    "iso": _at(32769, b"CD001"),
    "ova": _ova(),
    "raw": _at(510, b"\x55\xaa"),
    "unknown": bytes(1000),
}


def _repr_digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_told_by_their_bytes(lasting_ana: Client, name: str) -> None:
    version = lasting_ana.filled(lasting_ana.image()["id"], FORMATS[name])
    content = FORMATS[name]
    assert version["content"] == {"format": name, "size_bytes": len(content), "sha256": sha256(content)}


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (_at(512, b"EFI PART"), "raw"),
        (_at(510, b"\x55\xaa", 32769) + b"CD001", "iso"),
        (bytes(257) + b"ustar" + bytes(1000), "tar"),
        (b"COWD" + bytes(600), "vmdk"),
        (b"# Disk DescriptorFile\nversion=1\n", "vmdk"),
        (struct.pack(">4sI", b"QFI\xfb", 3), "qcow2"),
    ],
)
def test_look_alikes_are_told_apart(content: bytes, name: str) -> None:
    assert formats.sniff(content[: formats.HEAD_BYTES]) == name


@given(st.binary(max_size=600))
def test_any_bytes_have_a_format_or_none(content: bytes) -> None:
    assert formats.sniff(content)
    assert formats.sniff(b"QFI\xfb" + content[:100]) == "qcow2"


def test_content_comes_out_as_it_went_in(ana: Client, nobody: Client) -> None:
    content = QCOW2 + bytes(range(256)) * 5000
    image = ana.image("Deb/ian", is_public=True)
    version = ana.filled(image["id"], content)
    answer = nobody.get(content_path(version))
    assert answer.content == content
    assert answer.headers["content-length"] == str(len(content))
    assert answer.headers["repr-digest"] == _repr_digest(content)
    assert answer.headers["etag"] == f'"{sha256(content)}"'
    assert answer.headers["content-disposition"] == f'attachment; filename="{image["id"]}-1.0.qcow2"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"


def test_ranges_and_conditions_are_obeyed(ana: Client) -> None:
    version = ana.filled(ana.image()["id"], QCOW2)
    path = content_path(version)
    part = ana.get(path, headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"QFI\xfb")
    assert part.headers["content-range"] == f"bytes 0-3/{len(QCOW2)}"
    beyond = ana.get(path, headers={"Range": "bytes=64-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(QCOW2)}")
    assert beyond.headers["content-type"] == "application/problem+json"
    etag = part.headers["etag"]
    assert ana.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert ana.get(path, headers={"If-Match": '"other"'}).status_code == 412
    head = ana.request("HEAD", path, headers={"Range": "bytes=0-3"})
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(QCOW2)))


def test_a_download_is_in_the_trail_and_a_head_is_not(world: World, ana: Client) -> None:
    """DESIGN rule 11."""
    from pinakes.core import audit

    version = ana.filled(ana.image()["id"])
    ana.request("HEAD", content_path(version))
    ana.get(content_path(version))
    world.archive.trail.flush()
    with world.archive.database.read() as connection:
        read = [event for event in audit.of_image(connection, version["image_id"]) if event.action == "content:read"]
    assert len(read) == 1
    assert read[0].api == "native"


@pytest.mark.parametrize(
    "headers",
    [
        {"Repr-Digest": _repr_digest(QCOW2)},
        {"Content-Digest": f"md5=:AAAA:, {_repr_digest(QCOW2)}"},
        {"X-Checksum-Sha256": sha256(QCOW2).upper()},
        {"X-Checksum-Sha256": sha256(QCOW2), "Repr-Digest": _repr_digest(QCOW2)},
        {"Repr-Digest": "sha-512=:AAAA:"},
    ],
)
def test_a_checksum_that_holds_is_taken(lasting_ana: Client, headers: dict[str, str]) -> None:
    version = lasting_ana.version(lasting_ana.image()["id"])
    assert lasting_ana.put(content_path(version), content=QCOW2, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"Repr-Digest": _repr_digest(b"other")}, "digest-mismatch"),
        ({"X-Checksum-Sha256": sha256(b"other")}, "digest-mismatch"),
        ({"X-Checksum-Sha256": sha256(b"other"), "Repr-Digest": _repr_digest(QCOW2)}, "invalid"),
        ({"X-Checksum-Sha256": "beef"}, "invalid"),
        ({"Repr-Digest": "sha-256=:AAAA:"}, "invalid"),
        ({"Repr-Digest": "sha-256=:" + "A" * 45 + ":"}, "invalid"),
        ({"Repr-Digest": "nonsense"}, "invalid"),
        ({"Content-Encoding": "gzip"}, "body-unsupported"),
        ({"Content-Range": "bytes 0-3/4"}, "invalid"),
    ],
)
def test_what_is_not_as_announced_leaves_nothing(
    lasting_world: World, lasting_ana: Client, headers: dict[str, str], problem: str
) -> None:
    """Contract 11.3: checksum verified."""
    before = lasting_world.stored_keys()
    version = lasting_ana.version(lasting_ana.image()["id"])
    answer = lasting_ana.put(content_path(version), content=QCOW2, headers=headers)
    assert answer.json()["type"].rpartition("/")[2] == problem
    assert answer.status_code in {400, 415}
    assert lasting_world.stored_keys() == before
    assert lasting_ana.put(content_path(version), content=QCOW2).status_code == 200


def test_content_is_sent_once(world: World, ana: Client) -> None:
    """Contract 11.3: immutable once committed."""
    version = ana.filled(ana.image()["id"])
    before = world.stored_keys()
    again = ana.put(content_path(version), content=b"other")
    assert (again.status_code, again.json()["type"].rpartition("/")[2]) == (409, "content-exists")
    assert ana.get(content_path(version)).content == QCOW2
    assert world.stored_keys() == before


def test_of_contents_sent_at_once_exactly_one_is_kept_and_no_byte_of_the_others(world: World, ana: Client) -> None:
    version = ana.version(ana.image()["id"])
    contents = [QCOW2 + bytes([number]) * 300_000 for number in range(4)]
    answers = ana.at_once([("PUT", content_path(version), {"content": content}) for content in contents])
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, 409, 409, 409]
    assert ana.get(content_path(version)).content in contents
    assert len(world.stored_keys()) == 1


def test_a_transfer_that_breaks_off_leaves_nothing(world: World, ana: Client) -> None:
    version = ana.version(ana.image()["id"])
    headers = [("Authorization", f"Bearer {ana.token}"), ("Transfer-Encoding", "chunked")]
    scope = http_scope("PUT", f"/pinakes/v1{content_path(version)}", headers)
    broken = call(world.app, scope, [*body(QCOW2)[:-1], GONE])
    assert broken.status == 400
    short = ana.put(content_path(version), content=QCOW2, headers={"Content-Length": "1000"})
    assert (short.status_code, short.json()["type"].rpartition("/")[2]) == (400, "upload-broken")
    assert world.stored_keys() == set()
    assert ana.get(content_path(version)).json()["type"].rpartition("/")[2] == "content-pending"


def test_too_much_or_nothing_is_refused_and_leaves_nothing(world: World, ana: Client) -> None:
    version = ana.version(ana.image()["id"])

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(6):
            yield bytes(1024 * 1024)

    announced = ana.put(content_path(version), content=b"", headers={"Content-Length": str(MAX_UPLOAD_BYTES + 1)})
    assert announced.status_code == 413
    assert ana.put(content_path(version), content=endless()).status_code == 413
    assert ana.put(content_path(version), content=b"").status_code == 400
    assert world.stored_keys() == set()


def test_who_may_not_send_is_told_before_a_byte_is_read(world: World, ana: Client, ben: Client, nobody: Client) -> None:
    """So that a client that sends `Expect: 100-continue` keeps its bytes."""
    version = ana.version(ana.image(is_public=True)["id"])

    path = content_path(version)
    limited = world.user("ana", scope="image:read")
    for client, status in ((ben, 403), (nobody, 401), (limited, 403)):
        client.get(path)  # puts the application together, in the clients' loop
        happened: list[object] = []

        async def receive(seen: list[object] = happened) -> Message:
            seen.append("asked for the body")
            return body(QCOW2)[-1]

        async def send(message: Message, seen: list[object] = happened) -> None:
            seen.append(message.get("status", "more"))

        shown = [("Authorization", f"Bearer {client.token}")] if client.token else []
        headers = [*shown, ("Content-Length", "64"), ("Expect", "100-continue")]
        world.loop.run_until_complete(world.app(http_scope("PUT", f"/pinakes/v1{path}", headers), receive, send))
        assert happened[0] == status


def test_a_waiting_djinn_name_takes_a_qcow2_only(world: World, ana: Client) -> None:
    """What Djinn CI shows is always a qcow2 (djinn contract, section 3)."""
    image = ana.image("named", ci_name="base")
    version = ana.version(image["id"])
    refused = ana.put(content_path(version), content=FORMATS["iso"])
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (415, "format-unsupported")
    assert world.stored_keys() == set()
    assert ana.put(content_path(version), content=QCOW2).status_code == 200
    assert ana.filled(image["id"], FORMATS["iso"])["content"]["format"] == "iso"
    actor = world.archive.credentials.actor("djinn", ana.token or "")
    shown = world.archive.machines.get(actor, image["id"])
    assert shown.version is not None
    assert shown.version.id == version["id"]


def test_the_same_bytes_twice_are_kept_once_and_live_as_long_as_either(world: World, ana: Client) -> None:
    first, second = ana.image("one"), ana.image("two")
    ana.filled(first["id"])
    version = ana.filled(second["id"])
    assert len(world.stored_keys()) == 1
    ana.post(f"/vm-images/{first['id']}/purge")
    assert ana.get(content_path(version)).content == QCOW2
    ana.post(f"/vm-images/{second['id']}/purge")
    assert world.stored_keys() == set()
