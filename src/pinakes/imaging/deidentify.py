"""A copy of a picture without what tells who is shown: label and macro, EXIF and GPS, the identity in DICOM.

Pixels stay as they are, bit for bit. Text that is part of the pixels stays, too: nobody can tell it from the picture.
"""

from collections.abc import Callable, Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

from pinakes.imaging import formats
from pinakes.imaging.source import Unreadable


def deidentify(source_path: Path, target_path: Path) -> None:
    """Writes the copy, over what may be there; after an error no copy is left.

    Raises Unreadable for damaged files, and for kinds from which identity cannot be taken surely; LimitExceeded.
    """
    if target_path.exists() and target_path.samefile(source_path):
        raise ValueError("the copy must not replace its source")
    with source_path.open("rb") as source:
        copier = _COPIERS.get(formats.sniff(source.read(formats.HEAD_BYTES)))
    if copier is None:
        raise Unreadable("Files of this kind cannot be copied without what tells who is shown.")
    try:
        copier(source_path, target_path)
    except BaseException:
        target_path.unlink(missing_ok=True)
        raise


def _by_parts(parts_of: Callable[[mmap], Iterator[bytes]]) -> Callable[[Path, Path], None]:
    def copy(source_path: Path, target_path: Path) -> None:
        with (
            source_path.open("rb") as source,
            mmap(source.fileno(), 0, access=ACCESS_READ) as mapped,
            target_path.open("wb") as target,
        ):
            for part in parts_of(mapped):
                target.write(part)

    return copy


def _jpeg(source_path: Path, target_path: Path) -> None:
    from pinakes.imaging.bare import jpeg

    _by_parts(jpeg.parts_of)(source_path, target_path)


def _png(source_path: Path, target_path: Path) -> None:
    from pinakes.imaging.bare import png

    _by_parts(png.parts_of)(source_path, target_path)


def _webp(source_path: Path, target_path: Path) -> None:
    from pinakes.imaging.bare import webp

    _by_parts(webp.parts_of)(source_path, target_path)


def _tiff(source_path: Path, target_path: Path) -> None:
    from pinakes.imaging import pyramids, slides
    from pinakes.imaging.bare import tiff

    vendor = slides.vendor_of(source_path)
    if vendor not in {None, slides.GENERIC, "aperio"}:
        raise Unreadable("Slides of this scanner cannot be copied without what tells who is shown.")
    is_aperio = vendor == "aperio"
    with slides.open_slide(source_path) if is_aperio else pyramids.open_tiff(source_path) as opened:
        tiff.copy(source_path, target_path, opened.description, is_aperio=is_aperio)


def _dicom(source_path: Path, target_path: Path) -> None:
    from pinakes.imaging.dicom import bare

    bare.copy(source_path, target_path)


_COPIERS: Final[dict[str, Callable[[Path, Path], None]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "tiff": _tiff,
    "dicom": _dicom,
}
"""By the name that `formats` gives."""
