"""Hyper-V's disks ([MS-VHDX])."""

import uuid
from typing import Any, Final

from pinakes.imaging.disks.disk import Disk, File, NotHeld
from pinakes.imaging.source import Unreadable

_HEADERS_AT: Final = (64 * 1024, 128 * 1024)
_REGIONS_AT: Final = (192 * 1024, 256 * 1024)
_MOST_ENTRIES: Final = 2047
_ENTRY_BYTES: Final = 32
_MEBIBYTE: Final = 1024 * 1024

_BLOCKS: Final = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA: Final = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_FILE_PARAMETERS: Final = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_DISK_SIZE: Final = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
_SECTOR_SIZE: Final = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")

_HAS_PARENT: Final = 2
_PRESENT, _PARTLY_PRESENT = 6, 7


def read(file: File) -> Disk:
    """Raises Unreadable."""
    regions = _regions(file)
    items = _items(file, regions[_METADATA])
    try:
        block_bytes, flags = file.fields("<II", items[_FILE_PARAMETERS])
        (virtual_bytes,) = file.fields("<Q", items[_DISK_SIZE])
        (sector_bytes,) = file.fields("<I", items[_SECTOR_SIZE])
    except KeyError as error:
        raise Unreadable("The VHDX disk does not say how large it is.") from error
    if block_bytes % _MEBIBYTE or not _MEBIBYTE <= block_bytes <= 256 * _MEBIBYTE or sector_bytes not in {512, 4096}:
        raise Unreadable("The VHDX metadata is damaged.")
    has_parent, needs_replay = bool(flags & _HAS_PARENT), _needs_replay(file)
    facts: dict[str, Any] = {"block_bytes": block_bytes, "sector_bytes": sector_bytes, "backing_file": has_parent}
    told = {
        "The disk refers to a parent, which is not part of it.": has_parent,
        "The disk was not closed properly.": needs_replay,
    }
    warnings = tuple(text for text, is_so in told.items() if is_so)
    per_chunk = (sector_bytes << 23) // block_bytes

    def guest(offset: int, length: int) -> bytes:
        number, inside = divmod(offset, block_bytes)
        if needs_replay or inside + length > block_bytes:
            raise NotHeld
        (entry,) = file.fields("<Q", regions[_BLOCKS] + 8 * (number + number // per_chunk))
        state, place = entry & 7, entry >> 20
        if state == _PRESENT:
            return file.at(place * _MEBIBYTE + inside, length)
        if has_parent or state == _PARTLY_PRESENT:
            raise NotHeld
        return bytes(length)

    return Disk(virtual_bytes, facts, warnings, guest)


def _regions(file: File) -> dict[uuid.UUID, int]:
    """Where the block table and the metadata lie."""
    for offset in _REGIONS_AT:
        mark, _, count = file.fields("<4sII", offset)
        if mark != b"regi" or count > _MOST_ENTRIES:
            continue
        regions = {}
        for entry in range(count):
            name, place = file.fields("<16sQ", offset + 16 + _ENTRY_BYTES * entry)
            regions[uuid.UUID(bytes_le=name)] = place
        if _BLOCKS in regions and _METADATA in regions:
            return regions
    raise Unreadable("The VHDX region tables are damaged.")


def _items(file: File, offset: int) -> dict[uuid.UUID, int]:
    """Where each item of the metadata lies."""
    mark, count = file.fields("<8s2xH", offset)
    if mark != b"metadata" or count > _MOST_ENTRIES:
        raise Unreadable("The VHDX metadata is damaged.")
    items = {}
    for entry in range(count):
        name, place = file.fields("<16sI", offset + _ENTRY_BYTES * (entry + 1))
        items[uuid.UUID(bytes_le=name)] = offset + place
    return items


def _needs_replay(file: File) -> bool:
    """Whether the current header, the one with the higher number, names a log that was not written back."""
    headers = [file.fields("<4sIQ32x16s", offset) for offset in _HEADERS_AT]
    valid = [(number, log) for mark, _, number, log in headers if mark == b"head"]
    if not valid:
        raise Unreadable("The VHDX headers are damaged.")
    _, log = max(valid)
    return any(log)
