"""A DICOM file without what tells who is shown, after the basic profile of PS3.15, annex E, and stricter.

What may stay is listed. All else is left out: private elements, free text, people, dates, times, identifiers, overlays,
sequences that are not known. UIDs are replaced by random ones, so that nothing leads back to the original, or from one
copy to another. Pixels stay as they are; comments within compressed frames do not.
"""

import re
import struct
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydicom import dcmwrite
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from pinakes.imaging.bare import jpeg
from pinakes.imaging.dicom.codecs import JPEG, JPEG_LOSSLESS, JPEG_LS, NATIVE
from pinakes.imaging.dicom.frames import Frames, form_of
from pinakes.imaging.dicom.parsing import UNDEFINED, Parsed, code, parse, quietly, values
from pinakes.imaging.source import DEFAULT_LIMITS, Limits, Unreadable

_EMPTIED: Final = {
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
}
"""Those that every picture must have, if only without a value (type 2)."""

_SEQUENCES: Final = {
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence", "FrameContentSequence"),
    *("PixelValueTransformationSequence", "FrameVOILUTSequence", "FrameAnatomySequence"),
    *("ModalityLUTSequence", "VOILUTSequence", "RealWorldValueMappingSequence", "MeasurementUnitsCodeSequence"),
    *("AnatomicRegionSequence", "AnatomicRegionModifierSequence", "PrimaryAnatomicStructureSequence"),
    *("ViewCodeSequence", "ViewModifierCodeSequence", "SequenceOfUltrasoundRegions"),
    *("SegmentSequence", "SegmentIdentificationSequence", "SegmentedPropertyCategoryCodeSequence"),
    *("SegmentedPropertyTypeCodeSequence", "DimensionOrganizationSequence", "DimensionIndexSequence"),
    *("OpticalPathSequence", "IlluminationTypeCodeSequence"),
}

_TEXTS: Final = {
    *("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "RescaleType", "ModalityLUTType"),
    *("CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning", "SegmentLabel"),
    *("OpticalPathIdentifier", "ConvolutionKernel", "SequenceName"),
}
"""Of those of text, which the profile lets pass."""

_BINARIES: Final = {
    "LUTData",
    "ICCProfile",
    *(f"{part}{color}PaletteColorLookupTableData" for part in ("", "Segmented") for color in ("Red", "Green", "Blue")),
}

_NUMBERS: Final = {"AT", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV", "US or SS"}
_BINARY: Final = {"OB", "OB or OW", "OD", "OF", "OL", "OV", "OW", "US or OW", "US or SS or OW"}

_PATIENT: Final = 0x0010
_GROUPS_LEFT_OUT: Final = {_PATIENT, 0x0032, 0x0038, 0x4000, 0x4008}
"""Patient, study, visit, text and results (PS3.6)."""

_STANDARD_UIDS: Final = "1.2.840.10008."
_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_IMPLICIT: Final = "1.2.840.10008.1.2"
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"

_LONG_FORM: Final = {"OB", "OD", "OF", "OW", "UN"}
_PIECE_BYTES: Final = 1024 * 1024
_MOST_DEPTH: Final = 16


def copy(source_path: Path, target_path: Path, limits: Limits = DEFAULT_LIMITS) -> None:
    """Writes the copy. Raises Unreadable without pixels, or with text in them that is said to tell; LimitExceeded."""
    parsed = parse(source_path)
    try:
        frames = Frames(parsed, form_of(parsed), limits)
        if code(parsed.dataset, "BurnedInAnnotation") == "YES":
            raise Unreadable("The file says that text that may name the patient is part of the picture itself.")
        if _shows_label(parsed.dataset):
            raise Unreadable("The picture shows the label of a slide.")
        with target_path.open("wb") as target:
            _write(parsed, frames, target)
    finally:
        parsed.stream.close()


def _shows_label(dataset: Dataset) -> bool:
    """Of a slide's pictures of itself the label does, and an overview unless it says no (PS3.3, C.8.12.4.1.1)."""
    shows = code(dataset, "SpecimenLabelInImage")
    flavor = [str(part) for part in values(dataset, "ImageType")[2:3]]
    return shows == "YES" or flavor == ["LABEL"] or (flavor == ["OVERVIEW"] and shows != "NO")


def _write(parsed: Parsed, frames: Frames, target: BinaryIO) -> None:
    syntax = _EXPLICIT if parsed.syntax == _DEFLATED else parsed.syntax
    with quietly():
        try:
            bare = _Cleaner().clean(parsed.dataset)
            _declare(bare, frames.count if "NumberOfFrames" in parsed.dataset else None)
            meta = FileMetaDataset()
            meta.MediaStorageSOPClassUID = bare.SOPClassUID
            meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID
            meta.TransferSyntaxUID = UID(syntax)
            bare.file_meta = meta
            bare.preamble = b"\0" * 128
            dcmwrite(target, bare, enforce_file_format=True)
        except Exception as error:
            # pydicom raises errors of many kinds on values that it read but cannot write.
            raise Unreadable("The DICOM data set cannot be written anew.") from error
    for part in _pixels(parsed, frames, syntax):
        target.write(part)


def _declare(bare: Dataset, frames: int | None) -> None:
    """Says of itself what was done (PS3.15, E.1.1)."""
    method = Dataset()
    method.CodeValue = "113100"
    method.CodingSchemeDesignator = "DCM"
    method.CodeMeaning = "Basic Application Confidentiality Profile"
    bare.PatientIdentityRemoved = "YES"
    bare.DeidentificationMethod = "Pinakes: PS3.15 Basic Profile; unknown elements removed"
    bare.DeidentificationMethodCodeSequence = [method]
    bare.LongitudinalTemporalInformationModified = "REMOVED"
    for keyword in _EMPTIED:
        setattr(bare, keyword, None)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if keyword not in bare:
            setattr(bare, keyword, _random_uid())
    if frames is not None:
        bare.NumberOfFrames = frames


# Elements


class _Cleaner:
    """Cleans one file: a UID that comes twice is replaced by the same one."""

    def __init__(self) -> None:
        self._uids: dict[str, UID] = {}

    def clean(self, dataset: Dataset, depth: int = 0) -> Dataset:
        """The elements that may stay. Raises Unreadable for sequences within sequences without end."""
        if depth > _MOST_DEPTH:
            raise Unreadable("The DICOM data set is nested too deep.")
        bare = Dataset()
        for tag in list(dataset.keys()):
            if not _may_stay(tag) or (element := _element(dataset, tag)) is None:
                continue
            if (cleaned := self._cleaned(element, depth)) is None:
                continue
            # What is no number where one must be cannot be written, and does not stay.
            with suppress(ValueError, TypeError):
                bare.add_new(tag, element.VR, cleaned)
        return bare

    def _cleaned(self, element: DataElement, depth: int) -> Any:
        """The value that may stay; None for none."""
        keyword, found = element.keyword, element.value
        match element.VR:
            case "SQ":
                return [self.clean(item, depth + 1) for item in found] if keyword in _SEQUENCES else None
            case "UI":
                return _each(found, self._uid)
            case "CS":
                return found if all(_is_code(part) for part in _parts(found)) else None
            case "LO" | "SH":
                return found if keyword in _TEXTS else None
            case kind if kind in _BINARY:
                return found if keyword in _BINARIES else None
            case kind if kind in _NUMBERS:
                return found
            case _:
                return None

    def _uid(self, uid: str) -> str:
        """Those of the standard stay: they say what kind of thing it is."""
        return uid if not uid or uid.startswith(_STANDARD_UIDS) else self._uids.setdefault(uid, _random_uid())


def _may_stay(tag: BaseTag) -> bool:
    is_drawn_over = tag.group & 0xFF00 in {0x5000, 0x6000}
    return not (tag.is_private or tag.group in _GROUPS_LEFT_OUT or tag.group <= 2 or is_drawn_over)


def _element(dataset: Dataset, tag: BaseTag) -> DataElement | None:
    """None for one whose value is not what its kind demands, or lies in the file still because it is too long."""
    try:
        found = dataset[tag]
    except Exception:
        # The conversion of a value that lies raises errors of many kinds.
        return None
    return found if isinstance(found, DataElement) and found.value is not None else None


def _parts(found: Any) -> Sequence[Any]:
    return [found] if isinstance(found, str) else list(found)


def _each(found: Any, change: Callable[[str], str]) -> Any:
    changed = [change(str(part)) for part in _parts(found)]
    return changed[0] if len(changed) == 1 else changed


def _is_code(part: Any) -> bool:
    return re.fullmatch(r"[A-Z0-9_ ]{0,16}", str(part)) is not None


def _random_uid() -> UID:
    """PS3.5, B.2."""
    return UID(f"2.25.{uuid.uuid4().int}")


# Pixels


def _pixels(parsed: Parsed, frames: Frames, syntax: str) -> Iterator[bytes]:
    """The element of the pixels, which ends the file."""
    if parsed.syntax in NATIVE:
        length = frames.native_bytes
        yield _head(parsed, syntax, length + length % 2)
        for at in range(0, length, _PIECE_BYTES):
            yield frames.native_part(at, min(_PIECE_BYTES, length - at))
        yield b"\0" * (length % 2)
        return
    yield _head(parsed, syntax, UNDEFINED)
    yield _item(b"")  # the table of offsets may be empty (PS3.5, A.4)
    for index in range(frames.count):
        frame = frames.compressed(index)
        if parsed.syntax in JPEG | JPEG_LOSSLESS | JPEG_LS:
            frame = b"".join(jpeg.parts_of(frame))
        yield _item(frame)
    yield struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def _head(parsed: Parsed, syntax: str, length: int) -> bytes:
    assert parsed.pixels is not None
    order = ">" if parsed.is_big_endian else "<"
    tag = struct.pack(f"{order}HH", parsed.pixels.tag >> 16, parsed.pixels.tag & 0xFFFF)
    if syntax == _IMPLICIT:
        return tag + struct.pack("<I", length)
    kind = parsed.pixels.vr if parsed.pixels.vr in _LONG_FORM else "OW"
    if length == UNDEFINED:
        kind = "OB"
    return tag + str(kind).encode("ascii") + struct.pack(f"{order}HI", 0, length)


def _item(content: bytes) -> bytes:
    padded = content + b"\0" * (len(content) % 2)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(padded)) + padded
