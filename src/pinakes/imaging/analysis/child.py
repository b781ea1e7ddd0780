"""The program of an analysis process: reads requests from a socket and answers them, one after the other.

Its only argument are `requests.Orders`, as JSON. The limits are set before a model or a slide is looked at. Should the
one who started it die, the kernel ends it; should it hang after that, an alarm does.
"""

import importlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from pinakes.imaging.analysis.requests import (
    AnalysisAnswer,
    AnalysisBounds,
    AnalysisRequest,
    Executable,
    Orders,
    Ready,
    Refused,
)
from pinakes.imaging.confined import limit
from pinakes.imaging.decoding import wire
from pinakes.imaging.source import ImageSource
from pinakes.kinship import die_with

_ALARM_GRACE_SECONDS: Final = 5.0  # who waits for the answer is to act first

_encoder: Final = msgspec.msgpack.Encoder()
_requests: Final[msgspec.msgpack.Decoder[AnalysisRequest]] = msgspec.msgpack.Decoder(AnalysisRequest)


def main() -> int:
    """Serve until the other side closes the socket; the exit status."""
    orders = msgspec.json.decode(sys.argv[1], type=Orders)
    bounds = orders.bounds
    die_with(orders.parent_pid)
    tempfile.tempdir = orders.scratch  # to find one itself, Python would try to write a file
    file_bytes = bounds.file_bytes if isinstance(orders.model, Executable) else 0
    limit(bounds.memory_bytes, file_bytes=file_bytes, reserves_freely=bounds.uses_gpu)
    from pinakes.imaging.analysis.analysing import Analysis, model_of  # its libraries, within the limits

    analysis = Analysis(_opener(bounds), partial(model_of, orders.model, uses_gpu=bounds.uses_gpu))
    with socket.socket(fileno=orders.socket) as connection:
        try:
            _send(connection, Ready())
            while True:
                request = _requests.decode(wire.receive(connection))
                signal.setitimer(signal.ITIMER_REAL, bounds.seconds + _ALARM_GRACE_SECONDS)
                _send(connection, analysis.answer(request))
                signal.setitimer(signal.ITIMER_REAL, 0)
        except wire.Ended:
            os._exit(0)  # a thread may still be reading, or a model wait for its program


def _send(connection: socket.socket, answer: AnalysisAnswer) -> None:
    message = _encoder.encode(answer)
    if len(message) > wire.MOST_BYTES:
        message = _encoder.encode(Refused("limit", "The analysis of the slide gives more than can be passed on."))
    wire.send(connection, message)


def _opener(bounds: AnalysisBounds) -> Callable[[Path], ImageSource]:
    module, _, name = bounds.opener.partition(":")
    function: Callable[..., ImageSource] = getattr(importlib.import_module(module), name)
    return partial(function, limits=bounds.limits)


if __name__ == "__main__":
    sys.exit(main())
