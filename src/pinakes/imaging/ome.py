"""What the OME-XML of an OME-TIFF says: which directories are which picture, how large a pixel is, when it was taken.

Only this file's own directories are used; parts that are said to lie in other files are never opened.
Rules: OME-TIFF specification; schema 2016-06.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pinakes.imaging.source import Unreadable

_MOST_CHARACTERS: Final = 32 * 1024 * 1024

_MICROMETRES: Final[Mapping[str, float]] = {
    "µm": 1.0, "μm": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "Å": 1e-4, "pm": 1e-6, "in": 25_400.0,
}  # fmt: skip

_ASSOCIATED: Final[Mapping[str, str]] = {
    "label": "label", "macro": "macro", "overview": "macro", "thumbnail": "thumbnail", "thumb": "thumbnail",
}  # fmt: skip

_PEOPLE: Final = ("Experimenter", "ExperimenterGroup", "Dataset", "Project")


@dataclass(frozen=True, slots=True)
class OmeImage:
    """One picture. directories: places in the main chain, in order, at least one.   name: None for a main picture,
    "label", "macro" or "thumbnail" for one beside it."""

    name: str | None
    directories: tuple[int, ...]
    mpp: tuple[float, float] | None
    captured_at: str | None


@dataclass(frozen=True, slots=True)
class Ome:
    """What is in the file. is_partial: other files belong to it.   identity: elements that may tell who is shown."""

    images: tuple[OmeImage, ...]
    is_partial: bool
    identity: tuple[str, ...]


def is_ome(description: str) -> bool:
    """Whether the text of the first directory is OME-XML."""
    start = description[:4096].lstrip("\ufeff \t\r\n")
    return start.startswith("<") and ("<OME" in start or ":OME" in start) and description.rstrip().endswith("OME>")


def parse(description: str, directories: int) -> Ome:
    """Reads OME-XML. directories: how many there are in the main chain. Raises Unreadable if it is damaged."""
    if len(description) > _MOST_CHARACTERS or "<!DOCTYPE" in description or "<!ENTITY" in description:
        raise Unreadable("The OME-XML of the file is not of a kind that is read.")
    try:
        root = ET.fromstring(description)  # noqa: S314  no entities, and not large
    except (ET.ParseError, ValueError) as error:
        raise Unreadable("The OME-XML of the file is damaged.") from error
    images: list[OmeImage] = []
    is_partial = False
    for element in _children(root, "Image"):
        pixels = next(_children(element, "Pixels"), None)
        if pixels is None:
            continue
        places, misses = _places(pixels, root.get("UUID"), directories)
        is_partial = is_partial or misses
        if places:
            captured = next(_children(element, "AcquisitionDate"), None)
            captured_at = (captured.text or "").strip() or None if captured is not None else None
            images.append(OmeImage(_associated_name(element), places, _mpp(pixels), captured_at))
    found = {_local(element) for element in root.iter()}
    return Ome(tuple(images), is_partial, tuple(f"OME {name}" for name in _PEOPLE if name in found))


def _places(pixels: ET.Element, own: str | None, directories: int) -> tuple[tuple[int, ...], bool]:
    """The directories of a picture, and whether some of it lies in other files."""
    blocks = list(_children(pixels, "TiffData"))
    planes = min(directories, _planes(pixels))
    if not blocks:
        return tuple(range(planes)), False
    places: list[int] = []
    misses = False
    for block in blocks:
        uuid = next(_children(block, "UUID"), None)
        if uuid is not None and own is not None and (uuid.text or "").strip() != own.strip():
            misses = True
            continue
        first = _whole(block.get("IFD"), 0)
        count = _whole(block.get("PlaneCount"), 1 if "IFD" in block.attrib else planes)
        places.extend(range(first, min(first + count, directories)))
        if len(places) > directories:
            break
    return tuple(dict.fromkeys(places)), misses


def _planes(pixels: ET.Element) -> int:
    """How many directories it takes: one for each depth, time and channel; the samples of a colour lie in one."""
    channels = len(list(_children(pixels, "Channel"))) or _whole(pixels.get("SizeC"), 1)
    return max(1, _whole(pixels.get("SizeZ"), 1)) * max(1, _whole(pixels.get("SizeT"), 1)) * max(1, channels)


def _mpp(pixels: ET.Element) -> tuple[float, float] | None:
    sides = []
    for axis in ("X", "Y"):
        unit = _MICROMETRES.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        try:
            side = float(pixels.get(f"PhysicalSize{axis}", "")) * (unit or 0.0)
        except ValueError:
            return None
        if not 0 < side < 1e6:
            return None
        sides.append(side)
    return sides[0], sides[1]


def _associated_name(image: ET.Element) -> str | None:
    words = image.get("Name", "").lower().replace("_", " ").split()
    # Bio-Formats writes "label image" and "macro image"; a slide's own name may well hold the word.
    is_named = len(words) == 1 or (len(words) == 2 and words[1] == "image")
    return _ASSOCIATED.get(words[0]) if is_named else None


def _whole(text: str | None, default: int) -> int:
    """A whole number of at most nine digits; the default for anything else."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else default


def _children(element: ET.Element, name: str) -> Iterator[ET.Element]:
    return (child for child in element if _local(child) == name)


def _local(element: ET.Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]
