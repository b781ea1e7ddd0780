"""A few decoding processes, shared by many threads: the one door from Pinakes to the pixels of a stored file."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final, overload

import msgspec

from pinakes.imaging import scratch
from pinakes.imaging.bytesources import NeedsWhole
from pinakes.imaging.closing import Closing
from pinakes.imaging.decoding.deaths import Deaths
from pinakes.imaging.decoding.process import SCRATCH, DecodingProcess
from pinakes.imaging.decoding.ranges import Supply
from pinakes.imaging.decoding.requests import (
    Answer,
    Bounds,
    DecodeRequest,
    DecodingBusy,
    DecodingFailed,
    Describe,
    Described,
    Encoded,
    Exhausted,
    Mapped,
    MapTiles,
    NoSuchPart,
    PictureRequest,
    Refused,
)
from pinakes.imaging.decoding.turns import Closed, Turns
from pinakes.imaging.source import Description, ImagingError, LimitExceeded, Unreadable
from pinakes.imaging.tilemap import TileMap

log = logging.getLogger(__name__)

_ERRORS: Final[dict[str, type[ImagingError]]] = {
    "unreadable": Unreadable,
    "limit": LimitExceeded,
    "exhausted": Exhausted,
    "absent": NoSuchPart,
    "failed": DecodingFailed,
    "whole": NeedsWhole,
}
_LOOK_SECONDS: Final = 10.0
"""How often it is seen to that all processes live, where they are started ahead."""

_HOLD_BACK_SECONDS: Final = 1.0
"""How long the keeper lets the program go first that is starting."""

_HELD_SHARE: Final = 0.75
"""Of a process's memory, what one picture may take that is in memory whole: libraries and other pictures need some."""


class _Place:
    """Of a process, which may not have been started yet. warm: the keys of what it has open, the latest last."""

    def __init__(self) -> None:
        self.process: DecodingProcess | None = None
        self.warm: OrderedDict[str, None] = OrderedDict()


class DecodingPool(Closing):
    """Processes are started when they are first needed, at most `processes` of them, and replaced when they die.

    After `start` that is done ahead, so that nobody waits while they load their libraries.

    bounds: of each process, and of each request; its `limits.held_bytes` is lowered to what the memory has room for.
    wait_seconds: how long a caller waits for a process to be free.
    Close it when done: it is a context manager, too.
    """

    def __init__(self, processes: int, bounds: Bounds, *, wait_seconds: float = 60.0) -> None:
        if processes < 1:
            raise ValueError("a pool needs at least one process")
        self._bounds = _with_room(bounds)
        self._deaths = Deaths()
        self._wait_seconds = wait_seconds
        self._places = [_Place() for _ in range(processes)]
        self._turns = Turns(self._places)
        self._lock = threading.Lock()
        self._is_closed = False
        self._keeper: threading.Thread | None = None
        self._is_lacking = threading.Event()
        # The kernel kills a process when the thread that started it ends; this thread ends with the pool.
        self._starter = ThreadPoolExecutor(1, "decoding-starter")

    def start(self) -> None:
        """Have all processes started in the background, now and whenever one has ended. Returns at once.

        What processes have left behind whose parents were killed is cleared up first.
        """
        with self._lock:
            if self._keeper is None and not self._is_closed:
                self._keeper = threading.Thread(target=self._keep, name="decoding-keeper", daemon=True)
                self._keeper.start()

    @overload
    def run(self, request: Describe, supply: Supply | None = None) -> Description: ...

    @overload
    def run(self, request: MapTiles, supply: Supply | None = None) -> TileMap | None: ...

    @overload
    def run(self, request: PictureRequest, supply: Supply | None = None) -> Encoded: ...

    def run(self, request: DecodeRequest, supply: Supply | None = None) -> Description | TileMap | Encoded | None:
        """Have a request answered, by a process that has its picture open if there is one idle. Blocks.

        supply: of the bytes of a distant file; its failure is raised as it is.
        Raises Unreadable, LimitExceeded, NoSuchPart, NeedsWhole; DecodingBusy if all processes are taken for too long;
        Exhausted if it takes too much memory or time; DecodingFailed if the process died, or some have died of the same
        picture lately, or the file is not there, or the pool was closed.
        """
        self._deaths.check(request.key)

        def liking(place: _Place) -> int:
            return 2 * (request.key in place.warm) + (place.process is not None)

        with self._place_for(liking, self._wait_seconds) as place:
            self._deaths.check(request.key)  # others may have asked for it meanwhile
            answer = self._asked(place, request, supply)
        if supply is not None and supply.failure is not None:
            raise supply.failure
        return _result_of(answer, request)

    def close(self) -> None:
        """Kill all processes. Who waits for an answer gets DecodingFailed."""
        with self._lock:
            self._is_closed = True
            keeper, self._keeper = self._keeper, None
            busy = [place.process for place in self._places if place.process]
        for process in busy:
            process.kill()
        for place in self._turns.close():
            _stop(place)
        self._starter.shutdown()
        if keeper is not None:
            self._is_lacking.set()
            keeper.join()

    def _keep(self) -> None:
        """What the keeper does until the pool is closed."""
        self._is_lacking.wait(_HOLD_BACK_SECONDS)
        with suppress(OSError):
            scratch.sweep(SCRATCH)
        while not self._is_closed:
            try:
                self._start_lacking()
            except (DecodingBusy, DecodingFailed):  # whoever asks next starts one, or is told
                self._is_lacking.clear()
            if not self._is_closed:
                self._is_lacking.wait(_LOOK_SECONDS)
                self._is_lacking.clear()

    def _start_lacking(self) -> None:
        """Raises DecodingBusy if no place is idle, DecodingFailed."""
        for _ in self._places:
            with self._place_for(_is_lacking, wait_seconds=0) as place:
                if not _is_lacking(place):
                    return
                self._living(place, is_early=True)

    @contextmanager
    def _place_for(self, liking: Callable[[_Place], int], wait_seconds: float) -> Iterator[_Place]:
        try:
            place = self._turns.take(liking, wait_seconds)
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
            if place.process is None:
                self._is_lacking.set()

    def _asked(self, place: _Place, request: DecodeRequest, supply: Supply | None) -> Answer:
        process = self._living(place)
        try:
            answer = process.ask(request, supply)
        except (OverflowError, UnicodeEncodeError):
            raise NoSuchPart("The picture has no such part.") from None
        except BaseException as error:
            status = _stop(place)
            if isinstance(error, ImagingError):
                if process.is_ready:  # else it was not yet about the picture
                    self._deaths.note(request.key)
                log.warning("decoding process %d ended with status %s: %s", process.pid, status, error)
            raise
        if answer.spent:
            _stop(place)
        else:
            self._note_warm(place, request.key)
        return answer

    def _living(self, place: _Place, *, is_early: bool = False) -> DecodingProcess:
        """The process of a place: a new one if there is none or it died in its sleep. is_early: nobody waits for it."""
        if place.process and not place.process.is_alive:
            log.warning("decoding process %d died while idle with status %s", place.process.pid, _stop(place))
        return place.process or self._started(place, is_early)

    def _started(self, place: _Place, is_early: bool) -> DecodingProcess:
        try:
            process = self._starter.submit(DecodingProcess.start, self._bounds, is_early=is_early).result()
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


def _is_lacking(place: _Place) -> bool:
    return place.process is None or not place.process.is_alive


def _with_room(bounds: Bounds) -> Bounds:
    held_bytes = min(bounds.limits.held_bytes, int(bounds.memory_bytes * _HELD_SHARE))
    return msgspec.structs.replace(bounds, limits=replace(bounds.limits, held_bytes=held_bytes))


def _stop(place: _Place) -> int | None:
    """End the process of a place that nobody else uses; its exit status, negative for a signal."""
    process, place.process = place.process, None
    place.warm.clear()
    return process.stop() if process else None


def _result_of(answer: Answer, request: DecodeRequest) -> Description | TileMap | Encoded | None:
    match answer.result:
        case Refused(kind, reason, cause):
            if cause:
                log.info("a picture was refused (%s): %s", kind, cause)
            raise _ERRORS[kind](reason)
        case Described(description) if isinstance(request, Describe):
            return description
        case Mapped(found) if isinstance(request, MapTiles) and (found is None or found.is_sound):
            return found
        case Encoded() if isinstance(request, PictureRequest):
            return answer.result
    raise DecodingFailed("The process that read the picture answered something else.")


def _closed() -> DecodingFailed:
    return DecodingFailed("Pictures are no longer read: the program is ending.")
