"""Reading what a content is, and noting it: by the job of new versions, and by the first who looks before that."""

from collections.abc import Callable
from typing import Final, TypeAlias

from pinakes.core.catalogue import descriptions
from pinakes.core.catalogue.records import Version
from pinakes.core.clock import Clock
from pinakes.core.content.content import Content
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import BlobUnknown, DecodingUnavailable, NotAnImage, TooLarge
from pinakes.core.renditions.decoder import Decoder
from pinakes.core.renditions.flight import SingleFlight
from pinakes.imaging.decoding.requests import DecodingBusy, DecodingFailed, Describe, Exhausted
from pinakes.imaging.source import Description, ImagingError

_TOLD_BY_ENDS: Final = frozenset({"qcow2", "vmdk", "vdi", "vhdx", "raw", "iso", "ova", "tar", "gzip", "pdf"})
"""Formats without pixels: of disks the tables at the beginning and at the end are looked at, of others not even those.
"""

_GONE: Final = "The bytes are not in the content store."

Note: TypeAlias = Callable[[Transaction, int, Description], None]
"""Writes down what was read, in the row of a version of that id."""


class ContentReader:
    """Reads contents through a decoder, each once at a time."""

    def __init__(self, database: Database, content: Content, decoder: Decoder, clock: Clock) -> None:
        self._database = database
        self._content = content
        self._decoder = decoder
        self._clock = clock
        self._flight: SingleFlight[Description] = SingleFlight()

    def look(self, version: Version) -> Description:
        """What the content of a version is, for one who looks before it was ingested. Not for use in a transaction.

        It is noted, for the next who looks. Raises NotAnImage with the reason, which is noted too, and
        DecodingUnavailable, StoreUnavailable, StorageFull for what may go well another time, of which nothing is noted.
        """
        return self._flight.do(str(version.id), lambda: self._read(version, descriptions.set_seen))

    def ingest(self, version: Version, *, pixel_digest: bool) -> None:
        """Note what it is for good. Raises likewise."""

        def note(transaction: Transaction, version_id: int, read: Description) -> None:
            descriptions.set_ready(transaction, version_id, read, self._clock())

        self._read(version, note, pixel_digest=pixel_digest)

    def fail(self, version: Version, reason: str) -> None:
        """Note that nothing could be read."""
        with self._database.write() as transaction:
            descriptions.set_failed(transaction, version.id, reason, self._clock())

    def _read(self, version: Version, note: Note, *, pixel_digest: bool = False) -> Description:
        try:
            read = self._described(version, pixel_digest=pixel_digest)
        except (DecodingFailed, DecodingBusy, Exhausted) as exc:
            raise DecodingUnavailable(str(exc)) from exc
        except ImagingError as exc:
            reason = str(exc)
        except TooLarge as exc:
            reason = exc.message
        except BlobUnknown:
            reason = _GONE
        else:
            with self._database.write() as transaction:
                note(transaction, version.id, read)
            return read
        self.fail(version, reason)
        raise NotAnImage(reason)

    def _described(self, version: Version, *, pixel_digest: bool) -> Description:
        only_ends = version.format in _TOLD_BY_ENDS
        with self._content.local_copy(version.digest, only_ends=only_ends) as path:
            # A file with its ends alone is not kept open: it is gone afterwards.
            key = "" if only_ends else version.digest
            return self._decoder.run(Describe(path=str(path), key=key, pixel_digest=pixel_digest))
