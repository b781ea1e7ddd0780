"""The one field of EXIF that a bare copy keeps: without it the picture would lie on its side."""

import io
import warnings
from typing import Final

_ORIENTATION: Final = 0x0112


def orientation_in(block: bytes) -> int:
    """1 to 8, from an EXIF block with or without the mark before it; 1, which is upright, for a damaged one."""
    from PIL import Image

    found = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.load_from_fp(io.BytesIO(block.removeprefix(b"Exif\0\0")))
            orientation = found.get(_ORIENTATION)
    except Exception:
        # Pillow raises errors of many kinds on damaged fields; whichever it is, nothing is known.
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def exif_with(orientation: int) -> bytes:
    """An EXIF block, without a mark, of this field alone: a TIFF header and one directory (TIFF 6.0, section 2)."""
    entry = _ORIENTATION.to_bytes(2, "little") + b"\x03\0\x01\0\0\0" + orientation.to_bytes(4, "little")
    return b"II*\0\x08\0\0\0\x01\0" + entry + b"\0\0\0\0"
