"""Pictures whose files cannot be told apart into what shows and what tells, painted anew: as PNG, pixel for pixel.

    HEIC, AVIF      boxes within boxes, with places for data of any kind; the main picture is all that stays
    BMP             profiles by the name of a file, and gaps between its parts

The colour profile stays; transparency does, too.
"""

from pathlib import Path
from typing import Final

from pinakes.imaging import formats
from pinakes.imaging.opening import format_of
from pinakes.imaging.photographs import open_photograph
from pinakes.imaging.rasters import open_raster, reading
from pinakes.imaging.source import DEFAULT_LIMITS, LimitExceeded, Limits, Unreadable

_SEQUENCES: Final = {b"avis", b"hevc", b"msf1"}
"""Main brands of animations (ISO/IEC 23008-12, annex B; AVIF 1.1, section 5)."""


def copy(source: Path, target: Path, limits: Limits = DEFAULT_LIMITS) -> None:
    """Writes the copy. Raises Unreadable for damaged files, and where pixels would change; LimitExceeded."""
    with source.open("rb") as file:
        head = file.read(formats.HEAD_BYTES)
    format = format_of(head)
    with open_photograph(source, format, limits) as opened:
        if not opened.description.levels:
            raise LimitExceeded("The picture is too large to be painted anew.")
    raster = open_raster(source, format)
    if head[8:12] in _SEQUENCES and format != "bmp":
        raise Unreadable("Animations of this kind cannot be copied without what tells who is shown.")
    if raster.header.bits > 8 and format == "heic":
        raise Unreadable("The picture has more than 8 bits per colour, of which some would be lost.")
    with reading():
        raster.load(0, 1).pngsave(str(target), keep="icc")
