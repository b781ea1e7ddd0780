"""The SQL of jobs and their logs."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import RowMapping, bindparam, func, insert, select, update

from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import job_logs, jobs
from pinakes.core.jobs.kinds import Job, JobLogLine, JobState

NO_ARGUMENTS = "{}"
MOST_TEXT_CHARACTERS = 2_000
ACTIVE = (JobState.QUEUED, JobState.RUNNING)

_SELECT = select(*(jobs.c[name] for name in Job.__dataclass_fields__))
_BY_ID = _SELECT.where(jobs.c.id == bindparam("job_id"))
_LOCKED = _BY_ID.with_for_update()
_ACTIVE_OF_USER = select(func.count()).where(
    jobs.c.user_id == bindparam("user_id"), jobs.c.state.in_(ACTIVE), jobs.c.kind == bindparam("kind")
)
_LOG = (
    select(job_logs.c.id, job_logs.c.message, job_logs.c.created_at)
    .where(job_logs.c.job_id == bindparam("log_of"))
    .order_by(job_logs.c.id)
)
_END = update(jobs).where(jobs.c.id == bindparam("job_id"))


def job_of(row: RowMapping) -> Job:
    """A job with its arguments."""
    values = dict(row)
    values["state"] = JobState(values["state"])
    values["arguments"] = msgspec.json.decode(values["arguments"])
    return Job(**values)


def create(transaction: Transaction, uid: str, kind: str, arguments: Mapping[str, Any], **values: Any) -> int:
    """Add a queued job; its id. values: user_id, image_id, created_at."""
    statement = insert(jobs).values(
        uid=uid,
        kind=kind,
        arguments=msgspec.json.encode(arguments).decode(),
        state=JobState.QUEUED.value,
        is_handed_over=False,
        attempts=0,
        **values,
    )
    key = transaction.execute(statement).inserted_primary_key
    assert key is not None
    return int(key[0])


def find(connection: Executor, job_id: int) -> Job | None:
    row = connection.execute(_BY_ID, {"job_id": job_id}).mappings().first()
    return None if row is None else job_of(row)


def hold(transaction: Transaction, job_id: int) -> Job | None:
    """The job, which nobody else changes until the transaction ends."""
    row = transaction.execute(_LOCKED, {"job_id": job_id}).mappings().first()
    return None if row is None else job_of(row)


def active_of_user(connection: Executor, user_id: int, kind: str) -> int:
    """How many jobs of a kind a user has waiting or running."""
    return int(connection.execute(_ACTIVE_OF_USER, {"user_id": user_id, "kind": kind}).scalar_one())


def find_all(
    connection: Executor,
    *,
    user_id: int | None = None,
    state: JobState | None = None,
    kind: str | None = None,
    before_id: int | None = None,
    most: int,
) -> list[Job]:
    """The newest first. What is None does not limit."""
    statement = _SELECT.order_by(jobs.c.id.desc()).limit(most)
    for column, value in ((jobs.c.user_id, user_id), (jobs.c.state, state), (jobs.c.kind, kind)):
        if value is not None:
            statement = statement.where(column == value)
    if before_id is not None:
        statement = statement.where(jobs.c.id < before_id)
    return [job_of(row) for row in connection.execute(statement).mappings()]


def end(
    transaction: Transaction, job_id: int, state: JobState, error: str | None, progress: float | None, at: Instant
) -> None:
    """End a job and empty its arguments."""
    ending = {"state": state.value, "error": error, "progress": progress, "ended_at": at, "arguments": NO_ARGUMENTS}
    transaction.execute(_END, {"job_id": job_id} | ending)


def log_of(connection: Executor, job_id: int) -> list[JobLogLine]:
    """The oldest line first."""
    return [JobLogLine(*row) for row in connection.execute(_LOG, {"log_of": job_id})]


def add_log(transaction: Transaction, job_id: int, message: str, at: Instant) -> None:
    transaction.execute(insert(job_logs), {"job_id": job_id, "message": kept_text(message), "created_at": at})


def kept_text(text: str) -> str:
    """What both databases can keep of a text."""
    kept = text.replace("\0", "�").encode(errors="replace").decode()
    return kept[:MOST_TEXT_CHARACTERS]
