"""Real servers on 127.0.0.1 to import from: one that sends whatever a test likes, over TLS too, and one for sftp."""

import asyncio
import contextlib
import datetime
import io
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Behaviour = Callable[["Talk"], None]


@dataclass(frozen=True, slots=True)
class Talk:
    """One connection whose request has come. request: its head, as text."""

    request: str
    connection: socket.socket
    closing: threading.Event

    @property
    def target(self) -> str:
        return self.request.split(" ")[1]

    def header(self, name: str) -> str | None:
        for line in self.request.split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self, body: bytes = b"", status: str = "200 OK", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def redirect(self, location: str, status: str = "302 Found") -> None:
        self.answer(b"moved", status, f"Location: {location}")

    def wait(self) -> None:
        """Say nothing more until the test ends."""
        self.closing.wait(30)


@dataclass
class WebServer:
    """requests: the head of each request so far."""

    behaviour: Behaviour
    scheme: str
    port: int
    requests: list[str] = field(default_factory=list)

    def url(self, path: str = "/x", host: str = "127.0.0.1", login: str = "") -> str:
        return f"{self.scheme}://{login}{host}:{self.port}{path}"


@contextmanager
def web_server(behaviour: Behaviour, context: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """A server that reads the head of a request, behaves, and closes."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = WebServer(behaviour, "https" if context else "http", listener.getsockname()[1])
    closing = threading.Event()
    threads: list[threading.Thread] = []

    def serve(accepted: socket.socket) -> None:
        with contextlib.suppress(OSError), accepted:
            connection = context.wrap_socket(accepted, server_side=True) if context else accepted
            with connection:
                request = b""
                while b"\r\n\r\n" not in request and (piece := connection.recv(65536)):
                    request += piece
                if request:
                    server.requests.append(request.decode("latin-1"))
                    behaviour(Talk(server.requests[-1], connection, closing))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                threads.append(threading.Thread(target=serve, args=(accepted,)))
                threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield server
    finally:
        closing.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()
        for thread in threads:
            thread.join()


def certificate(folder: Path, host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A self-made certificate for a host: a server's context, and that of a client that believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=str(path))


USER, PASSWORD = "ana", "pw:with@odd/signs"


@dataclass(frozen=True, slots=True)
class SftpServer:
    """known_hosts: the line of its host key.   accepted: how it was logged in, each time."""

    port: int
    known_hosts: str
    accepted: list[str]


class _Login(asyncssh.SSHServer):
    def __init__(self, accepted: list[str], connections: list[asyncssh.SSHServerConnection]) -> None:
        self._accepted = accepted
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connections.append(conn)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self._accepted.append("password")
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        self._accepted.append("key")
        return True


class AnyFile(asyncssh.SFTPServer):
    """Has every file, of 1,000 bytes as it says; subclasses say what comes of it."""

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:  # noqa: ARG002
        return io.BytesIO()

    def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:  # noqa: ARG002
        return asyncssh.SFTPAttrs(size=1000)


class StalledFiles(AnyFile):
    """Nothing ever comes."""

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:  # noqa: ARG002
        await asyncio.sleep(60)
        return b""


class SlowFiles(AnyFile):
    """All of it comes, 250 bytes at a time, with a pause before each."""

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:  # noqa: ARG002
        await asyncio.sleep(0.15)
        return bytes(min(250, 1000 - offset))


class EndlessFiles(AnyFile):
    """It never ends."""

    def read(self, file_obj: object, offset: int, size: int) -> bytes:  # noqa: ARG002
        return bytes(size)


class ShortFiles(AnyFile):
    """Only 300 bytes come."""

    def read(self, file_obj: object, offset: int, size: int) -> bytes:  # noqa: ARG002
        return bytes(max(0, min(size, 300 - offset)))


@contextmanager
def sftp_server(
    root: Path, files: type[asyncssh.SFTPServer] = asyncssh.SFTPServer, **options: Any
) -> Iterator[SftpServer]:
    """A server for the files below a folder, in a thread of its own. options: of `asyncssh.listen`."""
    logging.getLogger("asyncssh").setLevel(logging.ERROR)
    key = asyncssh.generate_private_key("ssh-ed25519")
    accepted: list[str] = []
    connections: list[asyncssh.SSHServerConnection] = []
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Login(accepted, connections),
            server_host_keys=[key],
            sftp_factory=lambda connection: files(connection, chroot=str(root).encode()),
            **options,
        )

    async def stop(acceptor: asyncssh.SSHAcceptor) -> None:
        acceptor.close()
        await acceptor.wait_closed()
        await asyncio.sleep(0)  # for a client that came just now: before its first step nobody would close its socket
        for connection in connections:
            connection.abort()
            await connection.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    acceptor = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    port = acceptor.get_port()
    line = f"[127.0.0.1]:{port} {key.export_public_key().decode()}"
    try:
        yield SftpServer(port, line, accepted)
    finally:
        asyncio.run_coroutine_threadsafe(stop(acceptor), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
