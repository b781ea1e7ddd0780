"""The simplest clients that keep up: raw sockets for large bodies, `wrk` (Debian package) for many small requests."""

import os
import re
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.servers import Address

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. seconds: from the first byte sent to the last byte received."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


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
        return _read_answer(connection, started)


def send(address: Address, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Send a small body and read the whole answer."""
    started = time.perf_counter()
    with socket.create_connection(address) as connection:
        connection.sendall(_head(address, method, path, headers | {"Content-Length": str(len(body))}) + body)
        return _read_answer(connection, started)


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


def _read_answer(connection: socket.socket, started: float) -> Answer:
    head, body = _read_head(connection)
    status, fields = _parse_head(head)
    while piece := connection.recv(_PIECE):
        body += piece
    return Answer(status, fields, body, time.perf_counter() - started)
