"""Predictions, stage by stage, each in processes of its own: Pinakes beside a script on histolab, and beside decoding
alone, which is what nothing can be faster than.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.environments import Missing, made
from bench.report import Row, ratio
from bench.specimens import Made

_ROOT: Final = Path(__file__).parent.parent
_HISTOLAB: Final = ("histolab==0.7.0",)
_BELOW_HISTOLAB: Final = (
    "certifi",
    "numpy==1.24.4",
    "openslide-bin==4.0.1.1",
    "openslide-python==1.4.7",
    "pillow==10.4.0",
    "requests",
    "scikit-image==0.20.0",
    "scipy==1.10.1",
)
"""histolab itself wants scikit-image 0.19 and openslide-python 1.3, of which there are no wheels for Python 3.11."""

_NOT_INSTALLED: Final = {
    "tiatoolbox": "2.1.3 could be installed, but with PyTorch and CUDA's libraries: 218 packages, some gigabytes",
    "slideflow": "3.0.2 cannot be installed: it needs smac 1.4.0, of which there is no wheel",
}

_EVERY: Final = 10
"""Only so manieth tile is predicted by the peer, which takes its time."""


@dataclass(frozen=True, slots=True)
class Script:
    """What does one stage and tells of it, as `analysis_stages` does.

    stages: by how many processes each is done, in turn.   every: only so manieth tile is predicted.
    """

    name: str
    command: tuple[str, ...]
    stages: dict[str, tuple[int, ...]]
    every: int = 1


_OURS: Final = Script(
    "Pinakes",
    (sys.executable, "-m", "bench.analysis_stages"),
    {"tissue": (1,), "tiling": (1,), "decode": (1, 2), "read": (1, 2), "predict": (1, 2), "inline": (1, 2)},
)

_WHAT: Final = {
    "tissue": ("tissue", "pixels of the whole slide"),
    "tiling": ("tiling", "pixels of the whole slide"),
    "decode": ("stored JPEG tiles, only decoded", "those below tissue; libjpeg-turbo"),
    "read": ("tiles of 512 pixels, only read", "those with tissue"),
    "predict": ("prediction", "tiles with tissue, reading included"),
    "inline": ("prediction, nothing read ahead", "the same"),
}

_ONE_THREAD_EACH: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1"}

Told = dict[str, float]
Case = tuple[str, int, str]
"""A stage, the number of its processes, and whose it is."""


def histolab(folder: Path) -> tuple[Script, ...] | Row:
    """The script on histolab, which counts at full resolution or at ours, or a row that tells why there is none."""
    try:
        python = made(folder, _BELOW_HISTOLAB, without_dependencies=_HISTOLAB)
    except Missing as missing:
        return Row("prediction", "histolab", (), "MP/s", 0, str(missing))
    command = (str(python), str(Path(__file__).with_name("histolab_stages.py")))
    return (
        Script("histolab", command, {"tissue": (1,), "tiling": (1,), "read": (1,), "predict": (1, 2)}, _EVERY),
        Script("histolab, nuclei at 1 µm", (*command, "--mpp", "1"), {"predict": (1, 2)}, _EVERY),
    )


def measure(slide: Path, made: Made, peers: tuple[Script, ...] | Row, runs: int) -> tuple[list[Row], list[str]]:
    """made: what is true of the slide."""
    scripts = {each.name: each for each in (_OURS, *(() if isinstance(peers, Row) else peers))}
    told, missing = _all_told(scripts, slide, runs)
    rows = {case: _row(case, each, scripts[case[2]].every, made) for case, each in told.items()}
    ratios = []
    for stage, processes, name in rows:
        if name != _OURS.name:
            ours = rows[stage, processes, _OURS.name]
            ratios.append(ratio(ours.what, ours, rows[stage, processes, name], ""))
    limit = rows["decode", 2, _OURS.name]
    for processes in (1, 2):
        ahead, inline = (rows[stage, processes, _OURS.name] for stage in ("predict", "inline"))
        ratios.append(ratio(f"{ahead.what}, against nothing read ahead", ahead, inline, ""))
    for stage in ("read", "predict"):
        ours = rows[stage, 2, _OURS.name]
        ratios.append(ratio(f"{ours.what}, against only decoding", ours, limit, "1 is the limit"))
    missing += [peers] if isinstance(peers, Row) else []
    missing += [Row("prediction", name, (), "MP/s", 0, reason) for name, reason in _NOT_INSTALLED.items()]
    return [*rows.values(), *missing], ratios


def _all_told(scripts: dict[str, Script], slide: Path, runs: int) -> tuple[dict[Case, list[Told]], list[Row]]:
    """What all of them tell, run by run, in turn; and a row for each peer that fails, of which the rest is left out."""
    cases = [(s, n, name) for s in _WHAT for n in (1, 2) for name in scripts if n in scripts[name].stages.get(s, ())]
    told: dict[Case, list[Told]] = {case: [] for case in cases}
    failed: dict[str, Row] = {}
    for _ in range(runs):
        for stage, processes, name in cases:
            if name in failed:
                continue
            try:
                told[stage, processes, name].append(_staged(scripts[name], stage, slide, processes))
            except subprocess.CalledProcessError as exc:
                if name == _OURS.name:
                    raise
                note = f"it was installed, but its part '{stage}' ended with {exc.returncode}"
                failed[name] = Row("prediction", name, (), "MP/s", 0, note)
    return {case: each for case, each in told.items() if case[2] not in failed}, list(failed.values())


def _staged(script: Script, stage: str, slide: Path, processes: int) -> Told:
    """What several processes at once, each with a part of the tiles, tell together. Raises CalledProcessError."""
    parts = processes * (script.every if stage == "predict" else 1)
    running = [
        subprocess.Popen(
            [*script.command, stage, str(slide), "--part", f"{place}/{parts}"],
            cwd=_ROOT,
            env=os.environ | _ONE_THREAD_EACH,
            stdout=subprocess.PIPE,
        )
        for place in range(processes)
    ]
    printed = [process.communicate()[0] for process in running]
    for process in running:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, script.command)
    told: list[Told] = [json.loads(each) for each in printed]
    together = {name: sum(one.get(name, 0) for one in told) for name in ("pixels", "tiles", "nuclei")}
    slowest = {name: max(one[name] for one in told) for name in ("seconds", "peak_bytes")}
    return told[0] | together | slowest


def _row(case: Case, told: Sequence[Told], every: int, made: Made) -> Row:
    stage, processes, name = case
    what, note = _WHAT[stage]
    last = told[-1]
    if stage == "tissue":
        note += f", looked at in {last['looked_at'] / 1e6:.2g} MP; "
        note += f"{last['fraction']:.1%} of it is found, {made.tissue_fraction:.1%} is tissue"
    if last["tiles"]:
        note += f"; {last['tiles']:,.0f} tiles"
    if stage in ("predict", "inline"):
        note += f", one in {every}" if every > 1 else ""
        note += f"; {last['nuclei'] * every:,.0f} nuclei{' if all are alike' * (every > 1)}, of about {made.nuclei:,}"
    many = f", {processes} processes" if processes > 1 else ""
    rates = [one["pixels"] / one["seconds"] / 1e6 for one in told]
    return Row(what + many, name, rates, "MP/s", int(max(one["peak_bytes"] for one in told)), note)
