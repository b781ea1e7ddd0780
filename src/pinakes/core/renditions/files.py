"""Files of contents that stay open for a while, for the next who reads the same."""

import threading
import time
from dataclasses import dataclass
from typing import Final

from pinakes.core.content.store import Reader

_MOST: Final = 64
_SECONDS: Final = 60.0
"""For how long one is used: the room of a deleted content is free soon after."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """Read by one thread at a time: by the one that took it. opened_at: of time.monotonic()."""

    digest: str
    reader: Reader
    opened_at: float


class OpenFiles:
    """Those nobody reads just now, bounded in number; the one read last comes last."""

    def __init__(self) -> None:
        self._idle: list[OpenFile] = []
        self._lock = threading.Lock()

    def take(self, digest: str) -> OpenFile | None:
        """One of that content, for the caller alone until it is given back; None if there is none."""
        with self._lock:
            for place in range(len(self._idle) - 1, -1, -1):
                if self._idle[place].digest == digest:
                    return self._idle.pop(place)
        return None

    def give_back(self, file: OpenFile) -> None:
        """Keep one that was taken, or a new one. One that is too old is closed, and so is one too many."""
        with self._lock:
            self._idle.append(file)
            oldest = self._idle[0]
            is_over = len(self._idle) > _MOST or time.monotonic() - oldest.opened_at > _SECONDS
            if is_over:
                del self._idle[0]
        if is_over:
            oldest.reader.close()

    def close(self) -> None:
        """Close those nobody reads."""
        with self._lock:
            closed, self._idle = self._idle, []
        for file in closed:
            file.reader.close()
