"""A real Granian, and raw sockets to talk to it with."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

HERE = Path(__file__).parent


@dataclass
class Answer:
    """What came back: the head's lines, the body, and whether the server then closed the connection."""

    interim: list[int]
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection, spoken to byte by byte."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.buffer = b""

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def request(self, method: str, path: str, body: bytes = b"", /, **headers: str) -> None:
        """Send a whole request; header names are written with underscores."""
        fields = {"Host": "test", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body:
            fields.setdefault("Content-Length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"), body)

    def answer(self, *, is_head: bool = False) -> Answer:
        """Read one answer whole. Raises AssertionError if the connection ends within it."""
        interim = []
        while True:
            status, headers = self._head()
            if status >= 200:
                break
            interim.append(status)
        if is_head or status in (204, 304):
            return Answer(interim, status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Answer(interim, status, headers, self._chunked())
        return Answer(interim, status, headers, self._exactly(int(headers["content-length"])))

    def is_closed_by_server(self) -> bool:
        """Whether the server ends the connection, without another byte, within the time-out."""
        try:
            return not self.buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def is_silent(self, seconds: float = 0.2) -> bool:
        """Whether the server sends nothing for a while, and leaves the connection open."""
        self.socket.settimeout(seconds)
        try:
            self.buffer += self.socket.recv(65536)
        except TimeoutError:
            return not self.buffer
        finally:
            self.socket.settimeout(10)
        return False

    def until_closed(self) -> bytes:
        """Everything up to the end of the connection."""
        received, self.buffer = self.buffer, b""
        with contextlib.suppress(ConnectionResetError):
            while data := self.socket.recv(1 << 20):
                received += data
        return received

    def close(self) -> None:
        self.socket.close()

    def _head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        return int(first.split()[1]), {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }

    def _chunked(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self.buffer:
                self._more()
            size, _, self.buffer = self.buffer.partition(b"\r\n")
            piece = self._exactly(int(size, 16) + 2)[:-2]
            if not piece:
                return body
            body += piece

    def _exactly(self, length: int) -> bytes:
        body, self.buffer = bytearray(self.buffer[:length]), self.buffer[length:]
        while len(body) < length:
            data = self.socket.recv(min(1 << 20, length - len(body)))
            assert data, f"the connection ended after {len(body)} of {length} bytes"
            body += data
        return bytes(body)

    def _more(self) -> None:
        data = self.socket.recv(1 << 20)
        assert data, f"the connection ended after {self.buffer[:200]!r}"
        self.buffer += data


@dataclass
class Server:
    """A running Granian its content store and the lines it wrote."""

    port: int
    store: Path
    lines: list[str] = field(default_factory=list)

    def connect(self) -> Wire:
        return Wire(self.port)

    def reports(self, **wanted: Any) -> list[dict[str, Any]]:
        """What the application reported so far with these facts in it."""
        found = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [facts for facts in found if wanted.items() <= facts.items()]

    def wait_for(self, *, more_than: int = 0, **wanted: Any) -> dict[str, Any]:
        """The latest such report, once there are more than so many of them."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            found = self.reports(**wanted)
            if len(found) > more_than:
                return found[-1]
            time.sleep(0.005)
        raise AssertionError(f"no report of {wanted} in {self.lines[-5:]}")

    @property
    def log(self) -> str:
        return "\n".join(self.lines)


def run_granian(store: Path) -> Iterator[Server]:
    """One worker on a free port, stopped at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port), "wire_app:app"]
    environment = {**os.environ, "WIRE_STORE": str(store), "PYTHONPATH": str(HERE)}
    process = subprocess.Popen(
        command, cwd=HERE, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    server = Server(port, store)
    assert process.stderr is not None
    reader = threading.Thread(target=_keep_lines, args=(process.stderr, server.lines), daemon=True)
    reader.start()
    try:
        server.wait_for(started=True)
        _wait_until_listening(port)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        reader.join(10)
        process.stderr.close()


def _wait_until_listening(port: int) -> None:
    """The application starts before Granian listens."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=10):
            return
        time.sleep(0.01)
    raise AssertionError(f"nobody listens on port {port}")


@pytest.fixture(scope="session")
def granian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from run_granian(tmp_path_factory.mktemp("wire"))


@pytest.fixture
def wire(granian: Server) -> Iterator[Wire]:
    connection = granian.connect()
    yield connection
    connection.close()


def _keep_lines(source: IO[str], lines: list[str]) -> None:
    for line in source:
        lines.append(line.rstrip())
