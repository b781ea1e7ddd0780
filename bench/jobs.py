"""Jobs: how many trivial ones one worker process does in a second, and how soon one runs that is asked for.

Run as `python -m bench.jobs` it is that worker process.
"""

import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.memory import watched
from bench.report import Row
from bench.servers import Pinakes
from pinakes import config, opening, worker
from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from pinakes.core.jobs.kinds import Job, JobKind, JobState, Work

_KIND = "trivial"
_ACTOR = Actor("bench", is_staff=True)
_POLL_SECONDS = 0.005
_MOST_PAUSE_SECONDS = 0.1  # before a job alone, so that it meets the worker's turns at any moment
_PATIENCE_SECONDS = 300


def measure(archive: Pinakes, count: int, alone: int, runs: int) -> list[Row]:
    """count: jobs asked for in one transaction.   alone: jobs asked for one after another. Both in each run."""
    settings = config.load(data=archive.data)
    rates: list[float] = []
    waits: list[float] = []
    with opening.opened(settings) as opened, _working(archive.data) as pid, watched(pid) as peak:
        opened.jobs.register(_trivial())
        _do(opened, 1)
        for _ in range(runs):
            started = time.perf_counter()
            _do(opened, count)
            rates.append(count / (time.perf_counter() - started))
            waits.append(statistics.median(_milliseconds_until_running(opened) for _ in range(alone)))
        resident = peak.resident_bytes
    conditions = f"one worker process, {settings.job_threads} at once, SQLite"
    return [
        Row(f"{count:,} jobs of one step, enqueued to done", "Pinakes", rates, "/s", resident, conditions),
        Row("enqueued to running", "Pinakes", waits, "ms", 0, f"{conditions}, idle; each the median of {alone}"),
    ]


def _do(archive: Archive, count: int) -> Job:
    """Ask for so many jobs, and wait until they are done; the last of them. Raises RuntimeError."""
    with archive.database.write() as transaction:
        for _ in range(count):
            job_id = archive.jobs.enqueue(transaction, _ACTOR, _KIND, {})
    end = time.monotonic() + _PATIENCE_SECONDS
    while any(archive.jobs.list(_ACTOR, state=state, most=1) for state in (JobState.QUEUED, JobState.RUNNING)):
        if time.monotonic() > end:
            raise RuntimeError("the jobs do not get done")
        time.sleep(_POLL_SECONDS)
    if archive.jobs.list(_ACTOR, state=JobState.FAILED, most=1):
        raise RuntimeError("a job failed")
    return archive.jobs.get(_ACTOR, job_id)


def _milliseconds_until_running(archive: Archive) -> float:
    time.sleep(random.uniform(0, _MOST_PAUSE_SECONDS))
    job = _do(archive, 1)
    assert job.started_at is not None
    return (job.started_at - job.created_at) / 1000


@contextmanager
def _working(data: Path) -> Iterator[int]:
    """A worker process that knows the kind; its id."""
    with (data.parent / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.jobs"], env=os.environ | {"PINAKES_DATA": str(data)}, stdout=log, stderr=log
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(_PATIENCE_SECONDS)


def _trivial() -> JobKind:
    return JobKind(_KIND, _run, most_running=1_000, most_per_user=1)


def _run(work: Work) -> None:
    work.step("nothing", lambda: None)


def _work() -> None:
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    settings = config.load()
    archive = opening.open_archive(settings)
    archive.jobs.register(_trivial())
    worker.work(archive, settings, stopping)


if __name__ == "__main__":
    _work()
