"""Partition tables: the PC's old one (MBR, with its chain of logical partitions) and UEFI's (GPT)."""

import struct
import uuid
import zlib
from dataclasses import dataclass
from typing import Any, Final

from pinakes.imaging.disks.disk import MOST_VIRTUAL_BYTES, SECTOR_BYTES, Disk
from pinakes.imaging.source import Unreadable

_BEYOND: Final = "A partition reaches beyond the end of the disk."
_CHECKSUM: Final = "The checksum of the partition table is wrong."

_PROTECTIVE: Final = 0xEE
_EXTENDED: Final = {0x05, 0x0F, 0x85}
_MOST_LOGICAL: Final = 128

_GPT_HEADER: Final = "<8sIIII8x8x8x8x16sQIII"
_GPT_SECTORS: Final = (512, 4096)
_MOST_TABLE_BYTES: Final = 128 * 1024
_LEAST_ENTRY_BYTES: Final = 128
_UNUSED: Final = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Partition:
    """type: a number in hexadecimal (MBR), or a UUID (GPT)."""

    start_byte: int
    bytes: int
    type: str

    def as_fact(self) -> dict[str, Any]:
        """As JSON."""
        return {"start_byte": self.start_byte, "bytes": self.bytes, "type": self.type}


@dataclass(frozen=True, slots=True)
class Table:
    """kind: "gpt", "mbr", or None where there is no table."""

    kind: str | None
    partitions: tuple[Partition, ...] = ()
    warnings: tuple[str, ...] = ()


def read(disk: Disk) -> Table:
    """Raises NotHeld, Unreadable."""
    if disk.virtual_bytes < SECTOR_BYTES:
        return Table(None)
    first = disk.guest(0, SECTOR_BYTES)
    found = _gpt(disk)
    if found is None:
        found = _mbr(disk, first)
    end = max((part.start_byte + part.bytes for part in found.partitions), default=0)
    if end >= MOST_VIRTUAL_BYTES:
        raise Unreadable("The partition table is damaged.")
    if end > disk.virtual_bytes:
        return Table(found.kind, found.partitions, (*found.warnings, _BEYOND))
    return found


def _mbr(disk: Disk, first: bytes) -> Table:
    if first[510:] != b"\x55\xaa" or not _has_entries(first):
        return Table(None)
    found: list[Partition] = []
    for type, start, sectors in _entries(first):
        if type in _EXTENDED:
            found += _logical(disk, start)
        elif type and type != _PROTECTIVE:
            found.append(_old(type, start, sectors))
    return Table("mbr", tuple(found))


def _has_entries(first: bytes) -> bool:
    """The first sector of a file system, too, may end with the mark, and has other things in the table's place."""
    flags_are_sound = all(first[446 + 16 * number] in {0, 0x80} for number in range(4))
    return flags_are_sound and any(type and sectors for type, _, sectors in _entries(first))


def _entries(sector: bytes) -> list[tuple[int, int, int]]:
    """Type, first sector and number of sectors of each of the four."""
    return [struct.unpack_from("<4xB3xII", sector, 446 + 16 * number) for number in range(4)]


def _logical(disk: Disk, extended: int) -> list[Partition]:
    """A chain: each link holds one partition and the place of the next link. Raises Unreadable if it goes round."""
    found: list[Partition] = []
    link, seen = extended, set[int]()
    while True:
        if link in seen or len(seen) == _MOST_LOGICAL or (link + 1) * SECTOR_BYTES > disk.virtual_bytes:
            raise Unreadable("The chain of logical partitions is damaged.")
        seen.add(link)
        sector = disk.guest(link * SECTOR_BYTES, SECTOR_BYTES)
        if sector[510:] != b"\x55\xaa":
            raise Unreadable("The chain of logical partitions is damaged.")
        (type, start, sectors), (next_type, next_start, _), *_ = _entries(sector)
        if type:
            found.append(_old(type, link + start, sectors))
        if next_type not in _EXTENDED:
            return found
        link = extended + next_start


def _old(type: int, start: int, sectors: int) -> Partition:
    return Partition(start * SECTOR_BYTES, sectors * SECTOR_BYTES, f"{type:#04x}")


def _gpt(disk: Disk) -> Table | None:
    for sector_bytes in _GPT_SECTORS:
        if disk.virtual_bytes >= 2 * sector_bytes:
            header = disk.guest(sector_bytes, SECTOR_BYTES)
            if header.startswith(b"EFI PART"):
                return _gpt_table(disk, header, sector_bytes)
    return None


def _gpt_table(disk: Disk, header: bytes, sector_bytes: int) -> Table:
    _, _, length, checksum, _, _, at, count, entry_bytes, table_checksum = struct.unpack_from(_GPT_HEADER, header)
    table_bytes = count * entry_bytes
    is_sane = 92 <= length <= SECTOR_BYTES and entry_bytes >= _LEAST_ENTRY_BYTES and table_bytes <= _MOST_TABLE_BYTES
    if not is_sane or at * sector_bytes + table_bytes > disk.virtual_bytes:
        raise Unreadable("The partition table is damaged.")
    table = disk.guest(at * sector_bytes, table_bytes) if table_bytes else b""
    bare = header[:16] + bytes(4) + header[20:length]
    is_sound = zlib.crc32(bare) == checksum and zlib.crc32(table) == table_checksum
    found = [_new(table, number * entry_bytes, sector_bytes) for number in range(count)]
    return Table("gpt", tuple(part for part in found if part), () if is_sound else (_CHECKSUM,))


def _new(table: bytes, offset: int, sector_bytes: int) -> Partition | None:
    name, first, last = struct.unpack_from("<16s16xQQ", table, offset)
    type = uuid.UUID(bytes_le=name)
    if type == _UNUSED:
        return None
    if last < first:
        raise Unreadable("The partition table is damaged.")
    return Partition(first * sector_bytes, (last - first + 1) * sector_bytes, str(type))
