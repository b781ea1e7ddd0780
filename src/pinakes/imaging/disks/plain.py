"""Disks that lie in the file as the machine sees them: raw ones, and optical discs (ECMA-119)."""

from typing import Final

from pinakes.imaging.disks.disk import Disk, File
from pinakes.imaging.source import Unreadable

_DESCRIPTORS_AT: Final = 16
_DISC_SECTOR_BYTES: Final = 2048
_MOST_DESCRIPTORS: Final = 64
_BOOT_RECORD, _PRIMARY, _LAST = 0, 1, 255


def read_disk(file: File) -> Disk:
    """A raw disk. Raises nothing: whatever it holds, it is one."""
    return Disk(file.size, guest=file.at)


def read_disc(file: File) -> Disk:
    """An optical disc, which may begin with a partition table, too. Raises Unreadable."""
    volume_bytes: int | None = None
    is_bootable = False
    for number in range(_DESCRIPTORS_AT, _DESCRIPTORS_AT + _MOST_DESCRIPTORS):
        kind, mark = file.fields("<B5s", number * _DISC_SECTOR_BYTES)
        if mark != b"CD001" or kind == _LAST:
            break
        if kind == _PRIMARY and volume_bytes is None:
            (blocks,) = file.fields("<I", number * _DISC_SECTOR_BYTES + 80)
            (block_bytes,) = file.fields("<H", number * _DISC_SECTOR_BYTES + 128)
            volume_bytes = blocks * block_bytes
        is_bootable |= kind == _BOOT_RECORD
    if not volume_bytes:
        raise Unreadable("The optical disc does not say how large it is.")
    warnings = ("The file is shorter than the disc it holds.",) if volume_bytes > file.size else ()
    return Disk(volume_bytes, {"bootable": is_bootable}, warnings, guest=file.at)
