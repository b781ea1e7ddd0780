"""A copy of a picture without what tells who is shown: label and macro, EXIF and GPS, the identity in DICOM.

Pixels stay as they are, bit for bit. Text that is part of the pixels stays, too: nobody can tell it from the picture.

    jpeg png webp gif tiff svs dicom   the same kind of file, of the parts that may stay
    heic avif bmp                      PNG: the picture is painted anew
    others                             refused
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

from pinakes.imaging import formats
from pinakes.imaging.opening import format_of
from pinakes.imaging.source import Unreadable

AS_PNG: Final = "The copy is a PNG file: from one of the original's kind identity cannot be taken surely."


def deidentify(source_path: Path, target_path: Path) -> str:
    """Writes the copy, over what may be there; after an error no copy is left.

    Returns what is to be told of it, for people: AS_PNG, or nothing.
    Raises Unreadable for damaged files, and for kinds from which identity cannot be taken surely; LimitExceeded.
    """
    if target_path.exists() and target_path.samefile(source_path):
        raise ValueError("the copy must not replace its source")
    with source_path.open("rb") as source:
        format = format_of(source.read(formats.HEAD_BYTES))
    copier = _COPIERS.get(format)
    if copier is None:
        raise Unreadable("Files of this kind cannot be copied without what tells who is shown.")
    try:
        copier(source_path, target_path)
    except BaseException:
        target_path.unlink(missing_ok=True)
        raise
    return AS_PNG if copier is _repainted else ""


def _by_parts(kind: str) -> Callable[[Path, Path], None]:
    """A copier of the parts that the module of that name in `bare` lets stay."""

    def copy(source_path: Path, target_path: Path) -> None:
        parts_of: Callable[[mmap], Iterator[bytes]] = import_module(f"pinakes.imaging.bare.{kind}").parts_of
        with (
            source_path.open("rb") as source,
            mmap(source.fileno(), 0, access=ACCESS_READ) as mapped,
            target_path.open("wb") as target,
        ):
            for part in parts_of(mapped):
                target.write(part)

    return copy


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


def _repainted(source_path: Path, target_path: Path) -> None:
    from pinakes.imaging.bare import repainted

    repainted.copy(source_path, target_path)


_COPIERS: Final[dict[str, Callable[[Path, Path], None]]] = {
    "jpeg": _by_parts("jpeg"),
    "png": _by_parts("png"),
    "webp": _by_parts("webp"),
    "gif": _by_parts("gif"),
    "tiff": _tiff,
    "dicom": _dicom,
    "heic": _repainted,
    "avif": _repainted,
    "bmp": _repainted,
}
"""By the name that `formats` gives."""
