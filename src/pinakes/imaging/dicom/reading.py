"""A DICOM file as a picture, or as many: the frames are its pages, and the first is the picture."""

import hashlib
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import UID

from pinakes.imaging.closing import Closing
from pinakes.imaging.dicom.frames import Frames, form_of, is_float
from pinakes.imaging.dicom.identity import identity_in
from pinakes.imaging.dicom.parsing import Parsed, code, number, parse, value, whole_number
from pinakes.imaging.dicom.shades import Shades, looks_of, shades_of
from pinakes.imaging.pixel_digest import Samples
from pinakes.imaging.source import (
    DEFAULT_LIMITS,
    Description,
    Level,
    LimitExceeded,
    Limits,
    Pixels,
    Rect,
    Size,
    StoredTile,
    Unreadable,
)

_UID: Final = re.compile(r"[0-9.]{1,64}")
_WHOLE_SLIDE: Final = "1.2.840.10008.5.1.4.1.1.77.1.6"


def open_dicom(path: Path, limits: Limits = DEFAULT_LIMITS) -> "DicomSource":
    """Open a file that has pixels. Raises Unreadable for others, and for whole slides in tiles; LimitExceeded."""
    parsed = parse(path)
    try:
        return DicomSource(parsed, limits)
    except BaseException:
        parsed.stream.close()
        raise


class DicomSource(Closing):
    """An ImageSource. The frame last shown is kept, in shades: a viewer asks for many parts of one frame."""

    description: Description

    def __init__(self, parsed: Parsed, limits: Limits) -> None:
        if _is_tiled(parsed.dataset):
            raise Unreadable("This DICOM file is a whole slide in tiles.")
        self._parsed = parsed
        self._limits = limits
        self._form = form_of(parsed)
        self._frames = Frames(parsed, self._form, limits)
        self._shown: tuple[int, Shades] | None = None
        self.description = _description(parsed, self._frames, Size(self._form.columns, self._form.rows))

    def read_region(self, rect: Rect, size: Size, *, frame: int = 0) -> Pixels:
        if size.width * size.height > self._limits.output_pixels:
            raise LimitExceeded(f"More than {self._limits.output_pixels} pixels at once are not given.")
        part = self._frame(frame)[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
        if part.shape[:2] != (size.height, size.width):
            scaled = Image.fromarray(np.ascontiguousarray(part)).resize(
                (size.width, size.height), Image.Resampling.LANCZOS, reducing_gap=3.0
            )
            part = np.asarray(scaled)
        return np.repeat(part[..., None], 3, axis=-1) if part.ndim == 2 else np.ascontiguousarray(part)

    def read_associated(self, name: str) -> Pixels:
        raise KeyError(name)

    def stored_tile(self, level: int, column: int, row: int) -> StoredTile | None:
        if (level, column, row) != (0, 0, 0):
            raise IndexError("The picture is not tiled.")
        return None

    def stored_samples(self) -> Samples | None:
        """See `pixel_digest`."""
        form = self._form
        if is_float(self._parsed):
            return None
        bits = next(bits for bits in (8, 16, 32) if form.bits_stored <= bits)
        kind = f"<{'i' if form.is_signed and form.samples == 1 else 'u'}{bits // 8}"
        parts = (self._frames.stored(index).astype(kind).tobytes() for index in range(self._frames.count))
        return Samples(form.columns, form.rows, form.samples, bits, parts)

    def close(self) -> None:
        self._parsed.stream.close()

    def _frame(self, index: int) -> Shades:
        if self._shown is None or self._shown[0] != index:
            self._shown = None  # two frames need not be in memory at once
            stored = self._frames.stored(index)
            looks = looks_of(self._parsed.dataset, index)
            big = self._parsed.is_big_endian
            self._shown = index, shades_of(stored, self._form, looks, self._parsed.syntax, is_big_endian=big)
        return self._shown[1]


def _is_tiled(dataset: Dataset) -> bool:
    """A whole slide whose frames are its tiles; one that is a single frame is a picture like any other."""
    if value(dataset, "SOPClassUID") != _WHOLE_SLIDE:
        return False
    whole = whole_number(dataset, "TotalPixelMatrixColumns"), whole_number(dataset, "TotalPixelMatrixRows")
    return whole != (whole_number(dataset, "Columns"), whole_number(dataset, "Rows"))


def _description(parsed: Parsed, frames: Frames, size: Size) -> Description:
    warnings = [] if frames.excess is None else [frames.excess]
    if frames.count < frames.declared:
        warnings.append("The file says that it has more frames than are there.")
    if code(parsed.dataset, "BurnedInAnnotation") == "YES":
        warnings.append("Text that may name the patient is part of the picture itself.")
    return Description(
        format="dicom",
        size=size,
        levels=(Level(size, 1.0),) if frames.excess is None else (),
        mpp=_mpp(parsed.dataset),
        frames=frames.count,
        captured_at=captured_at(parsed.dataset),
        facts=_facts(parsed),
        warnings=tuple(warnings),
        identity=identity_in(parsed.dataset),
        study=_study(parsed.dataset),
    )


def _study(dataset: Dataset) -> str | None:
    """The UID tells on the patient to who has others of the study, and so it is kept as a digest only."""
    uid = str(value(dataset, "StudyInstanceUID") or "")
    return hashlib.sha256(uid.encode("ascii")).hexdigest() if _UID.fullmatch(uid) else None


def _mpp(dataset: Dataset) -> tuple[float, float] | None:
    """From the spacing of rows and columns in millimetres, in the patient or else at the detector (PS3.3, 10.7)."""
    looks = looks_of(dataset, 0)
    for keyword in ("PixelSpacing", "NominalScannedPixelSpacing", "ImagerPixelSpacing"):
        found = value(looks, keyword)
        try:
            down, across = (float(part) * 1000 for part in found)
        except (TypeError, ValueError):
            continue
        if 0 < down < float("inf") and 0 < across < float("inf"):
            return across, down
    return None


_CODED_FACTS: Final = {
    "modality": "Modality",
    "body_part": "BodyPartExamined",
    "view_position": "ViewPosition",
    "laterality": "ImageLaterality",
    "photometric_interpretation": "PhotometricInterpretation",
}


def _facts(parsed: Parsed) -> dict[str, Any]:
    """Codes and numbers only: free text may name the patient."""
    facts: dict[str, Any] = {
        name: found for name, keyword in _CODED_FACTS.items() if (found := code(parsed.dataset, keyword)) is not None
    }
    facts["transfer_syntax"] = UID(parsed.syntax).name
    for name, keyword in (("bits_stored", "BitsStored"), ("samples_per_pixel", "SamplesPerPixel")):
        if (count := whole_number(parsed.dataset, keyword)) is not None:
            facts[name] = count
    for name, keyword in (("window_center", "WindowCenter"), ("window_width", "WindowWidth")):
        if (width := number(parsed.dataset, keyword)) is not None:
            facts[name] = width
    return facts


# When

_DATE: Final = re.compile(r"(\d{4})(\d{2})(\d{2})")
_TIME: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d)?([0-5]\d|60)?(\.\d{1,6})?\s*")
_OFFSET: Final = re.compile(r"([+-](?:0\d|1[0-4]))([0-5]\d)")


def captured_at(dataset: Dataset) -> str | None:
    """When the picture was taken, as ISO 8601, from the most exact of the dates that are given (PS3.5, 6.2)."""
    offset = str(value(dataset, "TimezoneOffsetFromUTC") or "").strip()
    whole = str(value(dataset, "AcquisitionDateTime") or "").strip()
    day, time = whole[:8], whole[8:]
    if (sign := max(time.find("+"), time.find("-"))) >= 0:
        time, offset = time[:sign], time[sign:]
    found = _iso(day, time, offset)
    for name in ("Acquisition", "Content", "Series", "Study"):
        found = found or _iso(
            str(value(dataset, f"{name}Date") or ""), str(value(dataset, f"{name}Time") or ""), offset
        )
    return found


def _iso(day: str, time: str, offset: str) -> str | None:
    date = _DATE.fullmatch(day.strip())
    if date is None or not ("01" <= date[2] <= "12" and "01" <= date[3] <= "31"):
        return None
    text = "-".join(date.groups())
    clock = _TIME.fullmatch(time)
    if clock is None:
        return text
    zone = _OFFSET.fullmatch(offset)
    text += f"T{clock[1]}:{clock[2] or '00'}:{clock[3] or '00'}{clock[4] or ''}"
    return f"{text}{zone[1]}:{zone[2]}" if zone else text
