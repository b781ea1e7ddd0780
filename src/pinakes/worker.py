"""The worker: a process that does the archive's long work (`core.jobs`).

`pinakes serve` starts one by itself; `pinakes worker` is another, here or on any machine that reaches the database and
the content store.
"""

import logging
import logging.config
import os
import signal
import sys
import threading
from functools import partial

from pinakes import logs, opening
from pinakes.config import Settings
from pinakes.core.archive import Archive
from pinakes.core.errors import PinakesError
from pinakes.core.jobs.attempt import Tools
from pinakes.failures import Failed
from pinakes.web.faults import log_fault

log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Do jobs until SIGTERM, SIGINT or SIGHUP. Raises OpeningFailed.

    Jobs that run then are left at once, and taken up by another worker, or this one's successor.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    logging.config.dictConfig(logs.configuration(settings.log_level))
    logs.hide_messages()
    work(opening.open_archive(settings, analyses=True), settings, stopping)


def run_child(settings: Settings) -> None:
    """The same as a child of the server, which it does not outlive (`pinakes.kinship`)."""
    try:
        run(settings)
    except (Failed, PinakesError) as exc:
        log.error("the worker cannot start: %s", exc)
    except Exception as error:
        log_fault(log, "the worker cannot start", error)
    else:
        return
    sys.exit(1)


def work(archive: Archive, settings: Settings, stopping: threading.Event) -> None:
    """Do the jobs of an open archive until told to stop, and close it."""
    from pinakes.core.jobs.worker import Worker  # the job engine takes long to load, and only here is it needed

    worker = Worker(
        Tools(archive.database, archive.jobs, archive.clock, partial(log_fault, log), stopping),
        database_url=settings.database,
        folder=settings.data.absolute(),
        threads=settings.job_threads,
        patience_seconds=settings.job_takeover_seconds,
        keep_seconds=settings.job_keep_seconds,
    )
    archive.trail.recover()
    log.info("worker %s does jobs, at most %d at once", worker.name, settings.job_threads)
    worker.run()
    if not worker.close(settings.shutdown_seconds):
        log.warning("a job did not stop in time and is cut off")
        archive.trail.close()
        os._exit(0)  # its thread would keep the process alive
    archive.close()
    log.info("stopped")
