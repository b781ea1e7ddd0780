"""A slide shown to OpenSlide alone: only what is one file, checked first, through a link in an empty directory.

OpenSlide joins what it finds beside a slide: files of the same DICOM series, files that a text names.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import openslide

from pinakes.imaging import formats
from pinakes.imaging.closing import Closing
from pinakes.imaging.directories import Tiff
from pinakes.imaging.source import DEFAULT_LIMITS, ImagingError, LimitExceeded, Limits, Unreadable, is_lack_of_memory

GENERIC: Final = "generic-tiff"
"""OpenSlide's name for tiled TIFF of no scanner's kind, which `pyramids` reads as well."""

FORMATS: Final[Mapping[str, str]] = {
    "aperio": "tiff", "hamamatsu": "tiff", "leica": "tiff", "philips": "tiff", "trestle": "tiff", "ventana": "tiff",
    GENERIC: "tiff", "dicom": "dicom",
}  # fmt: skip
"""What is opened, by OpenSlide's name, and the format that its bytes must have: each is one file."""

_CLASSIC_BYTES: Final = 1 << 32
"""A larger TIFF that is no BigTIFF can only be Hamamatsu's, whose directories OpenSlide alone follows."""

_PIXEL_DATA, _ITEM = b"\xe0\x7f\x10\x00", b"\xfe\xff\x00\xe0"
"""Tags as they lie in a little-endian DICOM file."""

_CHECKED_TILES: Final = 100_000
_MOST_TABLE_BYTES: Final = 64 * 1024 * 1024

Answer = TypeVar("Answer")


class Alone(Closing):
    """A slide seen through a link in a directory that holds nothing else.

    link: the path to give to OpenSlide.   vendor: None for what is not opened here.
    """

    def __init__(self, path: Path, limits: Limits = DEFAULT_LIMITS) -> None:
        self.path = path.absolute()
        format = _checked_format(path, limits)
        self._directory = tempfile.TemporaryDirectory(prefix="pinakes-slide-")
        self.link = os.path.join(self._directory.name, "slide")
        try:
            os.symlink(self.path, self.link)
            vendor = asked(lambda: openslide.OpenSlide.detect_format(self.link))
            self.vendor = vendor if vendor is not None and FORMATS.get(vendor) == format else None
            if self.vendor == "dicom":
                _check_offset_table(path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._directory.cleanup()


def _checked_format(path: Path, limits: Limits) -> str:
    """What its first bytes say it is; of a TIFF file the directories have been followed once, within the limits."""
    try:
        with path.open("rb") as file:
            head = file.read(formats.HEAD_BYTES)
            length = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise Unreadable("The file cannot be opened.") from error
    format = formats.sniff(head)
    is_big = head[2:4] in (b"+\0", b"\0+")
    if format == "tiff" and (is_big or length < _CLASSIC_BYTES):
        Tiff(path, limits).close()
    return format


def _check_offset_table(path: Path) -> None:
    """That a DICOM file's table of tiles leads to items within the file. Raises Unreadable.

    OpenSlide 4.0.1 crashes on one that leads beyond its end. Layout: DICOM PS3.5, annex A.4.
    """
    import pydicom  # here: it takes long to load, and few slides are DICOM

    try:
        with path.open("rb") as file:
            pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["NumberOfFrames"])
            element = file.read(20)
            if element[:4] != _PIXEL_DATA or element[8:16] != b"\xff\xff\xff\xff" + _ITEM:
                return  # not in items: nothing is looked up in a table
            length = int.from_bytes(element[16:20], "little")
            if length > _MOST_TABLE_BYTES:
                raise LimitExceeded("The slide has too many tiles.")
            table = np.frombuffer(file.read(length), "<u4")
            first, end = file.tell(), os.fstat(file.fileno()).st_size
            if table.size and first + int(table.max()) + 8 > end:
                raise Unreadable("The slide is cut off: it names tiles beyond its end.")
            for offset in table[:_CHECKED_TILES].tolist():
                _check_item(os.pread(file.fileno(), 8, first + offset), end - first - offset - 8)
    except ImagingError:
        raise
    except Exception as error:  # whatever a library raises on bytes from a stranger
        raise Unreadable("The slide is damaged.") from error


def _check_item(head: bytes, rest: int) -> None:
    """That an item begins with `head`, and is no longer than the `rest` bytes of the file. Raises Unreadable."""
    if head[:4] != _ITEM or int.from_bytes(head[4:8], "little") > rest:
        raise Unreadable("The slide is damaged: its table of tiles does not lead to tiles.")


def asked(question: Callable[[], Answer]) -> Answer:
    """OpenSlide's answer. Raises Unreadable when it has none, without its words: they name the file; MemoryError."""
    try:
        return question()
    except (openslide.OpenSlideError, OSError, ValueError, KeyError) as error:
        if is_lack_of_memory(error):
            raise MemoryError from error
        raise Unreadable("The slide is damaged, or of a kind that is not read here.") from error
