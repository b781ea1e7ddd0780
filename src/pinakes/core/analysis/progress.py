"""How fast a run goes, and when there is something to tell of it."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

_WINDOW_SECONDS: Final = 20.0
_TELL_SECONDS: Final = 10.0
_TELL_SHARE: Final = 0.1


class Progress:
    """Of one attempt. total, done: tiles, of the whole run.   clock: of seconds, going on evenly."""

    def __init__(self, total: int, done: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = done
        self._clock = clock
        self._marks = deque([(clock(), done)])
        self._told = clock(), done

    @property
    def fraction(self) -> float:
        return self.done / self.total if self.total else 1.0

    @property
    def rate(self) -> float | None:
        """Tiles per second over the last seconds; None before the first were done."""
        (first_at, first_done), (last_at, last_done) = self._marks[0], self._marks[-1]
        return (last_done - first_done) / (last_at - first_at) if last_at > first_at else None

    def advance(self, tiles: int) -> None:
        now = self._clock()
        self.done += tiles
        self._marks.append((now, self.done))
        while len(self._marks) > 2 and self._marks[1][0] < now - _WINDOW_SECONDS:
            self._marks.popleft()

    def news(self) -> str | None:
        """A line for people; None unless ten seconds have passed and a tenth was done since the last one."""
        now = self._clock()
        told_at, told_done = self._told
        if now - told_at < _TELL_SECONDS or self.done - told_done < self.total * _TELL_SHARE:
            return None
        self._told = now, self.done
        rate = self.rate
        speed = f", {rate:.1f} per second" if rate is not None else ""
        return f"{self.done} of {self.total} tiles are scored{speed}."
