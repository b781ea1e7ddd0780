"""One decoding process, as the one sees it who started it: start, ask, stop."""

import os
import time
from typing import Final, Self

import msgspec

from pinakes.imaging import confined
from pinakes.imaging.decoding import wire
from pinakes.imaging.decoding.ranges import Supply
from pinakes.imaging.decoding.requests import (
    Answer,
    Bounds,
    DecodeRequest,
    DecodingFailed,
    Exhausted,
    Needed,
    Orders,
    Ready,
)

SCRATCH: Final = "pinakes-decoding-"
"""How the names of the processes' folders begin."""

_PROGRAM: Final = "pinakes.imaging.decoding.child"

_encoder: Final = msgspec.msgpack.Encoder()
_answers: Final = msgspec.msgpack.Decoder(Answer)


class DecodingProcess(confined.Confined):
    """Asked by one thread at a time; killed by any: who waits for its answer then gets DecodingFailed.

    is_ready: whether it has been seen to take requests.
    """

    def __init__(self, process: confined.Spawned, bounds: Bounds) -> None:
        super().__init__(process)
        self._bounds = bounds
        self.is_ready = False

    @classmethod
    def start(cls, bounds: Bounds, *, is_early: bool = False) -> Self:
        """Start one; it is ready a little later. is_early: before anybody waits for it. Raises OSError.

        The kernel kills it when the calling thread ends, so call it from one that lives as long as it should.
        """

        def orders(socket: int, scratch: str) -> bytes:
            return msgspec.json.encode(Orders(os.getpid(), socket, scratch, bounds, is_early))

        return cls(confined.spawned(_PROGRAM, SCRATCH, orders), bounds)

    def ask(self, request: DecodeRequest, supply: Supply | None = None) -> Answer:
        """The answer. After an error the process is of no more use: stop it.

        supply: of a distant file; the time that it takes counts.
        Raises Exhausted if it takes too long, DecodingFailed if the process dies, OverflowError or
        UnicodeEncodeError for a request that cannot be told.
        """
        message = _encoder.encode(request)
        if not self.is_ready:
            self._await_ready()
        try:
            deadline = time.monotonic() + self._bounds.seconds
            while True:
                wire.send(self._connection, message, deadline)
                answer = _answers.decode(wire.receive(self._connection, deadline))
                if supply is None or not isinstance(answer.result, Needed):
                    return answer
                message = supply.give(answer.result)
        except TimeoutError:
            raise Exhausted("The picture takes more time than is allowed.") from None
        except (wire.Ended, msgspec.MsgspecError) as error:
            raise DecodingFailed("The process that read the picture died.") from error

    def _await_ready(self) -> None:
        try:
            said = _answers.decode(wire.receive(self._connection, time.monotonic() + confined.START_SECONDS))
        except (TimeoutError, wire.Ended, msgspec.MsgspecError) as error:
            raise DecodingFailed("The process that reads pictures did not start.") from error
        self.is_ready = isinstance(said.result, Ready)
