"""A decoder in the process of the test: the same code as in a decoding process, without the process."""

import threading
from collections.abc import Callable
from typing import Any

from pinakes.imaging.decoding.answering import Answers
from pinakes.imaging.decoding.pool import _result_of
from pinakes.imaging.decoding.requests import DecodeRequest, DecodingFailed
from pinakes.imaging.opening import open_source
from pinakes.imaging.source import DEFAULT_LIMITS


class DecoderHere:
    """asked: every request.   before: called with each before it is answered; what it raises is raised."""

    def __init__(self) -> None:
        self.asked: list[DecodeRequest] = []
        self.before: Callable[[DecodeRequest], None] = lambda _: None
        self.is_closed = False
        self._answers = Answers(open_source, 4, 2**40, DEFAULT_LIMITS)
        self._turn = threading.Lock()

    def run(self, request: DecodeRequest) -> Any:
        self.asked.append(request)
        self.before(request)
        with self._turn:
            return _result_of(self._answers.answer(request), request)

    def close(self) -> None:
        self.is_closed = True
        self._answers.rest()


def die(_: DecodeRequest) -> None:
    """What a decoder raises when its process dies."""
    raise DecodingFailed("The process that read the picture died.")
