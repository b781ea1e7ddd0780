"""Networks of operators: what they are given, what is made of their numbers, and what is refused of bad ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import NodeProto

from pinakes.imaging.analysis.manifest import OnnxManifest, read
from pinakes.imaging.analysis.onnx import OnnxNetwork
from pinakes.imaging.analysis.outlines import Outline
from pinakes.imaging.analysis.requests import AnalysisFailed
from pinakes.imaging.analysis.tiling import Tile
from pinakes.imaging.analysis.tissue import Tissue
from pinakes.imaging.source import Size
from tests.data.models import train_tissue_model
from tests.imaging.analysis import making_models
from tests.imaging.analysis.making_models import MAPS, PLAIN, SIDE, network, node

NOWHERE = Tissue(Size(64, 64), np.ones((8, 8), np.bool_), 8, 8, None, 4096, None, 1.0, ())


def model(directory: Path, nodes: Sequence[NodeProto] = PLAIN, **fields: Any) -> OnnxNetwork:
    network(directory, nodes, **fields)
    manifest = read(directory)
    assert isinstance(manifest, OnnxManifest)
    return OnnxNetwork(directory, manifest)


def tiles(count: int = 3, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def logits(batch: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(batch.mean(axis=(1, 2)) / 255)


def test_a_network_sees_normalised_tiles_and_gives_a_row_for_each(tmp_path: Path) -> None:
    mean, std = np.array([0.5, 0.4, 0.3]), np.array([0.1, 0.2, 0.4])
    made = model(tmp_path, mean=mean.tolist(), std=std.tolist())
    batch = tiles()
    scores = made.score(batch, 2.0)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, (logits(batch) - mean) / std, atol=1e-5)
    assert made.columns == ("score of Red, any unit", "score of Green, any unit", "score of Blue, any unit")
    assert (made.heat_column, made.heat_range) == (0, None)


def test_planes_come_before_rows_where_the_manifest_says_so(tmp_path: Path) -> None:
    planes = [node("ReduceMean", ["tiles"], ["scores"], axes=[2, 3], keepdims=0)]
    made = model(tmp_path, planes, inputs=("N", 3, SIDE, SIDE), layout="NCHW")
    batch = tiles()
    np.testing.assert_allclose(made.score(batch, 2.0), logits(batch), atol=1e-6)


def test_a_softmax_and_a_sigmoid_are_done_if_the_manifest_says_so(tmp_path: Path) -> None:
    batch = tiles()
    powers = np.exp(logits(batch))
    soft = model(tmp_path / "soft", activation="softmax", heat_class="Blue")
    np.testing.assert_allclose(soft.score(batch, 2.0), powers / powers.sum(axis=1, keepdims=True), atol=1e-6)
    assert (soft.heat_column, soft.heat_range) == (2, (0.0, 1.0))
    each = model(tmp_path / "each", activation="sigmoid")
    np.testing.assert_allclose(each.score(batch, 2.0), 1 / (1 + np.exp(-logits(batch))), atol=1e-6)


def test_an_activation_of_huge_numbers_is_no_nan(tmp_path: Path) -> None:
    huge = [making_models.MEANS, node("Constant", [], ["huge"], value_floats=[1e6, -1e6, 1e30]),
            node("Mul", ["means", "huge"], ["scores"])]  # fmt: skip
    for activation, expected in (("softmax", [0, 0, 1]), ("sigmoid", [1, 0, 1])):
        scores = model(tmp_path / activation, huge, activation=activation).score(tiles(1), 2.0)
        np.testing.assert_allclose(scores, [expected], atol=1e-6)


def test_of_maps_the_means_are_kept(tmp_path: Path) -> None:
    batch = tiles()
    made = model(tmp_path, MAPS, activation="sigmoid")
    np.testing.assert_allclose(
        made.score(batch, 2.0), (1 / (1 + np.exp(-(batch / 255.0)))).mean(axis=(1, 2)), atol=1e-6
    )


@pytest.mark.parametrize("nodes", [PLAIN, making_models.QUANTISED], ids=["plain", "quantised"])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_tile_gets_the_same_row_whatever_else_is_scored(tmp_path: Path, nodes: list[NodeProto], batch: int) -> None:
    """One that is quantised as it runs takes its steps from the least and the greatest number of all its tiles."""
    made = model(tmp_path, nodes, batch=batch, activation="softmax")
    darker = (tiles(9) // np.arange(1, 10).reshape(9, 1, 1, 1)).astype(np.uint8)
    together = made.score(darker, 2.0)
    apart = np.concatenate([made.score(each[np.newaxis], 2.0) for each in darker])
    assert together.tobytes() == apart.tobytes()
    assert made.score(tiles(0), 2.0).shape == (0, 3)


def test_a_network_for_a_fixed_number_of_tiles_gets_as_many(tmp_path: Path) -> None:
    made = model(tmp_path, inputs=(4, SIDE, SIDE, 3))
    assert made.tiles_at_once == 4
    batch = tiles(6)
    np.testing.assert_allclose(made.score(batch, 2.0), logits(batch), atol=1e-6)


def test_a_gpu_is_given_a_batch_and_a_cpu_one_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert model(tmp_path / "cpu", batch=4).tiles_at_once == 1
    with_gpu = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.InferenceSession.get_providers", lambda _: with_gpu)
    made = model(tmp_path / "gpu", batch=4)
    assert made.tiles_at_once == 4
    np.testing.assert_allclose(made.score(tiles(6), 2.0), logits(tiles(6)), atol=1e-6)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (making_models.NAN, "NaN"),
        (making_models.SIX_COLUMNS, "wrong shape: 1 x 6, not 1 x 3"),
        (making_models.ONE_ROW, "wrong shape: 3, not 1 x 3"),
        (making_models.WHOLE_NUMBERS, "type int64, not float32"),
    ],
)
def test_a_bad_network_fails_with_a_reason(tmp_path: Path, nodes: list[NodeProto], reason: str) -> None:
    with pytest.raises(AnalysisFailed, match=reason):
        model(tmp_path, nodes).score(tiles(2), 2.0)


@pytest.mark.parametrize(
    ("inputs", "fields", "reason"),
    [
        (("N", 32, 32, 3), {}, "input"),
        (("N", 3, SIDE, SIDE), {}, "input"),
        (("N", SIDE, SIDE), {}, "input"),
        (("N", SIDE, SIDE, 3), {"output": "logits"}, "no output logits"),
    ],
)
def test_a_network_that_is_not_what_its_manifest_says_is_refused(
    tmp_path: Path, inputs: tuple[Any, ...], fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(AnalysisFailed, match=reason):
        model(tmp_path, inputs=inputs, **fields)


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    sha256 = making_models.written(tmp_path / "model.onnx", b"\x08\x08 no network")
    making_models.manifest(tmp_path, {"sha256": sha256})
    manifest = read(tmp_path)
    assert isinstance(manifest, OnnxManifest)
    with pytest.raises(AnalysisFailed, match=r"model\.onnx cannot be loaded"):
        OnnxNetwork(tmp_path, manifest)


def test_tiles_of_a_class_are_joined_and_measured(tmp_path: Path) -> None:
    classes = [
        {"name": "Red", "colour": [255, 0, 0], "threshold": 0.5, "figure": "red_percent"},
        {"name": "Green", "colour": [0, 255, 0], "threshold": 0.9},
        {"name": "Blue", "colour": [0, 0, 255], "threshold": 0.2},
    ]
    made = model(tmp_path, classes=classes)
    row = [Tile(0, 0, 16, 16, 1.0), Tile(16, 0, 16, 16, 0.5), Tile(48, 0, 16, 16, 0.5)]
    scores = np.array([[0.5, 0.1, 0.1], [0.6, 0.1, 0.1], [0.4, 0.1, 0.3]], np.float32)
    found = made.findings(row, scores, NOWHERE)
    red, green, blue = found.classes
    assert red.outlines == (Outline((0.0, 0.0, 32.0, 32.0), (0.0, 16.0, 16.0, 0.0)),)
    assert (green.outlines, blue.area_px, blue.colour) == ((), 256, (0, 0, 255))
    assert found.figures == {"red_percent": 75.0}
    assert found.outcome is None


def test_no_tiles_are_no_error(tmp_path: Path) -> None:
    classes = [{"name": "Red", "colour": [255, 0, 0], "figure": "red_percent"}]
    found = model(tmp_path, classes=classes).findings((), np.empty((0, 1), np.float32), NOWHERE)
    assert found.classes[0].outlines == ()
    assert found.figures == {"red_percent": None}


def test_a_class_is_outlined_by_the_cells_of_its_maps(tmp_path: Path) -> None:
    classes = [{**each, "figure": f"part_{place}_percent"} for place, each in enumerate(making_models.CLASSES)]
    made = model(tmp_path, MAPS, cells=2, classes=classes)
    assert made.columns[2:5] == (
        "score of Blue, any unit",
        "score of Red in cell 0, 0, any unit",
        "score of Red in cell 0, 1, any unit",
    )
    batch = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    batch[0, :8, 8:, 0] = batch[1, :8, :, 0] = 255  # red: a corner of the first tile and the upper half of the second
    batch[1, :, :, 2] = 255
    scores = made.score(batch, 2.0)
    assert scores.shape == (2, 3 * (1 + 4))
    assert scores[:, :3].tolist() == [[0.25, 0, 0], [0.5, 0, 1]]
    row = [Tile(0, 0, 32, 32, 1.0), Tile(32, 0, 24, 32, 0.5, Size(32, 32))]
    mask = np.ones((4, 7), np.bool_)
    mask[2:, 4:] = False  # the lower half of the second tile is glass
    slide = Tissue(Size(56, 32), mask, 8, 8, None, 56 * 32 - 24 * 16, None, 0.8, ())
    red, green, blue = made.findings(row, scores, slide).classes
    (outline,) = red.outlines
    assert (min(outline.xs), max(outline.xs), min(outline.ys), max(outline.ys)) == (16, 56, 0, 16)
    assert red.area_px == pytest.approx(40 * 16, rel=0.2)  # its corners are cut
    assert green.outlines == ()
    assert blue.area_px == pytest.approx(24 * 32, rel=0.2)
    figures = made.findings(row, scores, slide).figures
    assert figures["part_0_percent"] == pytest.approx(100 * (16 * 16 + 24 * 16) / slide.area_px, abs=1e-3)
    assert figures["part_1_percent"] == 0
    assert figures["part_2_percent"] == pytest.approx(100 * 24 * 16 / slide.area_px, abs=1e-3)


def test_maps_that_are_no_cells_and_scores_in_place_of_maps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnalysisFailed, match="maps of 16 x 16, which are no 3 x 3 cells"):
        model(tmp_path, MAPS, cells=3).score(tiles(), 2.0)
    with pytest.raises(AnalysisFailed, match="wrong shape: 1 x 3, not 1 x 3 x any x any"):
        model(tmp_path / "plain", cells=2).score(tiles(), 2.0)


def test_an_outcome_stands_between_the_scores_of_tiles_and_those_of_cells(tmp_path: Path) -> None:
    prognosis = node("ReduceMean", ["means"], ["prognosis"], axes=[1], keepdims=1)
    head = {"output": "prognosis", "endpoint": "survival", "threshold": 0.5, "labels": ["low", "high"]}
    made = model(tmp_path, [*MAPS, making_models.MEANS, prognosis], cells=2, outcome=head)
    batch = tiles(2)
    scores = made.score(batch, 2.0)
    assert made.columns[3] == "part of the outcome survival, any unit"
    np.testing.assert_allclose(scores[:, 3], batch.mean(axis=(1, 2, 3)) / 255, atol=1e-5)
    row = [Tile(0, 0, 16, 16, 1.0), Tile(16, 0, 16, 16, 1.0)]
    outcome = made.findings(row, scores, NOWHERE).outcome
    assert outcome is not None
    assert outcome["score"] == pytest.approx(batch.mean() / 255, abs=1e-4)


def test_an_outcome_is_the_mean_over_the_tissue(tmp_path: Path) -> None:
    """Pathomiq contract 2.1, outcome_prediction."""
    nodes = [*PLAIN, node("ReduceMean", ["means"], ["prognosis"], axes=[1], keepdims=1)]
    head = {"output": "prognosis", "endpoint": "survival", "threshold": 0.5, "labels": ["low", "high"]}
    made = model(tmp_path, nodes, outcome=head)
    batch = np.stack([np.full((SIDE, SIDE, 3), value, np.uint8) for value in (0, 255)])
    scores = made.score(batch, 2.0)
    assert scores.shape == (2, 4)
    row = [Tile(0, 0, 16, 16, 0.25), Tile(16, 0, 16, 16, 0.75)]
    assert made.findings(row, scores, NOWHERE).outcome == {
        "endpoint": "survival",
        "score": 0.75,
        "threshold": 0.5,
        "label": "high",
        "model": "made",
        "version": "1.0",
    }
    assert made.findings((), scores[:0], NOWHERE).outcome is None


@pytest.mark.xdist_group("the test model is trained once")
def test_the_test_model_has_learnt_something(tissue_model: Path) -> None:
    manifest = read(tissue_model)
    assert isinstance(manifest, OnnxManifest)
    unseen, labels = train_tissue_model.tiles_of([101, 102, 103, 104, 105])
    scores = OnnxNetwork(tissue_model, manifest).score(unseen, manifest.mpp)
    right = float(np.mean(scores.argmax(axis=1) == labels))
    guessed = float(max(labels.mean(), 1 - labels.mean()))
    assert right > 0.85 > guessed + 0.05
    assert (tissue_model / "model.onnx").stat().st_size < 200_000
    assert "Not for use on patients" in manifest.description


@pytest.mark.slow
@pytest.mark.xdist_group("the test model is trained once")
def test_the_test_model_is_written_the_same_each_time(tissue_model: Path, tmp_path: Path) -> None:
    train_tissue_model.write(tmp_path)
    for name in ("model.onnx", "manifest.json"):
        assert (tmp_path / name).read_bytes() == (tissue_model / name).read_bytes()
