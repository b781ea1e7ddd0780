"""A few decoding processes, shared by many threads: the one door from Pinakes to the pixels of a stored file."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self, overload

from pinakes.imaging.decoding.process import DecodingProcess
from pinakes.imaging.decoding.requests import (
    Answer,
    Bounds,
    DecodeRequest,
    DecodingBusy,
    DecodingFailed,
    Describe,
    Described,
    Encoded,
    NoSuchPart,
    PictureRequest,
    Refused,
)
from pinakes.imaging.decoding.turns import Closed, Turns
from pinakes.imaging.source import Description, ImagingError, LimitExceeded, Unreadable

log = logging.getLogger(__name__)

_ERRORS: Final[dict[str, type[ImagingError]]] = {
    "unreadable": Unreadable,
    "limit": LimitExceeded,
    "absent": NoSuchPart,
    "failed": DecodingFailed,
}


class _Place:
    """Of a process, which may not have been started yet. warm: the keys of what it has open, the latest last."""

    def __init__(self) -> None:
        self.process: DecodingProcess | None = None
        self.warm: OrderedDict[str, None] = OrderedDict()


class DecodingPool:
    """Processes are started when they are first needed, at most `processes` of them, and replaced when they die.

    bounds: of each process, and of each request.   wait_seconds: how long a caller waits for a process to be free.
    Close it when done: it is a context manager, too.
    """

    def __init__(self, processes: int, bounds: Bounds, *, wait_seconds: float = 60.0) -> None:
        if processes < 1:
            raise ValueError("a pool needs at least one process")
        self._bounds = bounds
        self._wait_seconds = wait_seconds
        self._places = [_Place() for _ in range(processes)]
        self._turns = Turns(self._places)
        self._lock = threading.Lock()
        self._is_closed = False
        # The kernel kills a process when the thread that started it ends; this thread ends with the pool.
        self._starter = ThreadPoolExecutor(1, "decoding-starter")

    @overload
    def run(self, request: Describe) -> Description: ...

    @overload
    def run(self, request: PictureRequest) -> Encoded: ...

    def run(self, request: DecodeRequest) -> Description | Encoded:
        """Have a request answered, by a process that has its picture open if there is one idle. Blocks.

        Raises Unreadable, LimitExceeded, NoSuchPart; DecodingBusy if all processes are taken for too long;
        DecodingFailed if the process died, the file is not there, or the pool was closed.
        """
        with self._place_for(request.key) as place:
            answer = self._asked(place, request)
        return _result_of(answer, request)

    def close(self) -> None:
        """Kill all processes. Who waits for an answer gets DecodingFailed."""
        with self._lock:
            self._is_closed = True
            busy = [place.process for place in self._places if place.process]
        for process in busy:
            process.kill()
        for place in self._turns.close():
            _stop(place)
        self._starter.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _place_for(self, key: str) -> Iterator[_Place]:
        def liking(place: _Place) -> int:
            return 2 * (key in place.warm) + (place.process is not None)

        try:
            place = self._turns.take(liking, self._wait_seconds)
        except TimeoutError:
            raise DecodingBusy("Too many pictures are being read; try again later.") from None
        except Closed:
            raise _closed() from None
        try:
            yield place
        finally:
            if self._is_closed:
                _stop(place)
            self._turns.give_back(place)

    def _asked(self, place: _Place, request: DecodeRequest) -> Answer:
        process = self._living(place)
        try:
            answer = process.ask(request)
        except (OverflowError, UnicodeEncodeError):
            raise NoSuchPart("The picture has no such part.") from None
        except BaseException as error:
            status = _stop(place)
            if isinstance(error, ImagingError):
                log.warning("decoding process %d ended with status %s: %s", process.pid, status, error)
            raise
        if answer.spent:
            _stop(place)
        else:
            self._note_warm(place, request.key)
        return answer

    def _living(self, place: _Place) -> DecodingProcess:
        """The process of a place: a new one if there is none or it died in its sleep."""
        if place.process and not place.process.is_alive:
            log.warning("decoding process %d died while idle with status %s", place.process.pid, _stop(place))
        return place.process or self._started(place)

    def _started(self, place: _Place) -> DecodingProcess:
        try:
            process = self._starter.submit(DecodingProcess.start, self._bounds).result()
        except (OSError, RuntimeError) as error:
            raise DecodingFailed("No process to read pictures could be started.") from error
        with self._lock:
            place.process = process
            is_closed = self._is_closed
        if is_closed:
            _stop(place)
            raise _closed()
        return process

    def _note_warm(self, place: _Place, key: str) -> None:
        place.warm[key] = None
        place.warm.move_to_end(key)
        while len(place.warm) > self._bounds.warm_sources:
            place.warm.popitem(last=False)


def _stop(place: _Place) -> int | None:
    """End the process of a place that nobody else uses; its exit status, negative for a signal."""
    process, place.process = place.process, None
    place.warm.clear()
    return process.stop() if process else None


def _result_of(answer: Answer, request: DecodeRequest) -> Description | Encoded:
    match answer.result:
        case Refused(kind, reason, cause):
            if cause:
                log.info("a picture was refused (%s): %s", kind, cause)
            raise _ERRORS[kind](reason)
        case Described(description) if isinstance(request, Describe):
            return description
        case Encoded() if not isinstance(request, Describe):
            return answer.result
    raise DecodingFailed("The process that read the picture answered something else.")


def _closed() -> DecodingFailed:
    return DecodingFailed("Pictures are no longer read: the program is ending.")
