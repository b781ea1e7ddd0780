"""How fast a run goes, and when there is something to tell of it."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

_WINDOW_SECONDS: Final = 20.0
_TELL_SECONDS: Final = 10.0
_TELL_SHARE: Final = 0.1
_SILENT_SECONDS: Final = 600.0
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0


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
        """A line for people, after ten seconds and a tenth of the tiles, or ten minutes; else None."""
        now = self._clock()
        told_at, told_done = self._told
        passed = now - told_at
        is_much = passed >= _TELL_SECONDS and self.done - told_done >= self.total * _TELL_SHARE
        if not is_much and passed < _SILENT_SECONDS:
            return None
        self._told = now, self.done
        return f"{self.done} of {self.total} tiles are scored{self._speed()}."

    def _speed(self) -> str:
        rate = self.rate
        if not rate:
            return ""
        return f", {rate:.1f} per second; {_duration((self.total - self.done) / rate)} left"


def _duration(seconds: float) -> str:
    """Seconds, minutes or hours, as precisely as such a guess can be."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:.1f} h"
