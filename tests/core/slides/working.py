"""A job's way through a worker, without the worker: begun, run and ended in the thread of the test."""

import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from pinakes.core.archive import Archive
from pinakes.core.catalogue import reading
from pinakes.core.db.schema import jobs as job_table
from pinakes.core.jobs import claims, records
from pinakes.core.jobs.attempt import Attempt, Tools
from pinakes.core.jobs.claims import Claim
from pinakes.core.jobs.jobs import Jobs
from pinakes.core.jobs.kinds import JobCancelled, JobState

_WAITING = (
    select(job_table.c.id)
    .where(job_table.c.state == JobState.QUEUED.value, job_table.c.kind != reading.JOB_KIND)
    .order_by(job_table.c.id)
)


def begin(archive: Archive, jobs: Jobs | None = None) -> Claim:
    """Give the job that has waited longest to a worker; jobs: with other kinds than the archive's own."""
    known = jobs or archive.jobs
    with archive.database.write() as transaction:
        job_id, *_ = transaction.execute(_WAITING).scalars()
        job = records.hold(transaction, job_id)
        assert job is not None
        claim = claims.claim(transaction, job, "a worker", archive.clock())
        on_start = known.kinds[job.kind].on_start
        assert on_start is not None
        on_start(transaction, job)
    return claim


def take_over(archive: Archive, claim: Claim) -> Claim:
    """Give the job of a worker that has died to another."""
    with archive.database.write() as transaction:
        job = records.hold(transaction, claim.job_id)
        assert job is not None
        return claims.claim(transaction, job, "another worker", archive.clock())


def attempt(archive: Archive, claim: Claim, jobs: Jobs | None = None) -> Attempt:
    """The job as its kind's `run` is given it."""
    with archive.database.read() as connection:
        job = records.find(connection, claim.job_id)
    assert job is not None
    tools = Tools(archive.database, jobs or archive.jobs, archive.clock, _raise, threading.Event())
    return Attempt(tools, _step, claim, job)


def work_off(archive: Archive, jobs: Jobs | None = None) -> None:
    """Do the job that has waited longest, from beginning to end."""
    attempt(archive, begin(archive, jobs), jobs).run()


def is_cancelled(call: Callable[[], object]) -> bool:
    """Whether a call finds that the job is not this worker's any more."""
    try:
        call()
    except JobCancelled:
        return True
    return False


def _step(name: str, fn: Callable[[], Any]) -> Any:
    return fn()


def _raise(what: str, fault: BaseException) -> None:
    raise AssertionError(what) from fault
