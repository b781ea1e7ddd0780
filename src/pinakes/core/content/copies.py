"""Local copies of content that lies elsewhere, for programs that open files by name: bounded, and never missed.

    folder/
     ├─ lock                     held while room is made
     ├─ 9f86d0...                a whole copy, under its digest; a lock is shared by all who use it just now
     ├─ 9f86d0....5c1e.partial   being fetched; locked by its writer for as long as that lives
     └─ 9f86d0....77ab.ends      beginning and end alone, for one use; likewise

The copies used longest ago go first, those in use never. The folder may be deleted at any time.
"""

import errno
import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from pinakes.core.content.store import Reader
from pinakes.core.errors import StorageFull, StoreUnavailable, TooLarge

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_PARTIAL: Final = ".partial"
_ENDS: Final = ".ends"
_LOCK: Final = "lock"
_PIECE_BYTES: Final = 1024 * 1024
_LOCKS: Final = 64
_DIGEST_DIGITS: Final = 64
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

HEAD_BYTES: Final = 16 * 1024 * 1024
TAIL_BYTES: Final = 1024 * 1024
"""How much of the beginning and of the end is in a copy of the ends."""


class Copies:
    """The copies in one folder, which several processes may use.

    most_bytes: of all copies together.   reserve_bytes: how much of the disk stays free.
    """

    def __init__(self, folder: Path, most_bytes: int, *, reserve_bytes: int = 0) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._reserve_bytes = reserve_bytes
        self._fetching = tuple(threading.Lock() for _ in range(_LOCKS))

    @contextmanager
    def whole(self, digest: str, opened: Callable[[], Reader]) -> Iterator[Path]:
        """A copy of the content of a digest, which stays for the block; fetched if there is none.

        opened: gives the content to be read, and is called only to fetch it; what it raises is raised.

        Raises TooLarge if it is larger than all copies may be, StorageFull, StoreUnavailable.
        """
        with _translated():
            descriptor = self._shared(digest)
            if descriptor is None:
                with self._fetching[hash(digest) % _LOCKS]:  # who asks meanwhile finds it done
                    while (descriptor := self._shared(digest)) is None:
                        with closing(opened()) as reader:
                            self._fetch(digest, reader)
        try:
            yield self._folder / digest
        finally:
            os.close(descriptor)

    @contextmanager
    def ends(self, digest: str, opened: Callable[[], Reader]) -> Iterator[Path]:
        """A file as large as the content with only its beginning and end in it, for the block; zeros between.

        Raises StorageFull, StoreUnavailable, and what `opened` raises.
        """
        with _translated():
            self._folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
            path, descriptor = self._begun(digest, _ENDS)
        try:
            with _translated(), closing(opened()) as reader:
                os.ftruncate(descriptor, reader.size_bytes)
                tail = max(HEAD_BYTES, reader.size_bytes - TAIL_BYTES)
                _copy(reader, descriptor, 0, min(HEAD_BYTES, reader.size_bytes))
                _copy(reader, descriptor, tail, reader.size_bytes)
            yield path
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    @contextmanager
    def kept(self, digest: str) -> Iterator[Path | None]:
        """The whole copy, which stays for the block; None if there is none. Raises StoreUnavailable."""
        with _translated():
            descriptor = self._shared(digest)
        try:
            yield None if descriptor is None else self._folder / digest
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def digests(self) -> list[str]:
        """Of all whole copies."""
        try:
            return [name for name in os.listdir(self._folder) if len(name) == _DIGEST_DIGITS]
        except FileNotFoundError:
            return []

    def forget(self, digest: str) -> None:
        """Remove a copy, unless it is in use."""
        with _translated():
            _removed(self._folder / digest)

    def _shared(self, digest: str) -> int | None:
        """A descriptor that keeps the copy from being removed while it is open; None if there is no copy."""
        while True:
            try:
                descriptor = os.open(self._folder / digest, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if os.fstat(descriptor).st_nlink:
                with suppress(OSError):
                    os.utime(descriptor)  # when it was used last
                return descriptor
            os.close(descriptor)  # it was removed since it was opened

    def _fetch(self, digest: str, reader: Reader) -> None:
        if reader.size_bytes > self._most_bytes:
            raise TooLarge(self._most_bytes)
        with self._room_for(reader.size_bytes):
            path, descriptor = self._begun(digest, _PARTIAL)
            os.ftruncate(descriptor, reader.size_bytes)  # so that others count it
        try:
            _copy(reader, descriptor, 0, reader.size_bytes)
            os.fsync(descriptor)  # a whole copy is believed, also after the power was cut
            with suppress(FileExistsError):  # another process was quicker
                os.link(path, self._folder / digest)
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def _begun(self, digest: str, suffix: str) -> tuple[Path, int]:
        """A new file and a descriptor that keeps it from being removed."""
        path = self._folder / f"{digest}.{secrets.token_hex(4)}{suffix}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return path, descriptor

    @contextmanager
    def _room_for(self, size_bytes: int) -> Iterator[None]:
        """Remove copies until there is room for one more; nobody else makes or takes room during the block."""
        self._folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._make_room(size_bytes)
            yield
        finally:
            os.close(lock)

    def _make_room(self, size_bytes: int) -> None:
        copies = self._listed()
        taken = sum(counted for _, counted in copies)

        def is_room() -> bool:
            return taken + size_bytes <= self._most_bytes and self._has_free(size_bytes)

        for path, counted in copies:
            is_left_behind = path.suffix in (_PARTIAL, _ENDS)  # unless its writer lives, and then it stays
            if (is_left_behind or not is_room()) and _removed(path):
                taken -= counted
        if not is_room():
            raise StorageFull("There is no room for a local copy just now.")

    def _listed(self) -> list[tuple[Path, int]]:
        """All files and for how many bytes they count, those used longest ago first. Ends are small and soon gone."""
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.name != _LOCK:
                        state = entry.stat(follow_symlinks=False)
                        counted = 0 if entry.name.endswith(_ENDS) else state.st_size
                        found.append((state.st_mtime_ns, Path(entry.path), counted))
        return [(path, counted) for _, path, counted in sorted(found)]

    def _has_free(self, size_bytes: int) -> bool:
        state = os.statvfs(self._folder)
        return state.f_bavail * state.f_frsize >= size_bytes + self._reserve_bytes


def _removed(path: Path) -> bool:
    """Remove a file nobody uses; False if somebody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _copy(reader: Reader, descriptor: int, start: int, end: int) -> None:
    """Write the bytes of the content from start to end to the same place of a file."""
    while start < end:
        piece = reader.read_at(start, min(_PIECE_BYTES, end - start))
        if not piece:
            raise StoreUnavailable("The content ended early.")
        written = 0
        while written < len(piece):
            written += os.pwrite(descriptor, piece[written:], start + written)
        start += len(piece)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise StorageFull("There is no room for a local copy.") from exc
        raise StoreUnavailable("A local copy could not be made.") from exc
