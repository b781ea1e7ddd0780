"""Which worker has which job: the SQL of handing jobs out, of telling who is alive, and of who may still write.

A running job belongs to one attempt of one worker. Whatever it writes, it writes in a transaction that has seen so
(`hold_for`): once a job has been cancelled or taken over, its former attempt cannot change anything any more.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import TypeAlias

from sqlalchemy import bindparam, delete, func, insert, select, update

from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import job_workers, jobs
from pinakes.core.jobs import records
from pinakes.core.jobs.kinds import Job, JobKind, JobState

_WINDOW = 500
"""How many waiting jobs of a kind are looked at for whose turn it is: first one of each user, then the next of each."""

_ENDED = tuple(state.value for state in JobState if state.is_ended)
_IS_QUEUED = jobs.c.state == JobState.QUEUED.value
_IS_RUNNING = jobs.c.state == JobState.RUNNING.value

_ANY_WAITING = Query(select(jobs.c.id).where(_IS_QUEUED).limit(1))
_RUNNING_COUNTS = Query(
    select(jobs.c.kind, jobs.c.user_id, func.count()).where(_IS_RUNNING).group_by(jobs.c.kind, jobs.c.user_id)
)
_PLACE_OF_USER = func.row_number().over(partition_by=jobs.c.user_id, order_by=jobs.c.id)
_WAITING = Query(
    select(jobs.c.id, jobs.c.user_id)
    .where(_IS_QUEUED, jobs.c.kind == bindparam("kind"))
    .order_by(_PLACE_OF_USER, jobs.c.id)
    .limit(_WINDOW)
)
_RUNNING_OF_KIND = select(func.count()).where(_IS_RUNNING, jobs.c.kind == bindparam("kind"))
_RUNNING = Query(select(jobs.c.id, jobs.c.worker).where(_IS_RUNNING).order_by(jobs.c.id))
_WAITING_KINDS = Query(select(jobs.c.kind).where(_IS_QUEUED).distinct())
_STANDING = Query(select(jobs.c.state, jobs.c.worker, jobs.c.attempts).where(jobs.c.id == bindparam("job_id")))
_MINE = (
    jobs.c.id == bindparam("job_id"),
    _IS_RUNNING,
    jobs.c.worker == bindparam("name"),
    jobs.c.attempts == bindparam("attempt"),
)
_PROGRESS = update(jobs).where(*_MINE).values(progress=bindparam("fraction"))
_RELEASE = update(jobs).where(*_MINE).values(attempts=jobs.c.attempts - 1)
_CLAIM = (
    update(jobs)
    .where(jobs.c.id == bindparam("job_id"))
    .values(
        state=JobState.RUNNING.value,
        is_handed_over=True,
        worker=bindparam("name"),
        attempts=bindparam("attempt"),
        started_at=bindparam("at"),
    )
)
_KEPT_BY_ENGINE = (
    select(jobs.c.id, jobs.c.uid).where(jobs.c.is_handed_over, jobs.c.ended_at < bindparam("before")).limit(_WINDOW)
)
_OLD = select(jobs.c.id).where(jobs.c.state.in_(_ENDED), jobs.c.ended_at < bindparam("before")).limit(_WINDOW)


Party: TypeAlias = tuple[str, int | None]
"""A kind, and a user who has jobs of it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt at a job by one worker."""

    job_id: int
    uid: str
    worker: str
    attempt: int


# -- Handing out ---------------------------------------------------------------------------------------------------


def is_any_waiting(connection: Executor) -> bool:
    return _ANY_WAITING.first(connection, {}) is not None


def choose(connection: Executor, kinds: Iterable[JobKind], most: int, served: Mapping[Party, float]) -> list[int]:
    """Whose turn it is: of each kind as many as may run.

    Those come first who have the fewest running, then who were served the longest time ago, then the oldest jobs.
    served: when, by any clock, each user was last given a job of a kind.
    """
    running = {(kind, user_id): count for kind, user_id, count in _RUNNING_COUNTS.all(connection, {})}
    chosen: list[tuple[int, float, int]] = []
    for kind in kinds:
        of_user = Counter({user_id: count for (name, user_id), count in running.items() if name == kind.name})
        free = min(most, kind.most_running - of_user.total())
        if free <= 0:
            continue
        turns = []
        for job_id, user_id in _WAITING.all(connection, {"kind": kind.name}):
            turns.append((of_user[user_id], served.get((kind.name, user_id), 0.0), job_id))
            of_user[user_id] += 1
        chosen += nsmallest(free, turns)
    return [job_id for _, _, job_id in sorted(chosen)[:most]]


def running_of_kind(connection: Executor, kind: str) -> int:
    return int(connection.execute(_RUNNING_OF_KIND, {"kind": kind}).scalar_one())


def claim(transaction: Transaction, job: Job, worker: str, now: Instant) -> Claim:
    """Give a job that is held to a worker, for one more attempt."""
    taken = Claim(job.id, job.uid, worker, job.attempts + 1)
    at = now if job.started_at is None else job.started_at
    transaction.execute(_CLAIM, {"job_id": job.id, "name": worker, "attempt": taken.attempt, "at": at})
    return taken


def waiting_of_unknown_kind(connection: Executor, kinds: Mapping[str, JobKind]) -> list[int]:
    """Waiting jobs that no worker of this version can run."""
    unknown = [kind for (kind,) in _WAITING_KINDS.all(connection, {}) if kind not in kinds]
    return [job_id for kind in unknown for job_id, _ in _WAITING.all(connection, {"kind": kind})]


def running(connection: Executor) -> list[tuple[int, str | None]]:
    """All running jobs, as id and worker."""
    return [(job_id, worker) for job_id, worker in _RUNNING.all(connection, {})]


# -- Running -------------------------------------------------------------------------------------------------------


def is_current(connection: Executor, claim: Claim) -> bool:
    """Whether the attempt still has its job."""
    row = _STANDING.first(connection, {"job_id": claim.job_id})
    return row is not None and tuple(row) == (JobState.RUNNING.value, claim.worker, claim.attempt)


def hold_for(transaction: Transaction, claim: Claim) -> Job | None:
    """The job, held until the transaction ends; None if it is not this attempt's any more."""
    job = records.hold(transaction, claim.job_id)
    if job is None or (job.state, job.worker, job.attempts) != (JobState.RUNNING, claim.worker, claim.attempt):
        return None
    return job


def set_progress(transaction: Transaction, claim: Claim, fraction: float | None) -> None:
    transaction.execute(_PROGRESS, _of(claim) | {"fraction": fraction})


def release(transaction: Transaction, claim: Claim) -> None:
    """Give a job up that could have gone on, so that the attempt does not count against it."""
    transaction.execute(_RELEASE, _of(claim))


def _of(claim: Claim) -> dict[str, object]:
    return {"job_id": claim.job_id, "name": claim.worker, "attempt": claim.attempt}


# -- Workers -------------------------------------------------------------------------------------------------------


def beat(transaction: Transaction, worker: str, now: Instant) -> None:
    """A sign of life. It also brings a worker back that was taken for dead."""
    statement = update(job_workers).where(job_workers.c.name == worker).values(beat_at=now)
    if transaction.execute(statement).rowcount == 0:
        transaction.execute(insert(job_workers), {"name": worker, "started_at": now, "beat_at": now})


def beats(connection: Executor) -> dict[str, Instant]:
    """The last sign of life of each worker."""
    rows = connection.execute(select(job_workers.c.name, job_workers.c.beat_at))
    return {row.name: row.beat_at for row in rows}


def bury(transaction: Transaction, worker: str, beat_at: Instant) -> bool:
    """Strike a dead worker off. False if it has given a sign of life meanwhile."""
    statement = delete(job_workers).where(job_workers.c.name == worker, job_workers.c.beat_at == beat_at)
    return transaction.execute(statement).rowcount == 1


def leave(transaction: Transaction, worker: str) -> None:
    """Strike oneself off; what one still has may be taken over at once."""
    transaction.execute(delete(job_workers).where(job_workers.c.name == worker))


# -- Clearing up ---------------------------------------------------------------------------------------------------


def kept_by_engine(connection: Executor, before: Instant) -> list[tuple[int, str]]:
    """Jobs that ended before an instant and are still known to the job engine, some hundreds at a time: id and uid."""
    return [(job_id, uid) for job_id, uid in connection.execute(_KEPT_BY_ENGINE, {"before": before})]


def mark_forgotten(transaction: Transaction, job_ids: Sequence[int]) -> None:
    transaction.execute(update(jobs).where(jobs.c.id.in_(job_ids)).values(is_handed_over=False))


def delete_old(transaction: Transaction, before: Instant) -> int:
    """Delete some hundred jobs that ended before an instant, with their logs; how many."""
    job_ids = list(transaction.execute(_OLD, {"before": before}).scalars())
    if job_ids:
        transaction.execute(delete(jobs).where(jobs.c.id.in_(job_ids)))
    return len(job_ids)
