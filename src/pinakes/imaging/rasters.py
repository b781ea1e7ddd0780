"""Files of photographs as libvips images: one loader per format, and the way from what they hold to sRGB.

    path ── open_raster ──> Raster(header) ── load(frame, shrink) ──> image, as stored ── opaque, to_srgb ──> sRGB

The header is read on opening, pixels later. What a loader cannot read raises Unreadable, without the file's own text.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyvips

from pinakes.imaging.exif import NO_EXIF, Exif, parse_exif, read_exif
from pinakes.imaging.source import ImagingError, Size, Unreadable, is_lack_of_memory

# One path may hold other bytes next time, and what is worth keeping is kept by who knows how much memory there is.
pyvips.cache_set_max(0)
pyvips.block_untrusted_set(True)

# What it warns of may quote the file.
logging.getLogger("pyvips").setLevel(logging.CRITICAL)

_PROFILE: Final = "icc-profile-data"
_SRGB_MARK: Final = b"sRGB IEC61966-2"
"""In the description of the profile that most cameras write: their pixels are sRGB already."""

_MOST_BANDS: Final = 64

_HELD_BYTES: Final = {"gifload": 9, "webpload": 20, "heifload": 16, "heic": 16, "bmp": 14}
"""Of memory for each pixel, by loader, as measured: the decoder's own buffers, and the copies on the way from them."""

_INTERLACED_TIMES: Final = 3
"""Likewise, for each byte of a PNG or JPEG that comes in passes over the whole picture."""
_TELLING: Final = {"xmp-data": "XMP", "iptc-data": "IPTC", "image-description": "TIFF description"}


@dataclass(frozen=True, slots=True)
class Header:
    """size: as stored.   orientation: EXIF, 1 to 8.   bits: of one sample.   identity: as in `Description`.

    held_bytes: of memory for each pixel while it is decoded, for what is in memory whole then; 0 for what is decoded
    row by row.
    """

    size: Size
    bands: int
    bits: int
    frames: int = 1
    orientation: int = 1
    has_profile: bool = False
    exif: Exif = NO_EXIF
    identity: tuple[str, ...] = ()
    held_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Raster:
    """An open file.

    load: frame and shrink -> the image as stored, decoded only when its rows are read, once and in order.
    can_shrink: whether shrink may be 2, 4 or 8 (sides are rounded down); else it is 1.
    """

    header: Header
    load: Callable[[int, int], pyvips.Image]
    can_shrink: bool = False


def open_raster(path: Path, format: str) -> Raster:
    """Reads the header. Raises Unreadable, also for a format that is no photograph's."""
    opener = _OPENERS.get(format)
    if opener is None:
        raise Unreadable("Pictures of this kind are not read.")
    with reading():
        return opener(path)


@contextmanager
def reading() -> Iterator[None]:
    """What libvips and Pillow raise on damaged files becomes Unreadable; MemoryError where memory ran out."""
    try:
        yield
    except (ImagingError, MemoryError):
        raise
    except Exception as error:
        # Besides libvips' own error, Pillow and pi_heif raise many kinds on damaged files.
        if is_lack_of_memory(error):
            raise MemoryError from error
        raise Unreadable("The picture is damaged or cut off, or of a kind that is not read.") from error


def opaque(image: pyvips.Image) -> pyvips.Image:
    """On white if it has transparent places; three bands, one, or four of ink."""
    if image.interpretation == "cmyk":
        return image.extract_band(0, n=4) if image.bands > 4 else image
    if image.interpretation == "multiband":
        wide = image.format == "ushort"
        colour = image.bands >= 3
        kind = ("rgb16" if wide else "srgb") if colour else ("grey16" if wide else "b-w")
        return image.extract_band(0, n=3).copy(interpretation=kind) if colour else image[0].copy(interpretation=kind)
    if not image.hasalpha():
        return image
    return image.flatten(background=[65535 if image.format == "ushort" else 255])


def to_srgb(image: pyvips.Image) -> pyvips.Image:
    """Three bands of 8 bits in sRGB, by the profile that the file carries if it is any good."""
    if image.get_typeof(_PROFILE) and not _is_srgb(image):
        try:
            return _eight_bits(image.icc_transform("srgb", embedded=True, black_point_compensation=True))
        except pyvips.Error:
            pass  # no profile, or one for another number of inks: the colours are as good as without
    return _eight_bits(image)


def _eight_bits(image: pyvips.Image) -> pyvips.Image:
    if image.interpretation != "srgb" or image.format != "uchar":
        image = image.colourspace("srgb").cast("uchar")
    if image.bands == 3:
        return image
    return image.extract_band(0, n=3) if image.bands > 3 else image.extract_band(0).bandjoin([image[0], image[0]])


def _is_srgb(image: pyvips.Image) -> bool:
    return image.interpretation in ("srgb", "rgb16") and _SRGB_MARK in bytes(image.get(_PROFILE))


def _vips(loader: str, *, has_pages: bool = False, can_shrink: bool = False) -> Callable[[Path], Raster]:
    """An opener for a format that libvips reads."""

    def opener(path: Path) -> Raster:
        load = getattr(pyvips.Image, loader)

        def image_of(frame: int, shrink: int) -> pyvips.Image:
            options: dict[str, Any] = {"page": frame} if has_pages else {}
            if shrink != 1:
                options["shrink"] = shrink
            loaded: pyvips.Image = load(os.fspath(path), access="sequential", fail_on="error", **options)
            return loaded

        return Raster(_header(image_of(0, 1), path, loader), image_of, can_shrink)

    return opener


def _header(image: pyvips.Image, path: Path, loader: str) -> Header:
    if image.bands > _MOST_BANDS:
        raise Unreadable("A picture of so many channels is not read.")
    fields = set(image.get_fields())
    exif = parse_exif(bytes(image.get("exif-data"))) if "exif-data" in fields else NO_EXIF
    if loader == "tiffload":
        with path.open("rb") as file:
            exif = read_exif(file, is_tiff_file=True)
    tells = {name for field, name in _TELLING.items() if field in fields}
    tells |= {"comment" for field in fields if field.startswith(("png-comment-", "gif-comment", "jpeg-comment"))}
    orientation = int(image.get("orientation")) if "orientation" in fields else 1
    return Header(
        size=Size(image.width, image.height),
        bands=image.bands,
        bits=int(image.get("bits-per-sample")) if "bits-per-sample" in fields else 8,
        frames=int(image.get("n-pages")) if "n-pages" in fields else 1,
        orientation=orientation if 1 <= orientation <= 8 else 1,
        has_profile=_PROFILE in fields,
        exif=exif,
        identity=tuple(sorted(tells)),
        held_bytes=_INTERLACED_TIMES * bytes_of_pixel(image) if _is_interlaced(image) else _HELD_BYTES.get(loader, 0),
    )


def _is_interlaced(image: pyvips.Image) -> bool:
    """Whether no row is complete before the end of the file."""
    return bool(image.get_typeof("interlaced") and image.get("interlaced"))


def bytes_of_pixel(image: pyvips.Image) -> int:
    """Of memory, for all bands of one pixel."""
    wide = {"uchar": 1, "char": 1, "ushort": 2, "short": 2}.get(str(image.format), 8)
    return int(image.bands * wide)


def _open_bmp(path: Path) -> Raster:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # who opens counts them
    with Image.open(path, formats=("BMP",)) as opened:
        size = Size(*opened.size)

    def image_of(_frame: int, _shrink: int) -> pyvips.Image:
        with Image.open(path, formats=("BMP",)) as opened:
            return _from_array(np.asarray(opened.convert("RGB")))

    return Raster(Header(size, 3, 8, held_bytes=_HELD_BYTES["bmp"]), image_of)


def _open_heic(path: Path) -> Raster:
    """The container turns the picture itself (ISO/IEC 23008-12, 6.5.10), so what EXIF says of that is not heeded."""
    try:
        import pi_heif
    except ImportError as error:
        raise Unreadable("HEIC pictures are not read here: install pinakes[heic].") from error

    opened = pi_heif.open_heif(path.read_bytes())
    shown = next((one for one in opened if one.info.get("primary")), opened[0])
    block, profile = shown.info.get("exif"), shown.info.get("icc_profile")

    def image_of(_frame: int, _shrink: int) -> pyvips.Image:
        return _from_array(np.asarray(shown), profile)

    header = Header(
        size=Size(*shown.size),
        bands=len(shown.mode.partition(";")[0]),
        bits=int(shown.info.get("bit_depth", 8)),
        has_profile=bool(profile),
        exif=parse_exif(block) if block else NO_EXIF,
        identity=("XMP",) if shown.info.get("xmp") else (),
        held_bytes=_HELD_BYTES["heic"],
    )
    return Raster(header, image_of)


def _from_array(pixels: np.ndarray[Any, Any], profile: bytes | None = None) -> pyvips.Image:
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels))
    if profile:
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, _PROFILE, profile)
    return image


_OPENERS: Final[dict[str, Callable[[Path], Raster]]] = {
    "jpeg": _vips("jpegload", can_shrink=True),
    "png": _vips("pngload"),
    "webp": _vips("webpload", has_pages=True),
    "gif": _vips("gifload", has_pages=True),
    "tiff": _vips("tiffload", has_pages=True),
    "avif": _vips("heifload", has_pages=True),
    "heic": _open_heic,
    "bmp": _open_bmp,
}
