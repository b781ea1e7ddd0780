"""POST /images with a URL to fetch from (djinn contract, section 7; Go client: `download` and its times)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from pinakes.apis.djinn.representation import timestamp
from pinakes.core.actor import Actor
from pinakes.core.archive import assemble
from pinakes.core.clock import SECOND
from tests.conftest import Backend, MovableClock
from tests.contracts.djinn.conftest import BASE, QCOW2, Client, World, rest_of, share
from tests.core.imports.fetched import LIMITS
from tests.core.imports.serving import WebServer, web_server
from tests.core.slides.working import work_off

pytestmark = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)  # tests/core/imports runs on both

DISK = QCOW2 + bytes(range(256)) * 40
CONTENT = {"Accept": "application/octet-stream"}
SECRET = "s3cret-word"
STAFF = Actor("test", is_staff=True)
URL = "https://files.example/alpine.qcow2"
REQUIRED = {"file": ["File field required"], "name": ["Name field required"]}
SCHEME = ["Download URL must begin with http://, https:// or sftp://"]


@pytest.fixture
def archive_options(archive_options: dict[str, Any]) -> dict[str, Any]:
    """Those of every other test here, but that the archive may import from loopback."""
    return {**archive_options, "import_limits": LIMITS}


@pytest.fixture
def files() -> Iterator[WebServer]:
    """A server that has a disk image, and nothing else."""
    with web_server(
        lambda talk: talk.answer(DISK) if talk.target == "/disk" else talk.answer(b"", "404 Not Found")
    ) as server:
        yield server


def ask(client: Client, url: str, name: str = "alpine", namespace: str = "") -> httpx.Response:
    return client.post("/images", json={"name": name, "namespace": namespace, "download_url": url})


def made(answer: httpx.Response) -> Any:
    assert answer.status_code == 201, answer.text
    return answer.json()


def errors(answer: httpx.Response) -> dict[str, list[str]]:
    assert answer.status_code == 400, answer.text
    found: dict[str, list[str]] = answer.json()
    return found


def shown(client: Client, image: Any) -> Any:
    answer = client.get(f"/images/{image['id']}")
    assert answer.status_code == 200
    return answer.json()


# -- The answer ---------------------------------------------------------------------------------------------------


def test_7_2_the_image_and_its_download_are_answered_at_once(ana: Client, clock: MovableClock) -> None:
    image = made(ask(ana, URL, namespace="djinn"))
    assert image["download"] == {
        "source": URL,
        "error": None,
        "created_at": timestamp(clock()),
        "started_at": None,
        "finished_at": None,
    }
    assert (image["name"], image["driver"], image["namespace"]["path"]) == ("alpine", "qemu", "djinn")
    assert image["url"] == f"{BASE}/images/{image['id']}"
    assert shown(ana, image) == image


def test_7_1_a_form_without_a_file_may_name_the_url(ana: Client) -> None:
    cases: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"name": "a", "download_url": URL}, {}),
        ({"name": "b"}, {"download_url": URL}),
        ({"other": "x"}, {"name": "c", "download_url": URL}),
    ]
    for form, query in cases:
        answer = ana.post("/images", params=query, files={key: (None, value) for key, value in form.items()})
        assert made(answer)["download"]["source"] == URL
    assert [image["name"] for image in ana.get("/images").json()] == ["a", "b", "c"]


def test_a_file_beside_a_url_is_taken(ana: Client) -> None:
    answer = ana.post("/images", data={"name": "a", "download_url": URL}, files={"file": QCOW2})
    assert made(answer)["download"] is None


def test_in_a_raw_body_a_url_means_nothing(ana: Client) -> None:
    answer = ana.post("/images", params={"name": "a", "download_url": URL}, content=QCOW2)
    assert made(answer)["download"] is None


def test_7_2_the_source_is_shown_with_its_password_replaced_and_nothing_else_changed(
    world: World, ana: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        answer = ask(ana, f"HTTPS://Ana:{SECRET}@Files.Example:443/A%20b?c=D#e")
        image = made(answer)
        answers = [answer, ana.get("/images"), ana.get(f"/images/{image['id']}")]
    assert image["download"]["source"] == "HTTPS://Ana:xxxxx@Files.Example:443/A%20b?c=D#e"
    assert urlsplit(image["download"]["source"]).hostname == "files.example"
    assert all(SECRET not in answer.text for answer in answers)
    assert SECRET not in caplog.text


# -- Refusals -----------------------------------------------------------------------------------------------------

BAD_URLS = {
    "ftp://h/x": SCHEME,
    "file:///etc/passwd": SCHEME,
    "javascript:1": SCHEME,
    "x": SCHEME,
    "http://": ["Download URL must name a host"],
    "http:///x": ["Download URL must name a host"],
    "http://h:70000/x": ["Download URL must have a port between 1 and 65535, or none"],
    "sftp://h/x": ["Download URL must have a user name and a password for sftp"],
    "sftp://user@h/x": ["Download URL must have a user name and a password for sftp"],
    "sftp://user:pw@h": ["Download URL must name a file for sftp"],
    "http://h/\0": ["Download URL must not contain spaces, control characters or broken characters"],
    "http://h/a b": ["Download URL must not contain spaces, control characters or broken characters"],
    "http://h/\r\nX: y": ["Download URL must not contain spaces, control characters or broken characters"],
    "http://h/" + "a" * 9000: ["Download URL must have at most 8192 characters"],
    f"http://user%00:{SECRET}@h/": ["Download URL must have a user name, password and path that decode to text"],
}


def test_7_1_a_url_that_cannot_be_fetched_is_told_by_its_own_key(world: World, ana: Client) -> None:
    for url, texts in BAD_URLS.items():
        assert errors(ask(ana, url)) == {"download_url": texts}
        assert errors(ask(ana, url, name="a b", namespace="-")).keys() == {"download_url", "name", "namespace"}
        answer = ana.post("/images", files={"name": (None, "alpine"), "download_url": (None, url)})
        assert errors(answer) == {"download_url": texts}
        assert SECRET not in answer.text
    assert ana.get("/images").json() == []
    assert ana.get("/namespaces").json() == []


def test_7_1_no_url_is_no_file(ana: Client) -> None:
    assert errors(ask(ana, "", name="")) == REQUIRED
    assert errors(ana.post("/images", json={"name": "a"})) == {"file": REQUIRED["file"]}
    assert errors(ana.post("/images", json={"name": "a", "download_url": None})) == {"file": REQUIRED["file"]}
    assert errors(ana.post("/images", json={"name": "a", "download_url": ["x"]})).keys() == {"file", "download_url"}
    assert errors(ana.post("/images", files={"name": (None, "a")})) == {"file": REQUIRED["file"]}


def test_7_1_a_url_with_broken_characters_is_told_as_a_broken_body(ana: Client) -> None:
    body = b'{"name": "a", "download_url": "http://h/\\ud800"}'
    answer = ana.post("/images", content=body, headers={"Content-Type": "application/json"})
    assert errors(answer).keys() == {"body"}


def test_5_7_all_problems_are_told_together_and_a_closed_namespace_alone(ana: Client, ben: Client) -> None:
    assert errors(ask(ana, "x", name="")) == {"download_url": SCHEME, "name": REQUIRED["name"]}
    made(ask(ana, URL))
    assert errors(ask(ana, "x")) == {"download_url": SCHEME, "name": ["Name already exists"]}
    ana.post("/namespaces", json={"name": "djinn"})
    denied = {"namespace": ["Namespace permission denied"]}
    assert errors(ask(ben, URL, namespace="djinn@ana")) == denied
    assert errors(ask(ben, "x", name="a b", namespace="djinn@ana")) == denied


def test_2_4_who_may_not_upload_may_not_import(world: World, nobody: Client) -> None:
    expected = {"message": "Not Found"}
    for client in (nobody, world.user("eve", scope="image:read,delete"), world.stranger("0" * 32)):
        answer = ask(client, URL)
        assert (answer.status_code, answer.json()) == (404, expected)


def test_5_8_the_name_is_taken_from_the_first_moment(world: World, ana: Client) -> None:
    requests = [("POST", "/images", {"json": {"name": "alpine", "download_url": URL}}) for _ in range(10)]
    answers = ana.at_once(requests)
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 9
    upload = ana.post("/images", params={"name": "alpine"}, content=QCOW2)
    assert errors(upload) == {"name": ["Name already exists"]}


def test_too_many_imports_at_once_are_refused_in_words(
    world: World, ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinakes.core.imports.imports._MOST_PER_USER", 1)
    monkeypatch.setitem(world.archive.jobs._kinds, "import", world.archive.imports.kind)
    made(ask(ana, URL))
    answer = ask(ana, URL, name="other")
    assert (answer.status_code, list(answer.json())) == (429, ["message"])
    assert len(ana.get("/images").json()) == 1


# -- Its life -----------------------------------------------------------------------------------------------------


def test_7_4_until_it_has_come_the_image_is_listed_and_its_content_is_missing(
    world: World, ana: Client, files: WebServer, clock: MovableClock
) -> None:
    image = made(ask(ana, files.url("/disk")))
    assert ana.get("/images").json() == [image]
    missing = ana.get("/images/999999", headers=CONTENT)
    for headers in (CONTENT, {"Accept": "application/x-qemu-disk"}):
        assert rest_of(ana.get(f"/images/{image['id']}", headers=headers)) == rest_of(missing)
    assert ana.request("HEAD", f"/images/{image['id']}", headers=CONTENT).status_code == 404
    clock.advance(3 * SECOND)
    work_off(world.archive)
    done = shown(ana, image)
    assert done["download"] == {
        **image["download"],
        "started_at": timestamp(clock()),
        "finished_at": timestamp(clock()),
    }
    assert {**done, "download": None} == {**image, "download": None}
    assert ana.get(f"/images/{image['id']}", headers=CONTENT).content == DISK
    part = ana.get(f"/images/{image['id']}", headers={**CONTENT, "Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, QCOW2)


def test_7_4_a_failed_import_is_listed_with_its_error_and_can_be_deleted(
    world: World, ana: Client, files: WebServer
) -> None:
    image = made(ask(ana, files.url("/missing")))
    work_off(world.archive)
    failed = shown(ana, image)
    assert failed["download"]["error"] == "The server answered 404."
    assert None not in failed["download"].values()
    assert ana.get("/images").json() == [failed]
    assert ana.get(f"/images/{image['id']}", headers=CONTENT).status_code == 404
    assert ana.delete(f"/images/{image['id']}").status_code == 204
    assert ana.get(f"/images/{image['id']}").status_code == 404
    ana.upload("alpine")


def test_7_3_the_signature_decides_and_not_what_the_server_calls_it(world: World, ana: Client) -> None:
    def behave(talk: Any) -> None:
        body, called = (DISK, "text/html") if talk.target == "/disk" else (b"<html>", "application/x-qemu-disk")
        talk.answer(body, "200 OK", f"Content-Type: {called}")

    with web_server(behave) as server:
        good = made(ask(ana, server.url("/disk"), name="good"))
        work_off(world.archive)
        bad = made(ask(ana, server.url("/page"), name="bad"))
        work_off(world.archive)
    assert shown(ana, good)["download"]["error"] is None
    assert shown(ana, bad)["download"]["error"] == "The content is not a QCOW2 file."


def test_7_3_delete_cancels_an_import(world: World, ana: Client, files: WebServer) -> None:
    image = made(ask(ana, files.url("/disk", login=f"ana:{SECRET}@")))
    assert ana.delete(f"/images/{image['id']}").status_code == 204
    assert [job.state for job in world.archive.jobs.list(STAFF)] == ["cancelled"]
    assert not files.requests
    made(ask(ana, files.url("/disk")))  # the name is free again


def test_7_5_without_a_setting_loopback_is_not_fetched_from(
    backend: Backend, world: World, ana: Client, files: WebServer, tmp_path: Path
) -> None:
    strict = assemble(backend.database, backend.store, journal_directory=tmp_path / "other")
    image = made(ask(ana, files.url("/disk")))
    work_off(strict)
    assert shown(ana, image)["download"]["error"] == "The host has an address that may not be fetched from."
    assert not files.requests


def test_2_7_strangers_see_that_it_is_fetched_and_not_from_where(ana: Client, ben: Client, nobody: Client) -> None:
    ana.post("/namespaces", json={"name": "open", "visibility": "public"})
    image = made(ask(ana, f"{URL}?signature={SECRET}", namespace="open"))
    for client in (ben, nobody):
        assert shown(client, image)["download"] == {**image["download"], "source": ""}
    assert SECRET not in ben.get("/n/ana/open/-/images").text
    share(ana, "/n/ana/open", ben, "ben")
    assert shown(ben, image)["download"] == image["download"]


def test_a_collaborator_may_delete_what_another_imports(world: World, ana: Client, ben: Client) -> None:
    ana.post("/namespaces", json={"name": "djinn"})
    share(ana, "/n/ana/djinn", ben, "ben")
    image = made(ask(ana, URL, namespace="djinn"))
    assert ben.delete(f"/images/{image['id']}").status_code == 204
    assert [job.state for job in world.archive.jobs.list(STAFF)] == ["cancelled"]
