"""One stage of an analysis, as Pinakes does it, in a process of its own: `python -m bench.analysis_stages STAGE SLIDE`.

It prints JSON; `histolab_stages` is the same by another library. --part I/N: only every N-th tile, from the I-th on.

tissue    find the tissue          decode    the stored tiles below the tissue, and nothing else: what is the limit
tiling    cut it into tiles        read      the tiles, as a model wants them
                                   predict   read ahead and score them, as an analysis process does
                                   inline    the same without reading ahead
"""

import argparse
import json
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from pinakes.imaging.analysis import tiling, tissue
from pinakes.imaging.analysis.cellularity import Cellularity
from pinakes.imaging.analysis.prefetch import TileReader
from pinakes.imaging.analysis.tiling import Tile, TilingOptions
from pinakes.imaging.opening import open_source
from pinakes.imaging.source import ImageSource

_NUCLEI = Cellularity.columns.index("nuclei in the tile")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("stage", choices=("tissue", "tiling", *_OF_TILES))
    arguments.add_argument("slide", type=Path)
    arguments.add_argument("--part", default="0/1")
    given = arguments.parse_args()
    place, count = map(int, given.part.split("/"))
    with open_source(given.slide) as source:
        told = _measured(given.stage, source, place, count)
    print(json.dumps(told | {"peak_bytes": _peak_bytes()}))


def _peak_bytes() -> int:
    """Of this process alone: what `getrusage` tells is at least what the one held who started it."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def _measured(stage: str, source: ImageSource, place: int, count: int) -> dict[str, float]:
    started = time.perf_counter()
    found = tissue.find(source)
    pixels = found.size.width * found.size.height
    if stage == "tissue":
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "pixels": pixels, "looked_at": found.mask.size, "fraction": found.fraction}
    started = time.perf_counter()
    tiles = tiling.tiles_of(found, TilingOptions())
    if stage == "tiling":
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "pixels": pixels, "tiles": len(tiles)}
    mine = tiles[place::count]
    started = time.perf_counter()
    told = _OF_TILES[stage](source, mine)
    pixels = sum(tile.width * tile.height for tile in mine)
    return {"seconds": time.perf_counter() - started, "pixels": pixels, "tiles": len(mine)} | told


def _decode(source: ImageSource, tiles: tuple[Tile, ...]) -> dict[str, float]:
    """Each stored tile below a tile once; their pixels count. Those that reach beyond the slide are left out."""
    size = source.description.levels[0].tile
    assert size is not None
    stored: dict[tuple[int, int], None] = {}
    for tile in tiles:
        for row in range(tile.y // size.height, -(-(tile.y + tile.height) // size.height)):
            for column in range(tile.x // size.width, -(-(tile.x + tile.width) // size.width)):
                stored[column, row] = None
    pixels = 0
    for column, row in stored:
        stored_tile = source.stored_tile(0, column, row)
        if stored_tile is not None:
            pixels += simplejpeg.decode_jpeg(stored_tile.jpeg, "RGB").size // 3
    return {"pixels": pixels}


def _read(source: ImageSource, tiles: tuple[Tile, ...]) -> dict[str, float]:
    for tile in tiles:
        tiling.read(source, tile, Cellularity.input_px)
    return {}


def _predict(source: ImageSource, tiles: tuple[Tile, ...]) -> dict[str, float]:
    model = Cellularity()
    reader = TileReader(source, tiles, model.input_px)
    nuclei = _nuclei(model, reader.batches(0, len(tiles), 0))
    reader.close()
    return {"nuclei": nuclei}


def _inline(source: ImageSource, tiles: tuple[Tile, ...]) -> dict[str, float]:
    model = Cellularity()
    read = (tiling.read(source, tile, model.input_px) for tile in tiles)
    return {"nuclei": _nuclei(model, (pixels[np.newaxis] for pixels in read))}


def _nuclei(model: Cellularity, batches: Iterable[NDArray[np.uint8]]) -> int:
    return sum(int(model.score(batch, model.mpp)[:, _NUCLEI].sum()) for batch in batches)


_OF_TILES: dict[str, Callable[[ImageSource, tuple[Tile, ...]], dict[str, float]]] = {
    "decode": _decode,
    "read": _read,
    "predict": _predict,
    "inline": _inline,
}


if __name__ == "__main__":
    main()
