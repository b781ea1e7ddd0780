"""Makes directories of models: networks of a few operators and programs of a few lines, good ones and bad ones."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import NodeProto, TensorProto, helper

SIDE = 16
CLASSES = ({"name": "Red", "colour": [255, 0, 0]}, {"name": "Green", "colour": [0, 255, 0]}, {"name": "Blue",
           "colour": [0, 0, 255]})  # fmt: skip

node: Callable[..., NodeProto] = helper.make_node

MEANS = node("ReduceMean", ["tiles"], ["means"], axes=[1, 2], keepdims=0)
"""N x 3: of red, green and blue."""

PLAIN = [MEANS, node("Identity", ["means"], ["scores"])]
QUANTISED = [
    node("DynamicQuantizeLinear", ["tiles"], ["steps", "step", "zero point"]),
    node("DequantizeLinear", ["steps", "step", "zero point"], ["rounded"]),
    node("ReduceMean", ["rounded"], ["scores"], axes=[1, 2], keepdims=0),
]
NAN = [MEANS, node("Neg", ["means"], ["less"]), node("Log", ["less"], ["scores"])]
SIX_COLUMNS = [MEANS, node("Concat", ["means", "means"], ["scores"], axis=1)]
ONE_ROW = [MEANS, node("ReduceMean", ["means"], ["scores"], axes=[0], keepdims=0)]
WHOLE_NUMBERS = [MEANS, node("Cast", ["means"], ["scores"], to=TensorProto.INT64)]
MAPS = [node("Transpose", ["tiles"], ["scores"], perm=[0, 3, 1, 2])]
GREEDY = [
    MEANS,
    node("Constant", [], ["much"], value_ints=[200_000, 200_000, 3]),
    node("Slice", ["means", "zero", "one"], ["first"]),
    node("Expand", ["first", "much"], ["all"]),
    node("ReduceMean", ["all"], ["means of all"], axes=[0], keepdims=0),
    node("Slice", ["means of all", "zero", "one"], ["scores"]),
]
GREEDY[2:2] = [node("Constant", [], [name], value_ints=[value]) for name, value in (("zero", 0), ("one", 1))]


def endless() -> list[NodeProto]:
    """A loop that ends after 2**63 rounds."""
    body = helper.make_graph(
        [node("Identity", ["go on"], ["still"]), node("Sin", ["before"], ["after"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, None),
        ],
    )
    rounds = node("Constant", [], ["rounds"], value=helper.make_tensor("rounds", TensorProto.INT64, [], [2**63 - 1]))
    always = node("Constant", [], ["always"], value=helper.make_tensor("always", TensorProto.BOOL, [], [True]))
    return [MEANS, rounds, always, node("Loop", ["rounds", "always", "means"], ["scores"], body=body)]


def network(
    directory: Path, nodes: Sequence[NodeProto] = PLAIN, *, inputs: Sequence[Any] = ("N", SIDE, SIDE, 3), **fields: Any
) -> str:
    """Write a network with its manifest; its SHA-256. inputs: the shape of its input.   fields: of the manifest."""
    outputs = [name for each in nodes for name in each.output if name in ("scores", "prognosis")]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("tiles", TensorProto.FLOAT, inputs)],
        [helper.make_value_info(name, onnx.TypeProto()) for name in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    sha256 = written(directory / "model.onnx", model.SerializeToString())
    return manifest(directory, {"kind": "onnx", "layout": "NHWC", "sha256": sha256} | fields)


def program(directory: Path, text: str, **fields: Any) -> str:
    """Write a program in Python with its manifest; its SHA-256."""
    sha256 = written(directory / "score.py", text.encode())
    (directory / "score.py").chmod(0o755)
    return manifest(directory, {"kind": "executable", "command": ["score.py"], "sha256": sha256} | fields)


def written(path: Path, content: bytes) -> str:
    """The SHA-256 of a file that is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def fields_of(**fields: Any) -> dict[str, Any]:
    """A right manifest of a network, as JSON."""
    whole = {"name": "made", "version": "1.0", "licence": "MIT", "input_px": SIDE, "mpp": 2.0, "classes": CLASSES}
    return whole | {"kind": "onnx", "layout": "NHWC", "sha256": "0" * 64} | fields


def manifest(directory: Path, fields: dict[str, Any]) -> str:
    whole = fields_of(**fields)
    if whole["kind"] == "executable":
        del whole["layout"]
    (directory / "manifest.json").write_text(json.dumps(whole))
    return str(whole["sha256"])
