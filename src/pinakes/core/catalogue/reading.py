"""Asking that the content of a version be read: for what kind of picture it is, how large, and the like.

    a version gets its content ──> waiting ──read──> ready
                                      ^        └───> failed, with the reason
                                      └──── asked for again

A waiting row is the intent, written in the transaction that gives a version its content. Beside it goes one job that
reads all that waits, unless one is queued already: a job for each would cost more than most readings. Nothing is
refused here, and no limit of a user's counts: what is stored is stored.
"""

import enum
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from pinakes.core.clock import Instant
from pinakes.core.db.engine import Transaction
from pinakes.core.db.schema import descriptions, jobs
from pinakes.core.jobs import records
from pinakes.core.jobs.kinds import JobState

JOB_KIND: Final = "ingest"


class Reading(enum.StrEnum):
    """How the reading of a version's content stands."""

    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


_NOTHING_READ: Final[dict[str, Any]] = {
    column.name: None for column in descriptions.c if column.name not in ("version_id", "state")
} | {"state": Reading.WAITING.value}


def _upsert(dialect_insert: type[sqlite.Insert] | type[postgresql.Insert]) -> sqlite.Insert | postgresql.Insert:
    statement = dialect_insert(descriptions)
    return statement.on_conflict_do_update(index_elements=[descriptions.c.version_id], set_=_NOTHING_READ)


_WAIT = {True: _upsert(sqlite.Insert), False: _upsert(postgresql.Insert)}
# The queued job is kept from being begun until this transaction ends, or it could find nothing and be done before.
_QUEUED = (
    select(jobs.c.id)
    .where(jobs.c.kind == JOB_KIND, jobs.c.state == JobState.QUEUED.value)
    .limit(1)
    .with_for_update(read=True)
)


_WAITING = select(descriptions.c.version_id).where(descriptions.c.state == Reading.WAITING.value).limit(1)
_RUNNING = select(jobs.c.id).where(jobs.c.kind == JOB_KIND, jobs.c.state == JobState.RUNNING.value).limit(1)


def ask(transaction: Transaction, version_id: int, now: Instant) -> None:
    """Have the content of a version read, for the first time or again."""
    transaction.execute(_WAIT[transaction.is_local], {"version_id": version_id, "state": Reading.WAITING.value})
    _ensure_job(transaction, now)


def ask_again(transaction: Transaction, now: Instant) -> None:
    """Have a job read what waits, if there is something and no job is at it."""
    if transaction.execute(_WAITING).first() is not None and transaction.execute(_RUNNING).first() is None:
        _ensure_job(transaction, now)


def _ensure_job(transaction: Transaction, now: Instant) -> None:
    if transaction.execute(_QUEUED).first() is None:
        records.create(transaction, uuid4().hex, JOB_KIND, {}, user_id=None, image_id=None, created_at=now)
