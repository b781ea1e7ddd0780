"""Processes that compute one run side by side, for as long as it is not stopped.

The job's own thread waits here, and asks every tenth of a second whether it is still to go on; meanwhile a thread of
the team's waits for each process. Who leaves ends the processes at once, whatever they do.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeVar

from pinakes.core.analysis.plans import Batch
from pinakes.imaging.analysis.requests import Begun

if TYPE_CHECKING:
    from pinakes.imaging.analysis.model import Findings

_CHECK_SECONDS: Final = 0.1

R = TypeVar("R")


class Computing(Protocol):
    """What a run needs of `imaging.analysis.process.AnalysisProcess`. Asked by one thread at a time, killed by any.

    Each raises Unreadable, LimitExceeded, AnalysisFailed.
    """

    def begin(self, path: Path) -> Begun: ...

    def score(self, first: int, count: int, *, then: int | None = None) -> bytes: ...

    def findings(self, scores: bytes) -> "Findings": ...

    def kill(self) -> None: ...

    def stop(self) -> object: ...


class Team:
    """Used by the job's own thread, as a context manager; it ends the processes.

    check: called every tenth of a second; what it raises ends the waiting.
    """

    def __init__(self, processes: Sequence[Computing], check: Callable[[], None]) -> None:
        self._processes = processes
        self._check = check
        self._pool = ThreadPoolExecutor(len(processes), thread_name_prefix="analysis")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        self._pool.shutdown(cancel_futures=True)
        for process in self._processes:
            process.stop()

    def begin(self, path: Path) -> Begun:
        """Have every process open the slide. They find the same, so the first one's answer counts."""
        answers = [self._pool.submit(process.begin, path) for process in self._processes]
        for answer in answers:
            self._result(answer)
        return answers[0].result()

    def score(self, batch: Batch) -> bytes:
        """The scores of one batch, by one process."""
        return self._result(self._pool.submit(self._processes[0].score, batch.first, batch.count))

    def scores(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, bytes]]:
        """The scores of each, in the order in which they become known; each process is busy with another batch."""
        shares = _Shares(batches, len(self._processes))
        running: dict[Future[bytes], tuple[int, Batch]] = {}

        def occupy(place: int) -> None:
            batch = shares.take(place)
            if batch is not None:
                score = self._processes[place].score
                future = self._pool.submit(score, batch.first, batch.count, then=shares.following(place))
                running[future] = place, batch

        for place in range(len(self._processes)):
            occupy(place)
        while running:
            done, _ = wait(running, _CHECK_SECONDS, FIRST_COMPLETED)
            self._check()
            for future in done:
                place, batch = running.pop(future)
                scored = future.result()
                occupy(place)  # before the scores are kept, so that it does not wait for that
                yield batch, scored

    def findings(self, scores: bytes) -> "Findings":
        """What all scores say of the slide."""
        return self._result(self._pool.submit(self._processes[0].findings, scores))

    def _result(self, future: "Future[R]") -> R:
        while not wait([future], _CHECK_SECONDS).done:
            self._check()
        return future.result()


class _Shares:
    """Who scores which batch: each process every so manieth, so that it can read ahead; then what others have left."""

    def __init__(self, batches: Sequence[Batch], count: int) -> None:
        self._left = [deque(batches[place::count]) for place in range(count)]

    def take(self, place: int) -> Batch | None:
        if self._left[place]:
            return self._left[place].popleft()
        longest = max(self._left, key=len)
        return longest.pop() if longest else None

    def following(self, place: int) -> int | None:
        """The first tile of the next batch of its own; None if there is none."""
        return self._left[place][0].first if self._left[place] else None
