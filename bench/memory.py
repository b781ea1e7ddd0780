"""How much memory a server holds while it is measured."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

_EVERY_SECONDS = 0.05


@dataclass(slots=True)
class Peak:
    """The most resident memory of any one process of the server, in bytes."""

    resident_bytes: int = 0


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """Sample the process and its children until the block ends."""
    peak = Peak()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_EVERY_SECONDS):
            peak.resident_bytes = max(peak.resident_bytes, _largest(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def _largest(pid: int) -> int:
    try:
        server = psutil.Process(pid)
        return max(process.memory_info().rss for process in [server, *server.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0
