"""Djinn contract, sections 8 and 9: the content of an image, and its end."""

import hashlib
from email.utils import format_datetime
from typing import Any

import pytest

from pinakes.apis.djinn.negotiation import content_type
from pinakes.core import audit
from pinakes.core.clock import HOUR, SECOND, to_datetime
from tests.conftest import MovableClock
from tests.contracts.djinn.conftest import QCOW2, Client, World, share

BODY = QCOW2 + bytes(range(256)) * 2000
OCTETS = "application/octet-stream"
QEMU = "application/x-qemu-disk"


@pytest.fixture
def image(ana: Client) -> dict[str, Any]:
    made: dict[str, Any] = ana.upload("alpine", content=BODY)
    return made


def path(image: dict[str, Any]) -> str:
    return f"/images/{image['id']}"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", None),
        ("*/*", None),
        ("application/*", None),
        ("application/json", None),
        ("text/html,application/xhtml+xml,*/*;q=0.8", None),
        (OCTETS, OCTETS),
        (QEMU, QEMU),
        ("APPLICATION/Octet-Stream", OCTETS),
        (f"{OCTETS}; charset=binary", OCTETS),
        (f"{OCTETS};q=0.5, */*", OCTETS),
        (f"application/json, {OCTETS}", OCTETS),
        (f"application/json, {OCTETS};q=0.9", None),
        (f"application/json;q=0.1, {QEMU} ; q=0.2", QEMU),
        (f"application/json;Q=0.1, {QEMU} ; Q=0.2", QEMU),
        (f"{OCTETS};q=0", None),
        (f"{OCTETS};q=0, {QEMU};q=0.1", QEMU),
        (f"{OCTETS};q=0.3, {QEMU};q=0.7", QEMU),
        (f"{OCTETS};q=many", OCTETS),
        (f"{OCTETS};q=nan", None),
        ("application/octet-streams", None),
        (",;,", None),
    ],
)
def test_8_1_content_is_given_to_who_names_its_type(accept: str, expected: str | None) -> None:
    assert content_type(accept) == expected


@pytest.mark.parametrize("media_type", [OCTETS, QEMU])
def test_8_2_the_content_is_as_it_was_sent(ana: Client, image: dict[str, Any], media_type: str) -> None:
    answer = ana.get(path(image), headers={"Accept": media_type, "Accept-Encoding": "gzip, br"})
    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-length"] == str(len(BODY))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["etag"] == f'"{hashlib.sha256(BODY).hexdigest()}"'
    assert "content-encoding" not in answer.headers
    assert "public" not in answer.headers["cache-control"]


def test_8_2_last_modified_is_when_it_was_made(ana: Client, image: dict[str, Any], clock: MovableClock) -> None:
    answer = ana.get(path(image), headers={"Accept": OCTETS})
    assert answer.headers["last-modified"] == format_datetime(to_datetime(clock.now), usegmt=True)


@pytest.mark.parametrize("headers", [{}, {"Accept": OCTETS}, {"Accept": OCTETS, "Range": "bytes=0-9"}])
def test_8_4_head_has_the_headers_of_the_whole(ana: Client, image: dict[str, Any], headers: dict[str, str]) -> None:
    whole = ana.get(path(image), headers={name: text for name, text in headers.items() if name != "Range"})
    head = ana.request("HEAD", path(image), headers=headers)
    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.headers) == dict(whole.headers)


RANGES: list[tuple[str, int, int | None]] = [
    ("bytes=0-0", 0, 0),
    ("bytes=10-99", 10, 99),
    ("bytes=500000-", 500000, None),
    ("bytes=-5", -5, None),
    ("bytes=0-99999999999999999999999", 0, None),
    ("Bytes= 3-7", 3, 7),
]


def test_8_3_a_range_of_it(ana: Client, image: dict[str, Any]) -> None:
    for wanted, first, last in RANGES:
        answer = ana.get(path(image), headers={"Accept": OCTETS, "Range": wanted})
        start = first % len(BODY)
        end = len(BODY) - 1 if last is None else last
        assert (answer.status_code, answer.content) == (206, BODY[start : end + 1])
        assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(BODY)}"
        assert answer.headers["content-length"] == str(end + 1 - start)


BEYOND: list[str] = [f"bytes={len(BODY)}-", f"bytes={len(BODY) + 5}-{len(BODY) + 9}", "bytes=-0"]


def test_8_3_a_range_beyond_its_end(ana: Client, image: dict[str, Any]) -> None:
    for wanted in BEYOND:
        answer = ana.get(path(image), headers={"Accept": OCTETS, "Range": wanted})
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{len(BODY)}"
        assert list(answer.json()) == ["message"]


NO_RANGES: list[str] = ["bytes=0-1,4-5", "bytes=a-b", "bytes=5-2", "lines=0-1", "bytes", "bytes=-", ""]


def test_8_3_what_is_no_single_range_gives_the_whole(ana: Client, image: dict[str, Any]) -> None:
    for wanted in NO_RANGES:
        answer = ana.get(path(image), headers={"Accept": OCTETS, "Range": wanted})
        assert (answer.status_code, len(answer.content)) == (200, len(BODY))


def test_8_3_conditions(ana: Client, image: dict[str, Any], clock: MovableClock) -> None:
    whole = ana.get(path(image), headers={"Accept": OCTETS})
    etag, modified = whole.headers["etag"], whole.headers["last-modified"]
    earlier = format_datetime(to_datetime(clock.now - HOUR), usegmt=True)

    def status(**headers: str) -> int:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = ana.get(path(image), headers={"Accept": OCTETS, **fields})
        if answer.status_code == 304:
            assert answer.content == b""
            assert (answer.headers["etag"], answer.headers["vary"]) == (etag, "Accept")
        return answer.status_code

    assert status(If_None_Match=etag) == status(If_None_Match=f'"other", W/{etag}') == status(If_None_Match="*") == 304
    assert status(If_None_Match='"other"') == 200
    assert status(If_Modified_Since=modified) == 304
    assert status(If_Modified_Since=earlier) == status(If_Modified_Since="yesterday") == 200
    assert status(If_None_Match='"other"', If_Modified_Since=modified) == 200
    assert status(If_Range=etag, Range="bytes=0-3") == status(If_Range=modified, Range="bytes=0-3") == 206
    assert status(If_Range='"other"', Range="bytes=0-3") == status(If_Range=earlier, Range="bytes=0-3") == 200
    assert status(If_Match='"other"') == status(If_Unmodified_Since=earlier) == 412


def test_8_3_a_range_of_the_json_is_all_of_it(ana: Client, image: dict[str, Any]) -> None:
    for headers in ({"Range": "bytes=0-1"}, {"If-None-Match": "*"}):
        answer = ana.get(path(image), headers=headers)
        assert (answer.status_code, answer.json()) == (200, image)
        assert answer.headers["vary"] == "Accept"


def test_each_read_of_the_content_is_on_the_trail(world: World, ana: Client, image: dict[str, Any]) -> None:
    headers = {"Accept": OCTETS}
    etag = ana.get(path(image), headers=headers).headers["etag"]
    ana.get(path(image), headers={**headers, "Range": "bytes=0-3"})
    for more in ({"Accept": "*/*"}, {**headers, "If-None-Match": etag}, {**headers, "Range": "bytes=9999999-"}):
        ana.get(path(image), headers=more)
    ana.request("HEAD", path(image), headers=headers)
    world.archive.trail.flush()
    with world.archive.database.read() as connection:
        actions = [(event.action, event.api) for event in audit.of_image(connection, image["id"])]
    assert actions == [("image:create", "djinn"), ("content:read", "djinn"), ("content:read", "djinn")]


def test_content_whose_bytes_are_lost_is_a_fault_that_tells_nothing(world: World, ana: Client) -> None:
    image = ana.upload("alpine")
    for stored in list(world.archive.store.list()):
        world.archive.store.delete(stored.key)
    answer = ana.get(path(image), headers={"Accept": OCTETS})
    assert (answer.status_code, answer.json()) == (500, {"message": "Internal Server Error"})


def test_an_ended_image_is_its_authors_alone(world: World, ana: Client, ben: Client, clock: MovableClock) -> None:
    ana.post("/namespaces", json={"name": "abc", "visibility": "public"})
    image = ana.upload("alpine", "abc")
    with world.archive.database.write() as transaction:
        from pinakes.core.db.schema import images

        transaction.execute(images.update().values(end_at=clock.now + SECOND))
    assert ben.get(path(image)).status_code == 200
    clock.advance(SECOND)
    assert ben.get(path(image)).status_code == 404
    assert ana.get(path(image)).status_code == 200
    assert ana.get("/images").json() == ana.get("/n/ana/abc/-/images").json() == []


# -- Delete -------------------------------------------------------------------------------------------------------


def test_9_a_deleted_image_is_gone_and_its_name_free(world: World, ana: Client, image: dict[str, Any]) -> None:
    answer = ana.delete(path(image))
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    for call in (ana.get, ana.delete):
        assert call(path(image)).status_code == 404
    assert ana.get("/images").json() == []
    assert not list(world.archive.store.list())
    assert ana.upload("alpine")["id"] > image["id"]


def test_9_the_people_of_a_namespace_delete_in_it(world: World, ana: Client, ben: Client) -> None:
    ana.post("/namespaces", json={"name": "abc"})
    first, second = ana.upload("first", "abc"), ana.upload("second", "abc/sub")
    assert ben.delete(path(first)).status_code == 404
    share(ana, "/n/ana/abc", ben, "ben")
    bens = ben.upload("third", "abc@ana")
    assert ben.delete(path(first)).status_code == ben.delete(path(second)).status_code == 204
    assert ana.delete(path(bens)).status_code == 204


def test_9_of_many_deletes_at_once_one_succeeds(ana: Client, image: dict[str, Any]) -> None:
    answers = ana.at_once([("DELETE", path(image), {})] * 8)
    assert sorted(answer.status_code for answer in answers) == [204, *[404] * 7]
