"""The four parameters of an image request, from their texts to what is to be made (Image API 3.0, section 4).

    {region}/{size}/{rotation}/{quality}.{format}      125,15,120,140/90,/!345/gray.jpg

Each text is read against the picture it is asked of, so that what comes out can be had. Pure functions.
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from pinakes.core.errors import Invalid, PinakesError
from pinakes.core.renditions.wanted import PictureFormat, Quality, RegionWanted
from pinakes.imaging.source import DEFAULT_LIMITS, Rect, Size

MAX_SIDE: Final = 16_383
"""Width and height of the largest picture given, in pixels; WebP holds no larger one."""

MAX_AREA: Final = DEFAULT_LIMITS.output_pixels
"""Pixels of the largest picture given."""

FORMATS: Final = {"jpg": PictureFormat.JPEG, "png": PictureFormat.PNG, "webp": PictureFormat.WEBP}
"""By the word at the end of an address."""

_QUALITIES: Final[dict[str, Quality]] = {"default": "color", "color": "color", "gray": "gray", "bitonal": "bitonal"}

_NUMBER: Final = r"([0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})"
_PIXELS: Final = re.compile(r"([0-9]+),([0-9]+),([0-9]+),([0-9]+)")
_PERCENTS: Final = re.compile(rf"pct:{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}")
_SIDES: Final = re.compile(r"(!?)([0-9]*),([0-9]*)")
_PERCENT: Final = re.compile(rf"pct:{_NUMBER}")
_ROTATION: Final = re.compile(rf"(!?){_NUMBER}")
_MOST_DIGITS: Final = 12
_FULL_TURN: Final = 360


class ParameterInvalid(Invalid):
    """A parameter of the image request cannot be read, or asks for what there is not."""


class UpscalingUnsupported(PinakesError):
    """Pictures are not made larger than they are."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """A request that was read.

    canonical: the end of the one address that everybody should use for it (section 4.8).
    """

    wanted: RegionWanted
    canonical: str


def image_request(region: str, size: str, rotation: str, file: str, full: Size, *, frame: int = 0) -> ImageRequest:
    """Read a whole request. full: the size of the picture. Raises ParameterInvalid, UpscalingUnsupported."""
    rect = region_of(region, full)
    cut = Size(rect.width, rect.height)
    scaled = size_of(size, cut)
    mirrored, degrees = rotation_of(rotation)
    quality, extension = file_of(file)
    parts = (
        "full" if cut == full else f"{rect.x},{rect.y},{rect.width},{rect.height}",
        "max" if scaled == largest(cut) else f"{scaled.width},{scaled.height}",
        ("!" if mirrored else "") + _plain(degrees),
        f"{'default' if quality == 'color' else quality}.{extension}",
    )
    wanted = RegionWanted(rect, scaled, degrees, mirrored, quality, FORMATS[extension], frame)
    return ImageRequest(wanted, "/".join(parts))


def region_of(text: str, full: Size) -> Rect:
    """The part that is asked for, cut off at the edges of the picture (section 4.1). Raises ParameterInvalid."""
    if text == "full":
        return Rect(0, 0, full.width, full.height)
    if text == "square":
        side = min(full.width, full.height)
        return Rect((full.width - side) // 2, (full.height - side) // 2, side, side)
    if (match := _PIXELS.fullmatch(text)) is not None:
        x, y, width, height = map(_whole, match.groups())
        return _cut(x, y, x + width, y + height, full)
    if (match := _PERCENTS.fullmatch(text)) is not None:
        left, top, wide, high = (Fraction(number) / 100 for number in match.groups())
        return _cut(
            _rounded(left * full.width),
            _rounded(top * full.height),
            _rounded((left + wide) * full.width),
            _rounded((top + high) * full.height),
            full,
        )
    raise ParameterInvalid("The region must be full, square, x,y,w,h or pct:x,y,w,h.")


def size_of(text: str, region: Size) -> Size:
    """The size that a region is to be scaled to (section 4.2). Raises ParameterInvalid, UpscalingUnsupported."""
    bare = text.removeprefix("^")
    size = _size_of(bare, region, grows=bare != text)
    if size.width > region.width or size.height > region.height:
        if bare == text:
            raise ParameterInvalid("The size is larger than the region.")
        raise UpscalingUnsupported
    if size.width > MAX_SIDE or size.height > MAX_SIDE or size.width * size.height > MAX_AREA:
        raise ParameterInvalid("The size is larger than the limits in info.json.")
    return size


def rotation_of(text: str) -> tuple[bool, float]:
    """Whether to mirror, and by how many degrees to turn then (section 4.3). Raises ParameterInvalid."""
    match = _ROTATION.fullmatch(text)
    if match is None or float(match[2]) > _FULL_TURN:
        raise ParameterInvalid("The rotation must be a number from 0 to 360, with ! before it to mirror.")
    return match[1] == "!", float(match[2]) % _FULL_TURN


def file_of(text: str) -> tuple[Quality, str]:
    """Quality, and the word for the format, from the last part of the address (sections 4.4, 4.5).

    Raises ParameterInvalid.
    """
    quality, _, extension = text.rpartition(".")
    if quality not in _QUALITIES:
        raise ParameterInvalid("The quality must be default, color, gray or bitonal.")
    if extension not in FORMATS:
        raise ParameterInvalid("The format must be jpg, png or webp.")
    return _QUALITIES[quality], extension


def largest(region: Size) -> Size:
    """The size `max` of a region: its own, or the largest of its shape within the limits."""
    size = _confined(region, min(region.width, MAX_SIDE), min(region.height, MAX_SIDE))
    if size.width * size.height <= MAX_AREA:
        return size
    width = math.isqrt(MAX_AREA * region.width // region.height)
    return Size(width, max(1, width * region.height // region.width))


def _size_of(text: str, region: Size, *, grows: bool) -> Size:
    if text == "max":
        if grows and largest(region) == region:
            raise UpscalingUnsupported
        return largest(region)
    if (match := _PERCENT.fullmatch(text)) is not None:
        return _by_percent(Fraction(match[1]), region)
    match = _SIDES.fullmatch(text)
    confined, width, height = match.groups() if match else ("", "", "")
    if width and height:
        size = Size(_side(width), _side(height))
        return _within(size, region, grows=grows) if confined else size
    if width and not confined:
        return Size(_side(width), _scaled(region.height, _side(width), region.width))
    if height and not confined:
        return Size(_scaled(region.width, _side(height), region.height), _side(height))
    raise ParameterInvalid("The size must be max, w, or ,h or w,h or !w,h or pct:n, with ^ before it or without.")


def _within(box: Size, region: Size, *, grows: bool) -> Size:
    """`!w,h`: as large as fits; not larger than the region, unless it may grow, nor than the limits."""
    if not grows:
        box = Size(min(box.width, region.width), min(box.height, region.height))
    size, limit = _confined(region, box.width, box.height), largest(region)
    return limit if limit != region and size.width > limit.width else size


def _by_percent(percent: Fraction, region: Size) -> Size:
    if percent == 0:
        raise ParameterInvalid("The size is nothing.")
    return Size(
        max(1, _rounded(region.width * percent / 100)),
        max(1, _rounded(region.height * percent / 100)),
    )


def _confined(region: Size, width: int, height: int) -> Size:
    """The largest size of the region's shape that is no wider and no higher."""
    if width * region.height <= height * region.width:
        return Size(width, _scaled(region.height, width, region.width))
    return Size(_scaled(region.width, height, region.height), height)


def _scaled(side: int, wanted: int, whole: int) -> int:
    """How long a side becomes where the other one, which is `whole` now, is to be `wanted`; halves are rounded up."""
    return max(1, (2 * side * wanted + whole) // (2 * whole))


def _side(digits: str) -> int:
    side = _whole(digits)
    if side == 0:
        raise ParameterInvalid("The size is nothing.")
    return side


def _cut(left: int, top: int, right: int, bottom: int, full: Size) -> Rect:
    right, bottom = min(right, full.width), min(bottom, full.height)
    if left >= right or top >= bottom:
        raise ParameterInvalid("The region is empty, or lies outside the picture.")
    return Rect(left, top, right - left, bottom - top)


def _whole(digits: str) -> int:
    """The number, or something larger than any picture."""
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _rounded(value: Fraction) -> int:
    """To the nearest integer, halves upwards."""
    return math.floor(value + Fraction(1, 2))


def _plain(number: float) -> str:
    """A number as the canonical syntax has it: an integer if possible, without an exponent or zeros at its end."""
    return f"{number:.12f}".rstrip("0").rstrip(".") if number % 1 else str(int(number))
