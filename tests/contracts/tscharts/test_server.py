"""What only a real server and a real connection can show."""

import base64
import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from pinakes.core.actor import Kind
from pinakes.core.content.stores import open_store
from pinakes.core.db.engine import Database
from tests.conftest import Backend, prepare_database
from tests.contracts.tscharts.conftest import DETAILS
from tests.process.serving import Archive
from tests.web.conftest import Wire

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
LARGEST_BODY = 48 * MIB
V1 = "/tscharts/v1"


class Clinic:
    """A running server, a volunteer's token and a patient."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.token = archive.add_user("volunteer", Kind.CLINICAL)
        archive.start()
        self.patient = json.loads(self.ask("POST", "/patient/", json.dumps(DETAILS).encode()))["id"]

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        answer = self.archive.ask(method, V1 + path, body, {"Authorization": f"Token {self.token}"})
        assert answer.status == 200, answer
        return answer.body

    def create(self, data: bytes) -> int:
        """The id of an image of that text, which is plain."""
        made: int = json.loads(self.ask("POST", "/image/", self.body(data)))["id"]
        return made

    def body(self, data: bytes) -> bytes:
        return b'{"patient": %d, "type": "Xray", "data": "%s"}' % (self.patient, data)

    def images(self) -> list[int]:
        """The ids of all images of the patient; an empty list if there are none."""
        headers = {"Authorization": f"Token {self.token}"}
        answer = self.archive.ask("GET", f"{V1}/image/?patient={self.patient}", None, headers)
        return list(answer.json) if answer.status == 200 else []

    def stored(self) -> list[str]:
        return sorted(stored.key for stored in self.archive.backend.store.list())


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    folder = tmp_path_factory.mktemp("clinic")
    url, store_url = f"sqlite:///{folder / 'pinakes.db'}", f"disk://{folder / 'content'}"
    prepare_database(url)
    database = Database(url)
    backend = Backend(database, open_store(store_url), url, store_url, None)
    archive = Archive(backend, folder, {"PINAKES_MAX_JSON_BYTES": str(LARGEST_BODY)})
    try:
        yield Clinic(archive)
    finally:
        archive.stop()
        database.close()


@pytest.fixture
def wire(clinic: Clinic) -> Iterator[Wire]:
    connection = Wire(clinic.archive.port)
    yield connection
    connection.close()


def head(clinic: Clinic, *fields: str, method: str = "POST", path: str = "/image/") -> bytes:
    """The head of a request with the token, ended."""
    lines = [f"{method} {V1}{path} HTTP/1.1", "Host: test", f"Authorization: Token {clinic.token}", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def test_g7_after_a_get_or_delete_with_a_body_the_connection_goes_on(clinic: Clinic, wire: Wire) -> None:
    image = clinic.create(b"QUJD")
    for method, path, status in (
        ("GET", f"/image/{image}/", 200),
        ("GET", "/image/", 200),
        ("DELETE", f"/image/{image}/", 200),
        ("DELETE", f"/image/{image}/", 404),
        ("DELETE", "/image/", 400),
        ("PATCH", "/image/", 405),
        ("GET", "/nothing/", 404),
        ("GET", f"/patient/{clinic.patient}/", 200),
    ):
        wire.send(head(clinic, "Content-Length: 2", method=method, path=path) + b"{}")
        assert wire.answer().status == status, (method, path)


def test_i_c9_too_long_a_body_is_413_before_it_is_sent(clinic: Clinic, wire: Wire) -> None:
    before = clinic.stored()
    wire.send(head(clinic, f"Content-Length: {LARGEST_BODY + 1}"))
    answer = wire.answer()
    assert (answer.status, list(answer.json)) == (413, ["detail"])
    assert clinic.stored() == before


def test_i_c9_who_sends_the_refused_body_all_the_same_can_read_the_answer_and_go_on(clinic: Clinic, wire: Wire) -> None:
    length = LARGEST_BODY + MIB
    wire.send(head(clinic, f"Content-Length: {length}"), *[b" " * MIB] * (length // MIB))
    assert wire.answer().status == 413
    wire.send(head(clinic, method="GET", path=f"/patient/{clinic.patient}/"))
    assert wire.answer().status == 200


def test_i_c9_without_a_length_the_limit_holds_too(clinic: Clinic, wire: Wire) -> None:
    before = clinic.stored()
    wire.send(head(clinic, "Transfer-Encoding: chunked"))
    chunk = b"100000\r\n" + b"A" * MIB + b"\r\n"
    wire.send(b'2\r\n{"\r\n', *[chunk] * (LARGEST_BODY // MIB + 1))
    wire.send(b"0\r\n\r\n")
    assert wire.answer().status in (400, 413)
    assert clinic.stored() == before


def test_a_large_body_without_a_token_is_401_before_it_is_sent(clinic: Clinic, wire: Wire) -> None:
    wire.send(f"POST {V1}/image/ HTTP/1.1\r\nHost: test\r\nContent-Length: {32 * MIB}\r\n\r\n".encode())
    assert wire.answer().status == 401


def test_a_body_that_is_held_back_is_asked_for_only_when_it_is_wanted(clinic: Clinic, wire: Wire) -> None:
    body = clinic.body(b"QUJD")
    wire.send(head(clinic, f"Content-Length: {len(body)}", "Expect: 100-continue"))
    assert wire.socket.recv(12) == b"HTTP/1.1 100"
    wire.buffer = b"HTTP/1.1 100"
    wire.send(body)
    assert wire.answer().status == 200
    wire.send(head(clinic, f"Content-Length: {LARGEST_BODY + 1}", "Expect: 100-continue"))
    answer = wire.answer()
    assert (answer.interim, answer.status) == ([], 413)


def test_a_chunked_body_cut_in_odd_places_is_one_image(clinic: Clinic, wire: Wire) -> None:
    data = base64.b64encode(bytes(range(256)) * 300)
    body = clinic.body(data)
    cuts = [0, 1, 5, 6, 33, 40, 41, 1000, 65_537, len(body) - 1, len(body)]
    wire.send(head(clinic, "Transfer-Encoding: chunked"))
    for start, end in pairwise(cuts):
        wire.send(b"%x\r\n%s\r\n" % (end - start, body[start:end]))
    wire.send(b"0\r\n\r\n")
    image = wire.answer().json["id"]
    assert json.loads(clinic.ask("GET", f"/image/{image}/"))["data"] == data.decode()


def test_a_body_shorter_than_announced_leaves_nothing(clinic: Clinic) -> None:
    before, images = clinic.stored(), clinic.images()
    body = clinic.body(b"QUJD" * 500_000)
    for end in (10, len(body) // 2, len(body) - 1):
        wire = Wire(clinic.archive.port)
        wire.send(head(clinic, f"Content-Length: {len(body)}"), body[:end])
        wire.socket.shutdown(socket.SHUT_WR)
        wire.until_closed()
        wire.close()
    eventually(lambda: clinic.stored() == before)
    assert clinic.images() == images


def test_a_malformed_chunk_is_400_in_this_shape_and_leaves_nothing(clinic: Clinic, wire: Wire) -> None:
    before, images = clinic.stored(), clinic.images()
    body = clinic.body(b"QUJD" * 10_000)
    wire.send(head(clinic, "Transfer-Encoding: chunked"), b"%x\r\n%s\r\n" % (len(body) // 2, body[: len(body) // 2]))
    wire.send(b"this is no length\r\n")
    answer = wire.answer()
    assert (answer.status, list(answer.json)) == (400, ["detail"])
    eventually(lambda: clinic.stored() == before)
    assert clinic.images() == images


@pytest.mark.slow
def test_eight_bodies_of_32_mib_at_once_are_kept_within_bounded_memory(clinic: Clinic) -> None:
    """Canonical and verbatim ones, in and out again: less than half of what is on its way is ever in memory."""
    idle = _peak_mib(clinic)
    texts = [base64.b64encode(bytes([number]) * (24 * MIB)) + b"\\n" * (number % 2) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(clinic.create, texts))
        digests = list(pool.map(lambda image: _data_digest(clinic.ask("GET", f"/image/{image}/")), images))
    assert digests == [hashlib.sha256(text).hexdigest() for text in texts]
    assert _peak_mib(clinic) - idle < 8 * 32 / 2


def _data_digest(answer: bytes) -> str:
    """Of `data` as it stands in the answer, escapes and all."""
    match = re.search(rb'"data":"([^"]*)"', answer)
    assert match is not None
    return hashlib.sha256(match[1]).hexdigest()


def _peak_mib(clinic: Clinic) -> int:
    """The largest resident size that the worker has had."""
    statuses = [Path(f"/proc/{process.pid}/status").read_text() for process in clinic.archive.workers()]
    return max(int(size) // 1024 for status in statuses for size in re.findall(r"VmHWM:\s+(\d+) kB", status))


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it is so: the server notices a broken connection in its own time."""
    pause = threading.Event()
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        pause.wait(0.02)
