"""The program of a decoding process: reads requests from a socket and answers them, one after the other.

Its only argument are `requests.Orders`, as JSON. The limits are set before the first byte of a file is looked at.
Should the one who started it die, the kernel ends it; should it hang after that, an alarm does.
"""

import importlib
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from pinakes.imaging.bytesources import DistantFile
from pinakes.imaging.confined import limit
from pinakes.imaging.decoding import wire
from pinakes.imaging.decoding.answering import Answers
from pinakes.imaging.decoding.ranges import Fetching
from pinakes.imaging.decoding.requests import Answer, Bounds, DecodeRequest, Needed, Orders, Ready, Refused
from pinakes.imaging.decoding.warm import File, Opener
from pinakes.imaging.opening import load_readers
from pinakes.imaging.source import ImageSource
from pinakes.kinship import die_with

_ALARM_GRACE_SECONDS: Final = 5.0  # who waits for the answer is to act first

_encoder: Final = msgspec.msgpack.Encoder()
_requests: Final = msgspec.msgpack.Decoder(DecodeRequest)


def main() -> int:
    """Serve until the other side closes the socket; the exit status."""
    orders = msgspec.json.decode(sys.argv[1], type=Orders)
    die_with(orders.parent_pid)
    tempfile.tempdir = orders.scratch  # to find one itself, Python would try to write a file
    limit(orders.bounds.memory_bytes)
    bounds = orders.bounds
    if orders.is_early:
        load_readers()
    with socket.socket(fileno=orders.socket) as connection:
        fetching = Fetching(lambda needed: _fetched(connection, needed))
        opener = opener_of(bounds, fetching)
        answers = Answers(opener, bounds.warm_sources, bounds.memory_bytes, bounds.limits, fetching)
        try:
            wire.send(connection, _encoder.encode(Answer(Ready())))
            while True:
                _serve_one(connection, answers, bounds)
        except wire.Ended:
            return 0


def _serve_one(connection: socket.socket, answers: Answers, bounds: Bounds) -> None:
    message = _next_message(connection, answers, bounds.idle_seconds)
    signal.setitimer(signal.ITIMER_REAL, bounds.seconds + _ALARM_GRACE_SECONDS)
    answer = answers.answer(_requests.decode(message))
    wire.send(connection, _encoded(answer))
    signal.setitimer(signal.ITIMER_REAL, 0)


def _fetched(connection: socket.socket, needed: Needed) -> bytearray:
    wire.send(connection, _encoder.encode(Answer(needed)))
    return wire.receive(connection)


def _next_message(connection: socket.socket, answers: Answers, idle_seconds: float) -> bytearray:
    if not wire.is_waiting(connection, idle_seconds):
        answers.rest()
    return wire.receive(connection)


def _encoded(answer: Answer) -> bytes:
    try:
        return _encoder.encode(answer)
    except (OverflowError, TypeError, ValueError):
        refused = Refused("unreadable", "What the file tells of itself cannot be passed on.", "not for MessagePack")
        return _encoder.encode(Answer(refused, answer.spent))


def opener_of(bounds: Bounds, fetching: Fetching) -> Opener:
    """What opens the files of requests."""
    open_here, limits = _named(bounds.opener), bounds.limits

    def opened(file: File) -> ImageSource:
        if isinstance(file, str):
            return open_here(Path(file), limits=limits)
        source = DistantFile(fetching.read, file.size_bytes)
        return _named(bounds.distant_opener)(source, file.levels, only_plain=file.only_plain, limits=limits)

    return opened


def _named(function: str) -> Callable[..., ImageSource]:
    module, _, name = function.partition(":")
    found: Callable[..., ImageSource] = getattr(importlib.import_module(module), name)
    return found


if __name__ == "__main__":
    sys.exit(main())
