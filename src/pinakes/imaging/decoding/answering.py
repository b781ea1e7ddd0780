"""From a request to its answer, in a decoding process: open the picture or take a warm one, read, encode.

Every error becomes an answer. What a library says of a broken file may quote it, so it goes no further.
"""

import errno
import gc
import os
import traceback
from contextlib import suppress
from dataclasses import replace
from typing import Final, assert_never

from pinakes.imaging.bytesources import NeedsWhole
from pinakes.imaging.decoding import tiles
from pinakes.imaging.decoding.ranges import Fetching
from pinakes.imaging.decoding.requests import (
    Answer,
    Associated,
    DecodeRequest,
    DecodingFailed,
    Describe,
    Described,
    Encoded,
    Mapped,
    MapTiles,
    NoSuchPart,
    Refused,
    Region,
)
from pinakes.imaging.decoding.warm import Opener, WarmSources
from pinakes.imaging.encoding import encode
from pinakes.imaging.geometry import clamp
from pinakes.imaging.pixel_digest import pixel_digest
from pinakes.imaging.rendering import render
from pinakes.imaging.source import Description, ImageSource, ImagingError, LimitExceeded, Limits, Size
from pinakes.imaging.tilemap import MappedSource

_CROWDED_SHARE: Final = 0.5
"""Of the allowed memory: who holds more after an answer closes its pictures; who still does, is replaced."""

_SYSTEM_ERRORS: Final = {errno.ENOENT, errno.EACCES, errno.EIO, errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ESTALE}
"""Not the picture's fault."""


class Answers:
    """What a decoding process knows and does. For one thread."""

    def __init__(
        self, opener: Opener, warm_sources: int, memory_bytes: int, limits: Limits, fetching: Fetching
    ) -> None:
        self._warm = WarmSources(opener, warm_sources)
        self._fetching = fetching
        self._memory_bytes = memory_bytes
        self._limits = limits

    def answer(self, request: DecodeRequest) -> Answer:
        """Never raises what the picture is to blame for."""
        self._fetching.begin()
        result = self._result(request)
        if isinstance(result, Encoded) and result.spliced:  # takes no memory, and to look takes longer than it did
            return Answer(result)
        if not self._is_crowded():
            return Answer(result)
        self._warm.clear()
        gc.collect()
        return Answer(result, spent=self._is_crowded())

    def rest(self) -> None:
        """Close everything: nobody has asked for long."""
        self._warm.clear()

    def _result(self, request: DecodeRequest) -> Encoded | Described | Mapped | Refused:
        try:
            return self._made(request)
        except MemoryError as error:
            cause = _cause(error)
        except Exception as error:
            return _refusal(self._fetching.failure or error)
        if self._warm.clear():  # perhaps it was the others that took it
            gc.collect()
            return self._result(request)
        return Refused("exhausted", "The picture takes more memory than is allowed.", cause)

    def _made(self, request: DecodeRequest) -> Encoded | Described | Mapped:
        with self._warm.source(request.file, request.key) as source:
            made = self._read(source, request)
            if self._fetching.failure:  # libraries may go on without what they could not read
                raise self._fetching.failure
            return made

    def _read(self, source: ImageSource, request: DecodeRequest) -> Encoded | Described | Mapped:
        match request:
            case Describe():
                return Described(_described(source, request))
            case Region():
                return self._region(source, request)
            case Associated():
                return _associated(source, request)
            case MapTiles():
                return _mapped(source, request)
            case _:
                assert_never(request)

    def _region(self, source: ImageSource, wanted: Region) -> Encoded:
        _check(source, wanted)
        if wanted.encode_quality is None and tiles.may_be_stored(wanted):
            place = tiles.stored_place(source.description, wanted.rect, wanted.size)
            spliced = place and _spliced(source, place, wanted.size)
            if spliced:
                return spliced
        pixels = render(
            source,
            wanted.rect,
            wanted.size,
            rotation=wanted.rotation,
            mirrored=wanted.mirrored,
            quality=wanted.quality,
            frame=wanted.frame,
            limits=self._limits,
        )
        gray = wanted.quality != "color"
        return Encoded(encode(pixels, wanted.format, quality=wanted.encode_quality, gray=gray))

    def _is_crowded(self) -> bool:
        return _resident_bytes() > _CROWDED_SHARE * self._memory_bytes


def _described(source: ImageSource, wanted: Describe) -> Description:
    """What can be described and not decoded is described all the same."""
    if not wanted.pixel_digest:
        return source.description
    with suppress(Exception):
        return replace(source.description, pixel_digest=pixel_digest(source))
    return source.description


def _check(source: ImageSource, wanted: Region) -> None:
    """Raises NoSuchPart."""
    whole = source.description.size
    if whole is None:
        raise NoSuchPart("The file has no pixels to show.")
    is_within = clamp(wanted.rect, whole) == wanted.rect
    if (
        not is_within
        or not 0 <= wanted.frame < source.description.frames
        or min(wanted.size.width, wanted.size.height) < 1
    ):
        raise NoSuchPart("The picture has no such part.")


def _associated(source: ImageSource, wanted: Associated) -> Encoded:
    if wanted.distant is not None and wanted.distant.only_plain:
        raise NeedsWhole("Pictures beside a slide are not read by ranges.")
    if wanted.name not in source.description.associated:
        raise NoSuchPart("The picture has no such picture beside it.")
    return Encoded(encode(source.read_associated(wanted.name), wanted.format, quality=wanted.encode_quality))


def _mapped(source: ImageSource, wanted: MapTiles) -> Mapped:
    if not isinstance(source, MappedSource) or not 0 <= wanted.level < len(source.description.levels):
        return Mapped(None)
    return Mapped(source.tile_map(wanted.level))


def _spliced(source: ImageSource, place: tiles.Place, size: Size) -> Encoded | None:
    """The stored tile, if it has one that is just as large: those at the edges are padded."""
    stored = source.stored_tile(place.level, place.column, place.row)
    return Encoded(stored.jpeg, spliced=True) if stored and stored.size == size else None


def _refusal(error: Exception) -> Refused:
    match error:
        case LimitExceeded():
            return Refused("limit", str(error))
        case NoSuchPart():
            return Refused("absent", str(error))
        case DecodingFailed():
            return Refused("failed", str(error))
        case NeedsWhole():
            return Refused("whole", str(error))
        case ImagingError():
            return Refused("unreadable", str(error))
        case OSError() if error.errno in _SYSTEM_ERRORS:
            return Refused("failed", "The file could not be opened or read.", _cause(error))
        case _:
            return Refused("unreadable", "The picture is damaged, or of a kind that is not read here.", _cause(error))


def _cause(error: BaseException) -> str:
    """Which error came from where; not what it says."""
    places = traceback.extract_tb(error.__traceback__)[-5:]
    return " < ".join(
        [type(error).__name__, *(f"{os.path.basename(at.filename)}:{at.lineno}" for at in reversed(places))]
    )


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as told:
            return int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux
        return 0
