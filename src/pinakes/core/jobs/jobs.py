"""Asking for long work, stopping it, and looking at it.

The table `jobs` is both the record that everybody reads and the outbox: `enqueue` writes a row in the transaction of
the change that wants the work, so that either both happen or neither. Worker processes take it from there
(`core.jobs.worker`).
"""

import builtins
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from pinakes.core import audit
from pinakes.core.actor import Actor
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import JobUnknown, TooManyJobs
from pinakes.core.jobs import records
from pinakes.core.jobs.kinds import Job, JobKind, JobLogLine, JobState
from pinakes.core.text import check_text

__all__ = ["Job", "JobLogLine", "Jobs"]

_MOST_LISTED = 500
_MAX_ID = 2**63 - 1


class Jobs:
    """All jobs of an archive, and the kinds it knows."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._kinds: dict[str, JobKind] = {}

    # -- Kinds -----------------------------------------------------------------------------------------------------

    def register(self, kind: JobKind) -> None:
        """Make a kind known. Every process of an archive knows the same ones."""
        if kind.name in self._kinds:
            raise ValueError(f"there are two kinds of job named {kind.name}")
        self._kinds[kind.name] = kind

    @property
    def kinds(self) -> Mapping[str, JobKind]:
        return self._kinds

    # -- In the transaction of a change ----------------------------------------------------------------------------

    def enqueue(
        self,
        transaction: Transaction,
        actor: Actor,
        kind: str,
        arguments: Mapping[str, Any],
        *,
        image_id: int | None = None,
    ) -> int:
        """Ask for work, in the transaction of the change that wants it; the job's id.

        arguments: JSON. They are gone once the job has ended. Raises TooManyJobs.
        """
        limit = self._kinds[kind].most_per_user
        if actor.user_id is not None:
            transaction.lock(f"jobs of {actor.user_id}")
            if records.active_of_user(transaction, actor.user_id, kind) >= limit:
                raise TooManyJobs
        now = self._clock()
        job_id = records.create(
            transaction, uuid4().hex, kind, arguments, user_id=actor.user_id, image_id=image_id, created_at=now
        )
        self._record(transaction, actor, Action.JOB_CREATE, job_id, kind, image_id)
        return job_id

    def cancel(self, transaction: Transaction, actor: Actor, job_id: int) -> bool:
        """End a job in the transaction of the change that makes it pointless. False if it had ended, or never was.

        One that waits is gone at once; one that runs stops within a second and changes nothing any more. Whether
        the actor may is for the caller to have judged; `stop` judges it here.
        """
        job = records.hold(transaction, job_id)
        if job is None or job.state.is_ended:
            return False
        self.end(transaction, job, JobState.CANCELLED)
        self._record(transaction, actor, Action.JOB_CANCEL, job.id, job.kind, job.image_id)
        return True

    def end(
        self,
        transaction: Transaction,
        job: Job,
        state: JobState,
        error: str | None = None,
        *,
        reconcile: bool = True,
    ) -> None:
        """End a job that is held and has not ended.

        reconcile: whether its kind is asked to see to what belongs to the job.
        """
        error = None if error is None else records.kept_text(error)
        progress = 1.0 if state is JobState.DONE else job.progress
        now = self._clock()
        records.end(transaction, job.id, state, error, progress, now)
        kind = self._kinds.get(job.kind)
        if reconcile and kind is not None and kind.on_end is not None:
            kind.on_end(transaction, replace(job, state=state, error=error, progress=progress, ended_at=now))

    # -- For people ------------------------------------------------------------------------------------------------

    def stop(self, actor: Actor, job_id: int) -> bool:
        """Cancel a job of one's own; staff may any. False if it had ended. Raises JobUnknown."""
        with self._database.write() as transaction:
            self.get(actor, job_id)
            return self.cancel(transaction, actor, job_id)

    def get(self, actor: Actor, job_id: int) -> Job:
        """A job of one's own; staff see all. Raises JobUnknown."""
        if not 0 < job_id <= _MAX_ID:
            raise JobUnknown
        with self._database.read() as connection:
            job = records.find(connection, job_id)
        if job is None or not _may_see(actor, job):
            raise JobUnknown
        return _for_people(job)

    def list(
        self,
        actor: Actor,
        *,
        state: JobState | None = None,
        kind: str | None = None,
        before_id: int | None = None,
        most: int = 100,
    ) -> list[Job]:
        """One's own jobs, all for staff, the newest first; at most 500. Raises InvalidFields."""
        if kind is not None:
            check_text("kind", kind)
        if actor.user_id is None and not actor.is_staff:
            return []
        with self._database.read() as connection:
            found = records.find_all(
                connection,
                user_id=None if actor.is_staff else actor.user_id,
                state=state,
                kind=kind,
                before_id=None if before_id is None else max(0, min(before_id, _MAX_ID)),
                most=max(0, min(most, _MOST_LISTED)),
            )
        return [_for_people(job) for job in found]

    def log(self, actor: Actor, job_id: int) -> builtins.list[JobLogLine]:
        """What a job told, the oldest line first. Raises JobUnknown."""
        with self._database.read() as connection:
            self.get(actor, job_id)
            return records.log_of(connection, job_id)

    def _record(
        self, transaction: Transaction, actor: Actor, action: Action, job_id: int, kind: str, image_id: int | None
    ) -> None:
        event = Event(action, image_id=image_id, subject=f"job:{job_id}", detail={"kind": kind})
        audit.record(transaction, actor, self._clock(), event)


def _may_see(actor: Actor, job: Job) -> bool:
    return actor.is_staff or (actor.user_id is not None and actor.user_id == job.user_id)


def _for_people(job: Job) -> Job:
    """Without the arguments, which are nobody's to read."""
    return replace(job, arguments={})
