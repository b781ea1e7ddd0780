"""The SQL of bytes on their way to a slide: staged by an upload, made a version when the client says so.

A staged digest is a reference on its blob like any other (`schema.REFERENCES_TO_BLOBS`): it is adopted before it is
written here, and moves to the version that it becomes.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, exists, select, update

from pinakes.core.catalogue.records import NewVersion, add_version
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import images, slide_logs, slides, versions
from pinakes.core.slides.states import SlideStatus

FIRST_VERSION = "1.0"
NOTHING_SENT = "No file has been uploaded for this image yet."

_UID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Staged:
    """Bytes that were sent. digest: SHA-256, hex. etag: MD5, hex, or what the bucket gave for one."""

    digest: str
    size_bytes: int
    format: str
    etag: str


@dataclass(frozen=True, slots=True)
class Target:
    """A slide as the place where bytes are going."""

    id: int
    uid: str
    owner_id: int
    status: SlideStatus
    staged: Staged | None

    @property
    def is_uploaded(self) -> bool:
        return self.status is SlideStatus.UPLOADED


_FIND = Query(
    select(
        images.c.id,
        images.c.uid,
        images.c.author_id,
        slides.c.status,
        slides.c.staged_digest,
        slides.c.staged_size_bytes,
        slides.c.staged_format,
        slides.c.staged_etag,
    )
    .select_from(images.join(slides, slides.c.image_id == images.c.id))
    .where(images.c.uid == bindparam("uid"))
)
_STAGE = (
    update(slides)
    .where(slides.c.image_id == bindparam("slide_id"))
    .values(
        staged_digest=bindparam("digest"),
        staged_size_bytes=bindparam("size_bytes"),
        staged_format=bindparam("format"),
        staged_etag=bindparam("etag"),
    )
)
_TAG = update(versions).where(versions.c.id == bindparam("version_id")).values(etag=bindparam("md5"))


def find(connection: Executor, uid: str) -> Target | None:
    """The slide of that uid, whoever asks: the policy of a form is its own permission."""
    row = _FIND.first(connection, {"uid": uid}) if _UID.fullmatch(uid) else None
    if row is None:
        return None
    staged = None if row[4] is None else Staged(row[4], row[5], row[6], row[7])
    return Target(row[0], row[1], row[2], SlideStatus(row[3]), staged)


def stage(transaction: Transaction, slide_id: int, staged: Staged | None) -> None:
    """Note what was staged last; None clears it."""
    row = {
        "slide_id": slide_id,
        "digest": staged and staged.digest,
        "size_bytes": staged and staged.size_bytes,
        "format": staged and staged.format,
        "etag": staged and staged.etag,
    }
    transaction.execute(_STAGE, row)


def commit(transaction: Transaction, target: Target, staged: Staged, author_id: int, now: Instant) -> int:
    """Make the bytes the first version of a slide, which then has nothing staged; the version's id."""
    new = NewVersion(FIRST_VERSION, staged.digest, staged.size_bytes, staged.format)
    version_id = add_version(transaction, target.id, author_id, new, now)
    transaction.execute(_TAG, {"version_id": version_id, "md5": staged.etag})
    stage(transaction, target.id, None)
    return version_id


def finished(connection: Executor, uids: Collection[str]) -> Sequence[str]:
    """Those of the uids that are of slides of this archive, also deleted ones, and that wait for no bytes."""
    waits = exists().where(
        images.c.uid == slide_logs.c.image_uid,
        slides.c.image_id == images.c.id,
        slides.c.status != SlideStatus.UPLOADED.value,
    )
    statement = select(slide_logs.c.image_uid).where(slide_logs.c.image_uid.in_(uids), ~waits).distinct()
    return connection.execute(statement).scalars().all()
