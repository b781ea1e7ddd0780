"""Manifests of models (pathomiq contract 8.4): what is refused says which field is wrong."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.imaging.analysis.manifest import ExecutableManifest, ModelInvalid, OnnxManifest, parse, read
from pinakes.imaging.analysis.requests import AnalysisFailed
from tests.imaging.analysis.making_models import CLASSES, fields_of, network, program, written

OUTCOME = {"output": "x", "endpoint": "death", "threshold": 1, "labels": ["low", "high"]}


def refusal(**fields: Any) -> str:
    with pytest.raises(ModelInvalid) as refused:
        parse(json.dumps(fields_of(**fields)).encode())
    return str(refused.value)


def test_a_manifest_says_what_the_contract_names() -> None:
    whole = parse(json.dumps(fields_of(mean=[0.5, 0.5, 0.5], std=[0.2, 0.2, 0.2], activation="softmax")).encode())
    assert isinstance(whole, OnnxManifest)
    assert (whole.name, whole.version, whole.licence, whole.layout) == ("made", "1.0", "MIT", "NHWC")
    assert (whole.input_px, whole.mpp, whole.mean, whole.std) == (16, 2.0, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    first = whole.classes[0]
    assert (first.name, first.colour, first.threshold) == ("Red", (255, 0, 0), 0.5)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"name": "../up"}, "name"),
        ({"version": ""}, "version"),
        ({"version": "1.0\n"}, "version"),
        ({"kind": "torch"}, "kind"),
        ({"layout": "HWC"}, "layout"),
        ({"input_px": 15}, "input_px"),
        ({"input_px": "512"}, "input_px"),
        ({"mpp": 0}, "mpp"),
        ({"mpp": 84.7}, "mpp"),
        ({"mean": [0.5]}, "mean"),
        ({"std": [0.2, 0, 0.2]}, "std"),
        ({"classes": []}, "classes"),
        ({"classes": [*CLASSES, CLASSES[0]]}, "classes[3].name"),
        ({"classes": [{"name": "Tissue", "colour": [0, 0, 0]}]}, "classes[0].name"),
        ({"classes": [{"name": "a\x00b", "colour": [0, 0, 0]}]}, "classes[0].name"),
        ({"classes": [{"name": "a", "colour": [0, 0, 256]}]}, "classes"),
        ({"classes": [{"name": "a", "colour": [0, 0, 0], "color": 1}]}, "classes"),
        ({"sha256": "A" * 64}, "sha256"),
        ({"licence": ""}, "licence"),
        ({"licence": "MIT\n"}, "licence"),
        ({"description": "a\x00b"}, "description"),
        ({"description": "a\x1bb"}, "description"),
        ({"description": "a\x85b"}, "description"),
        ({"description": "a\ufffe"}, "description"),
        ({"output": "a\tb"}, "output"),
        ({"outcome": OUTCOME | {"output": "a\x7f"}}, "outcome.output"),
        ({"outcome": OUTCOME | {"endpoint": "a\x01"}}, "outcome.endpoint"),
        ({"outcome": OUTCOME | {"labels": ["low", "\x02"]}}, "outcome.labels[1]"),
        ({"batch": 0}, "batch"),
        ({"cells": 0}, "cells"),
        ({"cells": 19}, "cells"),  # of three classes 1,083 scores
        ({"heat_class": "Yellow"}, "heat_class"),
        ({"heat_range": [1, 0]}, "heat_range"),
        ({"files": {"../weights": "0" * 64}}, "files"),
        ({"files": {"/etc/passwd": "0" * 64}}, "files"),
        ({"files": {"manifest.json": "0" * 64}}, "files"),
        ({"outcome": {"output": "x", "endpoint": "death", "threshold": 1, "labels": ["low"]}}, "outcome.labels"),
        ({"colour": 1}, "colour"),
        ({"command": ["x"]}, "command"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], place: str) -> None:
    assert place in refusal(**fields)


def test_what_is_missing_is_named() -> None:
    for name in ("name", "version", "kind", "licence", "sha256", "input_px", "mpp", "layout", "classes"):
        fields = fields_of()
        del fields[name]
        with pytest.raises(ModelInvalid, match=name):
            parse(json.dumps(fields).encode())


def test_a_description_has_lines_and_any_letters() -> None:
    text = "One.\n\tTwo: 5\xa0\xb5m, \u0436 \U0001f52c"
    whole = parse(json.dumps(fields_of(description=text, outcome=OUTCOME)).encode())
    assert whole.description == text


@pytest.mark.parametrize("command", [["/bin/sh"], ["../up"], ["./x"], [""], ["a//b"]])
def test_a_program_lies_in_the_directory(command: list[str]) -> None:
    fields = fields_of(kind="executable", command=command)
    del fields["layout"]
    with pytest.raises(ModelInvalid, match="command"):
        parse(json.dumps(fields).encode())


@given(st.binary(max_size=200) | st.builds(lambda n: b"[" * n, st.integers(0, 100_000)))
def test_any_bytes_are_refused_in_words(content: bytes) -> None:
    with pytest.raises(ModelInvalid):
        parse(content)


def test_a_manifest_has_an_end() -> None:
    with pytest.raises(ModelInvalid, match="1 MiB"):
        parse(b" " * 1024**2 + b"{}")


def test_the_files_are_what_the_manifest_says(tmp_path: Path) -> None:
    more = written(tmp_path / "data" / "weights.bin", b"w" * 3_000_000)
    sha256 = network(tmp_path, files={"data/weights.bin": more})
    assert read(tmp_path).sha256 == sha256
    assert sha256 == hashlib.sha256((tmp_path / "model.onnx").read_bytes()).hexdigest()


def test_a_program_has_its_hash_too(tmp_path: Path) -> None:
    program(tmp_path, "print(1)")
    assert isinstance(read(tmp_path), ExecutableManifest)
    (tmp_path / "score.py").write_text("print(2)")
    with pytest.raises(ModelInvalid, match=r"score\.py is not the file"):
        read(tmp_path)


def test_a_changed_weight_is_found(tmp_path: Path) -> None:
    network(tmp_path, files={"weights.bin": written(tmp_path / "weights.bin", b"right")})
    (tmp_path / "weights.bin").write_bytes(b"wrong")
    with pytest.raises(ModelInvalid, match=r"weights\.bin is not the file"):
        read(tmp_path)
    with pytest.raises(AnalysisFailed):
        read(tmp_path)


def test_a_wrong_hash_is_found(tmp_path: Path) -> None:
    network(tmp_path, sha256="0" * 64)
    with pytest.raises(ModelInvalid, match=r"model\.onnx is not the file"):
        read(tmp_path)


def test_what_the_manifest_does_not_name_is_refused(tmp_path: Path) -> None:
    network(tmp_path)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "code.py").write_text("")
    with pytest.raises(ModelInvalid, match=r"more/code\.py is not in"):
        read(tmp_path)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match=r"manifest\.json cannot be read"):
        read(tmp_path)
    network(tmp_path)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(ModelInvalid, match=r"model\.onnx is missing"):
        read(tmp_path)


def test_links_are_refused(tmp_path: Path) -> None:
    network(tmp_path)
    content = (tmp_path / "model.onnx").rename(tmp_path.parent / "outside.onnx")
    (tmp_path / "model.onnx").symlink_to(content)
    with pytest.raises(ModelInvalid, match="is a link"):
        read(tmp_path)
    (tmp_path / "model.onnx").unlink()
    os.mkfifo(tmp_path / "model.onnx")
    with pytest.raises(ModelInvalid, match="is a link, or no file"):
        read(tmp_path)


def test_who_only_asks_is_spared_the_libraries() -> None:
    heavy = "numpy", "scipy", "skimage", "shapely", "onnxruntime", "onnx", "PIL"
    program = (
        "import sys, pinakes.imaging.analysis.process, pinakes.imaging.analysis.manifest; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
