"""The SQL of runs: one row for each prediction of a slide that was asked for."""

import uuid
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select, update

from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import run_batches, run_plans, run_results, runs
from pinakes.core.slides.states import ACTIVE_RUN, RunState


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has not ended, and the job that does its work.

    model: "name@version"; None for whichever is the default when it begins.
    """

    id: int
    image_id: int
    job_id: int
    state: RunState
    model: str | None
    started_at: Instant | None


_ACTIVE = select(runs.c.id, runs.c.image_id, runs.c.job_id, runs.c.state, runs.c.model, runs.c.started_at).where(
    runs.c.image_id == bindparam("image_id"), runs.c.state.in_(ACTIVE_RUN)
)
_INSERT = insert(runs)
_START = (
    update(runs)
    .where(runs.c.id == bindparam("run_id"), runs.c.state == RunState.QUEUED.value)
    .values(state=RunState.RUNNING.value, started_at=bindparam("now"))
)
_END = (
    update(runs)
    .where(runs.c.id == bindparam("run_id"), runs.c.state.in_(ACTIVE_RUN))
    .values(state=bindparam("ended_state"), ended_at=bindparam("now"), error=bindparam("why"))
)
_MADE = select(run_results.c.annotation_number, run_results.c.run_id).where(
    run_results.c.image_id == bindparam("image_id"),
    run_results.c.annotation_number.between(bindparam("first"), bindparam("last")),
)
_FORGET = [delete(table).where(table.c.run_id == bindparam("old_run_id")) for table in (run_batches, run_plans)]


def active(connection: Executor, image_id: int) -> Run | None:
    """The run of a slide that is queued or running."""
    row = connection.execute(_ACTIVE, {"image_id": image_id}).first()
    return Run(row[0], row[1], row[2], RunState(row[3]), row[4], row[5]) if row else None


def of_job(connection: Executor, image_id: int, job_id: int) -> Run | None:
    """The run that a job works for; None if it has ended, or its slide is gone: then the job has no say any more."""
    run = active(connection, image_id)
    return run if run is not None and run.job_id == job_id else None


def that_made(connection: Executor, image_id: int, first: int, last: int) -> dict[int, int]:
    """Which run made a version of the slide's annotation, by its number, of those from the first to the last."""
    rows = connection.execute(_MADE, {"image_id": image_id, "first": first, "last": last})
    return {row.annotation_number: row.run_id for row in rows}


def add(
    transaction: Transaction, image_id: int, job_id: int, starter_id: int, now: Instant, *, model: str | None = None
) -> None:
    """Queue a run. Raises IntegrityError if the slide has an active one (`uq_runs_active`)."""
    row = {
        "uid": uuid.uuid4().hex,
        "image_id": image_id,
        "state": RunState.QUEUED.value,
        "job_id": job_id,
        "starter_id": starter_id,
        "created_at": now,
        "model": model,
    }
    transaction.execute(_INSERT, row)


def start(transaction: Transaction, run_id: int, now: Instant) -> None:
    transaction.execute(_START, {"run_id": run_id, "now": now})


def end(transaction: Transaction, run_id: int, state: RunState, now: Instant, *, error: str | None = None) -> None:
    """End a run. The scores of one that is not done go with it. error: why it failed, for people."""
    transaction.execute(_END, {"run_id": run_id, "ended_state": state.value, "now": now, "why": error})
    if state is not RunState.DONE:
        forget(transaction, run_id)


def forget(transaction: Transaction, run_id: int) -> None:
    """Drop what a run keeps while it goes on: its plan and its scores."""
    for statement in _FORGET:
        transaction.execute(statement, {"old_run_id": run_id})
