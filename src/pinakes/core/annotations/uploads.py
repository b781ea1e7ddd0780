"""An annotation on its way in: read while it is written aside, so that what is no annotation is refused at once."""

from collections.abc import Collection
from types import TracebackType

from pinakes.core.annotations.dialect import Limits
from pinakes.core.annotations.formats import ALL_FORMATS, Format
from pinakes.core.annotations.reading import Reader
from pinakes.core.annotations.summary import LayerSummary, Tally
from pinakes.core.content.uploads import Upload
from pinakes.core.errors import TooLarge


class AnnotationUpload:
    """One upload. Used by one thread at a time, as a context manager: leaving it discards what was not adopted.

    upload: takes the bytes.   max_bytes: the largest file taken.   formats: those that are taken.
    """

    def __init__(self, upload: Upload, max_bytes: int, formats: Collection[Format] = ALL_FORMATS) -> None:
        self.upload = upload
        self._layers: tuple[LayerSummary, ...] | None = None
        self._max_bytes = max_bytes
        self._tally = Tally()
        self._reader = Reader(self._tally.add, Limits.of(max_bytes), formats)

    @property
    def layers(self) -> tuple[LayerSummary, ...]:
        """What the annotation holds, once it is finished."""
        if self._layers is None:
            raise RuntimeError("only a finished annotation is known")
        return self._layers

    @property
    def format(self) -> Format:
        """Which format it is in, once it is finished."""
        if self._layers is None or self._reader.format is None:
            raise RuntimeError("only a finished annotation is known")
        return self._reader.format

    def write(self, piece: bytes | bytearray) -> None:
        """Append a piece, which must not be changed afterwards.

        Raises InvalidFields for what is no annotation, TooLarge, StorageFull, StoreUnavailable.
        """
        if self.upload.size_bytes + len(piece) > self._max_bytes:
            raise TooLarge(self._max_bytes)
        self.upload.write(piece)
        self._reader.feed(piece)

    def finish(self) -> None:
        """Commit the bytes to the store, if they are an annotation. Raises as `write` does."""
        self._layers = self._tally.summary(self._reader.close().layers)
        self.upload.finish()

    def discard(self) -> None:
        """Leave nothing behind, unless the bytes were adopted or may have been."""
        self.upload.discard()

    def __enter__(self) -> "AnnotationUpload":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()
