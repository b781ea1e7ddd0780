"""Processes that only pretend to analyse, in the test's own process: what the real ones say, quickly and on command."""

import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from pinakes.core.analysis.analyser import AnalysisOptions
from pinakes.imaging.analysis.model import Findings, FoundClass
from pinakes.imaging.analysis.outlines import Outline
from pinakes.imaging.analysis.requests import TILE, AnalysisFailed, Begun, Loaded, ModelChoice

SQUARE = Outline((0.0, 640.0, 640.0, 0.0), (0.0, 0.0, 64.004, 64.004))
MODEL = Loaded("pretended", "1.0", None, "classical", 64, 0.5, ("score, any unit",), 0, None)


def begun(tiles: int, model: Loaded = MODEL) -> Begun:
    packed = b"".join(TILE.pack(64 * number, 0, 64, 64, 1.0) for number in range(tiles))
    return Begun(
        model=model,
        size=(64 * max(1, tiles), 64),
        mpp=(0.5, 0.5),
        area_px=4096.0 * tiles,
        area_mm2=0.001024 * tiles,
        fraction=1.0 if tiles else 0.0,
        tiles=packed,
        tiles_total=max(1, tiles),
        least_tissue=0.25,
        packed_outlines=msgspec.msgpack.encode([SQUARE] if tiles else []),
    )


@dataclass
class Stage:
    """What all of them share. tiles: of every slide.   model: which they say they have.

    on_score: called before some tiles are scored, by their thread.
    scored: what was asked for, as first tile and count.   choices: which models were asked for.
    """

    tiles: int = 40
    model: Loaded = MODEL
    on_score: Callable[["Pretender", int, int], None] = lambda *_: None
    on_begin: Callable[["Pretender", Path], None] = lambda *_: None
    scored: list[tuple[int, int]] = field(default_factory=list)
    choices: list[ModelChoice] = field(default_factory=list)
    cast: list["Pretender"] = field(default_factory=list)

    def options(self, processes: int = 2) -> AnalysisOptions:
        """With batches of a few tiles, of which `tiles` makes eight or more."""
        return AnalysisOptions(self.start, processes, batch_seconds=0.01)

    def start(self, choice: ModelChoice) -> "Pretender":
        self.choices.append(choice)
        self.cast.append(Pretender(self))
        return self.cast[-1]

    @property
    def are_all_ended(self) -> bool:
        return all(one.killed.is_set() and one.is_stopped for one in self.cast)


class Pretender:
    """One of them. The score of a tile is its number."""

    def __init__(self, stage: Stage) -> None:
        self.killed = threading.Event()
        self.is_stopped = False
        self._stage = stage

    def begin(self, path: Path) -> Begun:
        self._stage.on_begin(self, path)
        return begun(self._stage.tiles, self._stage.model)

    def score(self, first: int, count: int, *, then: int | None = None) -> bytes:
        assert 0 <= first < first + count <= self._stage.tiles
        assert then is None or first + count <= then < self._stage.tiles
        self._stage.scored.append((first, count))
        time.sleep(0.001 * count)
        self._stage.on_score(self, first, count)
        return struct.pack(f"<{count}f", *range(first, first + count))

    def findings(self, scores: bytes) -> Findings:
        numbers = struct.unpack(f"<{self._stage.tiles}f", scores)
        assert numbers == tuple(range(self._stage.tiles))
        return Findings((FoundClass("High", (1, 2, 3), ()),), {"nuclei_per_mm2": sum(numbers)})

    def hang(self) -> None:
        """What a process does that is busy until it is killed."""
        assert self.killed.wait(20), "nobody killed it"
        raise AnalysisFailed("The analysis process died.")

    def kill(self) -> None:
        self.killed.set()

    def stop(self) -> None:
        self.is_stopped = True
