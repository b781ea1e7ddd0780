"""Whole slides of the scanners' own kinds, read by OpenSlide: levels, resolution, label and macro pictures.

OpenSlide may look for further files beside a slide. So it is shown the file alone, through a link in an empty
directory, and kinds that consist of several files are not opened. Levels that lie in the file as plain tiles of JPEG
are read by `segments`, so that a tile looks the same spliced and decoded; all others by OpenSlide.

Pixels are given as they are stored: a colour profile is named in the facts, not applied.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import openslide
from PIL import Image

from pinakes.imaging import pyramids, regions
from pinakes.imaging.alone import FORMATS, Alone, asked
from pinakes.imaging.alone import GENERIC as GENERIC
from pinakes.imaging.directories import Directory, Tiff
from pinakes.imaging.segments import Pages, StoredPicture
from pinakes.imaging.source import (
    DEFAULT_LIMITS,
    Description,
    Level,
    LimitExceeded,
    Limits,
    Pixels,
    Rect,
    Size,
    Unreadable,
)
from pinakes.imaging.splicing import SplicedLevels, Splicer

_PLAIN_TILES: Final = {"aperio", GENERIC}
"""Those whose levels are directories of the TIFF file, tile for tile."""

_CACHE_BYTES: Final = 16 * 1024 * 1024

_DATES: Final = ("tiff.DateTime", "leica.creation-date", "hamamatsu.Created", "dicom.AcquisitionDateTime")
_IDENTITY: Final = ("barcode", "patient", "accession", "user", "title", "filename", "imageid", "reference", "label")
"""Parts of the names of properties that may tell who is shown."""

_SHOWING_IDENTITY: Final = ("label", "macro")


def vendor_of(path: Path) -> str | None:
    """OpenSlide's name for the kind of slide, such as "aperio" or GENERIC; None for what is not opened here.

    Raises Unreadable or LimitExceeded for a TIFF file whose directories are damaged.
    """
    with Alone(path) as alone:
        return alone.vendor


def open_slide(path: Path, limits: Limits = DEFAULT_LIMITS) -> "Slide":
    """Opens a whole slide. Raises Unreadable for what OpenSlide cannot read, LimitExceeded."""
    alone = Alone(path, limits)
    try:
        return Slide(alone, limits)
    except BaseException:
        alone.close()
        raise


class Slide(SplicedLevels):
    """An open slide. An ImageSource; owns what it is given."""

    def __init__(self, alone: "Alone", limits: Limits) -> None:
        if alone.vendor is None:
            raise Unreadable("This is no slide of a kind that is read here.")
        self._alone, self._limits, self._vendor = alone, limits, alone.vendor
        self._slide = asked(lambda: openslide.OpenSlide(alone.link))
        self._is_open = True
        self._tiff: Tiff | None = None
        self._pages = Pages(alone.path)
        try:
            self._slide.set_cache(openslide.OpenSlideCache(_CACHE_BYTES))
            self._properties = asked(lambda: dict(self._slide.properties))
            self._levels = asked(self._find_levels)
            self._plain = self._find_plain_levels()
            self.description = asked(self._describe)
        except BaseException:
            self.close()
            raise

    def read_region(self, rect: Rect, size: Size, *, frame: int = 0) -> Pixels:
        """As ImageSource says."""
        if frame != 0:
            raise Unreadable("The file has no such frame.")
        return regions.read_scaled(self._levels, self._read, self._most_shrink, rect, size, self._limits)

    def read_associated(self, name: str) -> Pixels:
        """As ImageSource says."""
        if name not in self.description.associated:
            raise KeyError(name)
        width = int(self._properties.get(f"openslide.associated.{name}.width", 0))
        height = int(self._properties.get(f"openslide.associated.{name}.height", 0))
        if width * height > self._limits.output_pixels:
            raise LimitExceeded("The picture beside the slide is too large.")
        try:
            return _on_white(asked(lambda: self._slide.associated_images[name]))
        except Unreadable:
            self._open_again()
            raise

    def close(self) -> None:
        """Closes the file; more than once is once."""
        if self._is_open:
            self._is_open = False
            self._slide.close()
        self._pages.close()
        if self._tiff is not None:
            self._tiff.close()
        self._alone.close()

    def _splicer(self, level: int) -> Splicer | None:
        if not 0 <= level < len(self._levels):
            raise IndexError("there is no such level")
        plain = self._plain.get(level)
        return None if plain is None else plain.splicer

    def _most_shrink(self, level: int, part: Rect) -> int:
        plain = self._plain.get(level)
        return plain.most_shrink if plain is not None and plain.has_all(part) else 1

    def _read(self, level: int, part: Rect, shrink: int) -> Pixels:
        plain = self._plain.get(level)
        if plain is not None and (shrink > 1 or plain.has_all(part)):
            return plain.read(part, shrink)
        downsample = self._levels[level].downsample
        corner = (round(part.x * downsample), round(part.y * downsample))
        try:
            return _on_white(asked(lambda: self._slide.read_region(corner, level, (part.width, part.height))))
        except Unreadable:
            self._open_again()
            raise

    def _open_again(self) -> None:
        """After an error OpenSlide answers nothing more; other tiles of the slide may still be whole."""
        self._slide.close()
        self._is_open = False
        self._slide = asked(lambda: openslide.OpenSlide(self._alone.link))
        self._is_open = True
        self._slide.set_cache(openslide.OpenSlideCache(_CACHE_BYTES))

    def _find_levels(self) -> tuple[Level, ...]:
        """Largest first, as OpenSlide has them."""
        levels = []
        for index, (width, height) in enumerate(self._slide.level_dimensions):
            across = _whole(self._properties.get(f"openslide.level[{index}].tile-width"))
            down = _whole(self._properties.get(f"openslide.level[{index}].tile-height"))
            tile = Size(across, down) if across and down else None
            levels.append(Level(Size(width, height), self._slide.level_downsamples[index], tile))
        return tuple(levels)

    def _find_plain_levels(self) -> dict[int, StoredPicture]:
        """Those levels that are one directory of the file each, beyond doubt."""
        if self._vendor not in _PLAIN_TILES:
            return {}
        self._tiff = tiff = Tiff(self._alone.path, self._limits)
        by_size: dict[tuple[Size, Size | None], list[Directory]] = {}
        for directory in tiff.directories:
            by_size.setdefault((tiff.size(directory), tiff.tile(directory)), []).append(directory)
        found = {}
        for index, level in enumerate(self._levels):
            directories = by_size.get((level.size, level.tile), []) if level.tile is not None else []
            if len(directories) == 1:
                picture = StoredPicture(tiff, directories[0], self._pages, self._limits)
                if picture.splicer is not None:
                    found[index] = picture
        return found

    def _describe(self) -> Description:
        known = self._properties
        associated = tuple(self._slide.associated_images)
        mpp = (_number(known.get("openslide.mpp-x")), _number(known.get("openslide.mpp-y")))
        named = sorted(name for name in known if known[name].strip() and _may_identify(name))
        return Description(
            format=FORMATS[self._vendor],
            size=self._levels[0].size,
            levels=self._levels,
            mpp=(mpp[0], mpp[1]) if mpp[0] is not None and mpp[1] is not None else None,
            associated=associated,
            captured_at=_captured_at(known),
            facts=self._facts(),
            identity=(*named, *(f"{name} image" for name in _SHOWING_IDENTITY if name in associated)),
        )

    def _facts(self) -> dict[str, Any]:
        power = _number(self._properties.get("openslide.objective-power"))
        facts: dict[str, Any] = {
            "kind": "whole slide",
            "vendor": self._vendor,
            "has_color_profile": "openslide.icc-size" in self._properties,
        }
        return facts if power is None else {**facts, "objective_power": power}


def _on_white(picture: Image.Image) -> Pixels:
    """RGB; what is transparent is white, as glass is."""
    pixels = np.asarray(picture)
    alpha = pixels[:, :, 3:]
    if alpha.min(initial=255) == 255:
        return np.ascontiguousarray(pixels[:, :, :3])
    opaque = alpha.astype(np.uint16)
    return ((pixels[:, :, :3] * opaque + 255 * (255 - opaque) + 127) // 255).astype(np.uint8)


def _captured_at(known: Mapping[str, str]) -> str | None:
    """When it was scanned, as ISO 8601: Aperio's own fields, or the first of the others that is a date."""
    day, time = known.get("aperio.Date", ""), known.get("aperio.Time", "")
    zone = known.get("aperio.Time Zone", "").removeprefix("GMT")
    for layout in ("%m/%d/%y %H:%M:%S", "%m/%d/%Y %H:%M:%S"):
        for text, suffix in ((f"{day} {time}{zone}", "%z"), (f"{day} {time}", "")):
            try:
                return datetime.strptime(text, layout + suffix).isoformat()  # noqa: DTZ007  it may not say the offset
            except ValueError:
                continue
    return next((date for date in map(pyramids.iso_date, map(known.get, _DATES)) if date is not None), None)


def _may_identify(name: str) -> bool:
    return not name.startswith("openslide.") and any(part in name.lower() for part in _IDENTITY)


def _number(text: str | None) -> float | None:
    """A number above 0; None for anything else."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else 0
