"""The presigned upload against a real server: real clients, cut connections, memory (pathomiq contract 4.7, 5, 6)."""

import contextlib
import hashlib
import http.client
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from pinakes.core.actor import Kind
from pinakes.core.content.stores import open_store
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import blobs
from tests.conftest import Backend
from tests.contracts.pathomiq.posting import EDGE, PAIR, TYPE, form, seeds_form
from tests.process.conftest import ended
from tests.process.serving import Answered, Archive

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
KEYS = {"PINAKES_UPLOAD_ACCESS_KEY": PAIR.access_key, "PINAKES_UPLOAD_SECRET_KEY": PAIR.secret}


class Lab:
    """A served archive and a user's token."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.token = archive.add_user("ana", Kind.SLIDE)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answered:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return self.archive.ask(method, path, None if body is None else json.dumps(body).encode(), headers)

    def create(self) -> dict[str, Any]:
        answer = self.ask("POST", "/Images", {"filename": "Test.svs"})
        assert answer.status == 200, answer.body
        made: dict[str, Any] = answer.json
        return made

    def content_after_commit(self, image: Mapping[str, Any]) -> bytes:
        assert self.ask("PUT", f"/Images/{image['id']}", {"status": "Uploaded"}).status == 200
        return self.ask("GET", f"/S3/file/{image['image_unique_id']}").body

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.archive.port, timeout=60)

    def check_nothing_left(self) -> None:
        """Waits for what the server is still clearing away, and shows what it is if that does not end."""
        for _ in range(100):
            left = [one.key for one in self.archive.backend.store.list()]
            if not left:
                break
            threading.Event().wait(0.05)
        assert left == []
        with self.archive.backend.database.read() as connection:
            assert connection.execute(select(func.count()).select_from(blobs)).scalar_one() == 0

    def check_log(self, *images: Mapping[str, Any]) -> None:
        log = self.archive.log()
        assert PAIR.secret not in log
        for image in images:
            for name in ("policy", "signature", "x-amz-signature"):
                assert image["response"].get(name, PAIR.secret) not in log


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, sqlite_template: bytes) -> Iterator[Lab]:
    """One server for all tests here that do not ask which database and store it has."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "pinakes.sqlite").write_bytes(sqlite_template)
    database_url, store_url = f"sqlite:///{folder / 'pinakes.sqlite'}", f"disk://{folder / 'content'}"
    database = Database(database_url)
    backend = Backend(database, open_store(store_url), database_url, store_url, None)
    for archive in ended(Archive(backend, folder, KEYS)):
        archive.start()
        yield Lab(archive)
    database.close()


@pytest.fixture
def lab(served: Lab) -> Lab:
    """With nothing in it."""
    for image in served.ask("GET", "/Users/imagelist").json[0]["images"]:
        served.ask("DELETE", f"/Images/{image['image_unique_id']}")
    return served


def test_curl_and_requests_upload_with_the_seeds_form(lab: Lab, tmp_path: Path) -> None:
    """The form in the seed's own order, with `file` first named but last sent, as both clients do."""
    curl = shutil.which("curl")
    assert curl is not None
    content = bytes(range(256)) * 20_000
    path = tmp_path / "slide.svs"
    path.write_bytes(content)
    image = lab.create()
    fields = [part for name, value in seeds_form(image["response"]) for part in ("-F", f"{name}={value}")]
    command = [curl, "-sS", "-i", *fields, "-F", f"file=@{path}", image["response"]["url"]]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "204 No Content" in answer
    assert hashlib.md5(content).hexdigest() in answer
    assert lab.content_after_commit(image) == content

    other = lab.create()
    with httpx.Client() as client:
        posted = client.post(
            other["response"]["url"], data=dict(seeds_form(other["response"])), files={"file": ("x.svs", content)}
        )
    assert posted.status_code == 204
    assert lab.content_after_commit(other) == content
    lab.check_log(image, other)


def test_a_form_that_waits_to_be_asked_for_is_asked_for_and_a_refused_one_is_answered(lab: Lab) -> None:
    """`Expect: 100-continue`, as curl sends it with large forms; and the connection goes on after a refusal."""
    image = lab.create()
    body = form(seeds_form(image["response"]), b"x" * 3 * MIB)
    path = "/S3/pinakes"
    connection = lab.connect()
    wrong = form([*seeds_form(image["response"])[:-2], ("signature", "wrong")], b"x" * 3 * MIB)
    for content, status in ((wrong, 403), (body, 204), (b"no form", 400), (body, 204)):
        connection.request("POST", path, content, {"Content-Type": TYPE})
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (status, status != 204)
    connection.close()
    lab.check_log(image)


def test_a_file_cut_off_in_the_middle_leaves_nothing(lab: Lab) -> None:
    image = lab.create()
    body = form(seeds_form(image["response"]), b"x" * 8 * MIB)
    head = f"POST /S3/pinakes HTTP/1.1\r\nHost: a\r\nContent-Type: {TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", lab.archive.port)) as connection:
        connection.sendall(head.encode() + body[: 5 * MIB])
    lab.check_nothing_left()
    for _ in range(100):
        lines = lab.ask("GET", f"/LogInfo/{image['image_unique_id']}").json
        if lines[-1]["type"] == "Upload":
            break
        threading.Event().wait(0.05)
    assert lines[-1]["message"] == "An upload was refused: IncompleteBody."
    lab.check_log(image)


def test_a_refusal_is_read_while_the_file_is_still_being_sent(lab: Lab) -> None:
    """DESIGN.md rule 12: a client that sends on gets its answer, not a reset; nothing is announced here."""
    image = lab.create()
    fields = [*seeds_form(image["response"])[:-2], ("signature", "wrong")]

    def body() -> Iterator[bytes]:
        yield form(fields, b"")[: -len(f"\r\n--{EDGE}--\r\n")]
        for _ in range(20):
            yield b"x" * MIB
        yield f"\r\n--{EDGE}--\r\n".encode()

    with httpx.Client(timeout=60) as client:
        answer = client.post(image["response"]["url"], content=body(), headers={"Content-Type": TYPE})
    assert answer.status_code == 403
    assert b"<Code>SignatureDoesNotMatch</Code>" in answer.content
    lab.check_nothing_left()


def test_ten_megabytes_of_fields_are_refused(lab: Lab) -> None:
    fields = [(f"x-ignore-{number}", "x" * MIB) for number in range(10)]
    connection = lab.connect()
    connection.request("POST", "/S3/pinakes", form(fields, b"x"), {"Content-Type": TYPE})
    answer = connection.getresponse()
    assert (answer.status, b"<Code>MaxPostPreDataLengthExceeded</Code>" in answer.read()) == (400, True)
    connection.close()
    lab.check_nothing_left()


def test_an_announced_length_beyond_the_limit_is_answered_at_once(lab: Lab) -> None:
    """Contract 5.4: with nothing of the body sent."""
    head = f"POST /S3/pinakes HTTP/1.1\r\nHost: a\r\nContent-Type: {TYPE}\r\nContent-Length: {10**12}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", lab.archive.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert b"<Code>EntityTooLarge</Code>" in _until_closed(connection)


def test_slides_go_straight_to_the_bucket_where_the_store_is_one(archive: Archive) -> None:
    """Contract 6, by settings alone: the same client code, whichever mode it is."""
    archive.settings = KEYS
    archive.start()
    lab = Lab(archive)
    image = lab.create()
    is_direct = archive.backend.s3_options is not None
    assert (f":{archive.port}/S3/" in image["response"]["url"]) == (not is_direct)
    content = b"invented slide" * 1000
    with httpx.Client() as client:
        posted = client.post(
            image["response"]["url"], data=dict(seeds_form(image["response"])), files={"file": ("x.svs", content)}
        )
    assert posted.status_code == 204
    assert lab.content_after_commit(image) == content
    lab.check_log(image)


def test_memory_does_not_grow_with_the_slide(lab: Lab) -> None:
    """DESIGN.md rule 2: 300 MiB through the form, well under 200 MB resident, and no more than a small one takes."""
    image = lab.create()
    size = 300 * MIB
    fields = form(seeds_form(image["response"]), b"")[: -len(f"\r\n--{EDGE}--\r\n")]
    piece = bytes(range(256)) * (MIB // 256)

    def body() -> Iterator[bytes]:
        yield fields
        for _ in range(size // MIB):
            yield piece
        yield f"\r\n--{EDGE}--\r\n".encode()

    peak = _Peak(lab.archive)
    with peak, httpx.Client(timeout=300) as client:
        answer = client.post(image["response"]["url"], content=body(), headers={"Content-Type": TYPE})
    assert answer.status_code == 204
    assert answer.headers["etag"] == f'"{hashlib.md5(piece * (size // MIB)).hexdigest()}"'
    assert peak.bytes < 200 * 1000 * 1000, f"{peak.bytes / 1e6:.0f} MB"


class _Peak:
    """The largest resident memory of any process of the server while the block lasts."""

    def __init__(self, archive: Archive) -> None:
        self._processes = archive.workers()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.bytes = 0

    def __enter__(self) -> "_Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.bytes = max(self.bytes, *(process.memory_info().rss for process in self._processes))


def _until_closed(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(OSError):
        while piece := connection.recv(65536):
            received += piece
            if b"</Error>" in received:
                break
    return received
