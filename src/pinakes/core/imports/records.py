"""The SQL of downloads: which image or version is fetched from where, and how that went."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select, update

from pinakes.core.catalogue.machine_records import DOWNLOAD_COLUMNS, Download
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import downloads, versions

_TARGET = select(versions.c.image_id, versions.c.digest).where(versions.c.id == bindparam("version_id"))
_OF_JOB = (downloads.c.image_id == bindparam("of_image"), downloads.c.job_id == bindparam("of_job"))
_IS_OPEN = select(downloads.c.id).where(*_OF_JOB, downloads.c.finished_at.is_(None))
_START = update(downloads).where(*_OF_JOB, downloads.c.started_at.is_(None)).values(started_at=bindparam("at"))
_FINISH = (
    update(downloads)
    .where(*_OF_JOB, downloads.c.finished_at.is_(None))
    .values(finished_at=bindparam("at"), error=bindparam("why"))
)
_FORGET = delete(downloads).where(
    downloads.c.version_id == bindparam("of_version"), downloads.c.finished_at.is_not(None)
)


@dataclass(frozen=True, slots=True)
class VersionTarget:
    """A version that content is to be fetched for."""

    image_id: int
    has_content: bool


def find_target(connection: Executor, version_id: int) -> VersionTarget | None:
    row = connection.execute(_TARGET, {"version_id": version_id}).first()
    return None if row is None else VersionTarget(row[0], row[1] is not None)


def of_versions(connection: Executor, version_ids: Collection[int]) -> dict[int, Download]:
    """The last attempt to fetch each version's content, by version."""
    statement = select(downloads.c.version_id, *DOWNLOAD_COLUMNS).where(downloads.c.version_id.in_(version_ids))
    return {row[0]: Download(*row[1:]) for row in connection.execute(statement)}


def add(
    transaction: Transaction, image_id: int, version_id: int | None, source: str, job_id: int, now: Instant
) -> None:
    """Note what is to be fetched. version_id: None for the first version of an image made for it."""
    row = {
        "image_id": image_id,
        "version_id": version_id,
        "source": source,
        "job_id": job_id,
        "created_at": now,
    }
    transaction.execute(insert(downloads), row)


def forget_finished(transaction: Transaction, version_id: int) -> None:
    """Make room for another attempt to fetch a version's content."""
    transaction.execute(_FORGET, {"of_version": version_id})


def is_open(connection: Executor, image_id: int, job_id: int) -> bool:
    """Whether a job's file is still to be fetched."""
    return connection.execute(_IS_OPEN, {"of_image": image_id, "of_job": job_id}).first() is not None


def start(transaction: Transaction, image_id: int, job_id: int, now: Instant) -> None:
    transaction.execute(_START, {"of_image": image_id, "of_job": job_id, "at": now})


def finish(transaction: Transaction, image_id: int, job_id: int, error: str | None, now: Instant) -> None:
    """Note how it ended, unless that is noted already."""
    transaction.execute(_FINISH, {"of_image": image_id, "of_job": job_id, "at": now, "why": error})
