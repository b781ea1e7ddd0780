"""A run, in a job really claimed, with processes that only pretend (pathomiq contract 3.2, 7, 8)."""

import socket
import threading
import time
from collections.abc import Callable
from threading import Lock
from typing import Any

import msgspec
import pytest

from pinakes import __version__
from pinakes.core.actor import Actor
from pinakes.core.analysis import plans
from pinakes.core.analysis.models import BUILT_IN
from pinakes.core.annotations import reading
from pinakes.core.archive import Archive
from pinakes.core.content.content import Content
from pinakes.core.errors import StorageFull
from pinakes.core.jobs import attempt as attempts
from pinakes.core.slides.records import Slide
from pinakes.core.slides.states import RunState
from pinakes.core.slides.states import Stage as RunStage
from pinakes.imaging.analysis.requests import AnalysisFailed, Classical
from pinakes.imaging.source import Unreadable
from tests.core.analysis.making import document, kept_of, metric, predicted, put_slide, stages, told
from tests.core.analysis.pretending import Pretender, Stage
from tests.core.slides.working import attempt, begin, is_cancelled, take_over, work_off


class Killed(BaseException):
    """What a worker's thread meets when its process is killed: nothing of the run goes on."""


def test_8_findings_are_shown_as_an_annotation_and_figures(archive: Archive, ana: Actor, slide: Slide) -> None:
    now = predicted(archive, ana, slide)
    assert stages(now) == "Done Done Done", told(archive, ana, slide)
    assert now.tissue_area_mm2 == pytest.approx(0.04096)
    markup = reading.read([document(archive, ana, slide)])
    assert [layer.name for layer in markup.layers] == ["Tissue", "High"]
    assert markup.layers[1].regions == ()
    assert markup.microns_per_pixel == 0.5
    attributes = dict(markup.layers[1].attributes)
    assert attributes["Model"] == "pretended"
    assert attributes["Version"] == "1.0"
    assert attributes["Use"] == "research use only"
    assert attributes["tile_px"] == "64"
    assert list(markup.layers[0].regions[0].ys) == [0, 0, 64, 64]  # to a hundredth of a pixel
    figures = metric(now)
    assert figures["nuclei_per_mm2"] == sum(range(40))
    assert (figures["tiles_total"], figures["tiles_tissue"], figures["tile_size_px"]) == (40, 40, 64)
    assert figures["classes"] == [{"name": "High", "regions": 0, "area_px": 0.0, "area_mm2": 0.0}]
    model = {"name": "pretended", "version": "1.0", "sha256": None, "kind": "classical", "research_use_only": True}
    assert figures["model"] == model


def test_8_a_result_tells_where_it_comes_from(archive: Archive, ana: Actor, slide: Slide) -> None:
    predicted(archive, ana, slide)
    (run,) = archive.analysis.list(ana, slide.id)
    assert (run.state, run.model, run.error) == (RunState.DONE, "pretended@1.0", None)
    assert (run.tiles_total, run.tiles_done) == (40, 40)
    assert run.result is not None
    assert run.result.annotation_number == 1
    assert slide.content is not None
    assert run.result.input_digest == slide.content.digest
    assert run.result.software_version == __version__
    assert run.result.host == socket.gethostname()
    assert run.result.parameters["least_tissue_fraction"] == 0.25
    assert archive.analysis.get(ana, slide.id, run.id) == run


def test_8_2_a_slide_without_tissue_is_no_failure(archive: Archive, ana: Actor, slide: Slide, stage: Stage) -> None:
    stage.tiles = 0
    now = predicted(archive, ana, slide)
    assert stages(now) == "Done Done Done", told(archive, ana, slide)
    assert now.tissue_area_mm2 == 0
    markup = reading.read([document(archive, ana, slide)])
    assert [(layer.name, layer.regions) for layer in markup.layers] == [("Tissue", ()), ("High", ())]
    assert stage.scored == []


def test_7_the_same_input_gives_the_same_bytes_whatever_the_batches(
    archive: Archive, ana: Actor, slide: Slide, stage: Stage
) -> None:
    predicted(archive, ana, slide)
    stage.on_score = lambda *_: time.sleep(0.01)  # so the batches are smaller
    predicted(archive, ana, slide)
    assert document(archive, ana, slide, 1) == document(archive, ana, slide, 2)


def test_what_a_model_scores_in_one_go_is_not_cut(archive: Archive, ana: Actor, slide: Slide, stage: Stage) -> None:
    stage.model = msgspec.structs.replace(stage.model, tiles_at_once=7)
    predicted(archive, ana, slide)
    assert all(first % 7 == 0 and (count % 7 == 0 or first + count == 40) for first, count in stage.scored)


def test_8_1_what_cannot_be_read_fails_with_its_reason(
    archive: Archive, ana: Actor, slide: Slide, stage: Stage
) -> None:
    def refuse(*_: object) -> None:
        raise Unreadable("The slide is damaged.")

    stage.on_begin = refuse
    now = predicted(archive, ana, slide)
    assert stages(now) == "Failed Pending Pending"
    assert told(archive, ana, slide)[-1] == "The prediction failed: The slide is damaged."
    (run,) = archive.analysis.list(ana, slide.id)
    assert (run.state, run.error, run.result) == (RunState.FAILED, "The slide is damaged.", None)
    assert stage.are_all_ended


def test_8_6_a_model_that_fails_fails_the_annotation_and_leaves_nothing(
    archive: Archive, ana: Actor, slide: Slide, stage: Stage
) -> None:
    def fail(_: Pretender, first: int, __: int) -> None:
        if first > 20:
            raise AnalysisFailed("The model returned what is no number (NaN or infinite).")

    stage.on_score = fail
    now = predicted(archive, ana, slide)
    assert stages(now) == "Done Done Failed"
    assert told(archive, ana, slide)[-1].endswith("The model returned what is no number (NaN or infinite).")
    assert kept_of(archive) == (set(), 0)
    assert stage.are_all_ended


def test_a_full_disk_while_the_result_is_written_fails_the_run(
    archive: Archive, ana: Actor, slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StorageFull

    archive.runs.start(ana, slide.uid)
    monkeypatch.setattr(Content, "receive", refuse)
    work_off(archive)
    now = archive.slides.find(ana, slide.uid)
    assert stages(now) == "Done Done Failed"
    assert (now.metric, now.has_annotation) == (None, False)
    assert told(archive, ana, slide)[-1] == "The prediction failed: The storage is full; nothing was kept."
    assert kept_of(archive) == (set(), 0)


# -- Going on after a crash ---------------------------------------------------------------------------------------


def cut_off(archive: Archive, stage: Stage, seen: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the one job that waits until `seen` says so, then as if its process were killed; the claim."""
    claim = begin(archive)
    work = attempt(archive, claim)
    monkeypatch.setattr(work, "check", lambda: _die_if(seen()))
    with pytest.raises(Killed):
        work.run()
    return claim


def _die_if(is_time: bool) -> None:
    if is_time:
        raise Killed


def test_8_6_a_run_goes_on_where_it_was_cut_off(
    archive: Archive, ana: Actor, slide: Slide, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.on_score = lambda *_: time.sleep(0.02)
    archive.runs.start(ana, slide.uid)
    claim = cut_off(archive, stage, lambda: kept_of(archive)[1] >= 4, monkeypatch)
    (run_id,), _ = kept_of(archive)
    with archive.database.read() as connection:
        plan = plans.find(connection, run_id)
        kept = set(plans.scores(connection, run_id))
    assert plan is not None
    assert 4 <= len(kept) < len(list(plan.batches()))
    assert stages(archive.slides.find(ana, slide.uid)) == "Done Done Running"
    stage.scored.clear()
    stage.on_score = lambda *_: None
    attempt(archive, take_over(archive, claim)).run()
    wanted = {(batch.first, batch.count) for batch in plan.batches() if batch.number not in kept}
    assert set(stage.scored) == wanted
    assert len(stage.scored) == len(wanted)
    assert stages(archive.slides.find(ana, slide.uid)) == "Done Done Done"
    other = put_slide(archive, ana, b"invented")
    predicted(archive, ana, other)
    assert document(archive, ana, slide) == document(archive, ana, other)


def test_a_result_that_was_shown_by_a_worker_that_died_then_is_not_computed_again(
    archive: Archive, ana: Actor, slide: Slide, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    archive.runs.start(ana, slide.uid)
    claim = begin(archive)
    work = attempt(archive, claim)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(attempts, "finish", die)
        work.run()
    assert stages(archive.slides.find(ana, slide.uid)) == "Done Done Done"
    scored = len(stage.scored)
    attempt(archive, take_over(archive, claim)).run()
    (run,) = archive.analysis.list(ana, slide.id)
    assert run.state is RunState.DONE
    assert len(stage.scored) == scored


def test_a_machine_that_finds_other_tiles_starts_over(archive: Archive, ana: Actor, slide: Slide, stage: Stage) -> None:
    def die(_: Pretender, first: int, __: int) -> None:
        if first > 20:
            raise Killed

    stage.on_score = die
    archive.runs.start(ana, slide.uid)
    claim = begin(archive)
    with pytest.raises(Killed):
        attempt(archive, claim).run()
    stage.on_score, stage.tiles = (lambda *_: None), 30
    attempt(archive, take_over(archive, claim)).run()
    (run,) = archive.analysis.list(ana, slide.id)
    assert (run.state, run.tiles_done) == (RunState.DONE, 30), told(archive, ana, slide)


def test_another_version_of_pinakes_starts_over(
    archive: Archive, ana: Actor, slide: Slide, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.on_score = lambda *_: time.sleep(0.02)
    archive.runs.start(ana, slide.uid)
    claim = cut_off(archive, stage, lambda: kept_of(archive)[1] >= 1, monkeypatch)
    monkeypatch.setattr("pinakes.core.analysis.analyser.__version__", "99")
    stage.scored.clear()
    stage.on_score = lambda *_: None
    attempt(archive, take_over(archive, claim)).run()
    assert sum(count for _, count in stage.scored) >= 40
    (run,) = archive.analysis.list(ana, slide.id)
    assert run.result is not None
    assert run.result.software_version == "99"


def test_8_6_a_worker_that_lost_its_job_writes_no_batch(
    archive: Archive, ana: Actor, slide: Slide, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.runs.start(ana, slide.uid)
    claim = begin(archive)
    work = attempt(archive, claim)
    monkeypatch.setattr(work, "check", lambda: None)  # it has not looked yet

    taken = Lock()

    def take(*_: object) -> None:
        if len(stage.scored) >= 5 and taken.acquire(blocking=False):
            take_over(archive, claim)

    stage.on_score = take
    assert is_cancelled(work.run)
    assert kept_of(archive)[1] < 5
    assert stage.are_all_ended


# -- Stopping -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "shown"),
    [("begin", "Stopped Stopped Stopped"), ("tiling", "Done Stopped Stopped"), ("score", "Done Done Stopped")],
)
def test_3_2_a_stop_ends_the_processes_within_a_second_and_nothing_comes_after(
    archive: Archive, ana: Actor, slide: Slide, stage: Stage, where: str, shown: str
) -> None:
    busy = threading.Event()

    def hang(pretender: Pretender, first: object, *_: object) -> None:
        if where != "score" or first:  # what is timed before begins with the first tile
            busy.set()
            pretender.hang()

    if where == "begin":
        stage.on_begin = hang
    else:
        stage.on_score = hang
    archive.runs.start(ana, slide.uid)
    work = attempt(archive, begin(archive))
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(is_cancelled(work.run)))
    thread.start()
    assert busy.wait(10)
    stopped_at = time.monotonic()
    stopped = archive.runs.stop(ana, slide.uid)
    thread.join(5)
    assert time.monotonic() - stopped_at < 1
    assert ended == [True]
    assert stage.are_all_ended
    assert stages(stopped) == shown
    assert archive.slides.find(ana, slide.uid) == stopped
    assert kept_of(archive) == (set(), 0)
    (run,) = archive.analysis.list(ana, slide.id)
    assert (run.state, run.stage) == (RunState.STOPPED, None)


def test_a_slide_that_is_deleted_while_it_is_predicted_leaves_nothing(
    archive: Archive, ana: Actor, slide: Slide, stage: Stage
) -> None:
    deleted = Lock()

    def delete(*_: object) -> None:
        if len(stage.scored) >= 4 and deleted.acquire(blocking=False):
            archive.slides.delete(ana, slide.uid)

    stage.on_score = delete
    archive.runs.start(ana, slide.uid)
    assert is_cancelled(attempt(archive, begin(archive)).run)
    assert kept_of(archive) == (set(), 0)
    assert list(archive.store.list()) == []
    assert stage.are_all_ended


# -- What is kept -------------------------------------------------------------------------------------------------


def test_the_scores_of_the_last_run_that_is_done_are_kept(archive: Archive, ana: Actor, slide: Slide) -> None:
    predicted(archive, ana, slide)
    predicted(archive, ana, slide)
    last, first = archive.analysis.list(ana, slide.id)
    assert kept_of(archive)[0] == {last.id}
    archive.runs.start(ana, slide.uid)
    archive.runs.stop(ana, slide.uid)
    assert kept_of(archive)[0] == {last.id}
    assert first.result is not None
    assert last.result is not None
    assert (first.result.annotation_number, last.result.annotation_number) == (1, 2)
    with archive.database.read() as connection:
        plan = plans.find(connection, last.id)
        assert plan is not None
        assert len(plans.tiles(connection, last.id)) == 40 * 24
        assert sum(len(scores) for scores in plans.scores(connection, last.id).values()) == 40 * 4
    assert RunStage.TILING in archive.slides.find(ana, slide.uid).stages


def test_what_is_built_in_is_used_where_nothing_else_is_said(
    archive: Archive, ana: Actor, slide: Slide, stage: Stage
) -> None:
    predicted(archive, ana, slide)
    archive.analysis.start(ana, slide.id, BUILT_IN)
    work_off(archive)
    assert stage.choices == [Classical()] * 4
