"""What a file is, judged by its first bytes alone. No decoding happens here."""

from collections.abc import Callable

UNKNOWN = "unknown"

HEAD_BYTES = 33 * 1024
"""How many first bytes tell all there is to tell: an optical disc has its mark 32 KiB from the beginning."""

_ISO_MARK = 32 * 1024 + 1

_SIGNATURES: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    # First of all: the 128 bytes before its mark may be anything, a TIFF header for one.
    ("dicom", lambda head: head[128:132] == b"DICM"),
    ("jpeg", lambda head: head.startswith(b"\xff\xd8\xff")),
    ("png", lambda head: head.startswith(b"\x89PNG\r\n\x1a\n")),
    ("webp", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
    ("gif", lambda head: head.startswith((b"GIF87a", b"GIF89a"))),
    ("tiff", lambda head: head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))),
    ("heic", lambda head: head[4:8] == b"ftyp" and head[8:12] in {b"heic", b"heix", b"hevc", b"mif1", b"msf1"}),
    ("avif", lambda head: head[4:8] == b"ftyp" and head[8:12] in {b"avif", b"avis"}),
    ("bmp", lambda head: head.startswith(b"BM")),
    ("pdf", lambda head: head.startswith(b"%PDF-")),
    ("qcow2", lambda head: head.startswith(b"QFI\xfb")),
    ("vmdk", lambda head: head.startswith((b"KDMV", b"COWD", b"# Disk DescriptorFile"))),
    ("vdi", lambda head: head[64:68] == b"\x7f\x10\xda\xbe"),
    ("vhdx", lambda head: head.startswith(b"vhdxfile")),
    ("ova", lambda head: head[257:262] == b"ustar" and _first_name(head).lower().endswith(b".ovf")),
    ("tar", lambda head: head[257:262] == b"ustar"),
    ("gzip", lambda head: head.startswith(b"\x1f\x8b")),
    # Before raw: an optical disc that also starts from a memory stick begins with a partition table.
    ("iso", lambda head: head[_ISO_MARK : _ISO_MARK + 5] == b"CD001"),
    # A disk with a partition table of either kind.
    ("raw", lambda head: head[510:512] == b"\x55\xaa" or head[512:520] == b"EFI PART"),
)


def sniff(head: bytes) -> str:
    """The short name of the format whose signature the bytes begin with, or UNKNOWN.

    head: the first HEAD_BYTES of the file, or all of it; 520 are enough for all but optical discs.
    """
    return next((name for name, matches in _SIGNATURES if matches(head)), UNKNOWN)


def _first_name(head: bytes) -> bytes:
    """The name of a tar file's first member; in an OVA that is its descriptor (OVF 1.1, section 4)."""
    return head[:100].partition(b"\0")[0]
