"""The directory of a model as one file, and back. The same files always give the same bytes."""

import io
import os
import shutil
import tarfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Buffer

_PLAIN: Final = 0o644
_RUNNABLE: Final = 0o755
_FOLDER_MODE: Final = 0o700


class _Sink(io.RawIOBase):
    """A function that takes pieces, as the file that tarfile writes to."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def write(self, piece: "Buffer") -> int:
        content = bytes(piece)
        self._write(content)
        return len(content)


def pack(directory: Path, names: Collection[str], write: Callable[[bytes], object]) -> None:
    """Write these files of a directory, paths within it. Of each only its name, bytes, and whether it can be run count.

    Raises OSError, and what `write` raises.
    """
    with tarfile.open(mode="w|", fileobj=_Sink(write), format=tarfile.PAX_FORMAT) as packed:
        for name in sorted(names):
            with (directory / name).open("rb") as file:
                state = os.fstat(file.fileno())
                entry = tarfile.TarInfo(name)
                entry.size = state.st_size
                entry.mode = _RUNNABLE if state.st_mode & 0o100 else _PLAIN
                packed.addfile(entry, file)


def unpack(path: Path, folder: Path) -> None:
    """Make a new folder of a packed directory; nothing is left of it if that fails.

    Raises OSError, tarfile.TarError.
    """
    folder.mkdir(_FOLDER_MODE)
    try:
        with tarfile.open(path, mode="r:") as packed:
            packed.extractall(folder, filter="data")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
