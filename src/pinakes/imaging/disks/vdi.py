"""VirtualBox's disks (the header is in VirtualBox's Storage/VDICore.h)."""

from typing import Any, Final

from pinakes.imaging.disks.disk import Disk, File, NotHeld, by_blocks
from pinakes.imaging.source import Unreadable

_KINDS: Final = {1: "dynamic", 2: "static", 3: "undo", 4: "differencing"}
_WITHOUT_PARENT: Final = {"dynamic", "static"}
_UNALLOCATED: Final = 0xFFFF_FFFE  # and above
_MOST_BLOCK_BYTES: Final = 4 * 1024 * 1024


def read(file: File) -> Disk:
    """Raises Unreadable."""
    version, _, kind_number = file.fields("<III", 0x44)
    map_offset, data_offset = file.fields("<II", 0x154)
    virtual_bytes, block_bytes, extra_bytes, blocks = file.fields("<QIII", 0x170)
    kind = _KINDS.get(kind_number)
    if version >> 16 != 1 or kind is None or not block_bytes or virtual_bytes > blocks * block_bytes:
        raise Unreadable("The VDI header is damaged, or of a version that is not known.")
    has_parent = kind not in _WITHOUT_PARENT
    facts: dict[str, Any] = {"kind": kind, "block_bytes": block_bytes, "backing_file": has_parent}
    warnings = ("The disk refers to a parent, which is not part of it.",) if has_parent else ()

    def block(number: int) -> bytes:
        if number >= blocks:
            raise Unreadable("The VDI table is too short for the disk.")
        (place,) = file.fields("<I", map_offset + 4 * number)
        if place < _UNALLOCATED:
            return file.upto(data_offset + place * block_bytes, block_bytes).ljust(block_bytes, b"\0")
        if has_parent:
            raise NotHeld
        return bytes(block_bytes)

    if block_bytes > _MOST_BLOCK_BYTES or extra_bytes:
        return Disk(virtual_bytes, facts, warnings)
    return Disk(virtual_bytes, facts, warnings, guest=by_blocks(block_bytes, block))
