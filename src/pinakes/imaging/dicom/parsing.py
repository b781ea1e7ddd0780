"""The data set of a DICOM file up to its pixels, and where those lie. Nothing of the pixels is read here."""

import io
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_file_meta_info, read_partial
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian

from pinakes.imaging.source import LimitExceeded, Unreadable

UNDEFINED: Final = 0xFFFFFFFF

FLOAT_PIXELS: Final = 0x7FE00008
DOUBLE_PIXELS: Final = 0x7FE00009
PIXELS: Final = 0x7FE00010

_MOST_ELEMENTS: Final = 100_000
_MOST_VALUE_BYTES: Final = 32 * 1024 * 1024
"""Of one element before the pixels; longer ones stay in the file and count as absent."""
_MOST_INFLATED_BYTES: Final = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixels are. start: of the value, in bytes.   length: UNDEFINED for those that are encapsulated."""

    tag: int
    vr: str | None
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """An open file. stream: what `pixels.start` counts in; the file, or what a deflated data set inflates to."""

    dataset: Dataset
    meta: Dataset
    stream: BinaryIO
    stream_bytes: int
    pixels: PixelElement | None

    @property
    def syntax(self) -> str:
        """The UID of the transfer syntax; implicit little endian where the file does not say (PS3.5, section 10)."""
        return str(value(self.meta, "TransferSyntaxUID") or "1.2.840.10008.1.2")

    @property
    def is_big_endian(self) -> bool:
        return self.syntax == "1.2.840.10008.1.2.2"


def parse(path: Path) -> Parsed:
    """Open a file and read all before its pixels; the caller closes `stream`. Raises Unreadable, LimitExceeded."""
    stream: BinaryIO = path.open("rb")
    try:
        with quietly():
            return _parse(path, stream)
    except (Unreadable, LimitExceeded):
        stream.close()
        raise
    except MemoryError as error:
        stream.close()
        raise LimitExceeded("Reading this DICOM file takes more memory than is allowed.") from error
    except Exception as error:
        # pydicom raises errors of many kinds on broken files, RecursionError among them.
        stream.close()
        raise Unreadable("The DICOM data set is damaged.") from error


def _parse(path: Path, stream: BinaryIO) -> Parsed:
    meta: Dataset = read_file_meta_info(path)
    found: list[PixelElement] = []
    count = 0

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        nonlocal count
        count += 1
        if count > _MOST_ELEMENTS:
            raise LimitExceeded(f"The DICOM data set has more than {_MOST_ELEMENTS} elements.")
        if tag in {FLOAT_PIXELS, DOUBLE_PIXELS, PIXELS}:
            found.append(PixelElement(int(tag), vr, stream.tell(), length))
            return True
        return False

    dataset: Dataset
    if value(meta, "TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        deflated = stream
        stream = _inflated(deflated, meta)
        deflated.close()
        dataset = read_dataset(stream, False, True, stop_when=at_pixels, defer_size=_MOST_VALUE_BYTES)
    else:
        dataset = read_partial(stream, stop_when=at_pixels, defer_size=_MOST_VALUE_BYTES)
    return Parsed(dataset, meta, stream, stream.seek(0, io.SEEK_END), found[0] if found else None)


def _inflated(stream: BinaryIO, meta: Dataset) -> io.BytesIO:
    """The data set that follows the meta information, inflated (PS3.5, annex A.5)."""
    preamble, group_length_element = 132, 12
    stream.seek(preamble + group_length_element + int(meta.FileMetaInformationGroupLength))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(stream.read(_MOST_INFLATED_BYTES), _MOST_INFLATED_BYTES)
    if not inflater.eof and (inflater.unconsumed_tail or stream.read(1)):
        raise LimitExceeded(f"The DICOM data set inflates to more than {_MOST_INFLATED_BYTES} bytes.")
    return io.BytesIO(inflated)


@contextmanager
def quietly() -> Iterator[None]:
    """pydicom neither warns of nor refuses odd values: what matters of them is checked where it is used."""
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def value(dataset: Dataset, keyword: str) -> Any:
    """The value of an element; None if it is absent, empty, too long or not what its kind demands."""
    with quietly():
        try:
            found = dataset.get(keyword)
        except Exception:
            # The conversion of a value that lies raises errors of many kinds.
            return None
    return None if found is None or found == "" else found


def values(dataset: Dataset, keyword: str) -> list[Any]:
    """The values of an element, of which there may be one or several; none where `value` gives None."""
    found = value(dataset, keyword)
    if isinstance(found, (list, MultiValue)):
        return list(found)
    return [] if found is None else [found]


def number(dataset: Dataset, keyword: str) -> float | None:
    """The first of the values of an element, if it is a finite number."""
    found = values(dataset, keyword)
    try:
        as_float = float(found[0])
    except (IndexError, TypeError, ValueError, OverflowError):
        return None
    return as_float if abs(as_float) < float("inf") else None


def whole_number(dataset: Dataset, keyword: str) -> int | None:
    """As `number`, if it is whole."""
    found = number(dataset, keyword)
    return int(found) if found is not None and found == int(found) else None


def code(dataset: Dataset, keyword: str) -> str | None:
    """The first value of a code string (VR CS), if it is well formed: such as MONOCHROME2."""
    text = str(next(iter(values(dataset, keyword)), "")).strip()
    return text if re.fullmatch(r"[A-Z0-9_ ]{1,16}", text) else None


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none if it is absent or damaged."""
    found = value(dataset, keyword)
    return list(found) if isinstance(found, pydicom.Sequence) else []
