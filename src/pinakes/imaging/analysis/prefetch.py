"""Tiles read ahead, in a thread of their own: while a model scores a batch, the next one is decoded.

reader      |batch 1|batch 2|batch 3|
model               |batch 1|batch 2|batch 3|
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from pinakes.imaging.analysis import tiling
from pinakes.imaging.analysis.tiling import Tile
from pinakes.imaging.source import ImageSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Batch: TypeAlias = NDArray[np.uint8]

_BATCH_PIXELS: Final = 2 * 1024 * 1024
"""8 tiles of 512 pixels: 6 MB, and while they are scored as many again."""

_MOST_TILES: Final = 64

Span: TypeAlias = tuple[int, int]
"""The first tile of a batch, and the first after it."""


class TileReader:
    """Reads the tiles of one slide, in batches: as many as the model scores at once, or a multiple of it.

    The source is this reader's alone.
    """

    def __init__(self, source: ImageSource, tiles: Sequence[Tile], side_px: int, at_once: int = 1) -> None:
        self._source = source
        self._tiles = tiles
        self._side_px = side_px
        few = min(_MOST_TILES, _BATCH_PIXELS // side_px**2)
        self._size = at_once * max(1, few // at_once)  # a network takes four times the memory for as many
        self._thread = ThreadPoolExecutor(1, "tile-reader")
        self._ahead: tuple[Span, Future[Batch]] | None = None

    def batches(self, first: int, count: int, then: int) -> "Iterator[Batch]":
        """The tiles from `first` on, N x side x side x 3 at a time. then: where the next call will begin, perhaps.

        Raises what the source does, when the batch is due.
        """
        spans = self._spans(first, count)
        following = [*spans[1:], *self._spans(then, count)[:1]]
        for place, span in enumerate(spans):
            batch = self._begun(span).result()
            self._ahead = None
            if place < len(following):
                self._begun(following[place])
            yield batch

    def close(self) -> None:
        """Stop reading, and close the source."""
        self._thread.shutdown(cancel_futures=True)
        self._source.close()

    def _begun(self, span: Span) -> "Future[Batch]":
        if self._ahead is None or self._ahead[0] != span:
            if self._ahead:
                self._ahead[1].cancel()
            self._ahead = (span, self._thread.submit(self._read, span))
        return self._ahead[1]

    def _spans(self, first: int, count: int) -> list[Span]:
        end = min(first + count, len(self._tiles))
        return [(start, min(start + self._size, end)) for start in range(first, end, self._size)]

    def _read(self, span: Span) -> "Batch":
        batch = np.empty((span[1] - span[0], self._side_px, self._side_px, 3), np.uint8)
        for place, tile in enumerate(self._tiles[slice(*span)]):
            batch[place] = tiling.read(self._source, tile, self._side_px)
        return batch
