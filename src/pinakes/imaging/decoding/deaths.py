"""Pictures that end the processes that read them: remembered, or one of many tiles would end a process for each."""

import threading
import time
from collections import OrderedDict
from typing import Final

from pinakes.imaging.decoding.requests import DecodingFailed

REMEMBERED_SECONDS: Final = 300.0
_ENOUGH: Final = 2
_MOST_KEPT: Final = 1000


class Deaths:
    """What was being read when processes died or were killed for taking too long. Used by many threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """By key: how many, and when the last was by time.monotonic(); the oldest first."""

    def note(self, key: str) -> None:
        """A process has died of the picture of that key. An empty key is nobody's."""
        with self._lock:
            count = self._count(key) + 1
            if key:
                self._seen[key] = (count, time.monotonic())
                self._seen.move_to_end(key)
                if len(self._seen) > _MOST_KEPT:
                    self._seen.popitem(last=False)

    def check(self, key: str) -> None:
        """Raises DecodingFailed for a picture of which some have died in the last minutes."""
        with self._lock:
            if self._count(key) < _ENOUGH:
                return
        minutes = round(REMEMBERED_SECONDS / 60)
        raise DecodingFailed(
            f"The processes that read the picture died or took too long; it is tried again in {minutes} minutes."
        )

    def _count(self, key: str) -> int:
        count, last = self._seen.get(key, (0, 0.0))
        return count if time.monotonic() - last < REMEMBERED_SECONDS else 0
