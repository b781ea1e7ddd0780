"""What is asked of a decoding process, what it answers, and what can go wrong on the way."""

from typing import Literal

import msgspec

from pinakes.imaging.encoding import Format
from pinakes.imaging.rendering import Quality
from pinakes.imaging.source import DEFAULT_LIMITS, Description, ImagingError, Level, LimitExceeded, Limits, Rect, Size
from pinakes.imaging.tilemap import TileMap


class DecodingFailed(ImagingError):
    """The process that read the picture died, or the file was not there: it may go well another time."""


class Exhausted(LimitExceeded):
    """Reading took more memory or time than one request may take: beside less other work it may go well."""


class DecodingBusy(ImagingError):
    """No decoding process became free in time."""


class NoSuchPart(ImagingError):
    """The picture has no such region, frame or associated picture."""


class Distant(msgspec.Struct, frozen=True):
    """A TIFF file that is not on this machine, to be read by ranges.

    levels: those that are known of it.   only_plain: whether nothing but plain tiles of them may be shown.
    """

    size_bytes: int
    levels: tuple[Level, ...]
    only_plain: bool


class _Request(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """path: of the file.   key: the same for equal bytes, such as their digest; sources are kept open by it.

    An empty key: the source is closed after the answer.
    distant: of a file without a path.
    """

    path: str = ""
    key: str = ""
    distant: Distant | None = None

    @property
    def file(self) -> str | Distant:
        return self.distant or self.path


class Describe(_Request, frozen=True, tag=True, kw_only=True):
    """The answer is a Description. pixel_digest: whether with that, where there is one; it takes decoding."""

    pixel_digest: bool = False


class Region(_Request, frozen=True, tag=True, kw_only=True):
    """A part of the picture, scaled to `size`, then mirrored, then turned clockwise by `rotation` degrees.

    encode_quality: 1 to 100; None lets the format choose.
    A stored tile that is just this is spliced from the file, unless an encode_quality is asked for.
    """

    rect: Rect
    size: Size
    rotation: float = 0.0
    mirrored: bool = False
    quality: Quality = "color"
    frame: int = 0
    format: Format = "jpeg"
    encode_quality: int | None = None


class Associated(_Request, frozen=True, tag=True, kw_only=True):
    """A picture beside the picture, whole."""

    name: str
    format: Format = "jpeg"
    encode_quality: int | None = None


class MapTiles(_Request, frozen=True, tag=True, kw_only=True):
    """Where the tiles of a stored level lie, for who gives them away as they are: the answer is a TileMap or None."""

    level: int


PictureRequest = Region | Associated
DecodeRequest = Describe | MapTiles | PictureRequest


class Encoded(msgspec.Struct, frozen=True, tag=True):
    """A picture as bytes of the format asked for. spliced: taken from the file as it lies there, not decoded."""

    content: bytes
    spliced: bool = False


class Described(msgspec.Struct, frozen=True, tag=True):
    """What is known of the picture."""

    description: Description


class Mapped(msgspec.Struct, frozen=True, tag=True):
    """Where the tiles of a level lie; None if they cannot be given away as they are."""

    map: TileMap | None


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Why there is no picture. kind: which error to raise.   reason: for people.

    cause: for the log: type and place of the error, nothing of the file.
    """

    kind: Literal["unreadable", "limit", "exhausted", "absent", "failed", "whole"]
    reason: str
    cause: str = ""


class Needed(msgspec.Struct, frozen=True, tag=True):
    """No answer yet: a range of the distant file is to be sent. Nothing is sent if it cannot be had."""

    offset: int
    count: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The process has set its limits and waits for requests."""


class Answer(msgspec.Struct, frozen=True):
    """spent: the process has grown and should be replaced."""

    result: Encoded | Described | Mapped | Refused | Needed | Ready
    spent: bool = False


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a decoding process may take.

    memory_bytes: of address space.   seconds: for one request, by the clock on the wall.
    warm_sources: how many pictures it keeps open.   idle_seconds: after so long without a request it closes them.
    opener: "module:function" with the signature of `opening.open_source`; distant_opener: of `pyramids.open_distant`.
    """

    memory_bytes: int
    seconds: float
    limits: Limits = DEFAULT_LIMITS
    warm_sources: int = 8
    idle_seconds: float = 60.0
    opener: str = "pinakes.imaging.opening:open_source"
    distant_opener: str = "pinakes.imaging.pyramids:open_distant"


class Orders(msgspec.Struct, frozen=True):
    """What a decoding process is told when it starts.

    socket: the number of its file.   scratch: a folder of its own, in which it may make folders and links.
    is_early: nobody waits for it yet, so it loads what reads pictures before it says that it is ready.
    """

    parent_pid: int
    socket: int
    scratch: str
    bounds: Bounds
    is_early: bool
