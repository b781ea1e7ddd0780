"""How much memory a server holds while it is measured."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

_EVERY_SECONDS = 0.05
_DECODING = "pinakes.imaging.decoding.child"


@dataclass(slots=True)
class Peak:
    """The most resident memory, in bytes: of any one process of the server, of any one that decodes pictures, and of
    all processes together, where what they share is counted for each.
    """

    resident_bytes: int = 0
    decoding_bytes: int = 0
    total_bytes: int = 0


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """Sample the process and its children until the block ends."""
    peak = Peak()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_EVERY_SECONDS):
            _note(peak, pid)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def _note(peak: Peak, pid: int) -> None:
    held, decoding = [0], [0]
    with suppress(psutil.NoSuchProcess):
        server = psutil.Process(pid)
        for process in [server, *server.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                held.append(process.memory_info().rss)
                if _DECODING in process.cmdline():
                    decoding.append(held[-1])
    peak.resident_bytes = max(peak.resident_bytes, *held)
    peak.decoding_bytes = max(peak.decoding_bytes, *decoding)
    peak.total_bytes = max(peak.total_bytes, sum(held))
