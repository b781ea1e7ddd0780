"""Trains and writes the test model: is a tile rich in cells, or poor? Not for use on patients.

    python -m tests.data.models.train_tissue_model DIRECTORY

It learns from synthetic slides, of which it is known where each nucleus lies. The network sees colours only: each pixel
goes through HIDDEN units, their means over the tile through a layer that gives two logits. The same packages on the
same machine write the same bytes.
"""

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.imaging.analysis.making_tissue import Stain, specimen

Floats = NDArray[np.float32]

TILE_PX = 64
MPP = 2.0
RICH_PER_MM2 = 1500.0
"""From so many nuclei on a tile is rich in cells."""

MEAN, STD = (0.7, 0.55, 0.7), (0.2, 0.2, 0.2)
HIDDEN = 6
TRAINING_SEEDS = range(10)
_SLIDE_PX = 320
_STEPS = 80
_RATE = 0.1


def tiles_of(seeds: Iterable[int]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Tiles of synthetic slides, N x 64 x 64 x 3, and which are rich in cells, N of 0 or 1.

    Each slide has another number of nuclei, and other amounts of stain.
    """
    tiles, labels = [], []
    for seed in seeds:
        chance = np.random.default_rng([7, seed])
        stain = Stain(
            per_mm2=float(np.exp(chance.uniform(np.log(500), np.log(4500)))),
            strength=float(chance.uniform(0.6, 1.0)),
            eosin=float(chance.uniform(0.25, 0.45)),
        )
        slide = specimen(_SLIDE_PX, _SLIDE_PX, mpp=MPP, seed=seed, stain=stain)
        edges = np.arange(0, _SLIDE_PX + 1, TILE_PX)
        counts, _, _ = np.histogram2d(slide.nuclei.ys, slide.nuclei.xs, bins=(edges, edges))
        side = _SLIDE_PX // TILE_PX
        grid = slide.pixels.reshape(side, TILE_PX, side, TILE_PX, 3).transpose(0, 2, 1, 3, 4)
        tiles.append(grid.reshape(-1, TILE_PX, TILE_PX, 3))
        labels.append(counts.ravel() / (TILE_PX * MPP / 1000) ** 2 >= RICH_PER_MM2)
    return np.concatenate(tiles), np.concatenate(labels).astype(np.int64)


def trained() -> list[Floats]:
    """The weights: 3 x HIDDEN, HIDDEN, HIDDEN x 2, 2. Gradient descent (Adam) on the cross entropy."""
    tiles, labels = tiles_of(TRAINING_SEEDS)
    pixels = ((tiles[:, 2::4, 2::4] / 255 - MEAN) / STD).reshape(len(tiles), -1, 3).astype(np.float32)
    chance = np.random.default_rng(11)
    shapes = [(3, HIDDEN), (HIDDEN,), (HIDDEN, 2), (2,)]
    weights = [chance.normal(0, 0.5, shape).astype(np.float32) for shape in shapes]
    first = [np.zeros_like(each) for each in weights]
    second = [np.zeros_like(each) for each in weights]
    for step in range(1, _STEPS + 1):
        for place, slope in enumerate(_slopes(weights, pixels, labels)):
            first[place] = 0.9 * first[place] + 0.1 * slope
            second[place] = 0.99 * second[place] + 0.01 * slope**2
            change = first[place] / (1 - 0.9**step) / (np.sqrt(second[place] / (1 - 0.99**step)) + 1e-8)
            weights[place] = (weights[place] - _RATE * change).astype(np.float32)
    return [np.round(each, 4) for each in weights]


def _slopes(weights: list[Floats], pixels: Floats, labels: NDArray[np.int64]) -> list[Floats]:
    """How the mean cross entropy changes with each weight."""
    into, into_bias, out, out_bias = weights
    hidden = np.maximum(pixels @ into + into_bias, 0)
    means = hidden.mean(axis=1)
    logits = means @ out + out_bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    error = (powers / powers.sum(axis=1, keepdims=True) - np.eye(2, dtype=np.float32)[labels]) / len(labels)
    back = (error @ out.T)[:, np.newaxis, :] * (hidden > 0) / pixels.shape[1]
    flat = back.reshape(-1, HIDDEN)
    return [pixels.reshape(-1, 3).T @ flat, flat.sum(axis=0), means.T @ error, error.sum(axis=0)]


def network(weights: list[Floats]) -> onnx.ModelProto:
    """The network as ONNX: N x 64 x 64 x 3 in, N x 2 logits out."""
    into, into_bias, out, out_bias = weights
    stored = {"into": into.T.reshape(HIDDEN, 3, 1, 1), "into_bias": into_bias, "out": out, "out_bias": out_bias}
    nodes = [
        helper.make_node("Transpose", ["tiles"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "into", "into_bias"], ["stains"]),
        helper.make_node("Relu", ["stains"], ["hidden"]),
        helper.make_node("GlobalAveragePool", ["hidden"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Gemm", ["flat", "out", "out_bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tissue-test",
        [helper.make_tensor_value_info("tiles", TensorProto.FLOAT, ["N", TILE_PX, TILE_PX, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def write(directory: Path) -> Path:
    """Train the model and write its directory, which is made; the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    content = network(trained()).SerializeToString(deterministic=True)
    (directory / "model.onnx").write_bytes(content)
    manifest = {
        "kind": "onnx",
        "name": "tissue-test",
        "version": "1",
        "licence": "MIT",
        "description": "A test model, trained on synthetic slides. Not for use on patients.",
        "sha256": hashlib.sha256(content).hexdigest(),
        "input_px": TILE_PX,
        "mpp": MPP,
        "layout": "NHWC",
        "mean": MEAN,
        "std": STD,
        "activation": "softmax",
        "classes": [
            {"name": "Poor in cells", "colour": [120, 120, 255]},
            {"name": "Rich in cells", "colour": [255, 140, 0], "figure": "rich_in_cells_percent"},
        ],
        "heat_class": "Rich in cells",
    }
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return directory


if __name__ == "__main__":
    write(Path(sys.argv[1]))
