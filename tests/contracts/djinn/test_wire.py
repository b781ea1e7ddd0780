"""Djinn contract against a real server: what needs sockets, and the commands that people type (sections 1, 5, 8)."""

import contextlib
import json
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pinakes.core.actor import Kind
from pinakes.core.content.stores import open_store
from pinakes.core.db.engine import Database
from pinakes.demo.qcow2 import CLUSTER_BYTES, write_qcow2
from tests.conftest import Backend
from tests.contracts.djinn.conftest import QCOW2
from tests.process.serving import Archive
from tests.web.conftest import Answer, Wire

pytestmark = pytest.mark.slow

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Server:
    """A running server with one user, and what is in its store."""

    archive: Archive
    token: str
    backend: Backend

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.archive.port}/djinn"

    def connect(self) -> Wire:
        return Wire(self.archive.port)

    def head(self, method: str, path: str, *, token: str | None = None, **headers: str) -> bytes:
        """The head of a request; header names are written with underscores."""
        fields = {"Host": f"127.0.0.1:{self.archive.port}", "Authorization": f"Bearer {token or self.token}"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{method} /djinn{path} HTTP/1.1\r\n{lines}\r\n".encode()

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """One request on a connection of its own."""
        wire = self.connect()
        if body:
            headers["Content_Length"] = str(len(body))
        wire.send(self.head(method, path, **headers), body)
        answer = wire.answer(is_head=method == "HEAD")
        wire.close()
        return answer

    def curl(self, *arguments: str | Path, auth: bool = True) -> tuple[int, Any]:
        """What curl got: the status and the JSON."""
        credentials = ["-H", f"Authorization: Bearer {self.token}"] if auth else []
        command = ["curl", "-sS", "-w", "\n%{http_code}", *credentials, *arguments]
        printed = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
        body, _, status = printed.rpartition(b"\n")
        return int(status), json.loads(body) if body else None

    def content(self, image_id: int) -> bytes:
        return self.ask("GET", f"/images/{image_id}", Accept="application/octet-stream").body

    def names(self) -> list[str]:
        return [image["name"] for image in self.ask("GET", "/images").json]

    def objects(self) -> set[str]:
        """The keys in the store, of whole objects and of partial ones."""
        return {stored.key for stored in self.backend.store.list()}

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not is_so():
            assert time.monotonic() < deadline, "it did not come to be so"
            time.sleep(0.02)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sqlite_template: bytes) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("wire")
    (folder / "pinakes.sqlite").write_bytes(sqlite_template)
    urls = f"sqlite:///{folder / 'pinakes.sqlite'}", f"disk://{folder / 'content'}"
    backend = Backend(Database(urls[0]), open_store(urls[1]), *urls, None)
    archive = Archive(backend, folder)
    archive.add_user("ana", Kind.MACHINE)
    token = archive.run("token", "create", "ana")
    archive.start()
    yield Server(archive, token, backend)
    archive.stop()
    backend.database.close()


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    connection = server.connect()
    yield connection
    connection.close()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A real disk of about 3 MiB, with every byte value and line end in it."""
    path = tmp_path / "disk.qcow2"
    write_qcow2(path, {number * CLUSTER_BYTES: bytes(range(256)) * 16 for number in range(750)})
    assert path.stat().st_size > 2 * MIB
    return path


# -- Framing ------------------------------------------------------------------------------------------------------


def test_5_3_a_chunked_body_is_taken(server: Server, wire: Wire) -> None:
    wire.send(server.head("POST", "/images?name=chunked", Transfer_Encoding="chunked"))
    for piece in (b"Q", b"FI\xfb", b"x" * 70_000):
        wire.send(f"{len(piece):x}\r\n".encode(), piece, b"\r\n")
    wire.send(b"0\r\n\r\n")
    answer = wire.answer()
    assert answer.status == 201
    assert server.content(answer.json["id"]) == QCOW2 + b"x" * 70_000


@pytest.mark.parametrize("rest", [b"zz\r\nabc\r\n0\r\n\r\n", b"5\r\nabcdefgh\r\n0\r\n\r\n", b"-1\r\n\r\n"])
def test_5_6_a_malformed_chunk_leaves_nothing(server: Server, wire: Wire, rest: bytes) -> None:
    before = server.objects()
    wire.send(server.head("POST", "/images?name=lied&namespace=lied", Transfer_Encoding="chunked"))
    wire.send(b"4\r\n", QCOW2, b"\r\n", rest)
    answer = wire.answer()
    assert answer.status == 400
    assert all(isinstance(texts, list) for texts in answer.json.values())
    assert "lied" not in server.names()
    assert server.ask("GET", "/n/ana/lied").status == 404
    server.wait_until(lambda: server.objects() == before)


@pytest.mark.parametrize("framing", ["length", "chunked", "form"])
@pytest.mark.parametrize("is_reset", [False, True])
def test_5_6_a_cut_connection_leaves_nothing(server: Server, framing: str, is_reset: bool) -> None:
    before = server.objects()
    wire = server.connect()
    path = "/images?name=cut&namespace=cut"
    if framing == "length":
        wire.send(server.head("POST", path, Content_Length=str(8 * MIB)), QCOW2, bytes(2 * MIB))
    elif framing == "chunked":
        wire.send(server.head("POST", path, Transfer_Encoding="chunked"), b"200004\r\n", QCOW2, bytes(2 * MIB))
    else:
        form = {"Content_Type": "multipart/form-data; boundary=B", "Content_Length": str(8 * MIB)}
        wire.send(server.head("POST", path, **form), b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\n')
        wire.send(QCOW2, bytes(2 * MIB))
    server.wait_until(lambda: server.objects() != before)
    if is_reset:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()
    server.wait_until(lambda: server.objects() == before)
    assert "cut" not in server.names()
    assert server.ask("GET", "/n/ana/cut").status == 404
    made = server.ask("POST", "/images?name=cut", QCOW2)
    assert made.status == 201
    assert server.ask("DELETE", f"/images/{made.json['id']}").status == 204


# -- Expect: 100-continue -----------------------------------------------------------------------------------------


def test_5_3_a_wanted_body_is_asked_for(server: Server, wire: Wire) -> None:
    body = QCOW2 + b"waited for"
    head = server.head("POST", "/images?name=expected", Content_Length=str(len(body)), Expect="100-continue")
    wire.send(head)
    server.wait_until(lambda: not wire.is_silent())
    wire.send(body)
    answer = wire.answer()
    assert (answer.interim, answer.status) == ([100], 201)
    assert server.content(answer.json["id"]) == body


@pytest.mark.parametrize(
    ("path", "scope", "status", "keys"),
    [
        ("/images?name=a", "wrong token", 404, {"message"}),
        ("/images?name=a", "image:read,delete", 404, {"message"}),
        ("/images?name=a%20b", None, 400, {"name"}),
        ("/images", None, 400, {"name"}),
        ("/images?name=here", None, 400, {"name"}),
        ("/images?name=a&namespace=a@nobody", None, 400, {"namespace"}),
        ("/images?name=a&namespace=a%20b", None, 400, {"namespace"}),
        ("/images/1", None, 405, {"message"}),
        ("/nowhere", None, 404, {"message"}),
    ],
)
def test_5_3_a_body_that_is_not_wanted_is_not_asked_for(
    server: Server, wire: Wire, path: str, scope: str | None, status: int, keys: set[str]
) -> None:
    server.ask("POST", "/images?name=here", QCOW2)
    token = scope and ("0" * 32 if scope == "wrong token" else _limited(server, scope))
    wire.send(server.head("POST", path, token=token, Content_Length="100000000000", Expect="100-continue"))
    answer = wire.answer()
    assert (answer.interim, answer.status, set(answer.json)) == ([], status, keys)


def _limited(server: Server, scope: str) -> str:
    return server.archive.run("token", "create", "ana", "--scope", scope)


def test_5_5_more_than_the_disk_holds_is_told_before_a_byte_is_sent(server: Server, wire: Wire) -> None:
    wire.send(server.head("POST", "/images?name=huge", Content_Length=str(10**15), Expect="100-continue"))
    answer = wire.answer()
    assert (answer.interim, answer.status, set(answer.json)) == ([], 413, {"file"})


# -- Refusals without Expect --------------------------------------------------------------------------------------


def test_5_4_a_refused_upload_lets_the_client_read_and_go_on(server: Server, wire: Wire) -> None:
    body = bytes(32 * MIB)
    for path, status in (("/images?name=a%20b", 400), ("/images?name=zeros", 400), ("/nowhere", 404)):
        wire.send(server.head("POST", path, Content_Length=str(len(body))), body)
        assert wire.answer().status == status
    wire.send(server.head("GET", "/user"))
    assert wire.answer().json["username"] == "ana"


def test_5_4_a_wrong_file_is_refused_while_it_still_comes(server: Server, wire: Wire) -> None:
    wire.send(server.head("POST", "/images?name=zeros", Content_Length=str(32 * MIB)), bytes(2 * MIB))
    assert wire.answer().json == {"file": ["File not a valid QCOW2 file format"]}
    wire.send(bytes(30 * MIB), server.head("GET", "/user"))
    assert wire.answer().status == 200


# -- The commands that people type --------------------------------------------------------------------------------


def test_5_2_the_seeds_own_command_is_answered_201(server: Server, disk: Path) -> None:
    status, image = server.curl("-X", "POST", "-d", f"@{disk}", f"{server.base}/images?name=by-d")
    assert status == 201
    kept = server.content(image["id"])
    assert kept.startswith(QCOW2)
    assert len(kept) < disk.stat().st_size  # curl took out line ends and NUL bytes before it sent anything
    shown = subprocess.run(
        ["curl", "-sSi", "-H", f"Authorization: Bearer {server.token}", "-d", f"@{disk}",
         f"{server.base}/images?name=by-d2"], check=True, capture_output=True,
    ).stdout  # fmt: skip
    assert b"warning: 299 " in shown.lower()


@pytest.mark.parametrize(
    ("name", "way"),
    [("binary", ["--data-binary", "@{}"]), ("put", ["-X", "POST", "-T", "{}"]), ("form", ["-F", "file=@{}"])],
)
def test_5_2_the_recommended_commands_keep_every_byte(server: Server, disk: Path, name: str, way: list[str]) -> None:
    arguments = [part.format(disk) for part in way]
    status, image = server.curl(*arguments, f"{server.base}/images?name={name}&namespace=curl")
    assert (status, image["namespace"]["path"]) == (201, "curl")
    assert server.content(image["id"]) == disk.read_bytes()


def test_5_2_put_alone_is_not_allowed(server: Server, disk: Path) -> None:
    status, answer = server.curl("-T", disk, f"{server.base}/images?name=put")
    assert (status, answer) == (405, {"message": "Method Not Allowed"})


def test_a_pipe_of_unknown_length_is_taken(server: Server, disk: Path) -> None:
    command = ["curl", "-sS", "-X", "POST", "-T", "-", "-H", f"Authorization: Bearer {server.token}"]
    with disk.open("rb") as file:
        printed = subprocess.run(
            [*command, f"{server.base}/images?name=piped"], stdin=file, check=True, capture_output=True
        )
    assert server.content(json.loads(printed.stdout)["id"]) == disk.read_bytes()


def test_8_3_a_download_is_taken_up_where_it_stopped(server: Server, disk: Path, tmp_path: Path) -> None:
    _, image = server.curl("--data-binary", f"@{disk}", f"{server.base}/images?name=resumed")
    part = tmp_path / "part.qcow2"
    part.write_bytes(disk.read_bytes()[: MIB + 7])
    options: list[str | Path] = ["-H", "Accept: application/x-qemu-disk", "-C", "-", "-o", part]
    status, _ = server.curl(*options, f"{server.base}/images/{image['id']}")
    assert status == 206
    assert part.read_bytes() == disk.read_bytes()


# -- Connections --------------------------------------------------------------------------------------------------


def test_1_9_the_urls_in_answers_work_the_way_the_go_client_joins_them(server: Server) -> None:
    image = server.ask("POST", "/images?name=joined&namespace=joined", QCOW2).json
    assert image["url"] == f"{server.base}/images/{image['id']}"
    for url in (image["url"], image["namespace"]["url"], image["namespace"]["images_url"]):
        path = url.removeprefix(server.base.removesuffix("/djinn"))
        assert path.startswith("/djinn/")
        assert server.ask("GET", path).status == 200
    assert server.ask("DELETE", f"/djinn/images/{image['id']}").status == 204


def test_all_calls_share_one_connection(server: Server, wire: Wire) -> None:
    wire.send(server.head("POST", "/images?name=kept", Content_Length="4"), QCOW2)
    image_id = wire.answer().json["id"]
    content = {"Accept": "application/octet-stream"}
    for method, headers, status in (
        ("GET", {}, 200), ("HEAD", {}, 200), ("HEAD", content, 200), ("GET", content, 200),
        ("GET", {**content, "Range": "bytes=9-"}, 416), ("GET", {**content, "If_None_Match": "*"}, 304),
        ("PUT", {}, 405), ("DELETE", {}, 204), ("DELETE", {}, 404),
    ):  # fmt: skip
        wire.send(server.head(method, f"/images/{image_id}", **headers))
        answer = wire.answer(is_head=method == "HEAD")
        assert answer.status == status
    assert server.content(image_id) != QCOW2


def test_9_a_running_download_may_finish_after_the_delete(server: Server, wire: Wire) -> None:
    body = QCOW2 + bytes(24 * MIB)
    image_id = server.ask("POST", "/images?name=leaving", body).json["id"]
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    wire.send(server.head("GET", f"/images/{image_id}", Accept="application/octet-stream"))
    assert wire.socket.recv(1, socket.MSG_PEEK)
    assert server.ask("DELETE", f"/images/{image_id}").status == 204
    assert server.ask("GET", f"/images/{image_id}").status == 404
    assert wire.answer().body == body


def test_strange_requests_never_make_the_server_fail(server: Server) -> None:
    for target in ("/images/%ff", "/images/%00", "/images?page=%ff&search=%00", "/n/%2e%2e/x", "/" + "a" * 7000, "/%"):
        with contextlib.closing(server.connect()) as wire:
            wire.send(server.head("GET", target))
            answer = wire.answer()
            assert answer.status in {200, 400, 404}
            assert isinstance(json.loads(answer.body), dict | list)
