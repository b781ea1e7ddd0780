"""Photographs: pictures stored in one resolution and decoded whole, shown upright in sRGB.

A JPEG is decoded at a half, a quarter or an eighth of its size where that is enough. What was decoded last is kept, so
that the tiles of one photograph cost one decoding; a picture too large to keep is decoded as a stream of rows.
One that is too large for that as well is described without levels, and shown small at most.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyvips

from pinakes.imaging.closing import Closing
from pinakes.imaging.geometry import check_region, choose_level, level_rect, oriented_size, stored_rect
from pinakes.imaging.pixel_digest import Samples
from pinakes.imaging.rasters import Header, Raster, bytes_of_pixel, opaque, open_raster, reading, to_srgb
from pinakes.imaging.source import (
    DEFAULT_LIMITS,
    Description,
    Level,
    LimitExceeded,
    Limits,
    Pixels,
    Rect,
    Size,
    StoredTile,
    Unreadable,
)

_SHRINKS: Final = (1, 2, 4, 8)
_SMALL_SIDE: Final = 2048
"""Of a picture shown small, in pixels: the largest thumbnail there is."""

_MOST_KEPT_BYTES: Final = 192 * 1024 * 1024
"""Of one decoded picture that is kept: 64 million pixels of three bytes."""

_SAMPLE_BITS: Final = {"uchar": 8, "ushort": 16}
_STRIP_ROWS: Final = 128


def open_photograph(path: Path, format: str, limits: Limits = DEFAULT_LIMITS) -> "Photograph":
    """Open a photograph of a format as in `formats`, without decoding a pixel. Raises Unreadable, LimitExceeded."""
    raster = open_raster(path, format)
    _check(raster.header, limits)
    return Photograph(raster, format, limits)


def orient(pixels: Pixels, orientation: int) -> Pixels:
    """Upright, from how they are stored. orientation: EXIF, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    return np.ascontiguousarray(pixels[::rows, ::columns])


@dataclass(frozen=True, slots=True)
class _Decoded:
    """loaded: what `image` was made of, and whose memory it may share without telling Python."""

    frame: int
    shrink: int
    image: pyvips.Image
    loaded: pyvips.Image


@dataclass(frozen=True, slots=True)
class _Narrowed:
    """A picture that is too large to be shown in parts. most_side: of the whole, shown small; 0 for not at all."""

    reason: str
    most_side: int


class Photograph(Closing):
    """An `ImageSource` of one level, or of none if it is too large for that."""

    def __init__(self, raster: Raster, format: str, limits: Limits) -> None:
        self._raster = raster
        self._limits = limits
        self._kept: _Decoded | None = None
        self._size = oriented_size(raster.header.size, raster.header.orientation)
        self._narrowed = _narrowed(raster.header, limits)
        self.description = _describe(raster.header, format, self._size, self._narrowed)

    def read_region(self, rect: Rect, size: Size, *, frame: int = 0) -> Pixels:
        """See `ImageSource`; a frame of another size is shown at the size of the first. Also raises MemoryError."""
        check_region(rect, size, self._size, self._limits)
        self._check_narrowed(rect, size)
        if not 0 <= frame < self.description.frames:
            raise Unreadable("The picture has no such frame.")
        header = self._raster.header
        part = stored_rect(rect, self._size, header.orientation)
        wanted = oriented_size(size, header.orientation)
        with reading():
            image = self._decoded(frame, self._shrink(part, wanted))
            place = level_rect(part, header.size, Size(image.width, image.height))
            is_kept = self._kept is not None and self._kept.image is image
            image = opaque(image.crop(place.x, place.y, place.width, place.height))
            if (place.width, place.height) != (wanted.width, wanted.height):
                image = image.resize(wanted.width / place.width, vscale=wanted.height / place.height)
            elif is_kept:
                return orient(_at_once(to_srgb(image)), header.orientation)
            return orient(to_srgb(image).numpy(), header.orientation)

    def read_associated(self, name: str) -> Pixels:
        """There is none beside a photograph."""
        raise KeyError(name)

    def stored_tile(self, level: int, column: int, row: int) -> StoredTile | None:
        """None: it is not tiled."""
        if (level, column, row) != (0, 0, 0):
            raise IndexError("There is no such tile.")
        return None

    def stored_samples(self) -> Samples | None:
        """See `pixel_digest`."""
        if self.description.frames != 1:
            return None
        with reading():
            image = self._raster.load(0, 1)
        bits = _SAMPLE_BITS.get(str(image.format))
        if bits is None:
            return None
        return Samples(image.width, image.height, image.bands, bits, _strips(image))

    def close(self) -> None:
        self._kept = None

    def _check_narrowed(self, rect: Rect, size: Size) -> None:
        narrowed = self._narrowed
        if narrowed is not None:
            is_whole = (rect.width, rect.height) == (self._size.width, self._size.height)
            if not is_whole or max(size.width, size.height) > narrowed.most_side:
                raise LimitExceeded(narrowed.reason)

    def _shrink(self, part: Rect, wanted: Size) -> int:
        if not self._raster.can_shrink:
            return 1
        size = self._raster.header.size
        levels = [
            Level(Size(size.width // by, size.height // by), by)
            for by in _SHRINKS
            if min(size.width, size.height) >= by
        ]
        return _SHRINKS[choose_level(levels, part, wanted)]

    def _decoded(self, frame: int, shrink: int) -> pyvips.Image:
        """As stored, at least as large as at `shrink`."""
        kept = self._kept
        if kept is not None and kept.frame == frame and kept.shrink <= shrink:
            return kept.image
        loaded = self._raster.load(frame, shrink)
        most = self._limits.pixels if self._narrowed is None else self._limits.streamed_pixels
        if loaded.width * loaded.height > most:
            raise LimitExceeded(_decoded_whole(most))
        if loaded.width * loaded.height * bytes_of_pixel(loaded) > _MOST_KEPT_BYTES:
            return loaded
        self._kept = None  # its memory is free before more is taken
        self._kept = _Decoded(frame, shrink, loaded.copy_memory(), loaded)
        return self._kept.image


def _at_once(image: pyvips.Image) -> Pixels:
    """The pixels of what costs little to make, without the threads that libvips starts for larger work."""
    fetched = pyvips.Region.new(image).fetch(0, 0, image.width, image.height)
    return np.frombuffer(fetched, np.uint8).reshape(image.height, image.width, image.bands)


def _strips(image: pyvips.Image) -> Iterator[bytes]:
    """The samples, some rows at a time, so that what is read as a stream is never in memory whole."""
    with reading():
        region = pyvips.Region.new(image)
        for top in range(0, image.height, _STRIP_ROWS):
            yield bytes(region.fetch(0, top, image.width, min(_STRIP_ROWS, image.height - top)))


def _check(header: Header, limits: Limits) -> None:
    if header.size.width < 1 or header.size.height < 1:
        raise Unreadable("The picture has no pixels.")
    if header.frames > limits.directories:
        raise LimitExceeded(f"The picture has more than {limits.directories} frames.")


def _narrowed(header: Header, limits: Limits) -> _Narrowed | None:
    """None for what can be shown in parts."""
    pixels = header.size.width * header.size.height
    if header.held_bytes:
        most = min(limits.pixels, limits.held_bytes // header.held_bytes)
        return _Narrowed(_decoded_whole(most), 0) if pixels > most else None
    if pixels > limits.streamed_pixels:
        return _Narrowed(_decoded_whole(limits.streamed_pixels), 0)
    if pixels > limits.pixels:
        return _Narrowed(
            f"The picture has more than {limits.pixels} pixels, and is not stored in parts: it is only shown small.",
            _SMALL_SIDE,
        )
    return None


def _decoded_whole(most: int) -> str:
    return f"The picture has more than {most} pixels, and can only be decoded whole: it is too large to be shown."


def _describe(header: Header, format: str, size: Size, narrowed: _Narrowed | None) -> Description:
    facts: dict[str, str | int | bool] = {
        "channels": header.bands,
        "bits": header.bits,
        "orientation": header.orientation,
        "colour_profile": header.has_profile,
    }
    if header.exif.camera:
        facts["camera"] = header.exif.camera
    return Description(
        format=format,
        size=size,
        levels=() if narrowed else (Level(size, 1.0),),
        frames=max(1, header.frames),
        captured_at=header.exif.captured_at,
        facts=facts,
        warnings=(narrowed.reason,) if narrowed else (),
        identity=tuple(sorted({*header.exif.identity, *header.identity})),
    )
