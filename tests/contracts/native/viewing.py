"""Images of every kind with real pictures in them, for the tests of what can be seen."""

import io
from typing import Any

from PIL import Image
from sqlalchemy import select

from pinakes.core.actor import Kind
from pinakes.core.archive import Archive
from pinakes.core.catalogue.reading import JOB_KIND
from pinakes.core.catalogue.records import NewImage
from pinakes.core.db.schema import jobs
from pinakes.core.jobs import claims, records
from pinakes.core.jobs.kinds import JobState
from tests.contracts.native.conftest import SYSTEM
from tests.core.slides.working import attempt

GPS = 0x8825
CAPTURED = 0x9003
EXIF_PART = 0x8769


def photograph(width: int = 640, height: int = 480, captured: str | None = None, **options: Any) -> bytes:
    """A JPEG of a gradient, red above and blue below. captured: as in EXIF, "2024:05:01 10:30:00"."""
    picture = Image.merge(
        "RGB",
        [
            Image.linear_gradient("L").rotate(180).resize((width, height)),
            Image.new("L", (width, height), 40),
            Image.linear_gradient("L").resize((width, height)),
        ],
    )
    exif = Image.Exif()
    if captured is not None:
        exif.get_ifd(EXIF_PART)[CAPTURED] = captured
        exif.get_ifd(GPS).update({1: "N", 2: (52.0, 31.0, 12.0)})
    made = io.BytesIO()
    picture.save(made, "JPEG", **{"quality": 90, "exif": exif, **options})
    return made.getvalue()


def keep(archive: Archive, author: str, kind: Kind, content: bytes, name: str = "an image") -> int:
    """Catalogue a content as an image of a user; its id."""
    new = NewImage(kind, name, archive.users.get(author).id)
    with archive.content.receive() as upload:
        upload.write(content)
        upload.finish()
        with archive.database.write() as transaction:
            image_id, _ = archive.images.ingest(transaction, SYSTEM, new, upload)
    return image_id


def read_all(archive: Archive) -> None:
    """Do the job that reads what waits to be read, as a worker would."""
    waiting = select(jobs.c.id).where(jobs.c.kind == JOB_KIND, jobs.c.state == JobState.QUEUED.value)
    with archive.database.write() as transaction:
        (job_id,) = transaction.execute(waiting).scalars()
        job = records.hold(transaction, job_id)
        assert job is not None
        claim = claims.claim(transaction, job, "a worker", archive.clock())
    attempt(archive, claim).run()
