"""Files into the archive and out of it. A file is there whole or not at all, both ways."""

import hashlib
import os
import secrets
import stat
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pinakes.core.content.content import Content
from pinakes.core.content.store import Reader
from pinakes.core.content.uploads import Upload
from pinakes.failures import Failed

EXPORT_SCRATCH = "export-"
"""How the names of folders begin in which a copy is made that is then exported."""

_PIECE_BYTES = 1024 * 1024


Advance = Callable[[int], None]


def receive(
    content: Content,
    path: Path,
    adopt: Callable[[Upload], int],
    advance: Advance = lambda _: None,
    *,
    further: Collection[str] = (),
) -> int:
    """Read a file into the archive and let `adopt` make an image of it; what that returns.

    advance: called with the number of bytes that have just been taken.
    further: digests to be computed beside the SHA-256, as `Upload` takes them.
    Raises Failed if the file cannot be read, TooLarge, StorageFull, StoreUnavailable, ContentMissing.
    """
    with (
        _source(path) as (file, size_bytes),
        content.receive(size_bytes, further=further) as upload,
    ):
        while piece := _read(file, path):
            upload.write(piece)
            advance(len(piece))
        upload.finish()
        return adopt(upload)


def deliver(reader: Reader, digest: str, output: BinaryIO, advance: Advance = lambda _: None) -> None:
    """Write content out and check its SHA-256. Raises Failed if the bytes are not those that came in."""
    hasher = hashlib.sha256()
    offset = 0
    while piece := reader.read_at(offset, _PIECE_BYTES):
        hasher.update(piece)
        output.write(piece)
        offset += len(piece)
        advance(len(piece))
    if hasher.hexdigest() != digest:
        raise Failed("the stored bytes have changed: they do not have the digest they came with; see `pinakes verify`")


@contextmanager
def destination(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file to be written beside `path` that takes its place when the block ends well; `-` is standard output.

    Raises Failed if there is such a file already, unless forced, or if it cannot be written.
    """
    if str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.is_dir():
        raise Failed(f"{path} is a folder")
    if not force and path.exists():
        raise Failed(f"{path} exists; --force overwrites it")
    beside = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _put_in_place(beside, path, force=force)
    except FileExistsError:
        raise Failed(f"{path} exists; --force overwrites it") from None
    except OSError as exc:
        raise Failed(f"{path} cannot be written: {exc.strerror}") from exc
    finally:
        beside.unlink(missing_ok=True)


def _put_in_place(beside: Path, path: Path, *, force: bool) -> None:
    """Rename; without force in a way that fails if somebody made the file meanwhile."""
    if force:
        beside.replace(path)
        return
    try:
        path.hardlink_to(beside)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError from None
        beside.rename(path)


@contextmanager
def _source(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file and its size."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError as exc:
        raise Failed(f"{path} cannot be read: {exc.strerror}") from exc
    with file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise Failed(f"{path} is not a regular file")
        yield file, state.st_size


def _read(file: BinaryIO, path: Path) -> bytes:
    try:
        return file.read(_PIECE_BYTES)
    except OSError as exc:
        raise Failed(f"{path} cannot be read: {exc.strerror}") from exc
