"""Makes DICOM files with given pixels, and finds those that come with pydicom. What is in them is invented."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    generate_uid,
)

PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
"""Files of real apparatus, as the package has them; the README beside them says where each is from."""


def write_dicom(
    path: Path,
    pixels: NDArray[Any],
    *,
    syntax: str = ExplicitVRLittleEndian,
    compressed: Sequence[bytes] | None = None,
    bits_stored: int | None = None,
    has_table: bool = True,
    fragments: int = 1,
    **elements: Any,
) -> Path:
    """A secondary capture of one frame: rows x columns, or rows x columns x 3; of whole numbers.

    compressed: the frames, each in so many `fragments`; `pixels` then only says what they look like.
    elements: by keyword, more of them or other ones; None takes one away.
    """
    is_color = pixels.ndim == 3
    bits = pixels.dtype.itemsize * 8
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "OT"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if is_color else 1
    dataset.PhotometricInterpretation = "RGB" if is_color else "MONOCHROME2"
    if is_color:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated, dataset.BitsStored = bits, bits_stored or bits
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 1 if pixels.dtype.kind == "i" else 0
    is_swapped = syntax == ExplicitVRBigEndian
    raw = (pixels.byteswap() if is_swapped else pixels).tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 and syntax != ImplicitVRLittleEndian else "OW"
    if compressed is not None:
        dataset.PixelData = encapsulate(list(compressed), fragments_per_frame=fragments, has_bot=has_table)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def ramp(rows: int = 16, columns: int = 16, *, dtype: str = "u2", step: int = 16) -> NDArray[Any]:
    """0, step, 2 x step, ... line by line."""
    return (np.arange(rows * columns).reshape(rows, columns) * step).astype(dtype)
