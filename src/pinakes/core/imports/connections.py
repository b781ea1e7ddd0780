"""Connections to judged addresses: the address that was looked at is the one that is connected to.

A name is resolved once for each connection, every address it has is judged, and the socket is opened to one of just
these. So it does not matter what the name resolves to a moment later.
"""

import contextlib
import errno
import io
import queue
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from pinakes.core.imports.addresses import AddressPolicy, parse_address
from pinakes.core.imports.transfer import POLL_SECONDS, FetchFailed, Watch

Resolved = Sequence[tuple[int, int, int, str, tuple[Any, ...]]]
Resolver = Callable[[str, int], Resolved]

_MOST_ADDRESSES = 8
_CONNECT_SECONDS = 10.0


def resolve(host: str, port: int) -> Resolved:
    """What the system's resolver says: as `socket.getaddrinfo`, for TCP."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Dialer:
    """Opens connections for one transfer."""

    def __init__(self, policy: AddressPolicy, watch: Watch, resolver: Resolver = resolve) -> None:
        self._policy = policy
        self._watch = watch
        self._resolver = resolver

    def connect(self, host: str, port: int) -> socket.socket:
        """A connected socket, to the first address that takes one. Raises FetchFailed."""
        for family, address in self._judged(host, port):
            try:
                return self._connect(family, address)
            except OSError:
                continue
        raise FetchFailed("The server could not be reached.")

    def secure(self, plain: socket.socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
        """The same connection under TLS, with the certificate checked against the host's name. Raises FetchFailed."""
        held = plain
        try:
            held = secured = context.wrap_socket(
                plain, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
            self._shake_hands(secured)
        except BaseException as exc:
            held.close()
            if isinstance(exc, ssl.SSLCertVerificationError):
                raise FetchFailed("The server's certificate could not be verified.") from None
            if isinstance(exc, OSError):
                raise FetchFailed("No secure connection could be made to the server.") from None
            raise
        return secured

    def _shake_hands(self, secured: ssl.SSLSocket) -> None:
        secured.settimeout(POLL_SECONDS)
        while True:
            self._watch.tick()
            with contextlib.suppress(TimeoutError):
                secured.do_handshake()
                break
        self._watch.heard()

    def _judged(self, host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
        """All addresses of the host. Raises FetchFailed if a single one may not be fetched from."""
        found = self._resolve(host, port)
        if not all(self._policy.allows(parse_address(address[0])) for _, _, _, _, address in found):
            raise FetchFailed("The host has an address that may not be fetched from.")
        return [(family, address) for family, _, _, _, address in found[:_MOST_ADDRESSES]]

    def _resolve(self, host: str, port: int) -> Resolved:
        """In a thread of its own: a resolver may take its time, and cannot be interrupted."""
        answers: queue.SimpleQueue[Resolved | None] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolver(host, port))
            except (OSError, ValueError):  # no such name; no text that could be one
                answers.put(None)

        threading.Thread(target=ask, name="resolve", daemon=True).start()
        while True:
            self._watch.tick()
            try:
                found = answers.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if not found:
                raise FetchFailed("The host's name could not be resolved.")
            return found

    def _connect(self, family: int, address: tuple[Any, ...]) -> socket.socket:
        """Raises OSError if nobody answers there, and what the watch raises."""
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.setblocking(False)
            error = opened.connect_ex(address)
            if error == errno.EINPROGRESS:
                self._wait_writable(opened)
                error = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, "connect")
            opened.settimeout(POLL_SECONDS)
        except BaseException:
            opened.close()
            raise
        self._watch.heard()
        return opened

    def _wait_writable(self, opened: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(opened, selectors.EVENT_WRITE)
            end = time.monotonic() + _CONNECT_SECONDS
            while not selector.select(POLL_SECONDS):
                self._watch.tick()
                if time.monotonic() >= end:
                    raise TimeoutError


class Line(io.RawIOBase):
    """What comes out of a socket, as a file that waits in short turns and looks each time whether to go on."""

    def __init__(self, connected: socket.socket, watch: Watch) -> None:
        self._socket = connected
        self._watch = watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises FetchFailed if time is up or the connection breaks."""
        self._watch.heard()  # what has been done since the last byte was not the server's silence
        while True:
            self._watch.tick()
            try:
                count = self._socket.recv_into(buffer)
            except TimeoutError:
                continue
            except OSError:
                raise FetchFailed("The connection to the server broke.") from None
            self._watch.heard()
            return count
