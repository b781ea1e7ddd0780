"""Models that are programs of their own: what they are told, and what is refused of bad ones."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from pinakes.imaging.analysis.executable import ExecutableProgram
from pinakes.imaging.analysis.manifest import ExecutableManifest, read
from pinakes.imaging.analysis.requests import AnalysisFailed
from tests.imaging.analysis.making_models import SIDE, manifest, program, written

RECIPE = Path(__file__).parents[3] / "docs/recipes/add-a-model.md"

Start = Callable[..., ExecutableProgram]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a program in Python that has read the first batch into `batch`; it ends with the test."""
    opening = (
        f"#!{sys.executable} -S\nimport json, os, sys, time\n"
        "head = json.loads(sys.stdin.buffer.readline())\n"
        "batch = sys.stdin.buffer.read(head['shape'][0] * head['shape'][1] * head['shape'][2] * 3)\n"
        "def answer(head, raw=b''):\n"
        "    sys.stdout.buffer.write(json.dumps(head).encode() + b'\\n' + raw); sys.stdout.buffer.flush()\n"
    )
    with ExitStack() as stack:

        def started(text: str, **fields: Any) -> ExecutableProgram:
            program(tmp_path, opening + text, **fields)
            found = read(tmp_path)
            assert isinstance(found, ExecutableManifest)
            made = ExecutableProgram(tmp_path, found)
            stack.callback(end, made)
            return made

        yield started


def end(model: ExecutableProgram) -> None:
    model._popen.kill()
    model._popen.communicate()


def tiles(count: int = 2) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def example(language: str) -> str:
    found = re.search(rf"```{language}\n(.+?)```", RECIPE.read_text(), re.S)
    assert found is not None
    return found[1]


def test_the_example_of_the_recipe_scores_tiles(tmp_path: Path) -> None:
    text = example("python")
    assert len(text.splitlines()) <= 11
    text = text.replace("#!/usr/bin/env python3", f"#!{sys.executable}")
    fields: dict[str, Any] = json.loads(example("json"))
    fields["sha256"] = written(tmp_path / "score.py", text.encode())
    (tmp_path / "score.py").chmod(0o755)
    manifest(tmp_path, fields)
    found = read(tmp_path)
    assert isinstance(found, ExecutableManifest)
    model = ExecutableProgram(tmp_path, found)
    try:
        for count in (3, 1):
            batch = np.random.default_rng(count).integers(0, 256, (count, 64, 64, 3), np.uint8)
            share = batch / 255
            expected = np.stack([1 - share.mean((1, 2, 3)), share[..., 0].mean((1, 2))], axis=1)
            np.testing.assert_allclose(model.score(batch, 2.0), expected, atol=1e-6)
    finally:
        end(model)
    assert model.identity.kind == "executable"


def test_a_program_is_told_shape_scale_and_pixels(start: Start) -> None:
    batch = tiles()
    model = start(
        "import array\n"
        "raw = array.array('f', [head['mpp'], batch[0], batch[-1]] * 2).tobytes()\n"
        "answer({'shape': [2, 3], 'dtype': 'float32'}, raw)\n"
    )
    row = [0.5, batch[0, 0, 0, 0], batch[-1, -1, -1, -1]]
    np.testing.assert_array_equal(model.score(batch, 0.5), [row, row])


def test_a_program_may_tell_where_in_a_tile_a_class_is(start: Start) -> None:
    model = start(
        "import array\n"
        "raw = array.array('f', range(24)).tobytes()\n"
        "answer({'shape': [2, 3, 2, 2], 'dtype': 'float32'}, raw)\n",
        cells=2,
    )
    scores = model.score(tiles(), 0.5)
    assert scores[:, :3].tolist() == [[1.5, 5.5, 9.5], [13.5, 17.5, 21.5]]
    assert scores[:, 3:].tolist() == [list(range(12)), list(range(12, 24))]


def test_a_program_that_gives_no_cells_where_it_should_is_refused(start: Start) -> None:
    model = start("answer({'shape': [2, 3], 'dtype': 'float32'}, b'\\0' * 24)", cells=2)
    with pytest.raises(AnalysisFailed, match=r"float32 of \[2, 3\], not float32 of \[2, 3, 2, 2\]"):
        model.score(tiles(), 0.5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("answer({'shape': [2, 3], 'dtype': 'float32'}, b'\\0\\0\\xc0\\x7f' * 6)", "NaN"),
        ("answer({'shape': [2, 4], 'dtype': 'float32'}, b'\\0' * 32)", r"float32 of \[2, 4\], not float32 of \[2, 3\]"),
        ("answer({'shape': [2, 3], 'dtype': 'float64'}, b'\\0' * 48)", "float64"),
        ("answer({'shape': [10**30], 'dtype': 'float32'})", "line of JSON|not float32"),
        ("answer({'error': 'No licence\\n found.'})", "says: No licence found"),
        ("answer({'dtype': 'f\\x1bloat64'})", "returned float64 of"),
        ("answer([1, 2])", "line of JSON"),
        ("sys.stdout.write('x' * 10_000_000)", "line of JSON"),
        ("sys.exit(3)", "ended with status 3"),
        ("os.abort()", "ended by signal 6"),
        ("answer({'shape': [2, 3], 'dtype': 'float32'}, b'\\0' * 8)", "ended with status 0"),
        ("import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))\nb' ' * 2**40", "more memory"),
    ],
)
def test_a_bad_program_fails_with_a_reason(start: Start, text: str, reason: str) -> None:
    with pytest.raises(AnalysisFailed, match=reason):
        start(text).score(tiles(), 0.5)


def test_a_program_that_has_ended_is_told_of(start: Start) -> None:
    model = start("answer({'shape': [2, 3], 'dtype': 'float32'}, b'\\0' * 24)")
    assert model.score(tiles(), 0.5).tolist() == [[0, 0, 0], [0, 0, 0]]
    psutil.Process(model._popen.pid).wait(10)
    with pytest.raises(AnalysisFailed, match="ended with status 0"):
        model.score(tiles(64), 0.5)


def test_what_a_program_writes_where_it_starts_does_not_change_its_model(
    start: Start, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    model = start(
        "open('cache', 'w').close()\n"
        "is_there = os.path.samefile(os.environ['PINAKES_MODEL'] + '/score.py', __file__)\n"
        "answer({'shape': [2, 3], 'dtype': 'float32'}, (b'\\0\\0\\x80?' if is_there else b'\\0' * 4) * 6)"
    )
    assert model.score(tiles(), 0.5).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert (scratch / "cache").exists()
    read(tmp_path)


def test_what_cannot_be_executed_is_refused(tmp_path: Path) -> None:
    program(tmp_path, "no program")
    (tmp_path / "score.py").chmod(0o644)
    found = read(tmp_path)
    assert isinstance(found, ExecutableManifest)
    with pytest.raises(AnalysisFailed, match="cannot be started"):
        ExecutableProgram(tmp_path, found)
