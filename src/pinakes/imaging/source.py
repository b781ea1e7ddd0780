"""What every kind of picture looks like to those who want pixels of it: one protocol, and the values it speaks in.

    path ── opening.open_source ──> ImageSource ── read_region ──> pixels
                                         └─ description: what is known without decoding a pixel

Coordinates are pixels of the whole picture at full size (level 0), x to the right, y down, orientation applied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias

if TYPE_CHECKING:  # the server knows these values too, and decodes nothing: it is spared the loading of numpy
    import numpy as np
    from numpy.typing import NDArray

Pixels: TypeAlias = "NDArray[np.uint8]"
"""Height x width x 3, sRGB; transparent places are white."""


class ImagingError(Exception):
    """A picture cannot be shown; the text says why, for people, and holds nothing of the file's own text."""


class Unreadable(ImagingError):
    """The bytes are damaged, or of a kind that is not read here."""


class LimitExceeded(ImagingError):
    """It would take more pixels, bytes, time or memory than is allowed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one picture may take.

    pixels: of a picture that can only be decoded whole.   directories: of a TIFF, frames of a DICOM or of an animation.
    held_bytes: of memory, for a picture that is in memory whole while it is decoded.
    streamed_pixels: of what is read part after part, to be shown small.
    output_pixels: of what one call gives back.
    """

    pixels: int = 300_000_000
    held_bytes: int = 1536 * 1024 * 1024
    streamed_pixels: int = 5_000_000_000
    directories: int = 10_000
    output_pixels: int = 64 * 1024 * 1024


DEFAULT_LIMITS: Final = Limits()

_OUT_OF_MEMORY: Final = ("out of memory", "insufficient memory", "cannot allocate memory")
"""As libvips, libjpeg, OpenSlide and the system say it."""


@dataclass(frozen=True, slots=True)
class Size:
    """In pixels; both at least 1."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Rect:
    """Of the whole picture, in pixels at full size; width and height at least 1."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution that is stored. downsample: 1.0 for the whole picture, 2.0 for half its width, ...

    tile: size of the tiles it is stored in; None for one that is not tiled.
    """

    size: Size
    downsample: float
    tile: Size | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of a picture without decoding a pixel.

    format: as in `formats`.   levels: largest first; none for what has no pixels (a disk), and none, with a warning,
    for what has too many to be shown in parts, which may still be read whole, in small.
    mpp: micrometres per pixel, x and y.   frames: how many there are; the picture shown is the first.
    associated: names of pictures beside it, such as "label", "macro", "thumbnail".
    captured_at: when it was taken, as ISO 8601, with an offset if it is known.
    facts: more, as JSON; nothing that tells who is shown.   warnings: for people.
    identity: what in the file tells who is shown, by name of the field (values are not kept), such as "EXIF GPS".
    pixel_digest: as in `imaging.pixel_digest`, once somebody has computed it: it takes decoding.
    study: the same for the pictures of one DICOM study, and for no others; its UID is not to be had from it.
    """

    format: str
    size: Size | None
    levels: tuple[Level, ...] = ()
    mpp: tuple[float, float] | None = None
    frames: int = 1
    associated: tuple[str, ...] = ()
    captured_at: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    pixel_digest: str | None = None
    study: str | None = None


@dataclass(frozen=True, slots=True)
class StoredTile:
    """A tile as it lies in the file: a whole JPEG that any viewer shows right. size: of its pixels."""

    jpeg: bytes
    size: Size


class ImageSource(Protocol):
    """An open picture. Used by one thread at a time; a context manager that closes it."""

    description: Description

    def read_region(self, rect: Rect, size: Size, *, frame: int = 0) -> Pixels:
        """The part of the picture within `rect`, which lies in it, scaled to `size`.

        Reads from the smallest stored level that is large enough. Raises Unreadable, LimitExceeded.
        """

    def read_associated(self, name: str) -> Pixels:
        """A picture beside it. Raises KeyError for a name that is not in `description.associated`; Unreadable."""

    def stored_tile(self, level: int, column: int, row: int) -> StoredTile | None:
        """The stored JPEG of one tile of a level, without decoding it.

        None where there is none that can be given away as it is: not tiled, not JPEG, not 8 bit, in a colour space
        that viewers would take for another. Raises Unreadable, IndexError for a tile that is outside.
        """

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def is_lack_of_memory(error: Exception) -> bool:
    """Whether a library says in its own words that there was not enough memory: that is no damage of the file."""
    return any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def largest_of(levels: Sequence[Level]) -> Size | None:
    """The size of the whole picture."""
    return levels[0].size if levels else None
