"""The pixels of one directory of a TIFF file: its tiles or strips, decoded as they are wanted, made sRGB of 8 bits.

Tiles of plain JPEG are decoded from what `splicing` makes of them, so that a tile looks the same spliced and decoded.
Everything else is decoded by tifffile, after a look at what the segment says it will become.
"""

import logging
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
import simplejpeg
import tifffile
from numpy.typing import NDArray
from PIL import Image

from pinakes.imaging import colors, directories, splicing
from pinakes.imaging.bytesources import ByteSource, Stream
from pinakes.imaging.directories import Directory, Tiff
from pinakes.imaging.source import ImagingError, LimitExceeded, Limits, Pixels, Rect, Size, Unreadable

# It logs what it finds in damaged files, in the files' own words.
logging.getLogger("tifffile").disabled = True

_CCITT: Final = {2, 3, 4}
_JPEG_2000: Final = {33003, 33004, 33005, 34712}
_BOUNDED: Final = {1, 5, 8, 32946, 32773, 34925, 50000}
"""None, LZW, deflate (two names), PackBits, LZMA, Zstandard: tifffile gives them only as much room as pixels need."""

_MOST_SEGMENT_BYTES: Final = 1 << 30
_KEPT_BYTES: Final = 16 * 1024 * 1024
_MOST_SHRINK: Final = 8
_BLOCKS: Final = 16
"""Pixels of a side that JPEG codes together where colours are halved."""

_SIZ: Final = b"\xff\x4f\xff\x51"

Samples = NDArray[Any]
"""Height x width x samples, as stored: any number type."""


class Pages:
    """tifffile's view of a file, opened when it is first asked for. Closed by `close`.

    file: its path, or its bytes, which stay open.
    """

    def __init__(self, file: Path | ByteSource) -> None:
        self._stored = file
        self._file: tifffile.TiffFile | None = None

    def page(self, directory: Directory) -> tifffile.TiffPage:
        """The directory as tifffile sees it. Raises Unreadable."""
        try:
            if self._file is None:
                stored = self._stored
                file = stored if isinstance(stored, Path) else cast(IO[bytes], Stream(stored))
                self._file = tifffile.TiffFile(file)
            self._file.filehandle.seek(directory.offset)
            return tifffile.TiffPage(self._file, 0)
        except ImagingError:
            raise
        except Exception as error:  # whatever a library raises on bytes from a stranger
            raise Unreadable("The TIFF file is damaged.") from error

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class StoredPicture:
    """One picture of a TIFF file. Made by `picture_of`; used by one thread at a time.

    size: of the picture.   tile: of its tiles; None for strips.   splicer: for tiles that can be given away.
    most_shrink: how many times smaller its tiles can be decoded: JPEG makes 2, 4 or 8 pixels one at once.
    is_measured: its values are greys of more than 8 bits.   window: which of them are black and white; set by who
    knows the whole picture.
    """

    window: tuple[float, float] | None = None

    def __init__(self, tiff: Tiff, directory: Directory, pages: Pages, limits: Limits) -> None:
        self.size = tiff.size(directory)
        self.tile = tiff.tile(directory)
        self.splicer = splicing.splicer_of(tiff, directory)
        self.most_shrink = _MOST_SHRINK if self.splicer is not None and _is_in_blocks(self.tile) else 1
        self.photometric = tiff.number(directory, directories.PHOTOMETRIC, 1)
        self.samples = tiff.number(directory, directories.SAMPLES, 1)
        self._compression = tiff.number(directory, directories.COMPRESSION, 1)
        self._tiff, self._directory, self._pages = tiff, directory, pages
        self._page: tifffile.TiffPage | None = None
        self._kept: OrderedDict[tuple[int, int, int], Samples] = OrderedDict()
        rows = tiff.number(directory, directories.ROWS_PER_STRIP, self.size.height)
        self._segment = self.tile or Size(self.size.width, max(1, min(rows, self.size.height)))
        bits = tiff.number(directory, directories.BITS, 1)
        area = self._segment.width * self._segment.height
        self.is_measured = bits > 8 and self.photometric in (colors.WHITE_IS_ZERO, colors.BLACK_IS_ZERO)
        if area > limits.pixels or area * self.samples * max(8, bits) // 8 > _MOST_SEGMENT_BYTES:
            raise LimitExceeded("The picture is stored in pieces that are too large to decode.")

    def read(self, rect: Rect, shrink: int = 1) -> Pixels:
        """The pixels within `rect`, which lies in the picture made `shrink` times smaller. Raises Unreadable.

        shrink: 1, 2, 4 or 8, at most `most_shrink`; parts of a pixel at the right and lower edge count as one.
        """
        samples = self.read_samples(rect, shrink)
        if self.splicer is not None:
            return np.broadcast_to(samples, (*samples.shape[:2], 3)) if samples.shape[2] == 1 else samples
        return colors.to_rgb(samples, self._coloring(), self.window)

    def has_all(self, rect: Rect, shrink: int = 1) -> bool:
        """Whether no tile within `rect`, as for `read`, was left out; False for strips."""
        if self.splicer is None or self.tile is None:
            return False
        across, down = self.tile.width // shrink, self.tile.height // shrink
        right, lower = rect.x + rect.width - 1, rect.y + rect.height - 1
        columns = slice(rect.x // across, right // across + 1)
        return self.splicer.tiles.has_all(columns, slice(rect.y // down, lower // down + 1))

    def read_samples(self, rect: Rect, shrink: int = 1) -> Samples:
        """The numbers within `rect`, as for `read`, of the kind that is stored. Raises Unreadable."""
        across, down = self._segment.width // shrink, self._segment.height // shrink
        first_column, last_column = rect.x // across, (rect.x + rect.width - 1) // across
        first_row, last_row = rect.y // down, (rect.y + rect.height - 1) // down
        if first_column == last_column and first_row == last_row:
            x, y = rect.x - first_column * across, rect.y - first_row * down
            return self._segment_at(first_column, first_row, shrink)[y : y + rect.height, x : x + rect.width]
        region: Samples | None = None
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                segment = self._segment_at(column, row, shrink)
                if region is None:
                    region = np.empty((rect.height, rect.width, segment.shape[2]), segment.dtype)
                left, top = column * across - rect.x, row * down - rect.y
                _paste(region, segment, left, top)
        assert region is not None
        return region

    def _segment_at(self, column: int, row: int, shrink: int) -> Samples:
        """A whole tile or strip, all its samples; as large as the directory says, unless it is to be smaller."""
        if shrink == 1:
            return self._whole_segment(column, row)
        width = min(self._segment.width, self.size.width - column * self._segment.width)
        height = min(self._segment.height, self.size.height - row * self._segment.height)
        if width % shrink == 0 and height % shrink == 0:
            jpeg = self._jpeg(column, row)
            if jpeg is not None:
                return self._decoded_jpeg(jpeg, shrink)
        # What a tile holds beyond the picture's edge is not to be mixed into the last pixels.
        return _reduced(self._whole_segment(column, row)[:height, :width], shrink)

    def _whole_segment(self, column: int, row: int) -> Samples:
        """All its samples; as large as the directory says, also at the edges."""
        jpeg = self._jpeg(column, row)
        if jpeg is not None:
            return self._decoded_jpeg(jpeg, 1)
        page = self._opened()
        if page.planarconfig == 1 or self.samples == 1:
            return self._plane(page, column, row, 0)
        planes = [self._plane(page, column, row, plane) for plane in range(self.samples)]
        return np.concatenate(planes, axis=2)

    def _jpeg(self, column: int, row: int) -> bytes | None:
        """The JPEG of a tile; None if it is decoded by tifffile."""
        return None if self.splicer is None else self.splicer.whole(column, row)

    def _decoded_jpeg(self, jpeg: bytes, shrink: int) -> Samples:
        width, height = self._segment.width // shrink, self._segment.height // shrink
        colors = "GRAY" if self.samples == 1 else "RGB"
        try:
            # Not strict: what viewers show of a tile that ends early is shown here, too.
            decoded: Samples = simplejpeg.decode_jpeg(jpeg, colors, min_width=width, min_height=height, strict=False)
        except ValueError as error:
            raise Unreadable("A tile cannot be decoded.") from error
        return decoded

    def _plane(self, page: tifffile.TiffPage, column: int, row: int, plane: int) -> Samples:
        """One segment of one plane, decoded or kept from the last time."""
        key = (plane, row, column)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        columns = -(-self.size.width // self._segment.width)
        rows = -(-self.size.height // self._segment.height)
        segment = self._decoded(page, (plane * rows + row) * columns + column)
        self._kept[key] = segment
        while len(self._kept) > 1 and sum(kept.nbytes for kept in self._kept.values()) > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return segment

    def _decoded(self, page: tifffile.TiffPage, index: int) -> Samples:
        if index >= min(len(page.dataoffsets), len(page.databytecounts)):
            raise Unreadable("The TIFF file names fewer pieces than its picture needs.")
        count = page.databytecounts[index]
        if not 0 <= count <= _MOST_SEGMENT_BYTES:
            raise Unreadable("A piece of the TIFF file is too large.")
        stored = self._tiff.read(page.dataoffsets[index], count) if count else b""
        segment = Size(self._segment.width, self._segment.height)
        if not stored:
            samples = 1 if page.planarconfig == 2 else self.samples
            return np.full((segment.height, segment.width, samples), _empty_value(page), page.dtype)
        self._check(stored, segment)
        tables = {"jpegtables": page.jpegtables} if self._compression == splicing.JPEG else {}
        try:
            decoded, _, _ = page.decode(stored, index, _fullsize=True, **tables)
        except Exception as error:  # whatever a decoder raises on bytes from a stranger
            raise Unreadable("A piece of the TIFF file cannot be decoded.") from error
        if decoded is None or decoded.ndim != 4 or decoded.shape[:3] != (1, segment.height, segment.width):
            raise Unreadable("A piece of the TIFF file has another size than it should.")
        pixels: Samples = decoded[0]
        return pixels

    def _check(self, stored: bytes, segment: Size) -> None:
        """That decoding will take no more room than the directory says. Raises Unreadable."""
        if self._compression in _BOUNDED or self._compression in _CCITT:
            return
        claimed = None
        if self._compression == splicing.JPEG:
            claimed = splicing.frame_size(stored)
        elif self._compression in _JPEG_2000:
            claimed = _jpeg_2000_size(stored)
        else:
            raise Unreadable("The TIFF file is compressed in a way that is not read here.")
        if claimed is None or claimed.width > segment.width or claimed.height > segment.height:
            raise Unreadable("A piece of the TIFF file has another size than it should.")

    def _opened(self) -> tifffile.TiffPage:
        if self._page is None:
            page = self._pages.page(self._directory)
            if page.dtype is None or page.shaped[0] * page.shaped[4] != self.samples or page.imagedepth != 1:
                raise Unreadable("The TIFF file's numbers are of a kind that is not read here.")
            self._page = page
        return self._page

    def _coloring(self) -> colors.Coloring:
        page = self._opened()
        is_jpeg_color = self._compression == splicing.JPEG and self.photometric == colors.YCBCR
        extra = self._tiff.numbers(self._directory, directories.EXTRA_SAMPLES)
        return colors.Coloring(
            colors.RGB if is_jpeg_color else self.photometric,
            page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample),
            bool(extra.size and int(extra[0]) in (1, 2)),
            self._tiff.numbers(self._directory, directories.COLOR_MAP),
        )


def _is_in_blocks(tile: Size | None) -> bool:
    """Whether a tile has no blocks of JPEG that are only partly its own, with colours halved or not."""
    return tile is not None and tile.width % _BLOCKS == tile.height % _BLOCKS == 0


def _reduced(samples: Samples, by: int) -> Samples:
    """Each pixel the mean of `by` x `by`, of fewer at the right and the lower edge. samples: of 8 bits, grey or RGB."""
    drawn = Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
    return np.asarray(drawn.reduce(by)).reshape(-(-samples.shape[0] // by), -1, samples.shape[2])


def _jpeg_2000_size(stored: bytes) -> Size | None:
    """What a JPEG 2000 codestream says of its size (ITU-T T.800, A.5.1); None if it does not say."""
    place = stored.find(_SIZ, 0, 4096)
    if place < 0 or place + 24 > len(stored):
        return None
    right, lower, left, upper = (int.from_bytes(stored[place + at : place + at + 4]) for at in (8, 12, 16, 20))
    return Size(right - left, lower - upper) if right > left and lower > upper else None


def _empty_value(page: tifffile.TiffPage) -> int:
    """What a piece that was left out holds: white for colours, as glass without tissue; nothing for measurements."""
    is_color = page.photometric in (colors.RGB, colors.YCBCR) and page.dtype is not None and page.dtype.kind == "u"
    return int(np.iinfo(page.dtype).max) if is_color else 0


def _paste(region: Samples, segment: Samples, left: int, top: int) -> None:
    """Puts the part of `segment` that fits into `region`, its corner at (left, top), which may lie outside."""
    if segment.shape[2] != region.shape[2] or segment.dtype != region.dtype:
        raise Unreadable("The pieces of the TIFF file differ in kind.")
    from_x, from_y = max(0, -left), max(0, -top)
    x, y = max(0, left), max(0, top)
    width, height = (
        min(segment.shape[1] - from_x, region.shape[1] - x),
        min(segment.shape[0] - from_y, region.shape[0] - y),
    )
    region[y : y + height, x : x + width] = segment[from_y : from_y + height, from_x : from_x + width]
