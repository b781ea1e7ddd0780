"""From stored numbers to what a screen shows: rescale, window or VOI LUT, inversion, palette, colour space.

    stored ── modality (slope or LUT) ── VOI (LUT or window) ── inverted for MONOCHROME1 ──> grey, 0 to 255
    stored ── palette, or YBR to RGB ──> colour

After PS3.4, N.2, and PS3.3, C.7.6.3 and C.11.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pinakes.imaging.dicom.codecs import JPEG, Form, Stored
from pinakes.imaging.dicom.parsing import code, items, number, value, values
from pinakes.imaging.source import Unreadable

Values = NDArray[np.float64]
Shades = NDArray[np.uint8]
"""Rows x columns, or rows x columns x 3."""


def shades_of(stored: Stored, form: Form, looks: Dataset, syntax: str, *, is_big_endian: bool = False) -> Shades:
    """One frame as it is to be seen. looks: the elements that hold for this frame, as `looks_of` gives them."""
    if form.photometric == "PALETTE COLOR":
        return _through_palette(stored, looks, is_big_endian)
    if form.samples == 3:
        color = _eight_bits(stored, form)
        is_ybr = form.photometric in {"YBR_FULL", "YBR_FULL_422"} and syntax not in JPEG
        return _rgb_of_ybr(color) if is_ybr else color
    with np.errstate(over="ignore", invalid="ignore"):  # a file may ask for any window
        grey = _grey_of(stored, form, looks, is_big_endian)
    is_inverse = form.photometric == "MONOCHROME1" or code(looks, "PresentationLUTShape") == "INVERSE"
    return 255 - grey if is_inverse else grey


def looks_of(dataset: Dataset, frame: int) -> Dataset:
    """What is said of how a frame looks: of the frame itself, else of all frames, else of the file.

    Enhanced objects keep it in functional groups (PS3.3, C.7.6.16.2).
    """
    looks = Dataset()
    looks.update(dataset)
    groups = items(dataset, "SharedFunctionalGroupsSequence")[:1]
    groups += items(dataset, "PerFrameFunctionalGroupsSequence")[frame : frame + 1]
    for group in groups:
        for macro in ("PixelValueTransformationSequence", "FrameVOILUTSequence", "PixelMeasuresSequence"):
            for item in items(group, macro)[:1]:
                looks.update(item)
    return looks


# Grey


def _grey_of(stored: Stored, form: Form, looks: Dataset, is_big_endian: bool) -> Shades:
    """Few values are looked up in a table of all of them; others are computed pixel by pixel."""
    modality = _modality(looks, is_big_endian)
    if stored.dtype.kind == "f" or form.bits_stored > 16:
        values = modality(np.nan_to_num(stored.astype(np.float64)))
        return _voi(looks, is_big_endian, lambda: _range_of(values))(values)
    lowest = -(2 ** (form.bits_stored - 1)) if form.is_signed else 0
    possible = modality(np.arange(lowest, lowest + 2**form.bits_stored, dtype=np.float64))
    positions = stored.astype(np.int32) - lowest if form.is_signed else stored

    def full() -> tuple[float, float]:
        is_ready_to_show = form.bits_stored <= 8 and not form.is_signed
        return _range_of(possible if is_ready_to_show else possible[_present(positions, looks, form, lowest)])

    table: Shades = _voi(looks, is_big_endian, full)(possible)
    return table[positions]


def _present(positions: Stored, looks: Dataset, form: Form, lowest: int) -> NDArray[np.bool_]:
    """Which of the possible values occur, padding around the picture aside (PS3.3, C.7.5.1.1.2)."""
    present = np.bincount(positions.ravel(), minlength=2**form.bits_stored) > 0
    padding = number(looks, "PixelPaddingValue")
    if padding is not None and 0 <= int(padding) - lowest < present.size and present.sum() > 1:
        present[int(padding) - lowest] = False
    return present


def _range_of(values: Values) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _modality(looks: Dataset, is_big_endian: bool) -> Callable[[Values], Values]:
    """Stored numbers to those of the apparatus, such as Hounsfield units (PS3.3, C.11.1)."""
    sequence = items(looks, "ModalityLUTSequence")
    if sequence:
        return _table_of(sequence[0], is_big_endian)
    slope, intercept = number(looks, "RescaleSlope"), number(looks, "RescaleIntercept") or 0.0
    if slope is None or slope == 0.0:
        slope = 1.0
    return lambda values: values * slope + intercept


def _voi(looks: Dataset, is_big_endian: bool, full: Callable[[], tuple[float, float]]) -> Callable[[Values], Shades]:
    """Numbers of the apparatus to shades: by the LUT, else by the first window, else all there is, as `full` finds."""
    sequence = items(looks, "VOILUTSequence")
    if sequence:
        table = _table_of(sequence[0], is_big_endian)
        bits = _descriptor(sequence[0], "LUTDescriptor")[2]
        return lambda values: _to_shades(table(values) / (2**bits - 1))
    center, width = number(looks, "WindowCenter"), number(looks, "WindowWidth")
    function = code(looks, "VOILUTFunction") or "LINEAR"
    if center is None or width is None or width < (1 if function == "LINEAR" else math.ulp(1.0)):
        low, high = full()
        return lambda values: _to_shades((values - low) / ((high - low) or 1.0))
    if function == "SIGMOID":
        return lambda values: _to_shades(1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700))))
    if function == "LINEAR_EXACT":
        return lambda values: _to_shades((values - center) / width + 0.5)
    # A width of 1 is a threshold (PS3.3, C.11.2.1.2.1).
    return lambda values: _to_shades(
        (values - (center - 0.5)) / (width - 1) + 0.5 if width > 1 else (values > center - 0.5).astype(np.float64)
    )


def _to_shades(parts: Values) -> Shades:
    """0.0 to 1.0 as 0 to 255; what lies outside is black or white."""
    return (np.clip(np.nan_to_num(parts), 0.0, 1.0) * 255 + 0.5).astype(np.uint8)


# Look-up tables (PS3.3, C.11.1.1 and C.7.6.3.1.5)


@dataclass(frozen=True, slots=True)
class _Table:
    first: int
    entries: Values

    def __call__(self, values: Values) -> Values:
        """What lies before the first entry is taken for the first, what lies after the last for the last."""
        places = np.clip(np.rint(values) - self.first, 0, self.entries.size - 1).astype(np.int64)
        found: Values = self.entries[places]
        return found


def _descriptor(item: Dataset, keyword: str) -> tuple[int, int, int]:
    """Number of entries, first value mapped, bits of an entry. Raises Unreadable."""
    found = values(item, keyword)
    if len(found) != 3 or not all(isinstance(part, int) for part in found):
        raise Unreadable("A look-up table of the DICOM file is damaged.")
    count, first, bits = found
    if not 1 <= bits <= 16 or not 0 <= count <= 2**16:
        raise Unreadable("A look-up table of the DICOM file is damaged.")
    return count or 2**16, first, bits


def _table_of(item: Dataset, is_big_endian: bool) -> _Table:
    count, first, bits = _descriptor(item, "LUTDescriptor")
    return _Table(first, _entries(value(item, "LUTData"), count, bits, is_big_endian))


def _entries(data: Any, count: int, bits: int, is_big_endian: bool) -> Values:
    """Entries of 8 bits may lie two in a word or one."""
    if isinstance(data, (bytes, bytearray)):
        one_byte = bits <= 8 and len(data) < 2 * count
        order = ">" if is_big_endian else "<"
        found = np.frombuffer(data, np.uint8 if one_byte else f"{order}u2", count=-1 if len(data) % 2 == 0 else 0)
    else:
        found = np.asarray(data if data is not None else [], np.int64).ravel()
    if found.size < count:
        raise Unreadable("A look-up table of the DICOM file is damaged.")
    return found[:count].astype(np.float64)


# Colour

_COLORS: Final = ("Red", "Green", "Blue")


def _through_palette(stored: Stored, looks: Dataset, is_big_endian: bool) -> Shades:
    channels = []
    for color in _COLORS:
        count, first, bits = _descriptor(looks, f"{color}PaletteColorLookupTableDescriptor")
        data = value(looks, f"{color}PaletteColorLookupTableData")
        if data is None:
            raise Unreadable("The palette of the DICOM file is missing, or of a kind that is not read here.")
        table = _Table(first, _entries(data, count, bits, is_big_endian))
        most = 255.0 if table.entries.max() <= 255 and bits <= 8 else 65535.0
        possible = np.arange(first, first + count, dtype=np.float64)
        shades = _to_shades(table(possible) / most)
        channels.append(shades[np.clip(stored.astype(np.int64) - first, 0, count - 1)])
    return np.stack(channels, axis=-1)


def _eight_bits(stored: Stored, form: Form) -> Shades:
    """Colours of more than 8 bits lose their lowest ones."""
    if stored.dtype == np.uint8 and form.bits_stored == 8:
        return np.ascontiguousarray(stored)
    most = 2**form.bits_stored - 1
    return _to_shades(stored.astype(np.float64) / most)


def _rgb_of_ybr(ybr: Shades) -> Shades:
    """Full range, after CCIR 601-2 (PS3.3, C.7.6.3.1.2)."""
    y, cb, cr = (ybr[..., channel].astype(np.float32) - (128 if channel else 0) for channel in range(3))
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    shades: Shades = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
    return shades
