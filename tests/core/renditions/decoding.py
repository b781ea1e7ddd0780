"""A decoder in the process of the test: the same code as in a decoding process, without the process."""

import threading
from collections.abc import Callable
from typing import Any

from pinakes.imaging.decoding.answering import Answers
from pinakes.imaging.decoding.child import opener_of
from pinakes.imaging.decoding.pool import _result_of
from pinakes.imaging.decoding.ranges import Fetching, Supply
from pinakes.imaging.decoding.requests import Bounds, DecodeRequest, DecodingFailed, Needed


class DecoderHere:
    """asked: every request.   before: called with each before it is answered; what it raises is raised."""

    def __init__(self) -> None:
        self.asked: list[DecodeRequest] = []
        self.before: Callable[[DecodeRequest], None] = lambda _: None
        self.is_closed = False
        bounds = Bounds(memory_bytes=2**40, seconds=60)
        fetching = Fetching(self._supplied)
        self._answers = Answers(opener_of(bounds, fetching), 4, bounds.memory_bytes, bounds.limits, fetching)
        self._supply: Supply | None = None
        self._turn = threading.Lock()

    def run(self, request: DecodeRequest, supply: Supply | None = None) -> Any:
        self.asked.append(request)
        self.before(request)
        with self._turn:
            self._supply = supply
            answer = self._answers.answer(request)
        if supply is not None and supply.failure is not None:
            raise supply.failure
        return _result_of(answer, request)

    def _supplied(self, needed: Needed) -> bytes:
        assert self._supply is not None
        return self._supply.give(needed)

    def start(self) -> None:
        """It is here."""

    def close(self) -> None:
        self.is_closed = True
        self._answers.rest()


def die(_: DecodeRequest) -> None:
    """What a decoder raises when its process dies."""
    raise DecodingFailed("The process that read the picture died.")
