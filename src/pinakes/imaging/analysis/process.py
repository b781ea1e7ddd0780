"""One analysis process, as the one sees it who started it: start, begin, score, conclude, stop.

While it waits for an answer it calls `check` several times a second: what that raises ends the process at once.
"""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

import msgspec

from pinakes.imaging import confined, scratch
from pinakes.imaging.analysis.requests import (
    AnalysisAnswer,
    AnalysisBounds,
    AnalysisFailed,
    AnalysisRequest,
    Begin,
    Begun,
    Classical,
    Conclude,
    Concluded,
    Executable,
    Load,
    Loaded,
    ModelChoice,
    OnnxModel,
    Orders,
    Ready,
    Refused,
    Score,
    Scored,
    TileRow,
)
from pinakes.imaging.decoding import wire
from pinakes.imaging.source import ImagingError, LimitExceeded, Unreadable

if TYPE_CHECKING:
    from pinakes.imaging.analysis.model import Findings

__all__ = [
    "AnalysisBounds",
    "AnalysisFailed",
    "AnalysisProcess",
    "Begun",
    "Classical",
    "Executable",
    "Loaded",
    "ModelChoice",
    "OnnxModel",
    "TileRow",
]

Check = Callable[[], None]
Expected = TypeVar("Expected", Ready, Loaded, Begun, Scored, Concluded)

SCRATCH: Final = "pinakes-analysis-"
"""How the names of the processes' folders begin."""

_PROGRAM: Final = "pinakes.imaging.analysis.child"
_CHECK_SECONDS: Final = 0.1
_NUMBER_BYTES: Final = 4

_ERRORS: Final[dict[str, type[ImagingError]]] = {
    "unreadable": Unreadable,
    "limit": LimitExceeded,
    "failed": AnalysisFailed,
}

_encoder: Final = msgspec.msgpack.Encoder()
_answers: Final[msgspec.msgpack.Decoder[AnalysisAnswer]] = msgspec.msgpack.Decoder(AnalysisAnswer)

log = logging.getLogger(__name__)


def _nothing() -> None: ...


class AnalysisProcess(confined.Confined):
    """Asked by one thread at a time; killed by any: who waits for its answer then gets AnalysisFailed.

    After an error from `load` or `begin` another slide may be begun; after a process died, took too long or was
    stopped by `check` it is of no more use. In every case: `stop` it.
    """

    def __init__(self, process: confined.Spawned, bounds: AnalysisBounds) -> None:
        super().__init__(process)
        self._bounds = bounds
        self._is_ready = False
        self._model: Loaded | None = None
        self._begun: Begun | None = None

    @classmethod
    def start(cls, bounds: AnalysisBounds, model: ModelChoice) -> Self:
        """Start one; it is ready a little later. Raises OSError.

        The kernel kills it when the calling thread ends, so call it from one that lives as long as it should.
        """

        def orders(socket: int, folder: str) -> bytes:
            return msgspec.json.encode(Orders(os.getpid(), socket, folder, bounds, model))

        scratch.sweep(SCRATCH, first=confined.kill_all_of)  # of workers that were killed
        return cls(confined.spawned(_PROGRAM, SCRATCH, orders), bounds)

    def stop(self) -> int:
        """As that of Confined. What the model started goes too, even if it has left the process group."""
        self.kill()
        confined.kill_all_of(str(self._scratch.path))
        return super().stop()

    def load(self, check: Check = _nothing) -> Loaded:
        """Check the model's files and load it, unless that is done. Raises AnalysisFailed."""
        if self._model is None:
            late = AnalysisFailed(f"The model takes more than {self._bounds.seconds:g} s to load.")
            self._model = self._asked(Load(), Loaded, check, late, "loaded the model")
        return self._model

    def begin(self, path: Path, check: Check = _nothing) -> Begun:
        """Load the model, open a slide, find its tissue, cut it into tiles. No tissue is no error.

        Equal for equal slides and models. Raises Unreadable, LimitExceeded, AnalysisFailed.
        """
        self.load(check)
        late = LimitExceeded("The slide takes more time than is allowed.")
        self._begun = self._asked(Begin(str(path)), Begun, check, late, "looked for tissue")
        return self._begun

    def score(self, first: int, count: int, check: Check = _nothing, *, then: int | None = None) -> bytes:
        """The rows of tiles[first : first + count], as float32, little-endian, `model.columns` numbers each.

        then: the first tile of the next call, if it is not the one that follows; it is read ahead.
        Raises Unreadable, LimitExceeded, AnalysisFailed; ValueError if there are no such tiles.
        """
        begun = self._has_begun()
        if first < 0 or count < 1 or first + count > begun.tiles_count:
            raise ValueError("There are no such tiles.")
        late = AnalysisFailed(f"The model takes more than {self._bounds.seconds:g} s for {count} tiles.")
        following = first + count if then is None else then
        rows = self._asked(Score(first, count, following), Scored, check, late, "scored tiles").rows
        if len(rows) != self._bytes_of(count):
            raise AnalysisFailed("The analysis process answered something else.")
        return rows

    def findings(self, scores: bytes, check: Check = _nothing) -> "Findings":
        """What the rows of all tiles, in order, say of the slide. Loads the libraries of geometry.

        Raises LimitExceeded, AnalysisFailed; ValueError if they are not as many.
        """
        if len(scores) != self._bytes_of(self._has_begun().tiles_count):
            raise ValueError("There has to be one row for each tile.")
        late = AnalysisFailed(f"To join the tiles takes more than {self._bounds.seconds:g} s.")
        packed = self._asked(Conclude(scores), Concluded, check, late, "joined tiles").findings
        from pinakes.imaging.analysis.model import Findings

        return msgspec.msgpack.decode(packed, type=Findings)

    def _asked(
        self, request: AnalysisRequest, expected: type[Expected], check: Check, late: ImagingError, doing: str
    ) -> Expected:
        message = _encoder.encode(request)
        if len(message) > wire.MOST_BYTES:
            raise LimitExceeded("The slide has more tiles than can be passed on.")
        if not self._is_ready:
            not_started = AnalysisFailed("The analysis process did not start.")
            self._received(Ready, time.monotonic() + confined.START_SECONDS, check, not_started, "started")
            self._is_ready = True
        deadline = time.monotonic() + self._bounds.seconds
        try:
            wire.send(self._connection, message, deadline)
        except TimeoutError:
            self.kill()
            raise late from None
        except wire.Ended:
            raise self._died(doing) from None
        return self._received(expected, deadline, check, late, doing)

    def _received(
        self, expected: type[Expected], deadline: float, check: Check, late: ImagingError, doing: str
    ) -> Expected:
        try:
            self._await_answer(deadline, check)
            answer = _answers.decode(wire.receive(self._connection, deadline))
        except TimeoutError:
            self.kill()
            raise late from None
        except (wire.Ended, msgspec.MsgspecError):
            raise self._died(doing) from None
        except BaseException:
            self.kill()
            raise
        if isinstance(answer, Refused):
            if answer.cause:
                log.info("an analysis was refused (%s): %s", answer.kind, answer.cause)
            raise _ERRORS[answer.kind](answer.reason)
        if not isinstance(answer, expected):
            raise AnalysisFailed("The analysis process answered something else.")
        return answer

    def _await_answer(self, deadline: float, check: Check) -> None:
        """Until there is something to receive. Raises TimeoutError, wire.Ended, and what `check` does."""
        while True:
            check()
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if wire.is_waiting(self._connection, min(left, _CHECK_SECONDS)):
                return

    def _died(self, doing: str) -> AnalysisFailed:
        self.kill()
        log.warning("analysis process %d ended with status %s", self.pid, self._popen.returncode)
        most = self._bounds.memory_bytes // 1024**2
        return AnalysisFailed(
            f"The analysis process died while it {doing}; perhaps it needs more than the {most} MiB it may take."
        )

    def _has_begun(self) -> Begun:
        if self._begun is None:
            raise ValueError("No slide has been begun.")
        return self._begun

    def _bytes_of(self, tiles: int) -> int:
        columns = len(self._has_begun().model.columns)
        return tiles * columns * _NUMBER_BYTES
