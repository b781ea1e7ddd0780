"""The built-in measurement with real processes, over real files (pathomiq contract 7, 8; issue 5, bad input)."""

import io
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pinakes.core.actor import Actor
from pinakes.core.analysis.analyser import AnalysisOptions
from pinakes.core.annotations import reading
from pinakes.core.archive import Archive
from pinakes.core.slides.states import Stage
from pinakes.imaging.analysis.process import AnalysisBounds, AnalysisProcess
from tests.core.analysis.making import document, metric, predicted, put_slide, slide_bytes, stages, told

pytestmark = [
    pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True),  # the rest of this folder runs on both
]

BOUNDS = AnalysisBounds(memory_bytes=4 * 1024**3, seconds=120.0)


@pytest.fixture
def archive_options() -> dict[str, Any]:
    return {"analysis": AnalysisOptions(partial(AnalysisProcess.start, BOUNDS), 2)}


@pytest.mark.slow
def test_two_runs_of_a_slide_give_the_same_bytes(archive: Archive, ana: Actor, tmp_path: Path) -> None:
    slide = put_slide(archive, ana, slide_bytes(tmp_path, 4096, 3072))
    now = predicted(archive, ana, slide)
    assert stages(now) == "Done Done Done", told(archive, ana, slide)
    again = predicted(archive, ana, slide)
    assert document(archive, ana, slide, 1) == document(archive, ana, slide, 2)
    assert metric(again) == metric(now)
    markup = reading.read([document(archive, ana, slide)])
    assert [layer.name for layer in markup.layers] == ["Tissue", "High cellularity"]
    figures = metric(now)
    assert figures["tissue_area_mm2"] == pytest.approx(2048 * 1536 * 0.499**2 / 1e6, rel=0.1)
    assert figures["tissue_area_mm2"] == pytest.approx(now.tissue_area_mm2, abs=1e-6)
    assert (figures["tiles_total"], figures["tile_size_px"]) == (48, 512)
    assert figures["nuclei_per_mm2"] > 1000
    first, last = (run.result for run in archive.analysis.list(ana, slide.id))
    assert first is not None
    assert last is not None
    assert first.parameters == last.parameters


def test_a_photograph_without_scale_is_measured_in_pixels(archive: Archive, ana: Actor) -> None:
    picture = Image.merge(
        "RGB", [Image.linear_gradient("L"), Image.new("L", (256, 256), 40), Image.linear_gradient("L")]
    )
    made = io.BytesIO()
    picture.save(made, "JPEG")
    slide = put_slide(archive, ana, made.getvalue())
    now = predicted(archive, ana, slide)
    assert stages(now) == "Done Done Done", told(archive, ana, slide)
    figures = metric(now)
    assert (now.tissue_area_mm2, figures["tissue_area_mm2"], figures["mpp_x"]) == (None, None, None)
    assert figures["tissue_area_px"] > 0
    assert b"MicronsPerPixel" not in document(archive, ana, slide)


def test_8_1_what_is_no_slide_fails_with_its_reason(archive: Archive, ana: Actor) -> None:
    slide = put_slide(archive, ana, b"invented")
    now = predicted(archive, ana, slide)
    assert [now.stages[stage] for stage in Stage] == ["Failed", "Pending", "Pending"]
    (run,) = archive.analysis.list(ana, slide.id)
    assert run.error
    assert told(archive, ana, slide)[-1] == f"The prediction failed: {run.error}"
    assert "/" not in run.error
