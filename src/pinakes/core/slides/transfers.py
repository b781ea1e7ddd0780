"""One file on its way from a form to what a slide has staged: its size is watched, its digests are compared."""

from collections.abc import Callable
from typing import Final

from pinakes.core.content.content import Content
from pinakes.core.content.uploads import Upload
from pinakes.core.errors import StorageFull, TooLarge, UploadRefused
from pinakes.core.presigned.integrity import Claims
from pinakes.core.presigned.policies import SizeRange
from pinakes.core.presigned.refusals import Code, refuse
from pinakes.core.slides.staging import Staged
from pinakes.imaging.formats import sniff

_MD5: Final = "md5"
_AFTER_FILE_BYTES = 1024 * 1024  # how much may follow the file before an announced length counts as the file's own

Stage = Callable[[Upload, Staged], None]


class Transfer:
    """Used by one thread at a time; `discard` ends it in any case, and may be called twice.

    size_range: with both ends.   stage: makes the finished upload what the slide has staged.   on_end: called once.
    """

    def __init__(
        self, upload: Upload, size_range: SizeRange, claimed: Claims, stage: Stage, on_end: Callable[[], None]
    ) -> None:
        self._upload = upload
        self._size_range = size_range
        self._claimed = claimed
        self._stage = stage
        self._on_end = on_end
        self._is_open = True

    def write(self, piece: bytes | bytearray) -> None:
        """Append. Raises UploadRefused with the first byte too many, StorageFull, StoreUnavailable."""
        try:
            self._upload.write(piece)
        except TooLarge as exc:
            raise _too_large(self._upload.size_bytes, self._size_range) from exc

    def finish(self) -> str:
        """Compare size and digests, then stage what came; its ETag without quotes.

        Raises UploadRefused, StorageFull, StoreUnavailable.
        """
        size_bytes = self._upload.size_bytes
        if size_bytes < self._size_range.least:
            raise refuse(Code.ENTITY_TOO_SMALL, ProposedSize=size_bytes, MinSizeAllowed=self._size_range.least)
        received = self._upload.finish()
        self._claimed.compare({**received.further, "sha256": received.digest})
        etag = received.further[_MD5]
        self._stage(self._upload, Staged(received.digest, size_bytes, sniff(received.head), etag))
        return etag

    def discard(self) -> None:
        """Leave nothing behind that was not staged."""
        if self._is_open:
            self._is_open = False
            self._upload.discard()
            self._on_end()


def check_announced(announced_bytes: int | None, size_range: SizeRange) -> None:
    """Raises UploadRefused if a file that may be as large as this is larger than what is allowed."""
    if announced_bytes is not None and announced_bytes > _most(size_range) + _AFTER_FILE_BYTES:
        raise _too_large(announced_bytes, size_range)


def begin_upload(content: Content, announced_bytes: int | None, size_range: SizeRange, claimed: Claims) -> Upload:
    """With the digests that are needed. Raises StorageFull, StoreUnavailable."""
    most = _most(size_range)
    expected = None if announced_bytes is None else min(announced_bytes, most)
    further = {_MD5, *claimed.digests} - {"sha256"}
    try:
        return content.receive(expected, max_bytes=most, further=sorted(further))
    except TooLarge as exc:  # not than its range, so than what is free
        raise StorageFull from exc


def _most(size_range: SizeRange) -> int:
    assert size_range.most is not None  # there is always a limit of our own
    return size_range.most


def _too_large(proposed: int, size_range: SizeRange) -> UploadRefused:
    return refuse(Code.ENTITY_TOO_LARGE, ProposedSize=proposed, MaxSizeAllowed=_most(size_range))
