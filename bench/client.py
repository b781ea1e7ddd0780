"""The simplest clients that keep up: raw sockets for large bodies, `wrk` (Debian package) for many small requests."""

import http.client
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from bench.servers import Address

_PIECE = 1 << 20
_PATHS = Path(__file__).with_name("paths.lua")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    seconds: from the first byte sent to the last byte received.   waited: those of them after the last byte sent.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float
    waited: float


@dataclass(frozen=True, slots=True)
class Load:
    """How a server bore it. asked: requests that were answered.   rate: of them in a second."""

    asked: int
    rate: float
    p99_ms: float


def send_file(
    address: Address,
    method: str,
    path: str,
    file: Path,
    headers: dict[str, str],
    *,
    before: bytes = b"",
    after: bytes = b"",
) -> Answer:
    """Send a file as the body, by sendfile, with bytes before and after it; read the whole answer."""
    size = file.stat().st_size
    length = len(before) + size + len(after)
    started = time.perf_counter()
    with socket.create_connection(address) as connection, file.open("rb") as source:
        connection.sendall(_head(address, method, path, headers | {"Content-Length": str(length)}) + before)
        offset = 0
        while offset < size:
            offset += os.sendfile(connection.fileno(), source.fileno(), offset, size - offset)
        connection.sendall(after)
        return _read_answer(connection, started, time.perf_counter())


def send(address: Address, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Send a small body and read the whole answer."""
    started = time.perf_counter()
    with socket.create_connection(address) as connection:
        connection.sendall(_head(address, method, path, headers | {"Content-Length": str(len(body))}) + body)
        return _read_answer(connection, started, time.perf_counter())


def receive_file(address: Address, path: str, headers: dict[str, str]) -> tuple[int, float]:
    """GET a body and drop it; its size in bytes and the seconds it took."""
    buffer = bytearray(_PIECE)
    started = time.perf_counter()
    with socket.create_connection(address) as connection:
        connection.sendall(_head(address, "GET", path, headers))
        head, rest = _read_head(connection)
        status, fields = _parse_head(head)
        if status not in {200, 206}:
            raise RuntimeError(f"GET {path} answered {status}")
        expected = int(fields["content-length"])
        received = len(rest)
        while received < expected:
            count = connection.recv_into(buffer)
            if count == 0:
                raise RuntimeError(f"the answer ended after {received} of {expected} bytes")
            received += count
    return received, time.perf_counter() - started


def requests_a_second(address: Address, path: str, headers: dict[str, str], seconds: int, connections: int) -> float:
    """The rate at which `wrk` gets answers of status 200 from one URL."""
    fields = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    url = f"http://{address[0]}:{address[1]}{path}"
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", *fields, url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise RuntimeError(f"{url} answered other than 200:\n{printed}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    assert found is not None
    return float(found[1])


def load(address: Address, paths: Sequence[str], headers: dict[str, str], seconds: float, connections: int) -> Load:
    """`wrk` asks for the paths in turn, and from the beginning again. Raises RuntimeError unless all are found.

    Where none is answered in time, that is the rate: a server that stalls is not left out.
    """
    fields = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(paths))
        file.flush()
        command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "-s", str(_PATHS), *fields]
        command += [f"http://{address[0]}:{address[1]}", "--", file.name]
        printed = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        ).stdout
    found = re.search(r"measured (\d+) requests in (\d+) us, p99 (\d+) us, (\d+) failed", printed)
    if found is None or int(found[4]):
        raise RuntimeError(f"{paths[0]} and others were answered otherwise:\n{printed}")
    asked, microseconds = int(found[1]), int(found[2])
    return Load(asked, asked / microseconds * 1e6, (int(found[3]) if asked else microseconds) / 1000)


def fetch(address: Address, paths: Sequence[str], headers: dict[str, str], connections: int) -> Load:
    """Ask for each path once, over so many connections. Raises RuntimeError unless all are found."""
    waiting: SimpleQueue[str] = SimpleQueue()
    for path in paths:
        waiting.put(path)
    started = time.perf_counter()
    with ThreadPoolExecutor(connections) as clients:
        fetching = [clients.submit(_fetch_some, address, waiting, headers) for _ in range(connections)]
        taken = sorted(seconds for each in fetching for seconds in each.result())
    return Load(len(taken), len(taken) / (time.perf_counter() - started), taken[int(len(taken) * 0.99)] * 1000)


def get(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bytes:
    """What is at a path. Raises RuntimeError if it is not found."""
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path} was answered {answer.status}: {body[:200]!r}")
    return body


def _fetch_some(address: Address, waiting: SimpleQueue[str], headers: dict[str, str]) -> list[float]:
    """The seconds that each took, on one connection."""
    taken: list[float] = []
    with closing(http.client.HTTPConnection(*address, timeout=60)) as connection:
        while True:
            try:
                path = waiting.get_nowait()
            except Empty:
                return taken
            started = time.perf_counter()
            get(connection, path, headers)
            taken.append(time.perf_counter() - started)


def _head(address: Address, method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address[0]}:{address[1]}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65_536)
        if not piece:
            raise RuntimeError("the connection closed before an answer")
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines if ": " in line)
    return int(first.split(" ")[1]), {name.lower(): value for name, value in fields.items()}


def _read_answer(connection: socket.socket, started: float, sent: float) -> Answer:
    head, body = _read_head(connection)
    status, fields = _parse_head(head)
    while piece := connection.recv(_PIECE):
        body += piece
    ended = time.perf_counter()
    return Answer(status, fields, body, ended - started, ended - sent)
