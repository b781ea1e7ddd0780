"""One attempt at a job: what the kind's `run` is given, and how the job ends."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import DatabaseUnavailable
from pinakes.core.jobs import claims, records
from pinakes.core.jobs.claims import Claim
from pinakes.core.jobs.jobs import Jobs
from pinakes.core.jobs.kinds import Job, JobCancelled, JobFailed, JobState, Json

FAULT = "The job failed because of a fault in the archive; the log of the worker tells where."

_CHECK_SECONDS = 0.1
_PROGRESS_SECONDS = 1.0
_MOST_LOG_LINES = 1_000

Step: TypeAlias = Callable[[str, Callable[[], Json]], Json]
Hold: TypeAlias = Callable[[Transaction], Job | None]


@dataclass(frozen=True, slots=True)
class Tools:
    """What a worker works with.

    report: told of each fault of ours: what failed, and the exception, whose message may hold a secret.
    stopping: set when the worker is to end.
    """

    database: Database
    jobs: Jobs
    clock: Clock
    report: Callable[[str, BaseException], None]
    stopping: threading.Event


class Attempt:
    """A job on the worker that has it now; the `Work` of its kind.

    step: the job engine's.
    """

    def __init__(self, tools: Tools, step: Step, claim: Claim, job: Job) -> None:
        self.job_id = job.id
        self.user_id = job.user_id
        self.image_id = job.image_id
        self.arguments: Mapping[str, Any] = job.arguments
        self._kind = job.kind
        self._tools = tools
        self._step = step
        self._claim = claim
        self._checked_at = -_CHECK_SECONDS
        self._told_at = -_PROGRESS_SECONDS
        self._lines = 0

    # -- What the kind is given ------------------------------------------------------------------------------------

    def step(self, name: str, fn: Callable[[], Json]) -> Json:
        self.check()
        return self._step(name, fn)

    def progress(self, fraction: float | None) -> None:
        now = time.monotonic()
        if now < self._told_at + _PROGRESS_SECONDS:
            return
        self._told_at = now
        kept = None if fraction is None else min(1.0, max(0.0, fraction))
        with self._tools.database.write() as transaction:
            claims.set_progress(transaction, self._claim, kept)

    def log(self, message: str) -> None:
        self._lines += 1
        if self._lines > _MOST_LOG_LINES:
            return
        with self._tools.database.write() as transaction:
            self.fence(transaction)
            records.add_log(transaction, self.job_id, message, self._tools.clock())

    def check(self) -> None:
        if self._tools.stopping.is_set():
            raise JobCancelled
        now = time.monotonic()
        if now < self._checked_at + _CHECK_SECONDS:
            return
        try:
            with self._tools.database.read() as connection:
                is_current = claims.is_current(connection, self._claim)
        except DatabaseUnavailable:
            return  # nobody can cancel it now either
        if not is_current:
            raise JobCancelled
        self._checked_at = now

    def fence(self, transaction: Transaction) -> None:
        if claims.hold_for(transaction, self._claim) is None:
            raise JobCancelled

    # -- From beginning to end -------------------------------------------------------------------------------------

    def run(self) -> None:
        """Do the job and end it. Raises JobCancelled, or DatabaseUnavailable, if it is left as it stands."""
        self.check()
        error: str | None = None
        state = JobState.DONE
        try:
            self._tools.jobs.kinds[self._kind].run(self)
        except JobFailed as failure:
            state, error = JobState.FAILED, failure.message
        except DatabaseUnavailable:
            raise
        except Exception as fault:
            self._tools.report(f"job {self.job_id} ({self._kind}) failed", fault)
            state, error = JobState.FAILED, FAULT
        if not finish(self._tools, lambda transaction: claims.hold_for(transaction, self._claim), state, error):
            raise JobCancelled


def finish(tools: Tools, hold: Hold, state: JobState, error: str | None) -> bool:
    """End a job. False if it is not there to be ended. Raises DatabaseUnavailable.

    hold: gives the job in a transaction, if it may be ended.
    Where the kind cannot reconcile what belongs to the job, the job fails; if it cannot reconcile that either, it is
    ended without.
    """
    endings = ((state, error, True), (JobState.FAILED, FAULT, True), (JobState.FAILED, FAULT, False))
    for ending, text, reconcile in endings:
        try:
            with tools.database.write() as transaction:
                job = hold(transaction)
                if job is None:
                    return False
                tools.jobs.end(transaction, job, ending, text, reconcile=reconcile)
                return True
        except DatabaseUnavailable:
            raise
        except Exception as fault:
            tools.report("a job could not be ended as it was to be", fault)
    return False
