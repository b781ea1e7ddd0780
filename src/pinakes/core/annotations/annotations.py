"""Annotations of slides: every version is kept, what a machine drew and what people drew (pathomiq contract 4.13).

Who may see a slide's annotations is asked where slides are looked up; nothing here asks.
"""

from collections.abc import Iterator

from pinakes.core.actor import Actor
from pinakes.core.annotations import geojson, reading, records
from pinakes.core.annotations.records import Annotation, Source
from pinakes.core.annotations.uploads import AnnotationUpload
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock
from pinakes.core.content.content import Content
from pinakes.core.content.store import Reader
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import AnnotationUnknown, TooLarge
from pinakes.core.readtrail import ReadTrail

MAX_BYTES = 64 * 1024 * 1024
"""The largest file taken unless something else is set (pathomiq contract 4.12)."""

_PIECE_BYTES = 1024 * 1024


class Annotations:
    """The versions of each slide's annotation. max_bytes: the largest file taken."""

    def __init__(
        self, database: Database, content: Content, trail: ReadTrail, clock: Clock, *, max_bytes: int = MAX_BYTES
    ) -> None:
        self._database = database
        self._content = content
        self._trail = trail
        self._clock = clock
        self.max_bytes = max_bytes

    def admit(self, expected_bytes: int) -> None:
        """Raises TooLarge if an annotation of so many bytes cannot be taken, judged before any is read."""
        if expected_bytes > self.max_bytes:
            raise TooLarge(self.max_bytes)
        self._content.admit(expected_bytes)

    def receive(self) -> AnnotationUpload:
        """Begin an upload. Raises StorageFull, StoreUnavailable."""
        return AnnotationUpload(self._content.receive(), self.max_bytes)

    def add(
        self, transaction: Transaction, image_id: int, source: Source, author_id: int | None, upload: AnnotationUpload
    ) -> Annotation:
        """Make a finished upload the next version of a slide's annotation, in a transaction that holds its lock.

        author_id: None for the archive itself.
        """
        digest = self._content.adopt(transaction, upload.upload)
        size_bytes = upload.upload.size_bytes
        return records.add(transaction, image_id, source, author_id, digest, size_bytes, upload.layers, self._clock())

    def current(self, image_id: int) -> Annotation | None:
        """The newest version, whoever it is from; None before the first."""
        with self._database.read() as connection:
            return records.newest(connection, image_id)

    def get(self, image_id: int, number: int | None = None) -> Annotation:
        """The version of that number, or the newest. Raises AnnotationUnknown."""
        with self._database.read() as connection:
            if number is None:
                annotation = records.newest(connection, image_id)
            else:
                annotation = records.numbered(connection, image_id, number)
        if annotation is None:
            raise AnnotationUnknown
        return annotation

    def list(self, image_id: int) -> list[Annotation]:
        """Every version, the oldest first."""
        with self._database.read() as connection:
            return records.all_of(connection, image_id)

    def open(self, actor: Actor, annotation: Annotation) -> Reader:
        """Open the XML, as it was sent. The read goes into the trail. Raises BlobUnknown, StoreUnavailable."""
        reader = self._content.open(annotation.digest)
        read = Event(Action.CONTENT_READ, annotation.image_id, subject=f"annotation:{annotation.id}")
        self._trail.note(actor, read, self._clock())
        return reader

    def geojson(self, actor: Actor, annotation: Annotation) -> Iterator[bytes]:
        """The same as GeoJSON, in pieces of about 64 KiB; the read goes into the trail.

        Takes seconds and up to some 100 MB for the largest. Raises as `open` does, and WrongState (see `geojson`).
        """
        reader = self.open(actor, annotation)
        try:
            markup = reading.read(_pieces(reader))
        finally:
            reader.close()
        return geojson.write(markup)


def _pieces(reader: Reader) -> Iterator[bytes]:
    for offset in range(0, reader.size_bytes, _PIECE_BYTES):
        yield reader.read_at(offset, _PIECE_BYTES)
