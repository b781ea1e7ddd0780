"""Raw disks with partition tables, and an optical disc, written byte by byte; all other kinds come from qemu-img."""

import struct
import uuid
import zlib
from pathlib import Path

SECTOR = 512
DISK_BYTES = 8 * 1024 * 1024

EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def mbr_sector(entries: list[tuple[int, int, int]]) -> bytes:
    """entries: (type, first sector, sectors), at most four."""
    table = b"".join(struct.pack("<4xB3xII", *entry) for entry in entries)
    return bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa"


def write_mbr(path: Path, entries: list[tuple[int, int, int]], more: dict[int, bytes] | None = None) -> None:
    """more: other sectors, by number."""
    with path.open("wb") as disk:
        disk.truncate(DISK_BYTES)
        for number, sector in {0: mbr_sector(entries), **(more or {})}.items():
            disk.seek(number * SECTOR)
            disk.write(sector)


def write_gpt(path: Path, parts: list[tuple[uuid.UUID, int, int]], sector: int = SECTOR) -> None:
    """parts: (type, first sector, last sector)."""
    table = b"".join(
        kind.bytes_le + uuid.uuid5(kind, str(first)).bytes_le + struct.pack("<QQQ72s", first, last, 0, b"invented")
        for kind, first, last in parts
    ).ljust(128 * 128, b"\0")
    end = DISK_BYTES // sector - 1

    def header(checksum: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII",
            *(b"EFI PART", 0x10000, 92, checksum, 0, 1, end, 34, end - 34, uuid.UUID(int=7).bytes_le, 2),
            *(128, 128, zlib.crc32(table)),
        )

    with path.open("wb") as disk:
        disk.truncate(DISK_BYTES)
        disk.write(mbr_sector([(0xEE, 1, end)]))
        disk.seek(sector)
        disk.write(header(zlib.crc32(header(0))))
        disk.seek(2 * sector)
        disk.write(table)


def write_iso(path: Path, blocks: int = 300, *, is_bootable: bool = False) -> None:
    """A disc with its volume descriptors and nothing else."""
    primary = bytearray(2048)
    primary[:7] = b"\x01CD001\x01"
    primary[40:72] = b"DOE JANE 1970".ljust(32)
    struct.pack_into("<I", primary, 80, blocks)
    struct.pack_into("<H", primary, 128, 2048)
    boot = b"\x00CD001\x01EL TORITO SPECIFICATION".ljust(2048, b"\0")
    last = b"\xffCD001\x01".ljust(2048, b"\0")
    content = bytes(32 * 1024) + bytes(primary) + (boot if is_bootable else b"") + last
    path.write_bytes(content.ljust(blocks * 2048, b"\0"))
