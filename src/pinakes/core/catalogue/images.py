"""Images of every kind: what is the same whichever API they came through.

What takes a transaction is a part of a larger operation and asks no permission; the rest are operations.
"""

from pinakes.core import audit
from pinakes.core.access import policy
from pinakes.core.access.guard import require_account
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event, Recorded
from pinakes.core.catalogue import records
from pinakes.core.catalogue.records import Image, NewImage, NewVersion, Version
from pinakes.core.clock import Clock
from pinakes.core.content.content import Content
from pinakes.core.content.store import Reader
from pinakes.core.content.uploads import Upload
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import ContentExists, ImageUnknown, NotAllowed, WrongState
from pinakes.core.jobs.jobs import Jobs
from pinakes.core.readtrail import ReadTrail
from pinakes.imaging import formats

FIRST_VERSION = "1.0"


class Images:
    """The catalogue's operations on images."""

    def __init__(self, database: Database, content: Content, trail: ReadTrail, jobs: Jobs, clock: Clock) -> None:
        self._database = database
        self._content = content
        self._trail = trail
        self._jobs = jobs
        self._clock = clock

    def ingest(
        self, transaction: Transaction, actor: Actor, new: NewImage, upload: Upload, *, patient_id: int | None = None
    ) -> tuple[int, int]:
        """Catalogue a finished upload as an image with one version; the ids of both."""
        now = self._clock()
        version = self._adopt(transaction, upload)
        image_id = self._add(transaction, actor, new)
        version_id = records.add_version(transaction, image_id, new.author_id, version, now)
        created = Event(Action.IMAGE_CREATE, image_id, patient_id, detail=_content_of(version))
        audit.record(transaction, actor, now, created)
        return image_id, version_id

    def announce(self, transaction: Transaction, actor: Actor, new: NewImage) -> int:
        """Catalogue an image whose content is still to come; its id."""
        image_id = self._add(transaction, actor, new)
        audit.record(transaction, actor, self._clock(), Event(Action.IMAGE_CREATE, image_id))
        return image_id

    def add_first_version(
        self, transaction: Transaction, actor: Actor, image_id: int, author_id: int, upload: Upload
    ) -> int:
        """Give an announced image its content as its first version; the version's id.

        Raises ImageUnknown, and WrongState if it has one already.
        """
        if not records.hold(transaction, image_id):
            raise ImageUnknown
        if records.has_version(transaction, image_id, FIRST_VERSION):
            raise WrongState("The image was given its first version by somebody else meanwhile.")
        version = self._adopt(transaction, upload)
        now = self._clock()
        version_id = records.add_version(transaction, image_id, author_id, version, now)
        created = Event(Action.VERSION_CREATE, image_id, subject=f"version:{version_id}", detail=_content_of(version))
        audit.record(transaction, actor, now, created)
        return version_id

    def fill_version(
        self, transaction: Transaction, actor: Actor, image_id: int, version_id: int, upload: Upload
    ) -> None:
        """Give a version its content. Raises ImageUnknown, ContentExists."""
        if not records.hold(transaction, image_id):
            raise ImageUnknown
        version = self._adopt(transaction, upload)
        assert version.digest is not None
        assert version.size_bytes is not None
        assert version.format is not None
        now = self._clock()
        if not records.fill_version(transaction, version_id, version.digest, version.size_bytes, version.format, now):
            raise ContentExists
        filled = Event(Action.VERSION_UPDATE, image_id, subject=f"version:{version_id}", detail=_content_of(version))
        audit.record(transaction, actor, now, filled)

    def remove(self, transaction: Transaction, actor: Actor, image_id: int, *, patient_id: int | None = None) -> bool:
        """Remove an image and its bytes, for good, and stop the jobs at work on it; False if somebody was quicker."""
        for job_id in records.active_jobs(transaction, image_id):
            self._jobs.cancel(transaction, actor, job_id)
        digests = records.remove(transaction, image_id)
        if digests is None:
            return False
        self._content.release(transaction, digests)
        audit.record(transaction, actor, self._clock(), Event(Action.IMAGE_DELETE, image_id, patient_id))
        return True

    def get(self, actor: Actor, image_id: int) -> Image:
        """One image the actor may read. Raises ImageUnknown."""
        now = self._clock()
        with self._database.read() as connection:
            image = records.find(connection, actor, image_id, now)
        if image is None or not policy.may_read(actor, image.facts, now):
            raise ImageUnknown
        return image

    def readable(self, actor: Actor, *, after_id: int = 0, most: int = 100) -> list[Image]:
        """The next images the actor may read, ascending by id."""
        with self._database.read() as connection:
            return records.readable(connection, actor, self._clock(), after_id, most)

    def open(self, actor: Actor, image_id: int, version: Version, *, patient_id: int | None = None) -> Reader:
        """Open the content of a version of an image that the actor was found to be allowed to read.

        The read goes into the trail. Raises BlobUnknown, StoreUnavailable.
        """
        reader = self._content.open(version.digest)
        self._trail.note(actor, Event(Action.CONTENT_READ, image_id, patient_id), self._clock())
        return reader

    def events(self, actor: Actor, image_id: int, *, before_id: int | None = None, most: int = 100) -> list[Recorded]:
        """What has happened to an image, newest first. For its author and staff.

        Raises Unauthenticated, ScopeMissing, ImageUnknown, NotAllowed.
        """
        user_id = require_account(actor, Resource.IMAGE, Permission.READ)
        with self._database.read() as connection:
            image = self.get(actor, image_id)
            if not actor.is_staff and image.facts.author_id != user_id:
                raise NotAllowed
            return audit.latest_of_image(connection, image_id, before_id=before_id, most=most)

    def delete(self, actor: Actor, image_id: int) -> None:
        """Remove an image for good. Raises ImageUnknown, NotAllowed."""
        image = self.get(actor, image_id)
        if not policy.may_change(actor, image.facts, self._clock()):
            raise NotAllowed
        with self._database.write() as transaction:
            if not self.remove(transaction, actor, image_id, patient_id=self._patient_of(transaction, image)):
                raise ImageUnknown

    def _patient_of(self, transaction: Transaction, image: Image) -> int | None:
        return records.patient_of(transaction, image.id) if image.kind is Kind.CLINICAL else None

    def _adopt(self, transaction: Transaction, upload: Upload) -> NewVersion:
        digest = self._content.adopt(transaction, upload)
        assert upload.received is not None
        return NewVersion(FIRST_VERSION, digest, upload.received.size_bytes, formats.sniff(upload.received.head))

    def _add(self, transaction: Transaction, actor: Actor, new: NewImage) -> int:
        image_id = records.add(transaction, new, self._clock())
        self._tag(transaction, actor, image_id, new.tags)
        return image_id

    def _tag(self, transaction: Transaction, actor: Actor, image_id: int, names: tuple[str, ...]) -> None:
        now = self._clock()
        tag_ids: list[int] = []
        for name in names:
            tag_id, is_new = records.ensure_tag(transaction, name, now)
            if tag_id not in tag_ids:
                tag_ids.append(tag_id)
            if is_new:
                audit.record(transaction, actor, now, Event(Action.TAG_CREATE, subject=f"tag:{tag_id}"))
        records.tag(transaction, image_id, tag_ids)


def _content_of(version: NewVersion) -> dict[str, str | int | None]:
    """What the trail tells of a content."""
    return {"digest": version.digest, "size_bytes": version.size_bytes}
