"""WebP, animated or not, without EXIF, XMP, unknown chunks and whatever follows the end."""

from collections.abc import Iterator
from mmap import mmap
from typing import Final

from pinakes.imaging.bare.orientation import exif_with, orientation_in
from pinakes.imaging.source import Unreadable

_KEPT: Final = {b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ICCP"}
_KEPT_IN_FRAME: Final = {b"VP8 ", b"VP8L", b"ALPH"}
_FRAME_HEADER: Final = 16

_EXIF_FLAG, _XMP_FLAG = 0x08, 0x04

Chunk = tuple[bytes, int, int]
"""Its kind, where its body begins and where that ends."""


def parts_of(source: mmap | bytes) -> Iterator[bytes]:
    """The copy, in parts. Raises Unreadable for a damaged or cut-off picture."""
    if source[:4] != b"RIFF" or source[8:12] != b"WEBP":
        raise Unreadable("This is no WebP picture.")
    end = 8 + int.from_bytes(source[4:8], "little")
    if end > len(source):
        raise Unreadable("The WebP picture is cut off.")
    found = list(_chunks(source, 12, end))
    orientation = next((orientation_in(bytes(source[at:to])) for kind, at, to in found if kind == b"EXIF"), 1)
    copied = [part for chunk in found if (part := _copied(source, chunk, orientation != 1)) is not None]
    if not any(part[:4] in {b"VP8 ", b"VP8L", b"ANMF"} for part in copied):
        raise Unreadable("The WebP picture has no pixels.")
    if orientation != 1 and copied[0][:4] == b"VP8X":
        copied.append(_chunk(b"EXIF", exif_with(orientation)))
    yield b"RIFF" + (4 + sum(len(part) for part in copied)).to_bytes(4, "little") + b"WEBP"
    yield from copied


def _copied(source: mmap | bytes, chunk: Chunk, is_turned: bool) -> bytes | None:
    """What of a chunk stays, as a chunk."""
    kind, at, to = chunk
    if kind in _KEPT:
        return _chunk(kind, bytes(source[at:to]))
    if kind == b"VP8X" and to > at:
        flags = source[at] & ~(_EXIF_FLAG | _XMP_FLAG) | (_EXIF_FLAG if is_turned else 0)
        return _chunk(kind, bytes((flags,)) + bytes(source[at + 1 : to]))
    if kind == b"ANMF" and to - at >= _FRAME_HEADER:
        start = at + _FRAME_HEADER
        inner = [
            _chunk(name, bytes(source[a:b])) for name, a, b in _chunks(source, start, to) if name in _KEPT_IN_FRAME
        ]
        return _chunk(kind, bytes(source[at:start]) + b"".join(inner))
    return None


def _chunks(source: mmap | bytes, at: int, end: int) -> Iterator[Chunk]:
    while at + 8 <= end:
        kind, length = bytes(source[at : at + 4]), int.from_bytes(source[at + 4 : at + 8], "little")
        if at + 8 + length > end:
            raise Unreadable("The WebP picture is damaged.")
        yield kind, at + 8, at + 8 + length
        at += 8 + length + length % 2


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)
