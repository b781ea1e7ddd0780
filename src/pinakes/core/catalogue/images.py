"""Images of every kind: what is the same whichever API they came through.

`ingest` and `remove` are parts of larger operations and work in the caller's transaction; the rest are operations.
"""

from pinakes.core import audit
from pinakes.core.access import policy
from pinakes.core.actor import Actor, Kind
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import records
from pinakes.core.catalogue.records import Image, NewImage, NewVersion, Version
from pinakes.core.clock import Clock
from pinakes.core.content.content import Content
from pinakes.core.content.store import Reader
from pinakes.core.content.uploads import Upload
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import ImageUnknown, NotAllowed
from pinakes.core.readtrail import ReadTrail
from pinakes.imaging import formats

FIRST_VERSION = "1.0"


class Images:
    """The catalogue's operations on images."""

    def __init__(self, database: Database, content: Content, trail: ReadTrail, clock: Clock) -> None:
        self._database = database
        self._content = content
        self._trail = trail
        self._clock = clock

    def ingest(
        self, transaction: Transaction, actor: Actor, new: NewImage, upload: Upload, *, patient_id: int | None = None
    ) -> tuple[int, int]:
        """Catalogue a finished upload as an image with one version; the ids of both."""
        now = self._clock()
        digest = self._content.adopt(transaction, upload)
        assert upload.received is not None
        version = NewVersion(FIRST_VERSION, digest, upload.received.size_bytes, formats.sniff(upload.received.head))
        image_id = records.add(transaction, new, now)
        version_id = records.add_version(transaction, image_id, new.author_id, version, now)
        self._tag(transaction, actor, image_id, new.tags)
        created = Event(
            Action.IMAGE_CREATE, image_id, patient_id, detail={"digest": digest, "size_bytes": version.size_bytes}
        )
        audit.record(transaction, actor, now, created)
        return image_id, version_id

    def remove(self, transaction: Transaction, actor: Actor, image_id: int, *, patient_id: int | None = None) -> bool:
        """Remove an image and its bytes, for good; False if somebody else was quicker. Asks no permission."""
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
