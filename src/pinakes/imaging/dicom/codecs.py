"""One compressed frame to the numbers that were stored. What it claims of its size is checked before decoding."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pinakes.imaging.source import LimitExceeded, Unreadable

Stored = NDArray[Any]
"""Rows x columns, or rows x columns x 3; integers of 8, 16 or 32 bits, or floats."""

_SYNTAX: Final = "1.2.840.10008.1.2."

JPEG: Final = {_SYNTAX + "4.50", _SYNTAX + "4.51"}
JPEG_LOSSLESS: Final = {_SYNTAX + "4.57", _SYNTAX + "4.70"}
JPEG_LS: Final = {_SYNTAX + "4.80", _SYNTAX + "4.81"}
JPEG_2000: Final = {_SYNTAX + "4.90", _SYNTAX + "4.91", _SYNTAX + "4.92", _SYNTAX + "4.93"}
HTJ2K: Final = {_SYNTAX + "4.201", _SYNTAX + "4.202", _SYNTAX + "4.203"}
RLE: Final = {_SYNTAX + "5"}
NATIVE: Final = {"1.2.840.10008.1.2", _SYNTAX + "1", _SYNTAX + "2", _SYNTAX + "1.99"}

COMPRESSED: Final = JPEG | JPEG_LOSSLESS | JPEG_LS | JPEG_2000 | HTJ2K | RLE


@dataclass(frozen=True, slots=True)
class Form:
    """What the data set says of every frame (PS3.3, C.7.6.3). planar: one colour after the other."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    photometric: str
    is_planar: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)


@dataclass(frozen=True, slots=True)
class _Coded:
    """What a codestream says of itself. names_its_colors: a JPEG whose reader needs no telling."""

    width: int
    height: int
    components: int
    names_its_colors: bool = False


def decompress(syntax: str, data: bytes, form: Form) -> Stored:
    """The numbers of one frame. JPEG in colour comes out as RGB. Raises Unreadable, LimitExceeded."""
    if syntax not in RLE:
        _check_size(_coded_of(syntax, data), form)
    try:
        stored = _decoded(syntax, data, form)
    except MemoryError as error:
        raise LimitExceeded("Decoding this frame takes more memory than is allowed.") from error
    except Unreadable:
        raise
    except Exception as error:
        # Each codec of imagecodecs has an error class of its own, and ValueError beside it.
        raise Unreadable("A compressed frame is damaged.") from error
    if stored.shape != form.shape:
        raise Unreadable("A compressed frame has another size than the file says.")
    return stored


def _decoded(syntax: str, data: bytes, form: Form) -> Stored:
    import imagecodecs

    if syntax in RLE:
        return _rle(data, form)
    if syntax in JPEG_LS:
        return imagecodecs.jpegls_decode(data)
    if syntax in JPEG_2000:
        return imagecodecs.jpeg2k_decode(data)
    if syntax in HTJ2K:
        return imagecodecs.htj2k_decode(data)
    if syntax in JPEG_LOSSLESS:
        return imagecodecs.jpegsof3_decode(data)
    if form.samples == 1:
        return imagecodecs.jpeg8_decode(data)
    if _jpeg_coded(data).names_its_colors:
        return imagecodecs.jpeg8_decode(data, outcolorspace="RGB")
    color = "RGB" if form.photometric == "RGB" else "YCBCR"
    return imagecodecs.jpeg8_decode(data, colorspace=color, outcolorspace="RGB")


def _rle(data: bytes, form: Form) -> Stored:
    """PS3.5, annex G: a header with the number of segments, one for each byte of each sample."""
    import imagecodecs

    segments = int.from_bytes(data[:4], "little")
    if segments != form.samples * form.bits_allocated // 8:
        raise Unreadable("A compressed frame has another number of segments than the file says.")
    kind = np.dtype(f"<u{form.bits_allocated // 8}")
    length = form.rows * form.columns * form.samples * kind.itemsize
    flat = np.frombuffer(imagecodecs.dicomrle_decode(data, kind, out=length), kind)
    if form.samples == 1:
        return flat.reshape(form.shape)
    return flat.reshape(form.samples, form.rows, form.columns).transpose(1, 2, 0)


def _check_size(coded: _Coded, form: Form) -> None:
    if (coded.width, coded.height, coded.components) != (form.columns, form.rows, form.samples):
        raise Unreadable("A compressed frame has another size than the file says.")


def _coded_of(syntax: str, data: bytes) -> _Coded:
    return _jpeg_2000_coded(data) if syntax in JPEG_2000 | HTJ2K else _jpeg_coded(data)


def _jpeg_2000_coded(data: bytes) -> _Coded:
    """From the SIZ marker segment (ISO/IEC 15444-1, A.5.1), which follows at once on the start of the codestream."""
    start = data.find(b"\xff\x4f\xff\x51", 0, 4096)
    siz = data[start + 4 : start + 42]
    if start < 0 or len(siz) < 38:
        raise Unreadable("A compressed frame is not what its transfer syntax says.")
    right, bottom, left, top = (int.from_bytes(siz[at : at + 4], "big") for at in (4, 8, 12, 16))
    return _Coded(right - left, bottom - top, int.from_bytes(siz[36:38], "big"))


def _jpeg_coded(data: bytes) -> _Coded:
    """From the frame header of a JPEG or JPEG-LS (ISO/IEC 10918-1, B.2.2), and what comes before it."""
    if data[:2] != b"\xff\xd8":
        raise Unreadable("A compressed frame is not what its transfer syntax says.")
    at, names_its_colors = 2, False
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        is_frame = (0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}) or marker == 0xF7
        if is_frame and len(body) >= 6:
            names_its_colors |= bytes(body[6::3][:3]) == b"RGB"
            height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
            return _Coded(width, height, body[5], names_its_colors)
        names_its_colors |= marker == 0xE0 and body[:5] == b"JFIF\0"
        names_its_colors |= marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12
        at += 2 + max(length, 2)
    raise Unreadable("A compressed frame is damaged.")
