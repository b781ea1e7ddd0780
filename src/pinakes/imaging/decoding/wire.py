"""Messages over a socket: four bytes of length, then that many bytes of MessagePack."""

import socket
import struct
import time
from typing import Final

MOST_BYTES: Final = 512 * 1024 * 1024
"""The longest message taken. Who sends it is not believed: it has read what a stranger sent."""

_LENGTH: Final = struct.Struct("!I")


class Ended(Exception):
    """The other side has gone, or sends what is no message."""


def send(connection: socket.socket, message: bytes, deadline: float | None = None) -> None:
    """Send a message whole. deadline: of time.monotonic(). Raises Ended, TimeoutError."""
    _until(connection, deadline)
    try:
        connection.sendall(_LENGTH.pack(len(message)) + message)
    except ConnectionError as error:
        raise Ended from error


def receive(connection: socket.socket, deadline: float | None = None) -> bytearray:
    """The next message. Raises Ended, TimeoutError."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size, deadline))
    if length > MOST_BYTES:
        raise Ended
    return _exactly(connection, length, deadline)


def is_waiting(connection: socket.socket, seconds: float) -> bool:
    """Whether something has come, or comes within that time, which is above 0. Raises Ended."""
    connection.settimeout(seconds)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return False
    except ConnectionError as error:
        raise Ended from error
    return True


def _exactly(connection: socket.socket, length: int, deadline: float | None) -> bytearray:
    message = bytearray(length)
    missing = memoryview(message)
    while missing:
        _until(connection, deadline)
        try:
            taken = connection.recv_into(missing)
        except ConnectionError as error:
            raise Ended from error
        if not taken:
            raise Ended
        missing = missing[taken:]
    return message


def _until(connection: socket.socket, deadline: float | None) -> None:
    if deadline is None:
        connection.settimeout(None)
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)
