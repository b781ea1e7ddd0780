"""The stages of a run as an analyser goes through them (pathomiq contract 3.2, 8.6), in a job really claimed."""

from collections.abc import Callable

import msgspec
import pytest

from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from pinakes.core.jobs.jobs import Jobs
from pinakes.core.jobs.kinds import JobFailed
from pinakes.core.slides.prediction import NO_RESULT, Prediction, Predictions
from pinakes.core.slides.records import Slide
from pinakes.core.slides.states import Stage
from tests.conftest import MovableClock
from tests.core.slides.working import attempt, begin, is_cancelled, take_over, work_off

XML = (
    b'<Annotations MicronsPerPixel="0.5"><Annotation Id="1" Name="Tissue" Type="4" LineColor="65280"><Regions>'
    b'<Region Id="1" Type="0" NegativeROA="0"><Vertices><Vertex X="0" Y="0"/><Vertex X="8" Y="0"/>'
    b'<Vertex X="8" Y="8"/></Vertices></Region></Regions></Annotation></Annotations>'
)
FIGURES = msgspec.json.encode({"schema": 1, "width": 100, "mpp_x": None, "mpp_y": None}).decode()


class Scripted:
    """An analyser that does what a test tells it."""

    def __init__(self, script: Callable[[Prediction], None]) -> None:
        self.analyse = script


@pytest.fixture
def slide(archive: Archive, ana: Actor, uploaded: Slide) -> Slide:
    """One whose run is queued."""
    return archive.runs.start(ana, uploaded.uid)


def with_analyser(archive: Archive, script: Callable[[Prediction], None]) -> Jobs:
    """The archive's jobs where this analyser is installed."""
    jobs = Jobs(archive.database, archive.clock)
    jobs.register(Predictions(archive.database, archive.annotations, archive.clock, analyser=Scripted(script)).kind)
    return jobs


def publish(archive: Archive, prediction: Prediction) -> None:
    with archive.annotations.receive() as upload:
        upload.write(XML)
        upload.finish()
        prediction.publish(upload, FIGURES)


def test_3_2_the_stages_follow_one_another(archive: Archive, ana: Actor, slide: Slide, clock: MovableClock) -> None:
    seen: list[str] = []

    def look() -> Slide:
        now = archive.slides.find(ana, slide.uid)
        seen.append(" ".join(now.stages[stage] for stage in Stage))
        return now

    def analyse(prediction: Prediction) -> None:
        look()
        clock.advance(1_500_000)
        prediction.finish(Stage.TISSUE_AREA, tissue_area_mm2=12.5)
        assert look().tissue_area_mm2 == 12.5
        prediction.finish(Stage.TILING)
        assert look().metric is None
        publish(archive, prediction)

    work_off(archive, with_analyser(archive, analyse))
    now = look()
    assert seen == ["Running Pending Pending", "Done Running Pending", "Done Done Running", "Done Done Done"]
    assert now.metric is not None
    assert msgspec.json.decode(now.metric)["width"] == 100
    assert msgspec.json.decode(now.metric)["annotations"] == []
    assert now.has_annotation
    assert now.outcome_prediction is None
    current = archive.slide_annotations.get(ana, slide.uid)
    assert (current.number, current.source, current.author_id) == (1, "prediction", None)
    told = [line.message for line in archive.slide_logs.of_slide(ana, slide.uid)]
    assert told[-8:] == [
        "The prediction has started.",
        "TissueArea is running.",
        "TissueArea is done (1.5 s).",
        "Tiling is running.",
        "Tiling is done (0.0 s).",
        "Annotation is running.",
        "Annotation is done (0.0 s).",
        "The prediction is done.",
    ]


def test_3_2_a_failing_stage_leaves_the_later_ones_pending(archive: Archive, ana: Actor, slide: Slide) -> None:
    def analyse(prediction: Prediction) -> None:
        prediction.finish(Stage.TISSUE_AREA)
        raise JobFailed("The tiles are too small.")

    work_off(archive, with_analyser(archive, analyse))
    now = archive.slides.find(ana, slide.uid)
    assert [now.stages[stage] for stage in Stage] == ["Done", "Failed", "Pending"]
    told = [line.message for line in archive.slide_logs.of_slide(ana, slide.uid)]
    assert told[-2:] == ["Tiling failed: The tiles are too small.", "The prediction failed: The tiles are too small."]


def test_an_analysis_without_a_result_is_no_result(archive: Archive, ana: Actor, slide: Slide) -> None:
    work_off(archive, with_analyser(archive, lambda prediction: prediction.finish(Stage.TISSUE_AREA)))
    now = archive.slides.find(ana, slide.uid)
    assert [now.stages[stage] for stage in Stage] == ["Done", "Failed", "Pending"]
    assert archive.slide_logs.of_slide(ana, slide.uid)[-1].message == f"The prediction failed: {NO_RESULT}"


def test_3_2_what_a_stopped_run_still_finds_is_dropped(archive: Archive, ana: Actor, slide: Slide) -> None:
    stopped: list[Slide] = []

    def analyse(prediction: Prediction) -> None:
        prediction.finish(Stage.TISSUE_AREA, tissue_area_mm2=1.0)
        stopped.append(archive.runs.stop(ana, slide.uid))
        assert is_cancelled(lambda: prediction.finish(Stage.TILING))
        assert is_cancelled(lambda: publish(archive, prediction))
        archive.runs.start(ana, slide.uid)  # another run does not let the former one in again
        assert is_cancelled(lambda: prediction.finish(Stage.TISSUE_AREA, tissue_area_mm2=2.0))

    assert is_cancelled(lambda: work_off(archive, with_analyser(archive, analyse)))
    assert [stopped[0].stages[stage] for stage in Stage] == ["Done", "Stopped", "Stopped"]
    now = archive.slides.find(ana, slide.uid)
    assert [now.stages[stage] for stage in Stage] == ["Pending", "Pending", "Pending"]
    assert (now.tissue_area_mm2, now.has_annotation) == (1.0, False)


def test_what_a_deleted_slides_run_still_finds_is_dropped(archive: Archive, ana: Actor, slide: Slide) -> None:
    def analyse(prediction: Prediction) -> None:
        archive.slides.delete(ana, slide.uid)
        assert is_cancelled(lambda: publish(archive, prediction))

    assert is_cancelled(lambda: work_off(archive, with_analyser(archive, analyse)))
    assert list(archive.store.list()) == []


def test_3_2_a_run_whose_worker_died_goes_on_with_another(archive: Archive, ana: Actor, slide: Slide) -> None:
    def analyse(prediction: Prediction) -> None:
        prediction.finish(Stage.TISSUE_AREA, tissue_area_mm2=1.0)
        prediction.finish(Stage.TILING)
        publish(archive, prediction)

    jobs = with_analyser(archive, analyse)
    first = begin(archive, jobs)
    late = attempt(archive, first, jobs)
    dead = Prediction(archive.database, archive.annotations, archive.clock, late, slide.id)
    dead.finish(Stage.TISSUE_AREA, tissue_area_mm2=1.0)
    attempt(archive, take_over(archive, first), jobs).run()
    assert is_cancelled(lambda: dead.finish(Stage.TILING))
    now = archive.slides.find(ana, slide.uid)
    assert [now.stages[stage] for stage in Stage] == ["Done", "Done", "Done"]
    told = [line.message for line in archive.slide_logs.of_slide(ana, slide.uid)]
    assert sum(message.startswith("TissueArea is done") for message in told) == 1
    assert len(archive.annotations.list(slide.id)) == 1


def test_earlier_results_stay_until_they_are_replaced(archive: Archive, ana: Actor, slide: Slide) -> None:
    def analyse(prediction: Prediction) -> None:
        prediction.finish(Stage.TISSUE_AREA, tissue_area_mm2=1.0)
        prediction.finish(Stage.TILING)
        publish(archive, prediction)

    work_off(archive, with_analyser(archive, analyse))
    before = archive.slides.find(ana, slide.uid)
    again = archive.runs.start(ana, slide.uid)
    assert [again.stages[stage] for stage in Stage] == ["Pending", "Pending", "Pending"]
    assert (again.metric, again.tissue_area_mm2, again.has_annotation) == (before.metric, 1.0, True)


def test_a_job_cancelled_from_elsewhere_stops_its_run(archive: Archive, ana: Actor, slide: Slide) -> None:
    claim = begin(archive)
    assert archive.jobs.stop(ana, claim.job_id)
    now = archive.slides.find(ana, slide.uid)
    assert [now.stages[stage] for stage in Stage] == ["Stopped", "Stopped", "Stopped"]
    assert archive.slide_logs.of_slide(ana, slide.uid)[-1].message == "The prediction was stopped."
