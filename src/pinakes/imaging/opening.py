"""Opening a picture of any kind: what a file is, is decided by its bytes, and the readers are asked in order.

    by its first bytes     jpeg png webp gif bmp heic avif   a photograph
                           tiff      OpenSlide knows its scanner > a plain photograph > any other TIFF
                           dicom     a whole slide in tiles > an X-ray
                           a disk    a description without pixels
                           others    a description that says no more than what they are

Each reader's libraries are loaded when it is first asked.
"""

import importlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pinakes.imaging import formats
from pinakes.imaging.closing import Closing
from pinakes.imaging.source import (
    DEFAULT_LIMITS,
    Description,
    ImageSource,
    Limits,
    Pixels,
    Rect,
    Size,
    StoredTile,
    Unreadable,
)

if TYPE_CHECKING:
    from pinakes.imaging.directories import Tiff

Reader = Callable[[Path, Limits], ImageSource]

_PHOTOGRAPHS: Final = frozenset({"jpeg", "png", "webp", "gif", "bmp", "heic", "avif"})
_DISKS: Final = frozenset({"qcow2", "vmdk", "vdi", "vhdx", "raw", "iso"})
_KEPT_ONLY: Final = frozenset({"pdf", "ova", "tar", "gzip"})


def open_source(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> ImageSource:
    """Open a file of any kind; a disk image opens without pixels. The caller closes it.

    Raises Unreadable for what no reader knows or can read; LimitExceeded; OSError for a file that cannot be opened.
    """
    with path.open("rb") as file:
        format = format_of(file.read(formats.HEAD_BYTES))
    return _first(_readers(path, format, limits), path, limits)


def load_readers() -> None:
    """Load the libraries of all readers, as far as they are installed: for who is to open the first file fast."""
    for reader in ("dicom", "disks", "photographs", "pyramids", "slides"):
        with suppress(ImportError, OSError):
            importlib.import_module(f"pinakes.imaging.{reader}")


def format_of(head: bytes) -> str:
    """As `formats.sniff`, and AVIF that begins as any HEIF container does is told by its other brands.

    (ISO/IEC 14496-12, 4.3: the box `ftyp` has its length, its name, the main brand, a version, and all brands.)
    """
    format = formats.sniff(head)
    if format == "heic" and head[8:12] in (b"mif1", b"msf1"):
        brands = head[16 : int.from_bytes(head[:4], "big")]
        if b"avif" in {brands[place : place + 4] for place in range(0, len(brands), 4)}:
            return "avif"
    return format


def _readers(path: Path, format: str, limits: Limits) -> Sequence[Reader]:
    """Who may read it, in order."""
    if format in _PHOTOGRAPHS:
        return [_photograph(format)]
    if format == "tiff":
        return _tiff_readers(path, limits)
    if format == "dicom":
        return [_slide, _dicom] if _is_slide(path) else [_dicom]
    if format in _DISKS:
        return [_disk]
    if format in _KEPT_ONLY:
        return [lambda _path, _limits: _kept_only(format)]
    return []


def _tiff_readers(path: Path, limits: Limits) -> Sequence[Reader]:
    if _is_slide(path):
        return [_slide, _tiff]
    from pinakes.imaging.directories import Tiff

    with Tiff(path, limits) as tiff:  # circles and too many directories are refused before other libraries meet them
        is_plain = _is_plain(tiff, limits)
    photograph = _photograph("tiff")
    return [photograph, _tiff] if is_plain else [_tiff, photograph]


def _is_plain(tiff: "Tiff", limits: Limits) -> bool:
    """Whether it is a photograph or a scan: one picture in strips, that can be decoded whole.

    Gray ones of more than 8 bits are measurements: they need their range found, which is not done for photographs.
    """
    from pinakes.imaging import directories, ome

    first, *others = tiff.directories
    if others or directories.SUB_DIRECTORIES in first.entries or tiff.tile(first):
        return False
    size = tiff.size(first)
    is_gray = tiff.number(first, directories.PHOTOMETRIC, 0) in (0, 1)
    if size.width * size.height > limits.pixels or (is_gray and tiff.number(first, directories.BITS, 1) > 8):
        return False
    return not ome.is_ome(tiff.text(first, directories.DESCRIPTION))


def _first(readers: Sequence[Reader], path: Path, limits: Limits) -> ImageSource:
    """What the first reader that can makes of it. Raises what the last one does, or LimitExceeded of any."""
    refusal = Unreadable("Files of this kind are not read.")
    for reader in readers:
        try:
            return reader(path, limits)
        except Unreadable as error:
            refusal = error
    raise refusal


def _is_slide(path: Path) -> bool:
    """Whether OpenSlide knows the scanner, and no other reader would do as well."""
    from pinakes.imaging import slides

    return slides.vendor_of(path) not in (None, slides.GENERIC)


def _photograph(format: str) -> Reader:
    def read(path: Path, limits: Limits) -> ImageSource:
        from pinakes.imaging.photographs import open_photograph

        return open_photograph(path, format, limits)

    return read


def _slide(path: Path, limits: Limits) -> ImageSource:
    from pinakes.imaging.slides import open_slide

    return open_slide(path, limits)


def _tiff(path: Path, limits: Limits) -> ImageSource:
    from pinakes.imaging.pyramids import open_tiff

    return open_tiff(path, limits)


def _dicom(path: Path, limits: Limits) -> ImageSource:
    from pinakes.imaging.dicom import open_dicom

    return open_dicom(path, limits)


def _disk(path: Path, _limits: Limits) -> ImageSource:
    from pinakes.imaging.disks import describe_disk

    return WithoutPixels(describe_disk(path))


def _kept_only(format: str) -> ImageSource:
    return WithoutPixels(Description(format, None, warnings=("Files of this kind are kept, not shown.",)))


class WithoutPixels(Closing):
    """An `ImageSource` of what is described, and has nothing to show."""

    def __init__(self, description: Description) -> None:
        self.description = description

    def read_region(self, rect: Rect, size: Size, *, frame: int = 0) -> Pixels:  # noqa: ARG002
        raise Unreadable("The file has no pixels to show.")

    def read_associated(self, name: str) -> Pixels:
        raise KeyError(name)

    def stored_tile(self, level: int, column: int, row: int) -> StoredTile | None:  # noqa: ARG002
        raise IndexError("There is no such tile.")

    def close(self) -> None:
        """Nothing is open."""
