"""Where each frame of a DICOM file lies, and its numbers as they were stored."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pinakes.imaging.dicom.codecs import COMPRESSED, NATIVE, RLE, Form, Stored, decompress
from pinakes.imaging.dicom.parsing import (
    DOUBLE_PIXELS,
    FLOAT_PIXELS,
    UNDEFINED,
    Parsed,
    code,
    value,
    whole_number,
)
from pinakes.imaging.source import LimitExceeded, Limits, Unreadable

_ITEM: Final = 0xFFFEE000
_END: Final = 0xFFFEE0DD
_FRAGMENTS_PER_FRAME: Final = 16
_MOST_FRAME_BYTES_MORE: Final = 1024 * 1024
"""What a compressed frame may have beside twice the bytes of its pixels."""

_SAMPLES: Final = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
}
"""Samples per pixel, by photometric interpretation (PS3.3, C.7.6.3.1.2)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """So many bytes of the stream."""

    start: int
    length: int


def form_of(parsed: Parsed) -> Form:
    """What the data set says of its frames. Raises Unreadable if it says too little, or what cannot be."""
    dataset = parsed.dataset
    said = [whole_number(dataset, name) or 0 for name in ("Rows", "Columns", "BitsAllocated")]
    rows, columns, bits_allocated = said
    if parsed.pixels is None:
        raise Unreadable("The DICOM file has no pixels.")
    if rows < 1 or columns < 1:
        raise Unreadable("The DICOM file has no rows or no columns.")
    bits_allocated = {FLOAT_PIXELS: 32, DOUBLE_PIXELS: 64}.get(parsed.pixels.tag, bits_allocated)
    samples = whole_number(dataset, "SamplesPerPixel") or 1
    photometric = code(dataset, "PhotometricInterpretation") or ("MONOCHROME2" if samples == 1 else "RGB")
    bits_stored = whole_number(dataset, "BitsStored") or bits_allocated
    high_bit = whole_number(dataset, "HighBit")
    if is_float(parsed):
        bits_stored, high_bit = bits_allocated, None
    allowed = {1: {1, 8, 16, 32, bits_allocated if is_float(parsed) else 1}, 3: {8, 16, 32}}
    known = samples == _SAMPLES.get(photometric) and bits_allocated in allowed[samples]
    if not known or not 1 <= bits_stored <= bits_allocated:
        raise Unreadable("The DICOM file has pixels of a kind that is not read here.")
    return Form(
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=high_bit
        if high_bit is not None and bits_stored <= high_bit + 1 <= bits_allocated
        else bits_stored - 1,
        is_signed=whole_number(dataset, "PixelRepresentation") == 1,
        photometric=photometric,
        is_planar=whole_number(dataset, "PlanarConfiguration") == 1,
    )


def is_float(parsed: Parsed) -> bool:
    return parsed.pixels is not None and parsed.pixels.tag in {FLOAT_PIXELS, DOUBLE_PIXELS}


class Frames:
    """The frames of an open file. count: those that are there, which may be fewer than it says.

    excess: why none of them can be shown, if they are too large for that.
    """

    def __init__(self, parsed: Parsed, form: Form, limits: Limits) -> None:
        """Raises Unreadable if there is not one whole frame; LimitExceeded for too many ones."""
        is_too_large = form.rows * form.columns > limits.pixels
        self.excess = (
            f"A frame has more than {limits.pixels} pixels: it is too large to be shown." if is_too_large else None
        )
        self._parsed = parsed
        self._form = form
        self.declared = max(whole_number(parsed.dataset, "NumberOfFrames") or 1, 1)
        if parsed.syntax in NATIVE:
            self._pieces: Sequence[Sequence[Piece]] | None = None
            self.count = min(self.declared, self._whole_native_frames())
        elif parsed.syntax in COMPRESSED:
            self._pieces = self._encapsulated_frames(limits)
            self.count = min(self.declared, len(self._pieces))
        else:
            raise Unreadable("The DICOM file is compressed in a way that is not read here.")
        if self.count < 1:
            raise Unreadable("The pixels of the DICOM file are cut off.")
        if self.count > limits.directories:
            raise LimitExceeded(f"The DICOM file has more than {limits.directories} frames.")

    def stored(self, index: int) -> Stored:
        """The numbers of one frame, from 0: signed where the file says so, colours last.

        YBR_FULL stays as it is unless its compression has turned it into RGB. Raises Unreadable, LimitExceeded.
        """
        if not 0 <= index < self.count:
            raise Unreadable("The DICOM file has no such frame.")
        if self.excess is not None:
            raise LimitExceeded(self.excess)
        if self._pieces is None:
            return self._native(index)
        found = decompress(self._parsed.syntax, self.compressed(index), self._form)
        if self._form.samples == 3:
            return found
        # Only what is merely packed keeps its place among the bits allocated.
        form = self._form if self._parsed.syntax in RLE else replace(self._form, high_bit=self._form.bits_stored - 1)
        return signed(found, form)

    def compressed(self, index: int) -> bytes:
        """The bytes of one compressed frame, if they are not many more than its pixels can need."""
        assert self._pieces is not None
        pieces = self._pieces[index]
        if sum(piece.length for piece in pieces) > self._frame_bits() // 4 + _MOST_FRAME_BYTES_MORE:
            raise LimitExceeded("A compressed frame has more bytes than its pixels can need.")
        return b"".join(self._read(piece) for piece in pieces)

    # Not compressed (PS3.5, section 8)

    @property
    def native_bytes(self) -> int:
        """Of all frames that are not compressed, with the byte that makes it an even number, if there is one."""
        assert self._parsed.pixels is not None
        exact = -(-self.count * self._frame_bits() // 8)
        return min(exact + exact % 2, self._parsed.pixels.length, self._parsed.stream_bytes - self._parsed.pixels.start)

    def native_part(self, at: int, length: int) -> bytes:
        """Bytes of frames that are not compressed, as they are stored."""
        assert self._parsed.pixels is not None
        return self._read(Piece(self._parsed.pixels.start + at, length))

    def _frame_bits(self) -> int:
        pixels = self._form.rows * self._form.columns
        if self._form.photometric == "YBR_FULL_422":
            return pixels * 2 * self._form.bits_allocated
        return pixels * self._form.samples * self._form.bits_allocated

    def _whole_native_frames(self) -> int:
        pixels = self._parsed.pixels
        if pixels is None or pixels.length == UNDEFINED:
            raise Unreadable("The pixels of the DICOM file are not stored as it says.")
        return min(pixels.length, self._parsed.stream_bytes - pixels.start) * 8 // self._frame_bits()

    def _native(self, index: int) -> Stored:
        form = self._form
        assert self._parsed.pixels is not None
        first_bit = index * self._frame_bits()
        start, end = first_bit // 8, -(-(first_bit + self._frame_bits()) // 8)
        data = self._bytes_in_order(start, end)
        if form.bits_allocated == 1:
            bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[first_bit % 8 :]
            return bits[: form.rows * form.columns * form.samples].reshape(form.shape)
        order = ">" if self._parsed.is_big_endian else "<"
        kind = "f" if is_float(self._parsed) else "u"
        flat = np.frombuffer(data, np.dtype(f"{order}{kind}{form.bits_allocated // 8}"))
        if kind == "f":
            return flat.reshape(form.shape)
        if form.photometric == "YBR_FULL_422":
            return _unfolded_422(flat, form)
        if form.samples == 1:
            return signed(flat.reshape(form.shape), form)
        if form.is_planar:
            return flat.reshape(form.samples, form.rows, form.columns).transpose(1, 2, 0)
        return flat.reshape(form.shape)

    def _bytes_in_order(self, start: int, end: int) -> bytes:
        """Bytes of the value. Big endian words of 16 bits that hold smaller pixels have them the wrong way round."""
        pixels = self._parsed.pixels
        assert pixels is not None
        if not (self._parsed.is_big_endian and pixels.vr == "OW" and self._form.bits_allocated <= 8):
            return self._read(Piece(pixels.start + start, end - start))
        even = start - start % 2
        words = self._read(Piece(pixels.start + even, min(end + end % 2, pixels.length) - even))
        return np.frombuffer(words[: len(words) // 2 * 2], ">u2").astype("<u2").tobytes()[start - even : end - even]

    # Encapsulated (PS3.5, annex A.4)

    def _encapsulated_frames(self, limits: Limits) -> Sequence[Sequence[Piece]]:
        pixels = self._parsed.pixels
        if pixels is None or pixels.length != UNDEFINED:
            raise Unreadable("The pixels of the DICOM file are not stored as it says.")
        pieces = fragments(self._parsed, limits.directories * _FRAGMENTS_PER_FRAME)
        if not pieces:
            return []
        table, pieces = pieces[0], pieces[1:]
        offsets = self._offsets(table, limits)
        if len(pieces) == self.declared:
            return [[piece] for piece in pieces]
        if self.declared == 1:
            return [pieces] if pieces else []
        if len(offsets) > 1 and offsets[0] == 0 and list(offsets) == sorted(set(offsets)):
            return _split_at(pieces, offsets)
        return self._split_at_ends(pieces)

    def _offsets(self, table: Piece, limits: Limits) -> Sequence[int]:
        """Of the first item of each frame, counted from the first item: by the extended table, else the basic one."""
        extended = value(self._parsed.dataset, "ExtendedOffsetTable")
        if isinstance(extended, bytes) and extended:
            count = min(len(extended) // 8, limits.directories)
            return struct.unpack(f"<{count}Q", extended[: count * 8])
        count = min(table.length // 4, limits.directories)
        return struct.unpack(f"<{count}I", self._read(Piece(table.start, count * 4)))

    def _split_at_ends(self, pieces: Sequence[Piece]) -> list[list[Piece]]:
        """Frames without a table: each ends in a piece with the marker that ends a JPEG of any kind."""
        frames: list[list[Piece]] = [[]]
        for piece in pieces:
            frames[-1].append(piece)
            tail = min(piece.length, 4)
            if b"\xff\xd9" in self._read(Piece(piece.start + piece.length - tail, tail)):
                frames.append([])
        return frames[:-1]  # what follows the last marker is no whole frame

    def _read(self, piece: Piece) -> bytes:
        self._parsed.stream.seek(piece.start)
        data = self._parsed.stream.read(piece.length)
        if len(data) < piece.length:
            raise Unreadable("The pixels of the DICOM file are cut off.")
        return data


def fragments(parsed: Parsed, most: int) -> list[Piece]:
    """The items of encapsulated pixels that lie wholly in the file; the first is the basic offset table.

    Raises LimitExceeded for more than `most`.
    """
    assert parsed.pixels is not None
    found: list[Piece] = []
    at = parsed.pixels.start
    while at + 8 <= parsed.stream_bytes:
        parsed.stream.seek(at)
        group, element, length = struct.unpack("<HHI", parsed.stream.read(8))
        if group << 16 | element != _ITEM or at + 8 + length > parsed.stream_bytes:
            break
        if len(found) > most:
            raise LimitExceeded(f"The pixels of the DICOM file lie in more than {most} pieces.")
        found.append(Piece(at + 8, length))
        at += 8 + length
    return found


def _split_at(pieces: Sequence[Piece], offsets: Sequence[int]) -> list[list[Piece]]:
    """Frames by the offsets of their first items."""
    frames: list[list[Piece]] = []
    starts = set(offsets)
    for piece in pieces:
        if piece.start - pieces[0].start in starts:
            frames.append([])
        frames[-1].append(piece)
    return frames


def signed(stored: Stored, form: Form) -> Stored:
    """The bits that count, and their sign: other bits may hold an overlay, or nothing certain (PS3.5, 8.1.1)."""
    if form.bits_stored > 32:
        raise Unreadable("The DICOM file has pixels of a kind that is not read here.")
    unsigned = stored.view(stored.dtype.str.replace("i", "u"))
    shift = form.high_bit + 1 - form.bits_stored
    if shift:
        unsigned = unsigned >> shift
    wide = 32 if form.bits_stored > 16 else 16
    native = unsigned.astype(f"u{wide // 8}")
    if not form.is_signed:
        masked: Stored = native & native.dtype.type(2**form.bits_stored - 1)
        return masked
    spare = wide - form.bits_stored
    lifted: Stored = (native << spare).view(f"i{wide // 8}")
    return lifted >> spare


def _unfolded_422(flat: Stored, form: Form) -> Stored:
    """Y1 Y2 Cb Cr for every two pixels (PS3.3, C.7.6.3.1.2)."""
    if form.columns % 2:
        raise Unreadable("The DICOM file has pixels of a kind that is not read here.")
    pairs = flat.reshape(form.rows, form.columns // 2, 4)
    full = np.empty(form.shape, flat.dtype)
    full[:, 0::2, 0], full[:, 1::2, 0] = pairs[..., 0], pairs[..., 1]
    full[..., 1] = np.repeat(pairs[..., 2], 2, axis=1)
    full[..., 2] = np.repeat(pairs[..., 3], 2, axis=1)
    return full
