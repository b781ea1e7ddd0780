"""Encoded pictures on a local disk: bounded, shared by the processes of a machine, and never missed.

    folder/
     ├─ lock                 held by who clears up
     └─ 9f/86d081.../        of one content, by its digest
         └─ 5c1e02...        CRC-32 of the rest, four bytes; then the picture

Those used longest ago go first. The folder may be deleted at any time; a file that was torn by a crash is not believed.
"""

import fcntl
import logging
import os
import secrets
import shutil
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_SUM_BYTES: Final = 4
_FRESH_SECONDS: Final = 60.0
_CLEAR_SHARE: Final = 1 / 16
"""After how much that one process has written, of the most there may be, it clears up."""
_KEPT_SHARE: Final = 7 / 8
"""How much is left then, at most; with what all write meanwhile the bound holds."""


class PictureCache:
    """The pictures in one folder. Digests and keys are 64 hex digits. What cannot be kept is made again.

    most_bytes: of disk that they may take together; 0 for nothing kept.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = os.fspath(folder)  # what is done for every tile is done without the cost of a Path
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._written = self._clear_bytes  # so that a process that starts looks at what is there
        self._has_complained = False

    def get(self, digest: str, key: str) -> bytes | None:
        """The picture of that key, of the content of that digest, if it is kept. Never raises."""
        if not self._most_bytes:
            return None
        try:
            with open(f"{self._of(digest)}/{key}", "rb", buffering=0) as file:
                kept = file.read()
                if time.time() - os.fstat(file.fileno()).st_mtime > _FRESH_SECONDS:
                    os.utime(file.fileno())  # when it was used last
        except OSError:
            return None
        content = kept[_SUM_BYTES:]
        return content if kept[:_SUM_BYTES] == _sum(content) else None

    def put(self, digest: str, key: str, content: bytes) -> None:
        """Keep a picture, unless it is too large a part of all. Never raises."""
        size_bytes = _on_disk(_SUM_BYTES + len(content))
        if size_bytes > self._clear_bytes:
            return
        try:
            self._write(digest, key, content)
            if self._is_due(size_bytes):
                self._clear_up()
        except OSError as error:
            self._complain(error)

    def digests(self) -> Iterator[str]:
        """Of all contents of which there are pictures."""
        for folder in _folders(self._folder):
            for inner in _folders(f"{self._folder}/{folder}"):
                yield folder + inner

    def forget(self, digest: str) -> None:
        """Remove all pictures of a content."""
        shutil.rmtree(self._of(digest), ignore_errors=True)

    @property
    def _clear_bytes(self) -> float:
        return self._most_bytes * _CLEAR_SHARE

    def _of(self, digest: str) -> str:
        return f"{self._folder}/{digest[:2]}/{digest[2:]}"

    def _write(self, digest: str, key: str, content: bytes) -> None:
        """Aside, then renamed: it is seen whole or not at all."""
        path = f"{self._of(digest)}/{key}"
        aside = f"{path}.{secrets.token_hex(4)}"
        try:
            descriptor = _created(aside)
        except FileNotFoundError:  # the first of its content
            os.makedirs(self._of(digest), _FOLDER_MODE, exist_ok=True)
            descriptor = _created(aside)
        try:
            with open(descriptor, "wb") as file:
                file.write(_sum(content) + content)
            os.rename(aside, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(aside)
            raise

    def _is_due(self, size_bytes: int) -> bool:
        with self._lock:
            self._written += size_bytes
            if self._written < self._clear_bytes:
                return False
            self._written = 0
            return True

    def _clear_up(self) -> None:
        """Remove the pictures used longest ago, unless another process is at it."""
        lock = os.open(f"{self._folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = sorted(self._listed())
            excess = sum(size_bytes for _, size_bytes, _ in found) - self._most_bytes * _KEPT_SHARE
            for _, size_bytes, path in found:
                if excess <= 0:
                    return
                with suppress(FileNotFoundError):
                    os.unlink(path)
                excess -= size_bytes
        except BlockingIOError:
            return
        finally:
            os.close(lock)

    def _listed(self) -> Iterator[tuple[float, int, str]]:
        """Each picture: when it was used last, its bytes on the disk, and where it is."""
        for digest in self.digests():
            with suppress(FileNotFoundError), os.scandir(self._of(digest)) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        state = entry.stat(follow_symlinks=False)
                        yield state.st_mtime, _on_disk(state.st_size), entry.path

    def _complain(self, error: OSError) -> None:
        """Once: it would be told for every picture."""
        if not self._has_complained:
            self._has_complained = True
            log.warning("pictures cannot be cached: %s", error.strerror)


def _created(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)


def _folders(folder: str) -> list[str]:
    """The names of those within."""
    try:
        return [entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _sum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_SUM_BYTES, "big")


def _on_disk(size_bytes: int) -> int:
    """Rounded up to the blocks of common file systems."""
    return -(-size_bytes // 4096) * 4096
