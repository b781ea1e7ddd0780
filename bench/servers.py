"""The servers that are measured, each in processes of its own: Pinakes, nginx, and a bare socket loop."""

import hashlib
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

Address = tuple[str, int]

_PIECE = 1 << 20
_PATIENCE_SECONDS = 90


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(is_so: Callable[[], bool]) -> None:
    """Raises TimeoutError if it does not come about."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError("a server does not begin")
        time.sleep(0.05)


def takes_connections(address: Address) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Running:
    """A running server. pid: its first process; the others are its children."""

    address: Address
    pid: int


@dataclass(frozen=True, slots=True)
class Pinakes:
    """A Pinakes over a fresh folder, and its command line."""

    data: Path

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """What the command prints."""
        command = [str(Path(sys.executable).parent / "pinakes"), *arguments]
        environment = os.environ | {"PINAKES_DATA": str(self.data)}
        done = subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"pinakes {' '.join(arguments)}: {done.stderr}")
        return done.stdout.strip()

    @contextmanager
    def serving(self, workers: int, **settings: str) -> Iterator[Running]:
        """settings: of the environment."""
        port = free_port()
        command = [str(Path(sys.executable).parent / "pinakes"), "serve", "--data", str(self.data)]
        command += ["--port", str(port), "--workers", str(workers)]
        log = self.data.parent / "pinakes.log"
        begun = _job_workers_in(log)
        environment = os.environ | dict(settings or {})
        with process(command, ("127.0.0.1", port), log, environment) as running:
            until(lambda: _job_workers_in(log) > begun)  # it takes a second of processor to begin
            yield running


def _job_workers_in(log: Path) -> int:
    """How many job workers say that they have begun."""
    return log.read_text().count(" does jobs,") if log.exists() else 0


_NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on; tcp_nopush on; client_max_body_size 0; client_body_temp_path {folder}/temp;
  proxy_temp_path {folder}/t1; fastcgi_temp_path {folder}/t2; uwsgi_temp_path {folder}/t3; scgi_temp_path {folder}/t4;
  {server}
}}
"""
_DAV = """
  server {{ listen 127.0.0.1:{port}; root {folder}/files; location / {{ dav_methods PUT; create_full_put_path on; }} }}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[Running]:
    """nginx (Debian package) with PUT by its dav module and static files by sendfile."""
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    files.chmod(0o777)
    port = free_port()
    with nginx_of(folder, _DAV.format(folder=folder, port=port), port) as running:
        yield running


@contextmanager
def nginx_of(folder: Path, server: str, port: int) -> Iterator[Running]:
    """nginx with a `server` of its configuration, which listens at the port."""
    executable = shutil.which("nginx") or "/usr/sbin/nginx"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, server=server))
    command = [executable, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    with process(command, ("127.0.0.1", port), folder / "nginx.log") as running:
        yield running


@contextmanager
def bare_loop(folder: Path) -> Iterator[Running]:
    """A socket loop that hashes (in a thread, beside the writing), writes and fsyncs what it is sent."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "bench.servers", str(port), str(folder)]
    with process(command, ("127.0.0.1", port), folder / "loop.log") as running:
        yield running


@contextmanager
def process(
    command: list[str], address: Address, log: Path, environment: dict[str, str] | None = None
) -> Iterator[Running]:
    """A server in a process of its own, from when it takes connections. environment: all of it; None for ours."""
    with log.open("ab") as output:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
    try:
        until(lambda: takes_connections(address))
        yield Running(address, server.pid)
    finally:
        server.terminate()
        server.wait(_PATIENCE_SECONDS)


def _serve_loop(port: int, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                _take_one(connection, folder / "received")


def _take_one(connection: socket.socket, path: Path) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65_536)
        if not piece:
            return
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    digest = _write_body(connection, path, rest, size)
    answer = b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 64\r\n\r\n" + digest.encode()
    connection.sendall(answer)


def _write_body(connection: socket.socket, path: Path, first: bytes, size: int) -> str:
    pieces: queue.Queue[bytes | bytearray | None] = queue.Queue(4)
    sha256 = hashlib.sha256()

    def consume() -> None:
        while (piece := pieces.get()) is not None:
            sha256.update(piece)

    hasher = threading.Thread(target=consume)
    hasher.start()
    left = size - len(first)
    with path.open("wb", buffering=0) as file:
        pieces.put(first)
        file.write(first)
        while left:
            buffer = bytearray(min(_PIECE, left))
            got = connection.recv_into(buffer, len(buffer), socket.MSG_WAITALL)
            if got == 0:
                break
            left -= got
            piece = buffer if got == len(buffer) else buffer[:got]
            pieces.put(piece)
            file.write(piece)
        os.fsync(file.fileno())
    pieces.put(None)
    hasher.join()
    return sha256.hexdigest()


if __name__ == "__main__":
    _serve_loop(int(sys.argv[1]), Path(sys.argv[2]))
