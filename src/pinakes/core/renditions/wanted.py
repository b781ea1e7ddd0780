"""What can be asked of a picture: values that say it all, so that equal ones are made once and kept under one name."""

import enum
import hashlib
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec

from pinakes.imaging.source import Rect, Size

Quality: TypeAlias = Literal["color", "gray", "bitonal"]

_RENDERING: Final = 1
"""To be raised when the same request gives other pixels than before: what is cached of earlier ones is left behind."""


class PictureFormat(enum.StrEnum):
    """How a rendition is encoded."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"

    @property
    def media_type(self) -> str:
        return f"image/{self.value}"


@dataclass(frozen=True, slots=True)
class RegionWanted:
    """A part of a picture: cut out, scaled, then mirrored left to right, then rotated.

    rect: lies in the picture.   size: before it is rotated.   rotation: degrees clockwise, from 0 and under 360.
    """

    rect: Rect
    size: Size
    rotation: float = 0.0
    mirrored: bool = False
    quality: Quality = "color"
    format: PictureFormat = PictureFormat.JPEG
    frame: int = 0


@dataclass(frozen=True, slots=True)
class AssociatedWanted:
    """A picture beside the picture, whole."""

    name: str
    format: PictureFormat = PictureFormat.JPEG


Wanted: TypeAlias = RegionWanted | AssociatedWanted


def key_of(digest: str, wanted: Wanted) -> str:
    """64 hex digits: the name of a rendition of the content of that digest, made of all it depends on."""
    told = msgspec.json.encode([_RENDERING, digest, type(wanted).__name__, wanted])
    return hashlib.sha256(told).hexdigest()
