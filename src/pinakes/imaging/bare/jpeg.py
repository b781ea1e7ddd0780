"""JPEG and JPEG-LS without comments, EXIF, XMP, IPTC, previews, further pictures and whatever follows the end."""

import re
from collections.abc import Iterator
from mmap import mmap
from typing import Final

from pinakes.imaging.bare.orientation import exif_with, orientation_in
from pinakes.imaging.source import Unreadable

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE

_CODING: Final = {*range(0xC0, 0xD0), *range(0xDB, 0xE0), 0xF7, 0xF8}
"""Frames, tables, restart interval (ISO/IEC 10918-1, table B.1), and those of JPEG-LS (ISO/IEC 14495-1, table C.1)."""

_AFTER_SCAN: Final = re.compile(rb"\xff[^\x00-\x7f\xd0-\xd7\xff]", re.DOTALL)
"""Within a scan FF is followed by less than 80 (by 00 in JPEG), by a restart marker, or by more FF."""


def parts_of(source: mmap | bytes) -> Iterator[bytes]:
    """The copy, in parts, from the start of the picture to its end. Raises Unreadable for a damaged or cut-off one."""
    if source[:2] != b"\xff\xd8":
        raise Unreadable("This is no JPEG picture.")
    yield b"\xff\xd8"
    at, has_exif, has_scan = 2, False, False
    while True:
        marker, at = _marker(source, at)
        if marker == _END:
            if not has_scan:
                raise Unreadable("The JPEG picture has no pixels.")
            yield b"\xff\xd9"
            return
        length = int.from_bytes(source[at : at + 2], "big")
        if length < 2 or at + length > len(source):
            raise Unreadable("The JPEG picture is damaged.")
        body, at = bytes(source[at + 2 : at + length]), at + length
        if marker == _APP1 and body[:6] == b"Exif\0\0" and not has_exif:
            has_exif = True
            orientation = orientation_in(body)
            if orientation != 1:
                yield _segment(_APP1, b"Exif\0\0" + exif_with(orientation))
        elif (kept := _kept(marker, body)) is not None:
            yield _segment(marker, kept)
        if marker == _SCAN:
            has_scan = True
            end = _AFTER_SCAN.search(source, at)
            if end is None:
                raise Unreadable("The JPEG picture is cut off.")
            yield bytes(source[at : end.start()])
            at = end.start()


def _marker(source: mmap | bytes, at: int) -> tuple[int, int]:
    """The marker at this place, and where what follows it begins. Any number of FF may come before it."""
    if source[at : at + 1] != b"\xff":
        raise Unreadable("The JPEG picture is damaged.")
    while source[at : at + 1] == b"\xff":
        at += 1
    if at >= len(source):
        raise Unreadable("The JPEG picture is cut off.")
    return source[at], at + 1


def _kept(marker: int, body: bytes) -> bytes | None:
    """What of a segment stays: all that decodes or colours the picture, and its resolution."""
    if marker in _CODING or marker == _SCAN:
        return body
    if marker == _APP0 and body[:5] == b"JFIF\0" and len(body) >= 14:
        return body[:12] + b"\0\0"  # without its thumbnail
    if marker == _APP2 and body[:12] == b"ICC_PROFILE\0":
        return body
    if marker == _APP14 and body[:5] == b"Adobe" and len(body) >= 12:
        return body[:12]
    return None


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body
