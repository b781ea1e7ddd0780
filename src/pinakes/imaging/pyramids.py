"""TIFF files that are not slides of a scanner's own kind: pyramids, OME-TIFF, and plain ones too large to decode whole.

    smaller copies lie     in SubIFDs of each directory (OME-TIFF, libvips)
                        or as further directories of the main chain (libtiff's pyramids, Cloud Optimized GeoTIFF)
    frames lie             as directories of the same size in the main chain, or as the OME-XML says

Pixels are given as they are stored: a colour profile is named in the facts, not applied.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pinakes.imaging import colors, directories, geometry, ome, regions
from pinakes.imaging.bytesources import ByteSource, NeedsWhole
from pinakes.imaging.directories import Directory, Tiff
from pinakes.imaging.segments import Pages, StoredPicture
from pinakes.imaging.source import (
    DEFAULT_LIMITS,
    Description,
    Level,
    Limits,
    Pixels,
    Rect,
    Size,
    Unreadable,
)
from pinakes.imaging.splicing import SplicedLevels, Splicer

_REDUCED: Final = 1
"""Of the field NewSubfileType: a smaller copy of another picture of the file."""

_MICROMETRES: Final[Mapping[int, float]] = {2: 25_400.0, 3: 10_000.0}
"""In the field ResolutionUnit: an inch, a centimetre."""

_COARSEST_MPP: Final = 10.0
"""A scanner's or a camera's dots per inch are no microscope's: coarser resolutions are those of paper."""

_FRAMES_KEPT: Final = 4
_SHADED_PIXELS: Final = 2048
"""The side of the part that black and white are judged by, in pixels of the smallest level."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which directories are what. frames: of the picture shown.   chained: smaller copies in the main chain."""

    frames: tuple[Directory, ...]
    chained: tuple[Directory, ...]
    associated: Mapping[str, Directory]
    ome: ome.Ome | None
    warnings: tuple[str, ...]


def open_tiff(file: Path | ByteSource, limits: Limits = DEFAULT_LIMITS) -> "TiffPyramid":
    """Opens a TIFF file of any layout, by its path or its bytes, and owns those. Raises Unreadable, LimitExceeded."""
    tiff = Tiff(file, limits)
    try:
        return TiffPyramid(tiff, Pages(file), limits)
    except BaseException:
        tiff.close()
        raise


def open_distant(
    file: ByteSource, levels: Sequence[Level], *, only_plain: bool, limits: Limits = DEFAULT_LIMITS
) -> "TiffPyramid":
    """Opens a TIFF file of which not all is there, and owns it.

    levels: as they are known from who had all of it.   only_plain: nothing else than plain tiles of them is shown, for
    the rest is up to another reader.
    Raises NeedsWhole if it has other levels to this reader; Unreadable, LimitExceeded.
    """
    pyramid = open_tiff(file, limits)
    found = [(level.size, level.tile) for level in pyramid.description.levels]
    if found != [(level.size, level.tile) for level in levels]:
        pyramid.close()
        raise NeedsWhole("The file has other levels than those that are known.")
    pyramid.only_plain = only_plain
    return pyramid


class TiffPyramid(SplicedLevels):
    """An open TIFF file. An ImageSource; owns the files it is given.

    only_plain: whether NeedsWhole is raised for what does not lie in plain tiles that are all there.
    """

    only_plain = False

    def __init__(self, tiff: Tiff, pages: Pages, limits: Limits) -> None:
        self._tiff, self._pages, self._limits = tiff, pages, limits
        self._layout = _layout_of(tiff)
        self._kept: OrderedDict[int, tuple[StoredPicture, ...]] = OrderedDict()
        self.description = self._describe()

    def read_region(self, rect: Rect, size: Size, *, frame: int = 0) -> Pixels:
        """As ImageSource says. Values that are not of 8 bits are shown from nearly the least to nearly the greatest."""
        pictures = self._frame(frame)
        self._shade(pictures)

        def read(level: int, part: Rect, shrink: int) -> Pixels:
            if self.only_plain and not pictures[level].has_all(part, shrink):
                raise NeedsWhole("This part of the picture is not stored in plain tiles.")
            return pictures[level].read(part, shrink)

        return regions.read_scaled(
            _levels(pictures), read, lambda level, _: pictures[level].most_shrink, rect, size, self._limits
        )

    def read_associated(self, name: str) -> Pixels:
        """As ImageSource says."""
        picture = StoredPicture(self._tiff, self._layout.associated[name], self._pages, self._limits)
        whole = geometry.whole(picture.size)
        geometry.check_region(whole, picture.size, picture.size, self._limits)
        return picture.read(whole)

    def close(self) -> None:
        """Closes the file; more than once is once."""
        self._kept.clear()
        self._pages.close()
        self._tiff.close()

    def _splicer(self, level: int) -> Splicer | None:
        pictures = self._frame(0)
        if not 0 <= level < len(pictures):
            raise IndexError("there is no such level")
        return pictures[level].splicer

    def _frame(self, frame: int) -> tuple[StoredPicture, ...]:
        """The levels of a frame, largest first. Raises Unreadable."""
        if not 0 <= frame < len(self._layout.frames):
            raise Unreadable("The file has no such frame.")
        if frame not in self._kept:
            self._kept[frame] = self._opened(self._layout.frames[frame])
            if len(self._kept) > _FRAMES_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(frame)
        return self._kept[frame]

    def _opened(self, base: Directory) -> tuple[StoredPicture, ...]:
        smaller = self._layout.chained if len(self._layout.frames) == 1 else ()
        found = _smaller_copies(self._tiff, base, (*self._tiff.children(base), *smaller))
        return tuple(StoredPicture(self._tiff, each, self._pages, self._limits) for each in (base, *found))

    def _shade(self, pictures: tuple[StoredPicture, ...]) -> None:
        """Decides what is black and white, once for all levels, where values are not of 8 bits."""
        if pictures[0].is_measured and pictures[0].window is None:
            smallest = pictures[-1]
            window = colors.window_of(smallest.read_samples(_middle(smallest.size)))
            for picture in pictures:
                picture.window = window

    def _describe(self) -> Description:
        tiff, layout, base = self._tiff, self._layout, self._layout.frames[0]
        pictures = self._frame(0)
        image = layout.ome.images[0] if layout.ome is not None and layout.ome.images else None
        pictured = [f"{name} image" for name in layout.associated if name in ("label", "macro")]
        captured_at = image.captured_at if image is not None else None
        return Description(
            format="tiff",
            size=pictures[0].size,
            levels=_levels(pictures),
            mpp=(image.mpp if image is not None else None) or _mpp(tiff, base),
            frames=len(layout.frames),
            associated=tuple(layout.associated),
            captured_at=iso_date(captured_at) or iso_date(tiff.text(base, directories.DATE_TIME)),
            facts=self._facts(base),
            warnings=layout.warnings,
            identity=(*(layout.ome.identity if layout.ome is not None else ()), *pictured),
        )

    def _facts(self, base: Directory) -> dict[str, Any]:
        tiff = self._tiff
        return {
            "kind": "OME-TIFF" if self._layout.ome is not None else "TIFF",
            "bits": tiff.number(base, directories.BITS, 1),
            "samples": tiff.number(base, directories.SAMPLES, 1),
            "compression": tiff.number(base, directories.COMPRESSION, 1),
            "photometric": tiff.number(base, directories.PHOTOMETRIC, 1),
            "has_color_profile": directories.ICC_PROFILE in base.entries,
        }


def iso_date(text: str | None) -> str | None:
    """A date of TIFF ("2026:11:21 17:00:00"), DICOM or ISO 8601, as ISO 8601; None for anything else."""
    text = (text or "").strip()
    for layout in ("%Y:%m:%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y%m%d%H%M%S", "%Y%m%d%H%M%S.%f"):
        try:
            return datetime.strptime(text, layout).isoformat()  # noqa: DTZ007  the file does not say the offset
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return None


def _layout_of(tiff: Tiff) -> _Layout:
    chain = tiff.directories
    description = tiff.text(chain[0], directories.DESCRIPTION)
    warnings = []
    if tiff.number(chain[0], directories.ORIENTATION, 1) not in (0, 1):
        warnings.append("The file says that it is to be turned; it is shown as it is stored.")
    if ome.is_ome(description):
        parsed = ome.parse(description, len(chain))
        if parsed.is_partial:
            warnings.append("Parts of this picture are in other files, and are not shown.")
        main = next((image for image in parsed.images if image.name is None), None)
        if main is not None:
            beside = {image.name: chain[image.directories[0]] for image in parsed.images if image.name is not None}
            frames = tuple(chain[place] for place in main.directories)
            chained = tuple(each for each in chain if each not in {*frames, *beside.values()})
            return _Layout(_alike(tiff, frames), chained, beside, parsed, tuple(warnings))
    frames = _alike(tiff, tuple(each for each in chain if each is chain[0] or not _is_reduced(tiff, each)))
    chained = tuple(each for each in chain[1:] if each not in set(frames))
    return _Layout(frames, chained, {}, None, tuple(warnings))


def _alike(tiff: Tiff, found: tuple[Directory, ...]) -> tuple[Directory, ...]:
    """Those of the first one's size: frames of one picture. Others are smaller copies, or other pictures."""
    return tuple(each for each in found if tiff.size(each) == tiff.size(found[0]))


def _is_reduced(tiff: Tiff, directory: Directory) -> bool:
    return bool(tiff.number(directory, directories.SUBFILE_TYPE, 0) & _REDUCED)


def _smaller_copies(tiff: Tiff, base: Directory, candidates: tuple[Directory, ...]) -> tuple[Directory, ...]:
    """Those that show the same in fewer pixels, largest first, one of each size."""
    full = tiff.size(base)
    found: dict[Size, Directory] = {}
    for each in candidates:
        size = tiff.size(each)
        is_marked = _is_reduced(tiff, each) or (tiff.tile(base) is not None and tiff.tile(each) is not None)
        samples_alike = tiff.number(each, directories.SAMPLES, 1) == tiff.number(base, directories.SAMPLES, 1)
        if size.width < full.width and is_marked and samples_alike and _has_shape_of(size, full):
            found.setdefault(size, each)
    return tuple(found[size] for size in sorted(found, key=lambda size: size.width, reverse=True))


def _has_shape_of(size: Size, full: Size) -> bool:
    """Whether width and height were divided by the same number, give or take a pixel."""
    factor = max(full.width / size.width, full.height / size.height)
    return (
        (size.width - 1.5) * factor <= full.width
        and (size.height - 1.5) * factor <= full.height
        and ((size.width + 1.5) * factor >= full.width and (size.height + 1.5) * factor >= full.height)
    )


def _levels(pictures: tuple[StoredPicture, ...]) -> tuple[Level, ...]:
    full = pictures[0].size
    return tuple(
        Level(each.size, (full.width / each.size.width + full.height / each.size.height) / 2, each.tile)
        for each in pictures
    )


def _middle(size: Size) -> Rect:
    width, height = min(size.width, _SHADED_PIXELS), min(size.height, _SHADED_PIXELS)
    return Rect((size.width - width) // 2, (size.height - height) // 2, width, height)


def _mpp(tiff: Tiff, directory: Directory) -> tuple[float, float] | None:
    """Micrometres per pixel by the fields of resolution; None if they are not those of a microscope."""
    unit = _MICROMETRES.get(tiff.number(directory, directories.RESOLUTION_UNIT, 2))
    across, down = tiff.ratio(directory, directories.X_RESOLUTION), tiff.ratio(directory, directories.Y_RESOLUTION)
    if unit is None or not across or not down or min(across, down) <= unit / _COARSEST_MPP:
        return None
    return unit / across, unit / down
