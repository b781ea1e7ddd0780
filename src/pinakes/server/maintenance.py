"""What each server process does in the background: emptying the trash, sweeping up, seeing to what was put off."""

import logging
import random
import threading
from collections.abc import Callable
from pathlib import Path

from pinakes import files
from pinakes.core.archive import Archive
from pinakes.core.clock import SECOND
from pinakes.core.content.sweep import Sweep
from pinakes.imaging import scratch
from pinakes.web.faults import log_fault

log = logging.getLogger(__name__)

_START_SECONDS = 1.0
_STOP_SECONDS = 5.0
_JITTER = 0.1


class Maintenance:
    """A thread that never fails: what goes wrong is logged, and tried again at the next turn.

    every_seconds: between two sweeps, more or less a tenth, so that processes do not sweep in step; 0 for no sweeps.
    min_age_seconds: how old an object nobody refers to must be before it is removed.
    scratch_folder: where programs that were killed may have left folders; None for nowhere.
    """

    def __init__(
        self,
        archive: Archive,
        *,
        every_seconds: float,
        min_age_seconds: float,
        scratch_folder: Path | None = None,
        start_seconds: float = _START_SECONDS,
    ) -> None:
        self._every_seconds = every_seconds
        self._start_seconds = start_seconds
        self._uploads = archive.slide_uploads
        self._renditions = archive.renditions
        self._annotations = archive.annotations
        self._ingest = archive.ingest
        self._sweep = Sweep(archive.database, archive.store, archive.clock, min_age_us=round(min_age_seconds * SECOND))
        self._scratch_folder = scratch_folder
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a sweep under way is given a few seconds, and may be cut off anywhere."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        if self._stopping.wait(self._start_seconds):
            return
        self._attempt("the trash could not be emptied", self._sweep.empty_trash)
        self._attempt("the scratch folder could not be swept", self._sweep_scratch)
        while self._every_seconds and not self._stopping.wait(self._pause()):
            self._attempt("the sweep failed", self._sweep.run)
            self._attempt("the inbox could not be swept", self._uploads.sweep)
            self._attempt("the caches could not be swept", self._renditions.sweep)
            self._attempt("the caches of annotations could not be swept", self._annotations.sweep)
            self._attempt("the reading of what waits could not be asked for", self._ingest.resume)
            self._attempt("the scratch folder could not be swept", self._sweep_scratch)

    def _sweep_scratch(self) -> None:
        if self._scratch_folder is not None:
            scratch.sweep(files.EXPORT_SCRATCH, self._scratch_folder)

    def _pause(self) -> float:
        return self._every_seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret depends on it

    def _attempt(self, what: str, task: Callable[[], object]) -> None:
        try:
            task()
        except Exception as error:
            log_fault(log, what, error)
