"""Fetching over sftp, with the password of the URL and nothing else of this machine: no keys, no agent, no settings.

Host keys: a URL has no place for one, so by default any is accepted for the one transfer. Whoever can pose as the
server could then read the password and send other bytes. A file of known hosts (`ImportLimits.known_hosts`) closes
that: only servers whose key it holds are spoken to.
"""

import asyncio
import contextlib
import logging
import socket
from typing import Any, cast

import asyncssh

from pinakes.core.imports.connections import Dialer
from pinakes.core.imports.sources import Source
from pinakes.core.imports.transfer import PIECE_BYTES, POLL_SECONDS, FetchFailed, ImportLimits, Receiver, Watch

# It tells of every connection, user name and path.
logging.getLogger("asyncssh").setLevel(logging.WARNING)


def fetch(source: Source, receiver: Receiver, dialer: Dialer, watch: Watch, limits: ImportLimits) -> None:
    """Give the whole file to the receiver. Raises FetchFailed, and what the receiver and the watch raise."""
    options = _options(source, limits)
    with _Heard(watch, dialer.connect(source.host, source.port)) as connected:
        asyncio.run(_watched(source, receiver, connected, watch, options))


class _Heard(socket.socket):
    """A connected socket that tells the watch of all that comes: asyncssh tells only of whole pieces of a file."""

    def __init__(self, watch: Watch, connected: socket.socket) -> None:
        super().__init__(fileno=connected.detach())
        self._watch = watch

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        received = super().recv(bufsize, flags)
        self._watch.heard()
        return received


async def _watched(
    source: Source, receiver: Receiver, connected: socket.socket, watch: Watch, options: dict[str, Any]
) -> None:
    """The transfer as a task, and a look every now and then whether it is to go on."""
    transfer = asyncio.create_task(_transfer(source, receiver, connected, watch, options))
    try:
        while not (await asyncio.wait({transfer}, timeout=POLL_SECONDS))[0]:
            watch.tick()
    finally:
        if not transfer.done():
            await _break_off(transfer, connected)
    transfer.result()


async def _break_off(transfer: asyncio.Task[None], connected: socket.socket) -> None:
    """End a transfer without another word to the server: an orderly goodbye would wait for its answers."""
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # what breaks now, breaks as meant
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
    transfer.cancel()
    await asyncio.wait({transfer}, timeout=POLL_SECONDS)


async def _transfer(
    source: Source, receiver: Receiver, connected: socket.socket, watch: Watch, options: dict[str, Any]
) -> None:
    try:
        async with (
            asyncssh.connect(source.host, source.port, sock=connected, **options) as connection,
            connection.start_sftp_client() as client,
            client.open(source.target, "rb") as file,
        ):
            await _receive(file, receiver, watch)
    except asyncssh.PermissionDenied:
        raise FetchFailed("The server did not accept the user name and password.") from None
    except asyncssh.HostKeyNotVerifiable:
        raise FetchFailed("The server's key is not among the known ones.") from None
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPPermissionDenied):
        raise FetchFailed("The server has no such file, or does not give it to this user.") from None
    except (asyncssh.Error, OSError, ValueError, EOFError):
        raise FetchFailed("The server does not speak sftp, or the connection to it broke.") from None


async def _receive(file: asyncssh.SFTPClientFile, receiver: Receiver, watch: Watch) -> None:
    announced = (await file.stat()).size
    receiver.expect(announced)
    received = 0
    while piece := cast(bytes, await file.read(PIECE_BYTES)):
        received += len(piece)
        if announced is not None and received > announced:
            raise FetchFailed("The file is longer than the server said.")
        receiver.write(piece)
        watch.heard()  # the time that writing took was not the server's
    if announced is not None and received != announced:
        raise FetchFailed(f"The file ended early: {received} of {announced} bytes came.")


def _options(source: Source, limits: ImportLimits) -> dict[str, Any]:
    """Everything that asyncssh would otherwise look for on this machine is switched off."""
    return {
        "username": source.user,
        "password": source.password,
        "preferred_auth": ["password"],
        "compression_algs": ["none"],  # a packet could unfold to a thousand times its size
        "known_hosts": _known_hosts(limits),
        "config": None,
        "client_keys": None,
        "agent_path": None,
        "gss_host": None,
        "gss_auth": False,
        "gss_kex": False,
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
    }


def _known_hosts(limits: ImportLimits) -> asyncssh.SSHKnownHosts | None:
    if limits.known_hosts is None:
        return None
    try:
        return asyncssh.read_known_hosts(str(limits.known_hosts))
    except (OSError, ValueError):
        raise FetchFailed("The archive's own list of known servers cannot be read.") from None
