"""Content on a local disk: one file an object, written aside and renamed into place.

    root/
     ├─ partial/
     │   └─ 5f1c...e2                one file an upload, locked by its writer for as long as that lives
     └─ objects/
         ├─ 00/  ...
         ├─ 5f/
         │   └─ 5f1c...e2            one file an object, under the first two digits of its key
         └─ ff/

Both trees lie on one file system, so that a rename moves the bytes at once and whole. The lock (`flock`) ends with
the writer's process, however that dies: it is how a sweep, also one in another process, tells a dead upload from a
living one. The lock holds between the processes of one machine, and between machines where the file system carries it.
"""

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from pinakes.core.content.store import Reader, StoredObject, Writer, new_key
from pinakes.core.errors import BlobUnknown, StorageFull, StoreUnavailable

_KEY = re.compile(r"[0-9a-f]{32}")
_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PREFIXES = [f"{number:02x}" for number in range(256)]

# How many bytes are written before the kernel is told to begin putting them on the disk. Asking with fadvise does not
# wait: writing 1 GiB and syncing it took 0.73 s so, 0.89 s with all left to the last fsync, 1.06 s with fdatasync
# every 64 MiB.
_WRITEBACK_BYTES = 16 * 1024 * 1024


class DiskStore:
    """Objects as files under `root`. makes: whether that is made if it is missing."""

    def __init__(self, root: Path, *, makes: bool = True) -> None:
        """Raises StorageFull or StoreUnavailable."""
        self._partial = root / "partial"
        self._objects = root / "objects"
        if not makes and not self._objects.is_dir():
            raise StoreUnavailable(f"There are images, but {self._objects} is missing: is its volume mounted?")
        with _translated():
            _make_tree(root, self._partial, self._objects)

    def begin(self, key: str, *, expected_bytes: int | None = None) -> Writer:  # noqa: ARG002
        _check(key)
        with _translated():
            return _DiskWriter(self._partial / key, self._object(key))

    def open(self, key: str) -> Reader:
        path = self._object(key)
        try:
            with _translated():
                return FileReader(path)
        except StoreUnavailable as exc:
            if isinstance(exc.__cause__, FileNotFoundError):
                raise BlobUnknown(key) from exc
            raise

    def read(self, key: str, offset: int, length: int) -> bytes:
        with closing(self.open(key)) as reader:
            read = reader.read_at(offset, length)
        if len(read) != length:
            raise StoreUnavailable("The file ends before its bytes do.")
        return read

    def path(self, key: str) -> Path | None:
        return self._object(key)

    def delete(self, key: str) -> None:
        path = self._object(key)
        with _translated(), suppress(FileNotFoundError):
            path.unlink()
            _sync_directory(path.parent)

    def list(self) -> Iterator[StoredObject]:
        yield from _listed(self._partial, is_partial=True)
        for prefix in _PREFIXES:
            yield from _listed(self._objects / prefix, is_partial=False)

    def remove_partial(self, key: str) -> bool:
        _check(key)
        path = self._partial / key
        with _translated():
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return False
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()  # fails if the writer renamed it, and died or let go of it, since it was opened
            except (BlockingIOError, FileNotFoundError):
                return False
            finally:
                os.close(descriptor)
            return True

    def free_bytes(self) -> int | None:
        with _translated():
            state = os.statvfs(self._objects)
        return state.f_bavail * state.f_frsize

    def check(self) -> None:
        path = self._partial / f"check-{new_key()}"
        try:
            with _translated():
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
                try:
                    os.write(descriptor, b"1")
                finally:
                    os.close(descriptor)
                    path.unlink()
        except StorageFull as exc:
            raise StoreUnavailable("The content store is full.") from exc

    def _object(self, key: str) -> Path:
        _check(key)
        return self._objects / key[:2] / key


class _DiskWriter:
    """One file in partial/, locked until it is committed or aborted."""

    def __init__(self, partial: Path, final: Path) -> None:
        self._descriptor: int | None = None
        self._path = partial
        self._final = final
        self._descriptor = _open_locked(partial)
        self._written = 0
        self._flushed = 0

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        descriptor = self._open_descriptor()
        rest = memoryview(piece).cast("B")
        with _translated():
            while rest:  # the kernel may take less than it is given, as it does when the disk fills up
                count = os.write(descriptor, rest)
                self._written += count
                rest = rest[count:]
            if self._written - self._flushed >= _WRITEBACK_BYTES:
                size = self._written - self._flushed
                os.posix_fadvise(descriptor, self._flushed, size, os.POSIX_FADV_DONTNEED)
                self._flushed = self._written

    def commit(self) -> None:
        descriptor = self._open_descriptor()
        with _translated():
            os.fsync(descriptor)
            partial = self._path.parent
            self._path.rename(self._final)
            self._path = self._final  # from here on an abort has to remove that
            _sync_directory(self._final.parent)
            _sync_directory(partial)
        self._close()

    def abort(self) -> None:
        if self._descriptor is None:
            return
        with suppress(OSError):
            self._path.unlink()
        self._close()

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise RuntimeError("the object was committed or aborted already")
        return self._descriptor

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def __del__(self) -> None:
        """A writer that was forgotten lets go of its lock, so that the sweep can have the file."""
        self._close()


class FileReader:
    """One open file: it stays readable after the object was deleted."""

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = None
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size_bytes = os.fstat(self._descriptor).st_size
        self._buffer = bytearray()

    def read_at(self, offset: int, length: int) -> bytes:
        descriptor = self._open_descriptor()
        with _translated():
            piece = os.pread(descriptor, length, offset)
            if len(piece) in (0, length) or offset + len(piece) >= self.size_bytes:
                return piece
            pieces = [piece]
            while piece and (missing := length - sum(map(len, pieces))):
                piece = os.pread(descriptor, missing, offset + length - missing)
                pieces.append(piece)
            return b"".join(pieces)

    def read_now(self, offset: int, length: int) -> bytes | None:
        descriptor = self._open_descriptor()
        if len(self._buffer) < length:
            self._buffer = bytearray(length)
        view = memoryview(self._buffer)[:length]
        try:
            count = os.preadv(descriptor, [view], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as exc:
            if exc.errno in {errno.EOPNOTSUPP, errno.EINVAL}:  # the file system cannot tell
                return None
            raise StoreUnavailable from exc
        return bytes(view[:count])

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise RuntimeError("the reader is closed")
        return self._descriptor

    def __del__(self) -> None:
        self.close()


def _check(key: str) -> None:
    """A path is built from nothing but a key of our own. Raises ValueError."""
    if not _KEY.fullmatch(key):
        raise ValueError("a key is 32 lower-case hex digits")


def _make_tree(root: Path, partial: Path, objects: Path) -> None:
    root.mkdir(_DIRECTORY_MODE, parents=True, exist_ok=True)
    for directory in (partial, objects):
        directory.mkdir(_DIRECTORY_MODE, exist_ok=True)
    there = set(os.listdir(objects))
    for prefix in _PREFIXES:
        if prefix not in there:
            (objects / prefix).mkdir(_DIRECTORY_MODE, exist_ok=True)
    for directory in (objects, partial, root, root.parent):
        _sync_directory(directory)


def _open_locked(path: Path) -> int:
    """A new file with its lock held.

    A sweep can come between making the file and locking it, and take it for a dead one: then it is made again.
    """
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _listed(directory: Path, *, is_partial: bool) -> Iterator[StoredObject]:
    with _translated(), os.scandir(directory) as entries:
        for entry in entries:
            if not _KEY.fullmatch(entry.name):
                continue
            try:
                state = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # it was committed or removed since the directory was read
                continue
            yield StoredObject(entry.name, state.st_size, state.st_mtime_ns // 1_000, is_partial)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise StorageFull from exc
        raise StoreUnavailable from exc
