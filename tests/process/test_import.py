"""Imports by URL with a real server and real workers: done, cancelled within a second, and begun again after kill -9.

Djinn contract, section 7; DESIGN.md rules 1 and 3.
"""

import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pinakes.core.actor import Kind
from tests.core.imports.serving import PASSWORD, USER, Talk, WebServer, sftp_server, web_server
from tests.process.serving import PINAKES, Answered, Archive
from tests.process.test_killed import check_nothing_is_left, content

pytestmark = pytest.mark.slow

on_sqlite = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
on_postgres = pytest.mark.parametrize("backend", ["postgres-s3"], indirect=True)
# Servers are dear; what an import does to either kind of database is in tests/core/imports.

DISK = content("an image elsewhere", 20_000_000)
DIGEST = hashlib.sha256(DISK).hexdigest()
SECRET = "s3cret-word"
PATIENCE_SECONDS = 60


class Builder:
    """A CI user of a server whose jobs are done by workers of the tests' own."""

    def __init__(self, archive: Archive) -> None:
        archive.settings = {"PINAKES_IMPORT_ALLOW": "127.0.0.0/8", "PINAKES_JOB_WORKERS": "0"}
        self.archive = archive
        self.headers = {"Authorization": f"Bearer {archive.add_user('builder', Kind.MACHINE)}"}
        archive.start()

    def start(self, url: str, name: str = "alpine") -> int:
        body = json.dumps({"name": name, "download_url": url}).encode()
        answer = self.archive.ask("POST", "/djinn/images", body, self.headers | {"Content-Type": "application/json"})
        assert answer.status == 201, answer.body
        image_id: int = answer.json["id"]
        return image_id

    def download(self, image_id: int) -> Any:
        return self.archive.ask("GET", f"/djinn/images/{image_id}", None, self.headers).json["download"]

    def content(self, image_id: int) -> Answered:
        headers = self.headers | {"Accept": "application/x-qemu-disk"}
        return self.archive.ask("GET", f"/djinn/images/{image_id}", None, headers)

    def finished(self, image_id: int) -> Any:
        until(lambda: self.download(image_id)["finished_at"])
        return self.download(image_id)

    def delete(self, image_id: int) -> None:
        assert self.archive.ask("DELETE", f"/djinn/images/{image_id}", None, self.headers).status == 204


@contextmanager
def worker(archive: Archive) -> Iterator["subprocess.Popen[bytes]"]:
    with (archive.folder / "worker.log").open("ab") as log:
        process = subprocess.Popen([PINAKES, "worker"], env=archive.environment(), stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


class HalfServer:
    """Sends half of the disk and falls silent, until it is told to send all of it."""

    def __init__(self) -> None:
        self.is_whole = False
        self.half_sent = threading.Event()
        self.hung_up = threading.Event()

    def __call__(self, talk: Talk) -> None:
        if self.is_whole:
            talk.answer(DISK)
            return
        talk.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(DISK)}\r\n\r\n".encode() + DISK[: len(DISK) // 2])
        self.half_sent.set()
        talk.connection.settimeout(PATIENCE_SECONDS)
        if talk.connection.recv(1) == b"":
            self.hung_up.set()


@pytest.fixture
def builder(archive: Archive) -> Builder:
    return Builder(archive)


@pytest.fixture
def half() -> HalfServer:
    return HalfServer()


@pytest.fixture
def files(half: HalfServer) -> Iterator[WebServer]:
    with web_server(half) as server:
        yield server


@on_sqlite  # where the job engine's database is a file that can be looked into
def test_an_import_is_done_over_http_and_over_sftp(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "disk").write_bytes(DISK)
    with web_server(lambda talk: talk.answer(DISK)) as web, sftp_server(tmp_path / "root") as sftp:
        urls = [
            web.url(login=f"ana:{SECRET}@"),
            f"sftp://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{sftp.port}/disk",
        ]
        image_ids = [builder.start(url, f"disk{number}") for number, url in enumerate(urls)]
        with worker(builder.archive):
            for image_id in image_ids:
                assert builder.finished(image_id)["error"] is None
                assert hashlib.sha256(builder.content(image_id).body).hexdigest() == DIGEST
    logs = builder.archive.log() + (builder.archive.folder / "worker.log").read_text()
    assert not any(secret in logs for secret in (SECRET, PASSWORD, quote(PASSWORD, safe="")))
    for path in (builder.archive.folder / "var").rglob("*"):  # the engine's own database among them
        if path.is_file() and "content" not in path.parts:
            assert SECRET.encode() not in path.read_bytes(), path
    check_nothing_is_left(builder.archive)


def test_an_import_begins_again_after_its_worker_was_killed(
    builder: Builder, files: WebServer, half: HalfServer
) -> None:
    image_id = builder.start(files.url())
    with worker(builder.archive) as first:
        assert half.half_sent.wait(PATIENCE_SECONDS)
        assert builder.content(image_id).status == 404
        half.is_whole = True
        first.kill()
    assert builder.download(image_id)["finished_at"] is None
    with worker(builder.archive):
        assert builder.finished(image_id)["error"] is None
    assert hashlib.sha256(builder.content(image_id).body).hexdigest() == DIGEST
    assert len(files.requests) == 2
    check_nothing_is_left(builder.archive)


@on_postgres
def test_delete_stops_an_import_within_a_second(builder: Builder, files: WebServer, half: HalfServer) -> None:
    image_id = builder.start(files.url())
    with worker(builder.archive):
        assert half.half_sent.wait(PATIENCE_SECONDS)
        begun = time.monotonic()
        builder.delete(image_id)
        assert half.hung_up.wait(PATIENCE_SECONDS)
        assert time.monotonic() - begun < 1.5  # with the time that the answer took
        half.is_whole = True
        again = builder.start(files.url())  # the name is free, and the worker goes on
        assert builder.finished(again)["error"] is None
    assert builder.content(image_id).status == 404
    check_nothing_is_left(builder.archive)


@on_sqlite
def test_stopping_the_worker_in_order_leaves_the_import_to_the_next(
    builder: Builder, files: WebServer, half: HalfServer
) -> None:
    image_id = builder.start(files.url())
    with worker(builder.archive) as first:
        assert half.half_sent.wait(PATIENCE_SECONDS)
        half.is_whole = True
        first.terminate()
        assert first.wait(PATIENCE_SECONDS) == 0
    assert builder.download(image_id)["finished_at"] is None
    with worker(builder.archive):
        assert builder.finished(image_id)["error"] is None
    check_nothing_is_left(builder.archive)
