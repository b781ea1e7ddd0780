"""What a disk image is, told from its own tables: format, size, partitions. It has no pixels.

Files that it names, such as a backing file, are never opened. Names inside it (of partitions, of a volume) are not
passed on: on the disc of an X-ray department they name the patient.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pinakes.imaging.disks import partitions, plain, qcow2, vdi, vhdx, vmdk
from pinakes.imaging.disks.disk import Disk, File, NotHeld
from pinakes.imaging.formats import HEAD_BYTES, sniff
from pinakes.imaging.source import Description, Unreadable

_READERS: Final[dict[str, Callable[[File], Disk]]] = {
    "qcow2": qcow2.read,
    "vmdk": vmdk.read,
    "vdi": vdi.read,
    "vhdx": vhdx.read,
    "iso": plain.read_disc,
    "raw": plain.read_disk,
}


def describe_disk(path: Path) -> Description:
    """What is known of a disk image; its facts are:

    virtual_bytes: size of the disk as a machine sees it.   encrypted, bootable, snapshots, ...: where the format tells.
    partition_table: "gpt", "mbr", or None if there is none; absent if it could not be read.
    partitions: [{"start_byte", "bytes", "type"}], type as hexadecimal number (MBR) or UUID (GPT).
    Raises Unreadable for what is no disk image or is damaged in what it says of itself; OSError.
    """
    with path.open("rb") as opened:
        file = File(opened)
        format = sniff(file.upto(0, HEAD_BYTES))
        if format not in _READERS:
            raise Unreadable("The file is not a disk image of a kind that is known here.")
        disk = _READERS[format](file)
        facts: dict[str, Any] = {"virtual_bytes": disk.virtual_bytes, **disk.facts}
        warnings = list(disk.warnings)
        try:
            table = partitions.read(disk)
        except NotHeld:
            pass
        except Unreadable:
            warnings.append("The partition table is damaged.")
        else:
            facts |= {"partition_table": table.kind, "partitions": [part.as_fact() for part in table.partitions]}
            warnings += table.warnings
    return Description(format=format, size=None, facts=facts, warnings=tuple(warnings))
