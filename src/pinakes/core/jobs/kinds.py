"""What jobs are: the words of long work, and what a kind of work brings along to be run as one.

    queued ──> running ──> done
      │          ├───────> failed       what it was doing did not work; `error` says why
      └──────────┴───────> cancelled    somebody stopped it

A job is one row that everybody reads. Whoever wants long work done enqueues it in the transaction of the change that
asks for it (`core.jobs.jobs`); worker processes run it (`core.jobs.worker`), one step after another. A step that has
finished is never run again, also after its process was killed; one that was cut off is run again.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from pinakes.core.clock import Instant
from pinakes.core.db.engine import Transaction

Json: TypeAlias = Any
"""What JSON can hold: None, booleans, numbers, texts, lists, and mappings from texts."""


class JobState(enum.StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_ended(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


class JobFailed(Exception):
    """Raised by a kind's `run`: the job ends failed with this message, which is for people and holds no secret."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class JobCancelled(BaseException):
    """The job is not this worker's to run any more: cancelled, or taken over. Let it through.

    Not an Exception, so that `except Exception` around a piece of work does not swallow it.
    """


@dataclass(frozen=True, slots=True)
class Job:
    """One job as its row tells.

    arguments: only what `on_start`, `on_end` and the work itself are given; empty in lists, for it may hold a password.
    progress: 0 to 1, None while nobody can tell.   worker: who runs it, or did last.
    attempts: how many workers have begun it.
    """

    id: int
    uid: str
    kind: str
    user_id: int | None
    image_id: int | None
    arguments: Mapping[str, Any] = field(repr=False)
    state: JobState
    progress: float | None
    error: str | None
    worker: str | None
    attempts: int
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None


@dataclass(frozen=True, slots=True)
class JobLogLine:
    """One line of what a job told while it ran."""

    id: int
    message: str
    created_at: Instant


class Work(Protocol):
    """What a running job is given. Not to be used from other threads than the one `run` was called in."""

    @property
    def job_id(self) -> int: ...

    @property
    def user_id(self) -> int | None: ...

    @property
    def image_id(self) -> int | None: ...

    @property
    def arguments(self) -> Mapping[str, Any]: ...

    def step(self, name: str, fn: Callable[[], Json]) -> Json:
        """Run a piece of work, or give back what it returned if it has finished before.

        It runs at least once and, once finished, never again. What lies between steps runs again after a crash, so
        it must not depend on anything but arguments and the results of steps. Steps are known by their order: the
        same steps must come in the same order each time. Raises JobCancelled, and what `fn` raises.
        """

    def progress(self, fraction: float | None) -> None:
        """Tell how far the work has come, 0 to 1. Written about once a second, however often it is called."""

    def log(self, message: str) -> None:
        """Add a line to the job's log, for people; cut at 2,000 characters. No secrets."""

    def check(self) -> None:
        """Raises JobCancelled if the job was cancelled. Cheap: call it at least every half second."""

    def fence(self, transaction: Transaction) -> None:
        """Raises JobCancelled if this worker may not change anything for the job any more.

        The first statement of every transaction that a job writes in. It holds the job's row, so that a cancel
        waits for the transaction's end, or this for the cancel's.
        """


@dataclass(frozen=True, slots=True)
class JobKind:
    """One kind of long work.

    run: does the work. JobFailed ends it failed with a text; any other exception with a general one.
    most_running: how many run at once, over all workers.
    most_per_user: how many of one user may wait or run; one more is refused with TooManyJobs.
    on_start: called in the transaction that makes the job running, at its first attempt only.
    on_end: called in the transaction that ends the job, whatever ends it; `job.state` and `job.error` tell how.
    """

    name: str
    run: Callable[[Work], None]
    most_running: int
    most_per_user: int
    on_end: Callable[[Transaction, Job], None] | None = None
    on_start: Callable[[Transaction, Job], None] | None = None
