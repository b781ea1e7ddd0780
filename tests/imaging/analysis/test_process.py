"""Analysis processes: what they answer, and that whatever a model does in one stays there."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image

from pinakes.imaging.analysis import tiling, tissue
from pinakes.imaging.analysis.manifest import OnnxManifest, read
from pinakes.imaging.analysis.onnx import OnnxNetwork
from pinakes.imaging.analysis.prefetch import TileReader
from pinakes.imaging.analysis.process import (
    AnalysisBounds,
    AnalysisFailed,
    AnalysisProcess,
    Begun,
    Classical,
    Executable,
    ModelChoice,
    OnnxModel,
)
from pinakes.imaging.analysis.tiling import Tile, TilingOptions
from pinakes.imaging.source import Pixels, Rect, Size, Unreadable
from tests.imaging.analysis import making_models
from tests.imaging.analysis.fake_slides import MPP, OPENER, open_source, paint
from tests.imaging.analysis.making_tissue import ArraySource

BOUNDS = AnalysisBounds(memory_bytes=2 * 1024**3, seconds=60, opener=OPENER)
ROOT = Path(__file__).parents[3]

Start = Callable[..., AnalysisProcess]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Processes that are stopped when the test is over."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'src'}")
    with ExitStack() as stack:

        def started(model: ModelChoice, bounds: AnalysisBounds = BOUNDS) -> AnalysisProcess:
            process = AnalysisProcess.start(bounds, model)
            stack.callback(process.stop)
            return process

        yield started


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    return paint(tmp_path / "slide.png")


def network(directory: Path, nodes: object = making_models.PLAIN) -> OnnxModel:
    sha256 = making_models.network(directory, nodes)  # type: ignore[arg-type]
    return OnnxModel(str(directory), sha256)


def program(directory: Path, text: str) -> Executable:
    return Executable(str(directory), making_models.program(directory, f"#!{sys.executable} -S\n{text}"))


def hurried(process: AnalysisProcess, seconds: float) -> AnalysisProcess:
    """From now on it gets less time than it took to load its libraries."""
    process._bounds = msgspec.structs.replace(process._bounds, seconds=seconds)
    return process


def rows_of(scores: bytes, begun: Begun) -> NDArray[np.float32]:
    return np.frombuffer(scores, "<f4").reshape(-1, len(begun.model.columns))


@pytest.mark.xdist_group("the test model is trained once")
def test_the_test_model_scores_a_slide_end_to_end(start: Start, slide: Path, tissue_model: Path) -> None:
    manifest = read(tissue_model)
    assert isinstance(manifest, OnnxManifest)
    process = start(OnnxModel(str(tissue_model), manifest.sha256))
    begun = process.begin(slide)
    assert begun.model == process.load()
    assert (begun.model.name, begun.model.version, begun.model.kind) == ("tissue-test", "1", "onnx")
    assert "Not for use on patients" in begun.model.notice
    assert begun.model.sha256 == manifest.sha256
    assert (begun.size, begun.mpp, begun.least_tissue) == ((512, 512), (MPP, MPP), 0.25)
    assert begun.area_mm2 == pytest.approx(256 * 512 * MPP**2 / 1e6, rel=0.05)
    assert (begun.tiles_total, begun.tiles_count) == (64, 32)

    # by hand, in this process
    with open_source(slide, limits=BOUNDS.limits) as source:
        found = tissue.find(source)
        tiles = tiling.tiles_of(found, TilingOptions(64, 2.0))
        assert [tuple(row) for row in begun.tile_rows()] == [(*_corners(tile), tile.tissue_fraction) for tile in tiles]
        assert begun.outlines() == found.outlines
        pixels = np.stack([tiling.read(source, tile, 64) for tile in tiles])
    expected = OnnxNetwork(tissue_model, manifest).score(pixels, 2.0)

    scores = b"".join(process.score(first, 8) for first in range(0, 32, 8))
    assert scores == expected.astype("<f4").tobytes()
    assert process.score(5, 1) == scores[5 * 8 : 6 * 8]
    findings = process.findings(scores)
    assert findings == OnnxNetwork(tissue_model, manifest).findings(tiles, expected, found)
    assert sum(each.area_px for each in findings.classes) == pytest.approx(32 * 64 * 64)
    with pytest.raises(ValueError, match="no such tiles"):
        process.score(31, 2)
    with pytest.raises(ValueError, match="one row for each tile"):
        process.findings(scores[:-4])


def _corners(tile: Tile) -> tuple[int, int, int, int]:
    return tile.x, tile.y, tile.width, tile.height


@pytest.mark.slow
def test_the_built_in_measurement_runs_in_it_too(start: Start, slide: Path) -> None:
    process = start(Classical())
    begun = process.begin(slide)
    assert (begun.model.kind, begun.model.sha256) == ("classical", None)
    scores = b"".join(process.score(first, 1) for first in range(begun.tiles_count))
    assert np.isfinite(rows_of(scores, begun)).all()
    assert process.findings(scores).outcome is None


@pytest.mark.slow
def test_an_empty_slide_has_no_tiles_and_is_no_error(start: Start, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), (243, 241, 244)).save(tmp_path / "empty.png")
    real = "pinakes.imaging.opening:open_source"
    process = start(network(tmp_path / "model"), msgspec.structs.replace(BOUNDS, opener=real))
    begun = process.begin(tmp_path / "empty.png")
    assert (begun.area_px, begun.area_mm2, begun.tiles, begun.outlines()) == (0, None, b"", ())
    assert [each.outlines for each in process.findings(b"").classes] == [(), (), ()]
    (tmp_path / "none.svs").write_bytes(b"II*\0 no slide")
    with pytest.raises(Unreadable):
        process.begin(tmp_path / "none.svs")
    assert process.begin(tmp_path / "empty.png") == begun


@pytest.mark.slow
def test_a_slide_that_is_damaged_further_down_fails_there(start: Start, tmp_path: Path) -> None:
    process = start(network(tmp_path / "model"))
    process.begin(paint(tmp_path / "damaged.png"))
    process.score(0, 16)
    with pytest.raises(Unreadable, match="cut off"):
        process.score(16 * 16, 16)


def test_a_process_that_dies_of_a_slide_is_told_of(start: Start, tmp_path: Path) -> None:
    process = start(network(tmp_path / "model"))
    process.begin(paint(tmp_path / "dies.png"))
    with pytest.raises(AnalysisFailed, match="died while it scored tiles"):
        process.score(0, 4)


@pytest.mark.slow
def test_a_model_with_another_hash_is_not_loaded(start: Start, slide: Path, tmp_path: Path) -> None:
    made = network(tmp_path / "model")
    with pytest.raises(AnalysisFailed, match="not the one that was installed"):
        start(OnnxModel(made.directory, "0" * 64)).begin(slide)
    with (tmp_path / "model" / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(AnalysisFailed, match=r"model\.onnx is not the file"):
        start(made).begin(slide)


@pytest.mark.slow
def test_a_model_that_returns_nan_or_eats_memory_fails_and_the_process_goes_on(
    start: Start, slide: Path, tmp_path: Path
) -> None:
    nan = start(network(tmp_path / "nan", making_models.NAN))
    nan.begin(slide)
    for _ in range(2):
        with pytest.raises(AnalysisFailed, match="NaN"):
            nan.score(0, 4)
    greedy = start(network(tmp_path / "greedy", making_models.GREEDY))
    greedy.begin(slide)
    for _ in range(2):
        with pytest.raises(AnalysisFailed, match="more memory"):
            greedy.score(0, 4)
    assert greedy.is_alive


@pytest.mark.slow
def test_a_model_that_never_returns_is_ended_when_its_time_is_over(start: Start, slide: Path, tmp_path: Path) -> None:
    process = start(network(tmp_path / "model", making_models.endless()))
    process.begin(slide)
    began = time.monotonic()
    with pytest.raises(AnalysisFailed, match=r"more than 0\.5 s for 4 tiles"):
        hurried(process, 0.5).score(0, 4)
    assert time.monotonic() - began < 5
    assert not process.is_alive


def test_what_stops_a_run_stops_a_model_that_never_returns(start: Start, slide: Path, tmp_path: Path) -> None:
    class StopIt(Exception):
        pass

    process = start(network(tmp_path / "model", making_models.endless()))
    process.begin(slide)
    stop = threading.Event()
    told: list[float] = []

    def check() -> None:
        if stop.is_set():
            raise StopIt

    def tell() -> None:
        told.append(time.monotonic())
        stop.set()

    threading.Timer(0.3, tell).start()
    with pytest.raises(StopIt):
        process.score(0, 4, check)
    assert time.monotonic() - told[0] < 1
    assert not process.is_alive


@pytest.mark.slow
def test_a_program_that_never_answers_is_ended_with_the_process(start: Start, slide: Path, tmp_path: Path) -> None:
    process = start(program(tmp_path / "model", "import time\ntime.sleep(1000)\n"))
    process.begin(slide)
    (child,) = psutil.Process(process.pid).children(recursive=True)
    with pytest.raises(AnalysisFailed, match=r"more than 0\.5 s"):
        hurried(process, 0.5).score(0, 4)
    assert not psutil.wait_procs([child], timeout=5)[1]


_RUNAWAY = """
import os, time
if not os.fork():
    os.setsid()
    place = os.environ["PINAKES_MODEL"] + "/../runaway"
    with open(place + ".new", "w") as file: file.write(str(os.getpid()))
    os.rename(place + ".new", place)
time.sleep(1000)
"""
"""A program with a process that leaves its group, and says its number beside the model's directory."""


def runaway(directory: Path) -> psutil.Process:
    """That process, once it runs."""
    deadline = time.monotonic() + 30
    while not (directory / "runaway").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return psutil.Process(int((directory / "runaway").read_text()))


@pytest.mark.slow
def test_what_a_program_started_ends_with_the_process_wherever_it_has_gone(
    start: Start, slide: Path, tmp_path: Path
) -> None:
    process = start(program(tmp_path / "model", _RUNAWAY))
    process.begin(slide)
    left = runaway(tmp_path)
    process.kill()
    assert left.is_running()
    process.stop()
    assert not psutil.wait_procs([left], timeout=5)[1]


@pytest.mark.slow
def test_a_program_may_take_what_the_process_may(start: Start, slide: Path, tmp_path: Path) -> None:
    process = start(program(tmp_path / "model", "import sys\nsys.stdin.buffer.readline()\nb' ' * 3 * 1024**3\n"))
    process.begin(slide)
    with pytest.raises(AnalysisFailed, match="ended with status 1; perhaps it needs more memory"):
        process.score(0, 4)
    assert process.is_alive


@pytest.mark.slow
def test_who_waits_is_told_when_another_kills(start: Start, slide: Path, tmp_path: Path) -> None:
    process = start(network(tmp_path / "model", making_models.endless()))
    process.begin(slide)
    threading.Timer(0.2, process.kill).start()
    with pytest.raises(AnalysisFailed):
        process.score(0, 4)


_PARENT = """
import sys
from pathlib import Path
from pinakes.imaging.analysis.process import AnalysisBounds, AnalysisProcess, Executable
directory, sha256, slide = sys.argv[1:]
bounds = AnalysisBounds(memory_bytes=2 * 1024**3, seconds=60)
process = AnalysisProcess.start(bounds, Executable(directory, sha256))
process.begin(Path(slide))
print(process.pid, flush=True)
process.score(0, 1)
"""


@pytest.mark.slow
def test_a_process_and_its_program_die_with_their_parent_and_what_that_started_before_the_next_begins(
    start: Start, slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    model = program(tmp_path / "model", _RUNAWAY)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "TMPDIR": str(scratch)}
    command = [sys.executable, "-c", _PARENT, model.directory, model.sha256, str(slide)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        process = psutil.Process(int(parent.stdout.readline()))
        left = runaway(tmp_path)
        tree = [process, *process.children()]
        parent.kill()
        parent.wait()
    assert not psutil.wait_procs(tree, timeout=10)[1]
    assert left.is_running()

    (folder,) = scratch.iterdir()
    os.utime(folder, (0, 0))
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    start(model)
    assert not psutil.wait_procs([left], timeout=5)[1]
    assert not folder.exists()


class Counting(ArraySource):
    """Notes what is read; waits to be let through where a test says so."""

    def __init__(self) -> None:
        super().__init__(np.zeros((64, 1024, 3), np.uint8), levels=1)
        self.places: list[int] = []
        self.arrived = threading.Semaphore(0)

    def read_region(self, rect: Rect, size: Size, *, frame: int = 0) -> Pixels:
        self.places.append(rect.x)
        self.arrived.release()
        return super().read_region(rect, size, frame=frame)


def row_of_tiles(count: int) -> list[Tile]:
    return [Tile(16 * place, 0, 16, 16, 1.0) for place in range(count)]


def test_the_next_tiles_are_read_while_a_batch_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinakes.imaging.analysis.prefetch._MOST_TILES", 2)
    source = Counting()
    reader = TileReader(source, row_of_tiles(8), 16)
    batches = reader.batches(0, 4, 4)
    assert next(batches).shape == (2, 16, 16, 3)
    for _ in range(4):
        assert source.arrived.acquire(timeout=10)  # this thread holds a batch, as a model does, and asks for nothing
    assert [len(batch) for batch in batches] == [2]
    for _ in range(2):
        assert source.arrived.acquire(timeout=10)  # of the next request, before it is made
    assert [len(batch) for batch in reader.batches(4, 4, 8)] == [2, 2]
    reader.close()
    assert source.places == [0, 16, 32, 48, 64, 80, 96, 112]  # each once


@pytest.mark.parametrize(("at_once", "spans"), [(1, [8, 8, 4]), (3, [6, 6, 6, 2]), (12, [12, 8]), (40, [20])])
def test_batches_are_as_large_as_the_model_wants_or_a_multiple(
    monkeypatch: pytest.MonkeyPatch, at_once: int, spans: list[int]
) -> None:
    """What is missing in one would be scored in vain."""
    monkeypatch.setattr("pinakes.imaging.analysis.prefetch._MOST_TILES", 8)
    reader = TileReader(Counting(), row_of_tiles(20), 16, at_once)
    assert [len(batch) for batch in reader.batches(0, 20, 20)] == spans
    reader.close()


def test_a_wrong_guess_costs_a_read_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinakes.imaging.analysis.prefetch._MOST_TILES", 2)
    source = Counting()
    source._stored[0] = (
        np.repeat(np.arange(64, dtype=np.uint8), 16)[np.newaxis, :, np.newaxis].repeat(64, 0).repeat(3, 2)
    )
    reader = TileReader(source, row_of_tiles(8), 16)
    assert [batch[:, 0, 0, 0].tolist() for batch in reader.batches(0, 2, 2)] == [[0, 1]]
    assert [batch[:, 0, 0, 0].tolist() for batch in reader.batches(5, 3, 8)] == [[5, 6], [7]]
    reader.close()
