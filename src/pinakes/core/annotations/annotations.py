"""Annotations of slides: every version is kept, what a machine drew and what people drew (pathomiq contract 4.13).

Who may see a slide's annotations is asked where slides are looked up; nothing here asks.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Final

from pinakes.core.actor import Actor, Kind
from pinakes.core.annotations import formats, reading, records
from pinakes.core.annotations.dialect import ADMITTED, STANDARD_BYTES
from pinakes.core.annotations.formats import ALL_FORMATS, Format
from pinakes.core.annotations.model import Box
from pinakes.core.annotations.records import Annotation, Source
from pinakes.core.annotations.region_files import RegionFiles, pieces_of
from pinakes.core.annotations.uploads import AnnotationUpload
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock
from pinakes.core.content.content import Content
from pinakes.core.content.store import Reader
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import AnnotationUnknown, TooLarge, WrongState
from pinakes.core.readtrail import ReadTrail
from pinakes.core.renditions.views import Views

if TYPE_CHECKING:
    from pinakes.core.annotations.region_search import Found

MAX_BYTES = STANDARD_BYTES

_MACHINE_SHARE: Final = 4
"""How many times as much as people send machines may draw: every tile of a slide may be a region of its own."""

_MADE_SHARE: Final = 16
"""How many times as many bytes as people send a document made of it may have; ellipses, as polygons, take tenfold."""


class Annotations:
    """The versions of each slide's annotation. max_bytes: the largest file taken."""

    def __init__(
        self,
        database: Database,
        content: Content,
        trail: ReadTrail,
        region_files: RegionFiles,
        clock: Clock,
        *,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._database = database
        self._content = content
        self._trail = trail
        self._views = Views(database, trail, clock)
        self._region_files = region_files
        self._clock = clock
        self.max_bytes = max_bytes

    def admit(self, expected_bytes: int) -> None:
        """Raises TooLarge if an annotation of so many bytes cannot be taken, judged before any is read."""
        if expected_bytes > self.max_bytes:
            raise TooLarge(self.max_bytes)
        self._content.admit(expected_bytes)

    def receive(self, formats: Collection[Format] = ALL_FORMATS) -> AnnotationUpload:
        """Begin an upload in one of the formats. Raises StorageFull, StoreUnavailable."""
        return AnnotationUpload(self._content.receive(), self.max_bytes, formats)

    def receive_result(self) -> AnnotationUpload:
        """Begin the annotation that a machine draws, which may be larger. Raises StorageFull, StoreUnavailable."""
        most = _MACHINE_SHARE * max(self.max_bytes, STANDARD_BYTES)
        return AnnotationUpload(self._content.receive(), most, (Format.APERIO,))

    def add(
        self, transaction: Transaction, image_id: int, source: Source, author_id: int | None, upload: AnnotationUpload
    ) -> Annotation:
        """Make a finished upload the next version of a slide's annotation, in a transaction that holds its lock.

        author_id: None for the archive itself.
        """
        digest = self._content.adopt(transaction, upload.upload)
        size_bytes, media_type = upload.upload.size_bytes, upload.format.media_type
        return records.add(
            transaction, image_id, source, author_id, digest, size_bytes, media_type, upload.layers, self._clock()
        )

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
        """Open the document, as it was sent. The read goes into the trail. Raises BlobUnknown, StoreUnavailable."""
        reader = self._content.open(annotation.digest)
        read = Event(Action.CONTENT_READ, annotation.image_id, subject=f"annotation:{annotation.id}")
        self._trail.note(actor, read, self._clock())
        return reader

    def written(self, actor: Actor, annotation: Annotation, format: Format) -> Iterator[bytes]:
        """The document in a format, in pieces: as it was sent if that is its own. The read goes into the trail.

        Takes seconds and up to some 200 MB for the largest that is sent. Raises as `open` does, and WrongState (see
        `formats`), also midway if it becomes too large.
        """
        reader = self.open(actor, annotation)
        try:
            if reading.format_of(pieces_of(reader)) is format:
                return _closing(reader)
            markup = reading.read(pieces_of(reader), ADMITTED)
        except BaseException:
            reader.close()
            raise
        reader.close()
        return _bounded(formats.write(format, markup), _MADE_SHARE * max(self.max_bytes, STANDARD_BYTES))

    def prepare(self, annotation: Annotation) -> None:
        """Make what searching a version takes, if it is not there. Raises as `RegionFiles.open` does."""
        self._region_files.open(annotation.digest)

    def is_prepared(self, annotation: Annotation) -> bool:
        """Whether that need not be done any more. Raises StoreUnavailable."""
        return self._region_files.has(annotation.digest)

    def search(self, actor: Actor, annotation: Annotation, box: Box, zoom: int) -> "Found":
        """What of a version is to be seen in a box (see `region_search`). That the actor looked goes into the trail.

        zoom: 0 to MOST_ZOOM. Who asks first waits until the index is made. Raises as `RegionFiles.open` does.
        """
        from pinakes.core.annotations.region_search import search  # with numpy, which the start of a server is spared

        found = search(self._region_files.open(annotation.digest), box, zoom)
        self._views.note(actor, annotation.image_id, Kind.SLIDE)
        return found

    def sweep(self) -> None:
        """Drop what this machine has cached of annotations that are gone from the archive."""
        self._region_files.sweep()


def _closing(reader: Reader) -> Iterator[bytes]:
    try:
        yield from pieces_of(reader)
    finally:
        reader.close()


def _bounded(pieces: Iterator[bytes], most_bytes: int) -> Iterator[bytes]:
    size_bytes = 0
    for piece in pieces:
        size_bytes += len(piece)
        if size_bytes > most_bytes:
            raise WrongState("This annotation would be too large in that format.")
        yield piece
