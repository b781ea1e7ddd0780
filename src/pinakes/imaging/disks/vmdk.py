"""VMware's disks (Virtual Disk Format 5.0): sparse extents with or without their descriptor, and bare descriptors."""

import re
import zlib
from dataclasses import dataclass
from typing import Any, Final

from pinakes.imaging.disks.disk import SECTOR_BYTES, Disk, File, NotHeld, by_blocks
from pinakes.imaging.source import Unreadable

_SPARSE: Final = "<4sIIQQQQIQQQ5xH"
_COMPRESSED: Final = 1 << 16
_HAS_ZERO_GRAINS: Final = 1 << 2
_AT_END: Final = 2**64 - 1
_MOST_DESCRIPTOR_BYTES: Final = 64 * 1024
_MOST_GRAIN_SECTORS: Final = 8 * 1024

_BACKED: Final = "The disk refers to a parent, which is not part of it."
_SPREAD: Final = "The disk keeps its data in other files, which are not part of it."

_EXTENT = re.compile(r"^(?:RW|RDONLY|NOACCESS) +(\d{1,19}) +([A-Z0-9]+)", re.MULTILINE)
_PARENT = re.compile(r"^parentCID *= *([0-9a-fA-F]+)", re.MULTILINE)
_KIND = re.compile(r'^createType *= *"(\w{1,40})"', re.MULTILINE)


def read(file: File) -> Disk:
    """Raises Unreadable."""
    mark = file.at(0, 4)
    if mark == b"KDMV":
        return _sparse(file)
    if mark == b"COWD":
        (sectors,) = file.fields("<I", 12)
        return Disk(sectors * SECTOR_BYTES, {"kind": "vmfsSparse"}, ("The file is one part of a disk.",))
    return _bare_descriptor(file)


@dataclass(frozen=True, slots=True)
class _Descriptor:
    """kind: as VMware names it.   extents: (sectors, type) of each."""

    kind: str | None
    has_parent: bool
    extents: tuple[tuple[int, str], ...]


def _described(text: bytes) -> _Descriptor:
    lines = text.partition(b"\0")[0].decode("latin-1")
    parent, kind = _PARENT.search(lines), _KIND.search(lines)
    return _Descriptor(
        kind=kind[1] if kind else None,
        has_parent=parent is not None and parent[1].lower() != "ffffffff",
        extents=tuple((int(sectors), type) for sectors, type in _EXTENT.findall(lines)),
    )


def _bare_descriptor(file: File) -> Disk:
    described = _described(file.upto(0, _MOST_DESCRIPTOR_BYTES))
    if not described.extents:
        raise Unreadable("The VMDK descriptor is damaged.")
    facts = {"kind": described.kind, "backing_file": described.has_parent, "external_data": True}
    warnings = (_SPREAD, _BACKED) if described.has_parent else (_SPREAD,)
    return Disk(sum(sectors for sectors, _ in described.extents) * SECTOR_BYTES, facts, warnings)


@dataclass(frozen=True, slots=True)
class _Header:
    flags: int
    sectors: int
    grain_sectors: int
    descriptor_sector: int
    descriptor_sectors: int
    entries_per_table: int
    directory_sector: int
    compression: int


def _sparse(file: File) -> Disk:
    header = _header(file, 0)
    if header.directory_sector == _AT_END:
        header = _header(file, file.size - 2 * SECTOR_BYTES)
    described = None
    if header.descriptor_sector:
        length = min(header.descriptor_sectors * SECTOR_BYTES, _MOST_DESCRIPTOR_BYTES)
        described = _described(file.at(header.descriptor_sector * SECTOR_BYTES, length))
    has_parent = described is not None and described.has_parent
    is_spread = described is None or len(described.extents) != 1
    facts: dict[str, Any] = {
        "kind": described.kind if described else None,
        "backing_file": has_parent,
        "external_data": is_spread,
    }
    warnings = tuple(text for text, is_so in ((_SPREAD, is_spread), (_BACKED, has_parent)) if is_so)
    if is_spread:
        sectors = sum(sectors for sectors, _ in described.extents) if described else header.sectors
        return Disk(sectors * SECTOR_BYTES, facts, warnings)
    grains = _Grains(file, header, has_parent)
    guest = by_blocks(header.grain_sectors * SECTOR_BYTES, grains.grain)
    return Disk(header.sectors * SECTOR_BYTES, facts, warnings, guest)


def _header(file: File, offset: int) -> _Header:
    fields = file.fields(_SPARSE, offset)
    mark, version, flags, sectors, grain, text_at, text_length, per_table, _, directory, _, compression = fields
    if mark != b"KDMV" or version not in {1, 2, 3} or not 1 <= grain <= _MOST_GRAIN_SECTORS or not per_table:
        raise Unreadable("The VMDK header is damaged, or of a version that is not known.")
    return _Header(flags, sectors, grain, text_at, text_length, per_table, directory, compression)


@dataclass(frozen=True, slots=True)
class _Grains:
    """The disk's grains, found through its directory of tables."""

    file: File
    header: _Header
    has_parent: bool

    def grain(self, number: int) -> bytes:
        """What the machine sees in that grain. Raises NotHeld, Unreadable."""
        sector = self._sector(number)
        if sector == 0 and self.has_parent:
            raise NotHeld
        is_zero = sector == 0 or (sector == 1 and self.header.flags & _HAS_ZERO_GRAINS)
        length = self.header.grain_sectors * SECTOR_BYTES
        if is_zero:
            return bytes(length)
        if self.header.flags & _COMPRESSED:
            return self._inflated(sector * SECTOR_BYTES, length)
        return self.file.upto(sector * SECTOR_BYTES, length).ljust(length, b"\0")

    def _sector(self, number: int) -> int:
        upper, lower = divmod(number, self.header.entries_per_table)
        (table,) = self.file.fields("<I", self.header.directory_sector * SECTOR_BYTES + 4 * upper)
        if not table:
            return 0
        (sector,) = self.file.fields("<I", table * SECTOR_BYTES + 4 * lower)
        return int(sector)

    def _inflated(self, offset: int, length: int) -> bytes:
        if self.header.compression != 1:
            raise NotHeld
        _, packed_bytes = self.file.fields("<QI", offset)
        try:
            inflated = zlib.decompressobj().decompress(self.file.at(offset + 12, packed_bytes), length)
        except zlib.error as error:
            raise Unreadable("A part of the disk cannot be unpacked.") from error
        return inflated.ljust(length, b"\0")
