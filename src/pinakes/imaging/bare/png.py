"""PNG, animated or not, without text, EXIF, times and whatever follows the end."""

import zlib
from collections.abc import Iterator
from mmap import mmap
from typing import Final

from pinakes.imaging.bare.orientation import exif_with, orientation_in
from pinakes.imaging.source import Unreadable

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_KEPT: Final = {
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND"),
    *(b"tRNS", b"bKGD", b"sBIT", b"pHYs"),
    *(b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI"),
    *(b"acTL", b"fcTL", b"fdAT"),
}
"""What decodes, colours or animates the picture (PNG, third edition, section 5.6)."""


def parts_of(source: mmap | bytes) -> Iterator[bytes]:
    """The copy, in parts. Raises Unreadable for a damaged or cut-off picture."""
    if source[:8] != _SIGNATURE:
        raise Unreadable("This is no PNG picture.")
    yield _SIGNATURE
    at, has_pixels = 8, False
    while at + 12 <= len(source):
        length, kind = int.from_bytes(source[at : at + 4], "big"), bytes(source[at + 4 : at + 8])
        end = at + 12 + length
        if end > len(source):
            break
        if kind in _KEPT:
            yield bytes(source[at:end])
        elif kind == b"eXIf":
            orientation = orientation_in(bytes(source[at + 8 : end - 4]))
            if orientation != 1:
                yield _chunk(b"eXIf", exif_with(orientation))
        has_pixels = has_pixels or kind == b"IDAT"
        if kind == b"IEND" and has_pixels:
            return
        at = end
    raise Unreadable("The PNG picture is cut off.")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
