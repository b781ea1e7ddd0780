"""GIF, animated or not, without comments, text, XMP, other applications' data and whatever follows the end."""

from collections.abc import Iterator
from mmap import mmap
from typing import Final

from pinakes.imaging.source import Unreadable

_EXTENSION, _IMAGE, _END = 0x21, 0x2C, 0x3B
_CONTROL, _APPLICATION = 0xF9, 0xFF
_SCREEN_BYTES, _IMAGE_BYTES = 13, 10
"""Of the signature with the logical screen, and of an image descriptor with its mark (GIF89a, sections 17 to 20)."""

_LOOPS: Final = {b"NETSCAPE2.0", b"ANIMEXTS1.0"}
"""How often an animation is shown, in an application's block that every viewer knows."""


def parts_of(source: mmap | bytes) -> Iterator[bytes]:
    """The copy, in parts. Raises Unreadable for a damaged or cut-off picture."""
    if source[:6] not in (b"GIF87a", b"GIF89a"):
        raise Unreadable("This is no GIF picture.")
    at = _after_colors(source, 0, _SCREEN_BYTES)
    yield bytes(source[:at])
    has_pixels = False
    while (mark := _byte(source, at)) != _END:
        if mark == _IMAGE:
            data = _after_colors(source, at, _IMAGE_BYTES) + 1  # the least size of a code comes first
            end = _after_blocks(source, data)
            yield bytes(source[at:end])
            has_pixels = True
        elif mark == _EXTENSION:
            end = _after_blocks(source, at + 2)
            yield _kept(bytes(source[at:end]))
        else:
            raise Unreadable("The GIF picture is damaged.")
        at = end
    if not has_pixels:
        raise Unreadable("The GIF picture has no pixels.")
    yield bytes((_END,))


def _kept(extension: bytes) -> bytes:
    """What of an extension stays, to its last block's end."""
    if extension[1] == _CONTROL and extension[2] == 4:
        return extension[:7] + b"\0"
    is_loop = extension[1] == _APPLICATION and extension[3:14] in _LOOPS and extension[14:16] == b"\x03\x01"
    return extension[:18] + b"\0" if is_loop else b""


def _after_colors(source: mmap | bytes, at: int, length: int) -> int:
    """Where a screen or an image descriptor ends, with its table of colours; flags are three or one from its end."""
    flags = _byte(source, at + length - (3 if length == _SCREEN_BYTES else 1))
    return at + length + (3 << (flags & 7) + 1 if flags & 0x80 else 0)


def _after_blocks(source: mmap | bytes, at: int) -> int:
    """Where a row of blocks ends: each has its length before it, and one of length 0 is the last."""
    while length := _byte(source, at):
        at += 1 + length
    return at + 1


def _byte(source: mmap | bytes, at: int) -> int:
    if at >= len(source):
        raise Unreadable("The GIF picture is cut off.")
    return source[at]
