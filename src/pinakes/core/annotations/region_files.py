"""Indexes of annotations' regions on a local disk, made by whoever first asks (`region_index`).

They lie in a folder as local copies of content do, under the digest of the annotation: bounded, shared by processes,
those used longest ago go first. The folder may be deleted at any time.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from pinakes.core.content.content import Content
from pinakes.core.content.copies import Copies
from pinakes.core.content.store import Reader
from pinakes.core.errors import StorageFull, StoreUnavailable, WrongState

if TYPE_CHECKING:
    from pinakes.core.annotations.region_index import RegionIndex

REVISION: Final = "2"
"""To be counted up whenever an index would be made or read differently: each has a folder of its own."""

MOST_ZOOM: Final = 24
"""At which the widest slide is less than a pixel."""

_FOLDER_MODE: Final = 0o700
_PIECE_BYTES: Final = 1024 * 1024
_MOST_REFUSED: Final = 1_000


class RegionFiles:
    """The indexes in one folder. most_bytes: of all together.   reserve_bytes: how much of the disk stays free."""

    def __init__(self, content: Content, folder: Path, most_bytes: int, *, reserve_bytes: int = 0) -> None:
        self._content = content
        self._folder = folder
        self._copies = Copies(folder / REVISION, most_bytes, reserve_bytes=reserve_bytes)
        self._most_bytes = most_bytes
        self._reserve_bytes = reserve_bytes
        self._making = threading.Lock()  # one at a time: it takes memory
        self._refused: dict[str, str] = {}  # of which digests no index can be made, and why

    def has(self, digest: str) -> bool:
        """Whether the index need not be made any more. Raises StoreUnavailable."""
        with self._copies.kept(digest) as path:
            return path is not None

    def open(self, digest: str) -> "RegionIndex":
        """The index of the annotation with that digest. Making one takes as long as reading the annotation.

        Raises BlobUnknown, StoreUnavailable, StorageFull, and WrongState if it cannot be made (see `region_indexing`),
        or would be larger than all may be together.
        """
        from pinakes.core.annotations import region_index  # with numpy, which the start of a server is spared

        for _ in range(2):
            with self._copies.whole(digest, lambda: self._made(digest)) as path:
                try:
                    return region_index.open_index(path)
                except region_index.IndexDamaged:
                    pass
            self._copies.forget(digest)
        raise StoreUnavailable("The index of an annotation could not be kept.")

    def sweep(self) -> None:
        """Remove the indexes of annotations that the archive no longer has, and those of earlier revisions."""
        for digest in self._content.gone(self._copies.digests()):
            self._copies.forget(digest)
        for folder in self._folder.glob("[0-9]*"):
            if folder.name.isdecimal() and int(folder.name) < int(REVISION):
                shutil.rmtree(folder, ignore_errors=True)

    def _made(self, digest: str) -> Reader:
        from pinakes.core.annotations import region_indexing

        if (reason := self._refused.get(digest)) is not None:
            raise WrongState(reason)
        self._folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by its reader
        try:
            with self._making:
                reader = self._content.open(digest)
                try:
                    region_indexing.index(pieces_of(reader), file, self._admit)
                finally:
                    reader.close()
            file.flush()
        except BaseException as exc:
            file.close()
            if isinstance(exc, WrongState):  # it would be so the next time, too
                self._refuse(digest, exc.message)
            raise
        return _FileReader(file)

    def _admit(self, size_bytes: int) -> None:
        if size_bytes > self._most_bytes:
            raise WrongState("There is more in this annotation than the indexes of all may hold.")
        state = os.statvfs(self._folder)
        if state.f_bavail * state.f_frsize < size_bytes + self._reserve_bytes:
            raise StorageFull("There is no room for the index of an annotation just now.")

    def _refuse(self, digest: str, reason: str) -> None:
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        self._refused[digest] = reason


class _FileReader:
    """A file without a name, as content to be copied."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size_bytes = os.fstat(file.fileno()).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        return os.pread(self._file.fileno(), length, offset)

    def read_now(self, offset: int, length: int) -> bytes | None:
        return self.read_at(offset, length)

    def close(self) -> None:
        self._file.close()


def pieces_of(reader: Reader) -> Iterator[bytes]:
    """A content from its beginning to its end."""
    for offset in range(0, reader.size_bytes, _PIECE_BYTES):
        yield reader.read_at(offset, _PIECE_BYTES)
