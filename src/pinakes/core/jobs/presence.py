"""Who is alive: how a worker shows that it is, and finds out which others are not.

Each worker holds a lock on a file that bears its name, which the kernel lets go of when the process ends, however it
ends: so a worker knows at once of the death of one that shares its data folder. Others it knows only by their signs of
life in the database. Whether these go on is judged by the watcher's own clock alone, for clocks of machines differ.
"""

import fcntl
import os
import re
import time
from pathlib import Path

from pinakes.core.clock import Instant

_NAME = re.compile(r"[0-9a-f]{16}")


class Presence:
    """One worker's lock, and what it has seen of the others.

    patience_seconds: how long a worker without a sign of life is still taken for alive.
    """

    def __init__(self, folder: Path, name: str, patience_seconds: float) -> None:
        self._folder = folder
        self._name = name
        self._patience_seconds = patience_seconds
        self._seen: dict[str, tuple[Instant, float]] = {}
        folder.mkdir(0o700, parents=True, exist_ok=True)
        self._file = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def dead(self, beats: dict[str, Instant]) -> list[str]:
        """Who of those with a last sign of life must be taken for dead."""
        now = time.monotonic()
        self._seen = {
            name: seen if (seen := self._seen.get(name)) is not None and seen[0] == at else (at, now)
            for name, at in beats.items()
        }
        silent = {name for name, (_, since) in self._seen.items() if now - since > self._patience_seconds}
        return [name for name in beats if name != self._name and (name in silent or self._has_let_go(name))]

    def clear(self, name: str) -> None:
        """Remove the file of a worker that is dead."""
        if self._has_let_go(name):
            (self._folder / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Go in order."""
        (self._folder / self._name).unlink(missing_ok=True)
        self.abandon()

    def abandon(self) -> None:
        """Let go without a word, as the kernel does for a process that is killed."""
        os.close(self._file)

    def _has_let_go(self, name: str) -> bool:
        """Whether the worker's file is here and nobody holds it."""
        if not _NAME.fullmatch(name):
            return False
        try:
            file = os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(file)
        return True
