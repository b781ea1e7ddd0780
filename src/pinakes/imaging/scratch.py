"""Folders that last no longer than their process: how those of a process that was killed are told from living ones.

Who makes a folder holds a lock on it, which the kernel lets go of when the process ends, however it ends.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pinakes.imaging.closing import Closing

_YOUNG_SECONDS: Final = 60.0
"""A folder so young may not be locked yet."""


class ScratchFolder(Closing):
    """A new, empty folder in `parent`, removed with all that is in it on closing; a context manager. Raises OSError."""

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)
            raise
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """More than once is once."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def _nothing(_path: str) -> None: ...


def sweep(prefix: str, parent: Path | None = None, *, first: Callable[[str], None] = _nothing) -> None:
    """Remove the folders of that prefix whose processes are gone. parent: None for that of temporary files.

    first: done before one is removed, with its path.
    """
    with os.scandir(parent or tempfile.gettempdir()) as entries:
        found = [
            entry.path for entry in entries if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False)
        ]
    for path in found:
        _remove_if_left(path, first)


def _remove_if_left(path: str, first: Callable[[str], None]) -> None:
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # somebody else's, or gone meanwhile
        return
    try:
        state = os.fstat(folder)
        if state.st_uid != os.geteuid() or time.time() - state.st_mtime < _YOUNG_SECONDS:
            return
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        first(path)
        shutil.rmtree(path, ignore_errors=True)
    except OSError:  # its process lives
        return
    finally:
        os.close(folder)
