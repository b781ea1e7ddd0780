"""Sessions and view links against a real server: over a restart, in every worker, and never in a log."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinakes.core import clock
from pinakes.core.access.users import Users
from pinakes.core.actor import Actor, Kind
from tests.conftest import Backend
from tests.contracts.native.viewing import photograph
from tests.process.conftest import ended
from tests.process.serving import Archive

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)]

PASSWORD = "an invented password"
SETTINGS = {"PINAKES_LOG_LEVEL": "debug", "PINAKES_ACCESS_LOG": "true", "PINAKES_JOB_WORKERS": "0"}


@pytest.fixture
def archive(backend: Backend, tmp_path: Path) -> Iterator[Archive]:
    yield from ended(Archive(backend, tmp_path, SETTINGS))


def test_sessions_and_links_outlive_a_restart_and_are_in_no_log(archive: Archive, backend: Backend) -> None:
    token = archive.add_user("ana", Kind.MACHINE)
    Users(backend.database, clock.now).set_password(Actor("cli"), "ana", PASSWORD)
    archive.start(workers=2)
    cookie = log_in(archive)
    by_cookie = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    image_id = archive.ask("POST", "/pinakes/v1/vm-images", b'{"name": "photo"}', by_cookie).json["id"]
    version = archive.ask("POST", f"/pinakes/v1/vm-images/{image_id}/versions", b"{}", by_cookie).json["id"]
    content = f"/pinakes/v1/vm-images/{image_id}/versions/{version}/content"
    sent = {**by_cookie, "Content-Type": "application/octet-stream"}
    assert archive.ask("PUT", content, photograph(), sent).status == 200
    link = archive.ask("POST", f"/pinakes/v1/images/{image_id}/view-links", b"{}", by_cookie).json["token"]

    paths = [f"/iiif/view/{link}/3/{image_id}/info.json", f"/iiif/3/{image_id}/info.json?token={link}"]
    check(archive, paths, cookie)
    archive.stop()
    archive.wait_until_dead()
    archive.start(workers=2)
    check(archive, paths, cookie)

    spoil(archive, paths, cookie, token, content)
    archive.stop()
    text = cookie.partition("=")[2]
    for secret in (link, link[:40], text, token, PASSWORD, "hunter2"):
        assert secret not in archive.log()
    assert archive.log().count("api=iiif") > 16


def check(archive: Archive, paths: list[str], cookie: str) -> None:
    for path in paths * 4:  # so that each worker is asked
        assert archive.ask("GET", path).status == 200
        assert archive.ask("GET", "/pinakes/v1/session", headers={"Cookie": cookie}).status == 200


def log_in(archive: Archive) -> str:
    """The cookie of a session."""
    login = json.dumps({"username": "ana", "password": PASSWORD})
    head = (
        f"POST /pinakes/v1/session HTTP/1.1\r\nHost: 127.0.0.1:{archive.port}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(login)}\r\n\r\n"
    )
    answer = raw(archive, head.encode() + login.encode())
    (line,) = [line for line in answer.decode("latin-1").split("\r\n") if line.lower().startswith("set-cookie:")]
    return line.partition(":")[2].strip().partition(";")[0]


def raw(archive: Archive, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", archive.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def spoil(archive: Archive, paths: list[str], cookie: str, token: str, content: str) -> None:
    """Requests that are refused, or fail, with each of the secrets in them."""
    blobs = [path for path in (archive.folder / "content").rglob("*") if path.is_file()]
    for blob in blobs:
        blob.unlink()
    headers = {"Cookie": cookie, "Authorization": f"Bearer {token}"}
    assert archive.ask("GET", content, headers=headers).status >= 500
    for path in paths:
        archive.ask("GET", path.replace("info.json", "full/max/0/default.jpg"), headers=headers)
        archive.ask("POST", path, b"{", headers)
    wrong = json.dumps({"username": "ana", "password": "hunter2"}).encode()
    archive.ask("POST", "/pinakes/v1/session", wrong, {**headers, "Content-Type": "application/json"})
    lines = f"Connection: close\r\nCookie: {cookie}\r\nAuthorization: Bearer {token}\r\n"
    for head in (
        f"GET {paths[0]} HTTP/1.1\r\n{lines}\r\n",  # no Host
        f"GET {paths[0]} HTTP/1.1\r\nHost: x\r\n{lines}\x01bad\r\n\r\n",
        f"GET {paths[0]} HTTP/9.9\r\n{lines}\r\n\r\n",
        f"POST {paths[0]} HTTP/1.1\r\nHost: x\r\n{lines}Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):
        raw(archive, head.encode())
