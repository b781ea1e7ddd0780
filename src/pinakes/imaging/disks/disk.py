"""What the readers of disk images have in common: reading with bounds, and what they give back."""

import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from pinakes.imaging.source import Unreadable

SECTOR_BYTES: Final = 512

_MOST_AT_ONCE: Final = 4 * 1024 * 1024
MOST_VIRTUAL_BYTES: Final = 2**63


class NotHeld(Exception):
    """What the machine would see there is not in this file, or not in a form that is read here."""


class File:
    """Bytes by their place, never beyond the end."""

    def __init__(self, opened: BinaryIO) -> None:
        self._opened = opened
        self.size = os.fstat(opened.fileno()).st_size

    def at(self, offset: int, length: int) -> bytes:
        """Just that many bytes. Raises Unreadable where there are fewer."""
        if offset < 0 or not 0 <= length <= _MOST_AT_ONCE or offset + length > self.size:
            raise Unreadable("The disk image is cut off, or refers to places outside of itself.")
        self._opened.seek(offset)
        read = self._opened.read(length)
        if len(read) != length:
            raise Unreadable("The disk image is cut off.")
        return read

    def upto(self, offset: int, length: int) -> bytes:
        """The same, or fewer where the file ends; offset must lie in it."""
        return self.at(offset, min(length, self.size - offset))

    def fields(self, layout: str, offset: int) -> tuple[Any, ...]:
        """Numbers that lie there, as `struct` lays them out."""
        return struct.unpack(layout, self.at(offset, struct.calcsize(layout)))


def _not_held(_offset: int, _length: int) -> bytes:
    raise NotHeld


@dataclass(frozen=True, slots=True)
class Disk:
    """guest: what the machine sees at an offset, so many bytes; raises NotHeld, Unreadable."""

    virtual_bytes: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    guest: Callable[[int, int], bytes] = _not_held

    def __post_init__(self) -> None:
        if not 0 <= self.virtual_bytes < MOST_VIRTUAL_BYTES:
            raise Unreadable("The disk image claims an impossible size.")


def by_blocks(block_bytes: int, block: Callable[[int], bytes]) -> Callable[[int, int], bytes]:
    """A `guest` from a function that gives whole blocks by their number."""

    def guest(offset: int, length: int) -> bytes:
        if length > _MOST_AT_ONCE:
            raise NotHeld
        parts = bytearray()
        first, last = offset // block_bytes, (offset + length - 1) // block_bytes
        for number in range(first, last + 1):
            parts += block(number)
        begin = offset - first * block_bytes
        return bytes(parts[begin : begin + length])

    return guest
