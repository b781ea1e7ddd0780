"""Heat maps: the scores of tiles as a picture to lay over the slide, also while they are still coming.

    tiles ──> Layout ┬─> Heat, a number of colour for each tile ──> steps of any part at any size ──> PNG
            scores ──┘

The whole picture is never made. From the first step on everything is a whole number, so that the same scores give the
same picture everywhere. Only the making needs numpy: the server imports this module, and is spared it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from pinakes.imaging.analysis.requests import TILE
from pinakes.imaging.source import Rect, Size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Steps: TypeAlias = NDArray[np.uint8]
    Indexes: TypeAlias = NDArray[np.int64]

ANCHORS: Final = (
    (4, 34, 102),
    (8, 66, 106),
    (13, 96, 123),
    (27, 127, 138),
    (29, 160, 145),
    (41, 196, 121),
    (162, 218, 103),
    (252, 234, 110),
)
"""The colours from the least score to the greatest, evenly spaced: red, green, blue; sRGB.

Their lightness (CIELAB) rises evenly from 16 to 92, so that what scores higher looks higher to everyone, also without
colours. From blue to yellow they leave out pink and purple, which are those of stained tissue.
"""

NOTHING: Final = 0
"""The step of a place where nothing was scored; it is transparent. The colours are the steps 1 to COLOURS."""
COLOURS: Final = 255


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The columns, or the rows, in which there are tiles: where each starts and ends, in level-0 pixels, in order."""

    starts: "Indexes"
    ends: "Indexes"

    @property
    def widest(self) -> int:
        return int((self.ends - self.starts).max(initial=0))


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the tiles of a run lie. column_of, row_of: of each tile, which of `columns` and of `rows` it is in."""

    columns: Lines
    rows: Lines
    column_of: "NDArray[np.int32]"
    row_of: "NDArray[np.int32]"

    @property
    def size_bytes(self) -> int:
        return self.column_of.nbytes + self.row_of.nbytes


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """What is scored so far. scored: how many tiles.   range: the scores of the first and of the last colour.

    range is None while nothing is scored, where it is that of the scores themselves.
    sums, counts: of colours, 0 to 254, and of scored tiles, above each row's and left of each column's start; one more
    row and column for the ends. With at most `tiling.MAX_TILES` places neither exceeds 32 bits.
    """

    columns: Lines
    rows: Lines
    sums: "NDArray[np.int32]"
    counts: "NDArray[np.int32]"
    scored: int
    range: tuple[float, float] | None

    @property
    def size_bytes(self) -> int:
        return self.sums.nbytes + self.counts.nbytes


def layout_of(packed_tiles: bytes) -> Layout:
    """Where tiles lie. packed_tiles: each as `requests.TILE`; they do not overlap."""
    import numpy as np

    numbers = np.dtype([("x", "<i4"), ("y", "<i4"), ("width", "<i4"), ("height", "<i4"), ("tissue", "<f8")])
    assert numbers.itemsize == TILE.size
    tiles = np.frombuffer(packed_tiles, numbers)
    columns, column_of = _lines(tiles["x"], tiles["width"])
    rows, row_of = _lines(tiles["y"], tiles["height"])
    return Layout(columns, rows, column_of, row_of)


def heat_of(
    layout: Layout,
    batches: Iterable[tuple[int, bytes]],
    *,
    columns: int,
    column: int,
    range: tuple[float, float] | None,
) -> Heat:
    """What those scores come to.

    batches: the number of the first tile, and rows of `columns` numbers (float32, little-endian) from there on.
    column: the one that is shown.   range: as for `Heat`; None for from the least to the greatest.
    """
    import numpy as np

    values = np.full(len(layout.row_of), np.nan, np.float32)
    for first, packed in batches:
        scores = np.frombuffer(packed, "<f4").reshape(-1, columns)[:, column]
        values[first : first + len(scores)] = scores
    (scored,) = np.isfinite(values).nonzero()
    known = values[scored].astype(np.float64)
    if range is None and len(known):
        range = float(known.min()), float(known.max())
    shape = len(layout.rows.starts) + 1, len(layout.columns.starts) + 1
    counts, sums = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    places = layout.row_of[scored] + 1, layout.column_of[scored] + 1
    counts[places] = 1
    sums[places] = _colours(known, range)
    for table in (counts, sums):
        np.cumsum(np.cumsum(table, axis=0, out=table), axis=1, out=table)
    return Heat(layout.columns, layout.rows, sums, counts, len(scored), range)


def steps_of(heat: Heat, rect: Rect, size: Size) -> "Steps":
    """A part of the slide in `size`, height x width steps of colour.

    rect: in level-0 pixels. A pixel shows the tile at its middle; one that is larger than a whole tile shows the mean
    of those whose middles lie in it, as far as they are scored. So only a tile that was cut at an edge, to less than
    the side of a pixel, may not be seen.
    """
    import numpy as np

    left, right, across = _spans(heat.columns, rect.x, rect.width, size.width)
    top, bottom, down = _spans(heat.rows, rect.y, rect.height, size.height)

    def within(table: "NDArray[np.int32]") -> "NDArray[np.int32]":
        strips = table[bottom] - table[top]
        return strips[:, right] - strips[:, left]

    counts = within(heat.counts)
    means = (2 * within(heat.sums) + counts) // np.maximum(2 * counts, 1)
    steps = np.where(counts > 0, means + 1, NOTHING).astype(np.uint8)
    return steps.take(down, axis=0).take(across, axis=1)


def png(steps: "Steps") -> bytes:
    """The picture, with a palette of its colours; what is NOTHING is transparent."""
    import io

    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    height, width = steps.shape
    drawn = Image.frombytes("P", (width, height), steps.tobytes())
    drawn.putpalette([part for colour in palette() for part in colour])
    chunks = PngInfo()
    chunks.add(b"sRGB", b"\0")  # perceptual, as in `encoding`
    written = io.BytesIO()
    drawn.save(written, "PNG", transparency=NOTHING, pnginfo=chunks, compress_level=6)
    return written.getvalue()


def palette() -> list[tuple[int, int, int]]:
    """The colour of each step; of NOTHING, black, it is not seen."""
    return [(0, 0, 0), *(_between(step) for step in range(COLOURS))]


def _between(step: int) -> tuple[int, int, int]:
    last = COLOURS - 1
    place, part = divmod(step * (len(ANCHORS) - 1), last)
    before, after = ANCHORS[place], ANCHORS[min(place + 1, len(ANCHORS) - 1)]
    red, green, blue = ((a * (last - part) + b * part + last // 2) // last for a, b in zip(before, after, strict=True))
    return red, green, blue


def _lines(starts: "NDArray[np.int32]", widths: "NDArray[np.int32]") -> "tuple[Lines, NDArray[np.int32]]":
    """The lines that tiles lie in, and in which of them each does."""
    import numpy as np

    distinct, line_of = np.unique(starts, return_inverse=True)
    ends = np.zeros(len(distinct), np.int64)
    np.maximum.at(ends, line_of, starts.astype(np.int64) + widths)
    return Lines(distinct.astype(np.int64), ends), line_of.astype(np.int32)


def _colours(values: "NDArray[np.float64]", range: tuple[float, float] | None) -> "NDArray[np.float64]":
    """Of each score, 0 to COLOURS - 1. Where all are the same: the first one."""
    import numpy as np

    low, high = range or (0.0, 1.0)
    if high <= low:
        return np.zeros(len(values))
    return np.rint(np.clip((values - low) / (high - low), 0.0, 1.0) * (COLOURS - 1))


def _spans(lines: Lines, start: int, length: int, pixels: int) -> "tuple[Indexes, Indexes, Indexes]":
    """Which lines the pixels of a side show: from the first of these up to the second, for which pixel of the third.

    start, length: of the side, in level-0 pixels. Neighbours that show the same are counted once.
    """
    import numpy as np

    if length > pixels * lines.widest:
        edges = start + np.arange(pixels + 1) * length // pixels
        bounds = np.searchsorted(lines.starts + lines.ends, 2 * edges)
        first, end = bounds[:-1], bounds[1:]
    else:
        middles = start + (2 * np.arange(pixels) + 1) * length // (2 * pixels)
        end = np.searchsorted(lines.starts, middles, side="right")
        reach = np.concatenate(([-1], lines.ends))
        first = end - (middles < reach[end])
    _, shown, which = np.unique(first * (len(lines.starts) + 1) + end, return_index=True, return_inverse=True)
    return first[shown], end[shown], which
