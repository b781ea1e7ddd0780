"""Djinn contract, section 5: POST /images, and section 7 as far as it is to be refused for now."""

import json
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from pinakes.core.archive import Archive
from pinakes.core.db.schema import blobs, djinn_names, images, namespaces
from pinakes.demo.qcow2 import CLUSTER_BYTES, write_qcow2
from tests.contracts.djinn.conftest import MAX_JSON_BYTES, MAX_UPLOAD_BYTES, QCOW2, Client, World, share

REQUIRED = {"name": ["Name field required"], "file": ["File field required"]}
CURL = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
BAD_NAME = ["Name can only contain letters, numbers, dashes and underscores"]
OCTETS = {"Accept": "application/octet-stream"}


def errors(answer: httpx.Response) -> dict[str, list[str]]:
    """What a 400 says, found to be an object of lists of texts."""
    assert answer.status_code == 400, answer.text
    found: dict[str, list[str]] = answer.json()
    assert found
    assert all(texts and all(isinstance(text, str) and text for text in texts) for texts in found.values())
    return found


def is_untouched(archive: Archive) -> bool:
    """Whether there is no image, no name, no namespace, and nothing in the store."""
    with archive.database.read() as connection:
        rows = [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (images, djinn_names, blobs, namespaces)
        ]
    return not any(rows) and not list(archive.store.list())


def content_of(client: Client, image: Mapping[str, Any]) -> bytes:
    return client.get(f"/images/{image['id']}", headers=OCTETS).content


# -- The three readings of a body ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "application/x-qemu-disk", "application/octet-stream", "text/json", "", "x"],
)
def test_5_1_any_other_body_is_the_file_itself(ana: Client, content_type: str) -> None:
    body = QCOW2 + b"&name=other&_method=DELETE&namespace=x\r\n\0" + bytes(range(256)) * 300
    image = ana.upload("alpine", content=body, headers={"Content-Type": content_type} if content_type else {})
    assert (image["name"], image["namespace_id"]) == ("alpine", None)
    assert content_of(ana, image) == body


def test_5_1_a_body_may_come_in_pieces_without_a_length(ana: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"Q", b"FI", b"\xfb", b"", b"x" * 70_000):
            yield piece

    image = ana.upload("alpine", content=pieces())
    assert content_of(ana, image) == QCOW2 + b"x" * 70_000


@pytest.mark.parametrize("place", ["form", "query", "both"])
def test_5_a_form_has_the_file_and_the_parameters_there_or_in_the_query(ana: Client, place: str) -> None:
    fields = {"name": "alpine", "namespace": "abc"}
    body = QCOW2 + bytes(range(256)) * 1000
    query = fields if place == "query" else {"name": "wrong name", "namespace": "//"} if place == "both" else {}
    data = {} if place == "query" else fields
    answer = ana.post("/images", params=query, data=data, files={"file": ("../../x.qcow2", body)})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["name"], answer.json()["namespace"]["path"]) == ("alpine", "abc")
    assert content_of(ana, answer.json()) == body


@pytest.mark.parametrize("is_file_first", [True, False])
@pytest.mark.parametrize("disposition", ['name="file"', 'name="file"; filename="x"', 'name=file; filename=""'])
def test_5_the_parts_of_a_form_may_come_in_any_order(ana: Client, is_file_first: bool, disposition: str) -> None:
    file = f"--B\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + QCOW2 + b"disk\r\n"
    name = b'--B\r\nContent-Disposition: form-data; name="name"\r\n\r\nalpine\r\n'
    body = (file + name if is_file_first else name + file) + b"--B--\r\n"
    answer = ana.post("/images", content=body, headers={"Content-Type": "Multipart/Form-Data; boundary=B"})
    assert answer.status_code == 201, answer.text
    assert content_of(ana, answer.json()) == QCOW2 + b"disk"


BROKEN_FORMS: list[tuple[bytes, str]] = [
    (b"", "body"),
    (b"no form at all", "body"),
    (b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\nQFI\xfb', "body"),
    (
        b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\nQFI\xfb\r\n--B\r\n'
        b'Content-Disposition: form-data; name="file"\r\n\r\nQFI\xfb\r\n--B--\r\n',
        "file",
    ),
    (b'--B\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\r\n--B--\r\n', "body"),
    (b'--B\r\nContent-Disposition: form-data; name="name"\r\n\r\n' + b"x" * 70_000 + b"\r\n--B--\r\n", "body"),
    (b'--B\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' * 80 + b"--B--\r\n", "body"),
]


def test_5_a_broken_form_is_refused(world: World, ana: Client) -> None:
    for body, key in BROKEN_FORMS:
        headers = {"Content-Type": "multipart/form-data; boundary=B"}
        assert set(errors(ana.post("/images?name=alpine", content=body, headers=headers))) == {key}
        assert is_untouched(world.archive)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "B" * 80])
def test_5_a_form_without_a_usable_boundary_is_refused(ana: Client, content_type: str) -> None:
    answer = ana.post("/images?name=x", content=b"--B--", headers={"Content-Type": content_type})
    assert set(errors(answer)) == {"body"}


# -- curl -d ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [QCOW2, QCOW2 + b"\0\0\0\3" + b"x" * 15, QCOW2 + b"abcd" + b"x" * 100])
def test_5_2_a_file_that_curl_d_damaged_is_kept_with_a_warning(ana: Client, body: bytes) -> None:
    answer = ana.post("/images?name=damaged", content=body, headers=CURL)
    assert answer.status_code == 201
    assert answer.headers["warning"].startswith('299 - "')
    assert "--data-binary" in answer.headers["warning"]
    assert content_of(ana, answer.json()) == body
    assert "warning" not in ana.post("/images?name=sound", content=body).headers


@pytest.mark.parametrize("version", [1, 2, 3])
def test_5_2_a_sound_header_gives_no_warning(ana: Client, version: int) -> None:
    body = QCOW2 + version.to_bytes(4, "big") + bytes(16)
    assert "warning" not in ana.post("/images?name=sound", content=body, headers=CURL).headers


# -- Size ---------------------------------------------------------------------------------------------------------


def test_5_5_more_than_the_limit_is_too_large(world: World, ana: Client) -> None:
    body = QCOW2 + bytes(MAX_UPLOAD_BYTES)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    for answer in (
        ana.post("/images?name=announced", content=body),
        ana.post("/images?name=chunked", content=pieces()),
        ana.post("/images", data={"name": "form"}, files={"file": body}),
    ):
        assert answer.status_code == 413
        assert set(answer.json()) == {"file"}
        assert all(isinstance(text, str) for text in answer.json()["file"])
    assert is_untouched(world.archive)
    assert ana.post("/images?name=x", content=body, headers={"Content-Length": "9" * 25}).status_code in {400, 413}
    assert ana.upload("most", content=body[:MAX_UPLOAD_BYTES])["name"] == "most"
    answer = ana.post("/images", data={"name": "form"}, files={"file": body[:MAX_UPLOAD_BYTES]})
    assert answer.status_code == 201


# -- All or nothing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("announced", [len(QCOW2) + 100, len(QCOW2) - 1])
def test_5_6_a_body_that_is_not_as_long_as_announced_leaves_nothing(world: World, ana: Client, announced: int) -> None:
    answer = ana.post("/images?name=alpine&namespace=abc", content=QCOW2, headers={"Content-Length": str(announced)})
    assert set(errors(answer)) == {"body"}
    assert is_untouched(world.archive)


# -- Parameters and their texts -----------------------------------------------------------------------------------


WRONG_PARAMETERS: list[tuple[dict[str, str], dict[str, list[str]]]] = [
    ({}, {"name": ["Name field required"]}),
    ({"name": ""}, {"name": ["Name field required"]}),
    ({"name": "a b"}, {"name": BAD_NAME}),
    ({"name": "a.b"}, {"name": BAD_NAME}),
    ({"name": "a/b"}, {"name": BAD_NAME}),
    ({"name": "ä"}, {"name": BAD_NAME}),
    ({"name": "a\n"}, {"name": BAD_NAME}),
    ({"name": "a\0"}, {"name": BAD_NAME}),
    ({"name": "٣"}, {"name": BAD_NAME}),
    ({"name": "x" * 256}, {"name": ["Name must have at most 255 characters"]}),
    ({"name": "a", "namespace": "nobody@nobody"}, {"namespace": ["Namespace permission denied"]}),
    ({"name": "a b", "namespace": "abc@ben"}, {"namespace": ["Namespace permission denied"]}),
]


def test_5_7_each_wrong_parameter_is_told(world: World, ana: Client, ben: Client) -> None:
    for params, expected in WRONG_PARAMETERS:
        assert errors(ana.post("/images", params=params, content=QCOW2)) == expected
        assert errors(ana.post("/images", data=params, files={"file": QCOW2})) == expected
        closed = "namespace" in expected
        assert errors(ana.post("/images", json=params)) == (
            expected if closed else {**expected, "file": REQUIRED["file"]}
        )
        assert is_untouched(world.archive)


MALFORMED_PATHS: list[str] = ["a b", "/", "a//b", "a/", "@ana", "a@", "a-b", "ü", "a\0", "/".join("a" * 21)]


def test_6_a_malformed_namespace_is_told_in_every_kind_of_body(world: World, ana: Client) -> None:
    for namespace in MALFORMED_PATHS:
        params = {"name": "a b", "namespace": namespace}
        for answer in (
            ana.post("/images", params=params, content=QCOW2),
            ana.post("/images", data=params, files={"file": QCOW2}),
            ana.post("/images", json=params),
        ):
            found = errors(answer)
            assert found["name"] == BAD_NAME
            assert found["namespace"][0].startswith("Namespace ")
        assert is_untouched(world.archive)


def test_5_7_all_that_is_wrong_without_the_body_is_told_together(ana: Client) -> None:
    assert errors(ana.post("/images", json={})) == REQUIRED
    assert errors(ana.post("/images", content=b"", headers=JSON)) == REQUIRED
    assert errors(ana.post("/images")) == REQUIRED
    assert errors(ana.post("/images", content=b"", headers=CURL)) == REQUIRED
    assert errors(ana.post("/images", data={"name": "a b"}, files={"x": b"y"})) == {**REQUIRED, "name": BAD_NAME}
    assert errors(ana.post("/images?name=a%20b")) == {**REQUIRED, "name": BAD_NAME}
    assert errors(ana.post("/images", json={"name": "a b", "download_url": ""})) == {**REQUIRED, "name": BAD_NAME}
    assert errors(ana.post("/images?name=a", files={"file": b""})) == {"file": REQUIRED["file"]}


def test_5_7_an_empty_body_of_no_known_length_has_no_file(ana: Client) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    assert errors(ana.post("/images?name=alpine", content=nothing())) == {"file": REQUIRED["file"]}


OTHER_FORMATS: list[bytes] = [b"Q", b"QFI", b"QFI\0", b"\xfbIFQ", b"\x89PNG" + bytes(3_000_000), b"#!/bin/sh"]


def test_5_7_a_file_of_another_format_is_refused(world: World, ana: Client) -> None:
    for body in OTHER_FORMATS:
        expected = {"file": ["File not a valid QCOW2 file format"]}
        assert errors(ana.post("/images?name=a&namespace=abc", content=body)) == expected
        assert errors(ana.post("/images", data={"name": "a"}, files={"file": body})) == expected
        assert is_untouched(world.archive)


def test_5_7_four_bytes_are_enough_and_an_empty_namespace_is_none(ana: Client) -> None:
    image = ana.post("/images?name=tiny&namespace=", content=QCOW2).json()
    assert image["namespace_id"] is None
    assert content_of(ana, image) == QCOW2


def test_5_7_the_last_of_a_repeated_parameter_counts(ana: Client) -> None:
    assert ana.post("/images?name=a%20b&name=alpine", content=QCOW2).json()["name"] == "alpine"


BAD_JSON: list[tuple[bytes, str]] = [
    (b"{", "body"),
    (b"[]", "body"),
    (b"null", "body"),
    (b'"name"', "body"),
    (b"\xff", "body"),
    (b'{"name": "\xff"}', "body"),
    (b'{"name": "a",}', "body"),
    (b'{"name": NaN}', "body"),
    (b"[" * 5000, "body"),
    (b'{"name": ["a"]}', "name"),
    (b'{"name": 5}', "name"),
    (b'{"name": true}', "name"),
    (b'{"name": "a", "namespace": {}}', "namespace"),
    (b'{"name": "a", "download_url": 1e999}', "body"),
    (b'{"name": "a", "download_url": 7}', "download_url"),
    (b'{"name": "\\ud800"}', "body"),
    (b'{"name": "\\u0000"}', "name"),
    (b'{"name": ' + b"9" * 5000 + b"}", "body"),
]


def test_5_9_a_bad_json_body_is_told_in_the_same_shape(world: World, ana: Client) -> None:
    for body, key in BAD_JSON:
        assert key in errors(ana.post("/images", content=body, headers=JSON))
        assert is_untouched(world.archive)


def test_5_9_a_null_member_is_as_good_as_none(ana: Client) -> None:
    assert errors(ana.post("/images", json={"name": None, "namespace": None, "download_url": None})) == REQUIRED


def test_a_json_body_is_limited(ana: Client) -> None:
    body = json.dumps({"name": "x" * MAX_JSON_BYTES}).encode()
    answer = ana.post("/images", content=body, headers=JSON)
    assert (answer.status_code, set(answer.json())) == (413, {"body"})


# -- Names --------------------------------------------------------------------------------------------------------


def test_5_8_a_name_exists_once_outside_and_once_in_each_namespace(ana: Client, ben: Client) -> None:
    for namespace in ("djinn", "", "djinn/sub"):
        ana.upload("alpine", namespace)
        for answer in (
            ana.post("/images", params={"name": "alpine", "namespace": namespace}, content=QCOW2),
            ana.post("/images", data={"name": "alpine", "namespace": namespace}, files={"file": QCOW2}),
        ):
            assert errors(answer) == {"name": ["Name already exists"]}
    ana.upload("ALPINE")
    ben.upload("alpine")
    ben.upload("alpine", "djinn")


def test_5_8_of_50_creations_at_once_one_wins_and_nothing_else_is_left(world: World, ana: Client) -> None:
    requests = [
        ("POST", "/images?name=alpine&namespace=a/b", {"content": QCOW2 + number.to_bytes(2, "big")})
        for number in range(50)
    ]
    answers = world.stranger(ana.token).at_once(requests)
    won = [answer for answer in answers if answer.status_code == 201]
    assert len(won) == 1
    for answer in answers:
        if answer is not won[0]:
            assert errors(answer) == {"name": ["Name already exists"]}
    assert [image["id"] for image in ana.get("/images").json()] == [won[0].json()["id"]]
    assert [one["path"] for one in ana.get("/namespaces").json()] == ["a", "a/b"]
    assert len(list(world.archive.store.list())) == 1


def test_deleting_an_image_while_its_bytes_are_uploaded_again_keeps_the_new_one(world: World, ana: Client) -> None:
    body = QCOW2 + b"the same bytes" * 1000
    for number in range(6):
        old = ana.upload(f"old{number}", content=body)
        deleted, made = ana.at_once(
            [
                ("DELETE", f"/images/{old['id']}", {}),
                ("POST", f"/images?name=new{number}", {"content": body}),
            ]
        )
        assert (deleted.status_code, made.status_code) == (204, 201)
        assert content_of(ana, made.json()) == body
        assert ana.delete(f"/images/{made.json()['id']}").status_code == 204
    assert not list(world.archive.store.list())


# -- Real disks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", ["qemu-img", "pinakes"])
def test_a_real_disk_comes_back_byte_by_byte(ana: Client, tmp_path: Path, maker: str) -> None:
    disk = tmp_path / "disk.qcow2"
    if maker == "qemu-img":
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1G"], check=True)
    else:
        write_qcow2(disk, {0: b"boot sector", 5 * CLUSTER_BYTES: bytes(range(256)) * 16})
    image = ana.upload("disk", content=disk.read_bytes(), headers=CURL)
    (tmp_path / "back.qcow2").write_bytes(content_of(ana, image))
    assert (tmp_path / "back.qcow2").read_bytes() == disk.read_bytes()
    subprocess.run(["qemu-img", "check", "-q", tmp_path / "back.qcow2"], check=True)


def test_a_collaborator_uploads_into_what_is_shared(ana: Client, ben: Client) -> None:
    ana.post("/namespaces", json={"name": "djinn"})
    denied = {"namespace": ["Namespace permission denied"]}
    assert errors(ben.post("/images?name=alpine&namespace=djinn@ana", content=QCOW2)) == denied
    share(ana, "/n/ana/djinn", ben, "ben")
    assert ben.upload("alpine", "djinn@ana")["user"]["username"] == "ana"
    assert errors(ben.post("/images?name=alpine&namespace=djinn/new@ana", content=QCOW2)) == denied
