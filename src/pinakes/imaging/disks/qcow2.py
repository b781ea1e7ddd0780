"""QEMU's copy-on-write disks, versions 2 and 3 (QEMU docs/interop/qcow2.rst)."""

import zlib
from dataclasses import dataclass
from typing import Any, Final

from pinakes.imaging.disks.disk import SECTOR_BYTES, Disk, File, NotHeld, by_blocks
from pinakes.imaging.source import Unreadable

_HEADER: Final = ">4sIQIIQIIQQIIQ"
_HEADER_V3: Final = ">QQQII"
_DIRTY, _CORRUPT, _EXTERNAL_DATA, _OTHER_COMPRESSION, _EXTENDED = 1, 2, 4, 8, 16
_KNOWN_FEATURES: Final = _DIRTY | _CORRUPT | _EXTERNAL_DATA | _OTHER_COMPRESSION | _EXTENDED
_OFFSET: Final = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED: Final = 1 << 62
_ZERO: Final = 1
_DEFLATE_WINDOW: Final = -12  # raw deflate


@dataclass(frozen=True, slots=True)
class _Header:
    version: int
    has_backing: bool
    cluster_bits: int
    virtual_bytes: int
    encryption: int
    l1_entries: int
    l1_offset: int
    snapshots: int
    features: int

    @property
    def cluster_bytes(self) -> int:
        return 1 << self.cluster_bits


def read(file: File) -> Disk:
    """Raises Unreadable."""
    header = _header(file)
    facts: dict[str, Any] = {
        "version": header.version,
        "cluster_bytes": header.cluster_bytes,
        "encrypted": header.encryption != 0,
        "snapshots": header.snapshots,
        "backing_file": header.has_backing,
        "external_data": bool(header.features & _EXTERNAL_DATA),
    }
    is_readable = not header.encryption and not header.features & (_EXTERNAL_DATA | _EXTENDED)
    if not is_readable:
        return Disk(header.virtual_bytes, facts, _warnings(header))
    clusters = _Clusters(file, header)
    return Disk(header.virtual_bytes, facts, _warnings(header), guest=by_blocks(header.cluster_bytes, clusters.cluster))


def _header(file: File) -> _Header:
    fields = file.fields(_HEADER, 0)
    _, version, backing_offset, _, cluster_bits, size, encryption, l1_entries, l1_offset, _, _, snapshots, _ = fields
    if version not in {2, 3} or not 9 <= cluster_bits <= 21 or encryption > 2:
        raise Unreadable("The qcow2 header is damaged, or of a version that is not known.")
    features = file.fields(_HEADER_V3, 72)[0] if version == 3 else 0
    if features & ~_KNOWN_FEATURES:
        raise Unreadable("The qcow2 disk uses features that are not known.")
    has_backing = backing_offset != 0
    return _Header(version, has_backing, cluster_bits, size, encryption, l1_entries, l1_offset, snapshots, features)


def _warnings(header: _Header) -> tuple[str, ...]:
    told = {
        "The disk refers to a backing file, which is not part of it.": header.has_backing,
        "The disk keeps its data in another file, which is not part of it.": header.features & _EXTERNAL_DATA,
        "The disk is encrypted.": header.encryption,
        "The disk was marked as damaged.": header.features & _CORRUPT,
        "The disk was not closed properly.": header.features & _DIRTY,
    }
    return tuple(text for text, is_so in told.items() if is_so)


@dataclass(frozen=True, slots=True)
class _Clusters:
    """The disk's clusters, found through its two levels of tables."""

    file: File
    header: _Header

    def cluster(self, number: int) -> bytes:
        """What the machine sees in that cluster. Raises NotHeld, Unreadable."""
        entry = self._entry(number)
        if entry & _COMPRESSED:
            return self._inflated(entry)
        if entry & _ZERO and self.header.version > 2:
            return bytes(self.header.cluster_bytes)
        if entry & _OFFSET:
            return self._padded(self.file.upto(entry & _OFFSET, self.header.cluster_bytes))
        if self.header.has_backing:
            raise NotHeld
        return bytes(self.header.cluster_bytes)

    def _entry(self, number: int) -> int:
        upper, lower = divmod(number, self.header.cluster_bytes // 8)
        if upper >= self.header.l1_entries:
            raise Unreadable("The qcow2 tables are too short for the disk.")
        (table,) = self.file.fields(">Q", self.header.l1_offset + 8 * upper)
        if not table & _OFFSET:
            return 0
        (entry,) = self.file.fields(">Q", (table & _OFFSET) + 8 * lower)
        return int(entry)

    def _inflated(self, entry: int) -> bytes:
        if self.header.features & _OTHER_COMPRESSION:
            raise NotHeld
        offset_bits = 62 - (self.header.cluster_bits - 8)
        offset = entry & ((1 << offset_bits) - 1)
        sectors = ((entry & (_COMPRESSED - 1)) >> offset_bits) + 1
        packed = self.file.upto(offset, sectors * SECTOR_BYTES - offset % SECTOR_BYTES)
        try:
            inflated = zlib.decompressobj(_DEFLATE_WINDOW).decompress(packed, self.header.cluster_bytes)
        except zlib.error as error:
            raise Unreadable("A part of the disk cannot be unpacked.") from error
        return self._padded(inflated)

    def _padded(self, cluster: bytes) -> bytes:
        """The file may end with its last cluster's last used byte."""
        return cluster.ljust(self.header.cluster_bytes, b"\0")
