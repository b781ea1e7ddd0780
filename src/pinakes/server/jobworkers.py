"""The job workers of a server: child processes that are started when it answers, replaced, and stopped with it."""

import logging
import multiprocessing
import threading
import time
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

from pinakes import kinship, worker
from pinakes.config import Settings

log = logging.getLogger(__name__)

_LEAST_LIFE_SECONDS = 5.0
_RESTART_PAUSE_SECONDS = 1.0
_WATCH_SECONDS = 0.2
_STOP_SECONDS = 5.0  # beyond what running jobs are given


class JobWorkers:
    """As many workers as the settings tell, each with a thread of this process that keeps it running.

    The thread lives as long as its worker: the kernel kills a child when the thread that started it ends.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep, args=(number,), name=f"job worker {number}", daemon=True)
            for number in range(1, settings.job_workers + 1)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop them in order; one that does not end in time is killed, and its jobs are taken up later."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _keep(self, number: int) -> None:
        while not self._stopping.is_set():
            process = self._spawn()
            born = time.monotonic()
            while process.is_alive() and not self._stopping.is_set():
                wait([process.sentinel], _WATCH_SECONDS)
            if self._stopping.is_set():
                self._end(process)
                return
            log.error("job worker %d ended unexpectedly and is replaced", number)
            if time.monotonic() - born < _LEAST_LIFE_SECONDS:
                self._stopping.wait(_RESTART_PAUSE_SECONDS)

    def _spawn(self) -> SpawnProcess:
        process = multiprocessing.get_context("spawn").Process(
            target=kinship.tied, args=(kinship.Tie(), worker.run_child, self._settings), name="job worker"
        )
        process.start()
        return process

    def _end(self, process: SpawnProcess) -> None:
        process.terminate()
        process.join(self._settings.shutdown_seconds + _STOP_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
