"""A small virtual disk in the qcow2 format, version 3, written byte by byte as QEMU's docs/interop/qcow2 lays it out.

cluster 0      header
        1      refcount table: where the refcount block is
        2      refcount block: how often each cluster of the file is used
        3...   L1 table: where the L2 tables are
        ...    L2 tables: where the data clusters are
        ...    data
"""

import struct
from collections.abc import Mapping
from pathlib import Path

CLUSTER_BITS = 12
CLUSTER_BYTES = 1 << CLUSTER_BITS

_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_VERSION = 3
_REFCOUNT_ORDER = 4  # 16 bits
_ENTRIES = CLUSTER_BYTES // 8  # of a table of 64-bit offsets
_MOST_CLUSTERS = CLUSTER_BYTES // 2  # that one refcount block counts
_COPIED = 1 << 63  # used exactly once
_FIRST_L1 = 3


def write_qcow2(path: Path, data: Mapping[int, bytes], size_bytes: int = 16 * 1024 * 1024) -> None:
    """Write a disk that reads as zeros except for the given sectors of content.

    data: offset on the disk, a multiple of CLUSTER_BYTES -> up to CLUSTER_BYTES of content.
    size_bytes: of the disk as the machine sees it; a multiple of 512.
    Raises ValueError for what does not fit: about 8 MiB of content are the most.
    """
    clusters = sorted(data)
    if size_bytes % 512 or any(
        offset % CLUSTER_BYTES or len(data[offset]) > CLUSTER_BYTES or offset + len(data[offset]) > size_bytes
        for offset in clusters
    ):
        raise ValueError("the content does not lie in clusters of the disk")
    l1_size = -(-size_bytes // (CLUSTER_BYTES * _ENTRIES))
    l1_clusters = -(-l1_size // _ENTRIES)
    tables = sorted({offset // (CLUSTER_BYTES * _ENTRIES) for offset in clusters})
    first_l2 = _FIRST_L1 + l1_clusters
    first_data = first_l2 + len(tables)
    used = first_data + len(clusters)
    if used > _MOST_CLUSTERS:
        raise ValueError("the content is too large for one refcount block")

    l2_places = {table: first_l2 + number for number, table in enumerate(tables)}
    data_places = {offset: first_data + number for number, offset in enumerate(clusters)}
    l1 = [_entry(l2_places.get(table)) for table in range(l1_size)]
    parts = [
        _header(size_bytes, l1_size),
        struct.pack(">Q", 2 * CLUSTER_BYTES),
        struct.pack(f">{used}H", *[1] * used),
        *(struct.pack(f">{len(part)}Q", *part) for part in _split(l1)),
        *(_l2_table(table, data_places) for table in tables),
        *(data[offset] for offset in clusters),
    ]
    path.write_bytes(b"".join(part.ljust(CLUSTER_BYTES, b"\0") for part in parts))


def _header(size_bytes: int, l1_size: int) -> bytes:
    """The header and, as eight zero bytes, the end of its extensions."""
    header = _HEADER.pack(
        b"QFI\xfb",
        _VERSION,
        0,  # no backing file
        0,
        CLUSTER_BITS,
        size_bytes,
        0,  # not encrypted
        l1_size,
        _FIRST_L1 * CLUSTER_BYTES,
        CLUSTER_BYTES,  # the refcount table
        1,  # and how many clusters it has
        0,  # no snapshots
        0,
        0,  # no features: incompatible, compatible, autoclear
        0,
        0,
        _REFCOUNT_ORDER,
        _HEADER.size,
    )
    return header + bytes(8)


def _l2_table(table: int, places: Mapping[int, int]) -> bytes:
    first = table * CLUSTER_BYTES * _ENTRIES
    entries = [_entry(places.get(first + number * CLUSTER_BYTES)) for number in range(_ENTRIES)]
    return struct.pack(f">{_ENTRIES}Q", *entries)


def _entry(cluster: int | None) -> int:
    return 0 if cluster is None else cluster * CLUSTER_BYTES | _COPIED


def _split(entries: list[int]) -> list[list[int]]:
    return [entries[start : start + _ENTRIES] for start in range(0, len(entries), _ENTRIES)]
