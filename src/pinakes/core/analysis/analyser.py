"""The run of one slide: from its bytes to the annotation and the figures that are shown (pathomiq contract 8).

    begin      the slide is opened, its tissue found and cut into tiles, by every process of the run
    plan       what is computed, and how many tiles make a batch, is settled, in a transaction
    score      batch by batch, each kept in a transaction of its own; a batch that is kept is never scored again
    publish    annotation, figures and provenance appear together

An attempt that follows one that was cut off begins anew, which gives the same, and goes on with the batches that are
missing: what was being scored is lost, no more than one batch of each process, together a second of work.
"""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from pinakes import __version__
from pinakes.core.analysis import document, plans, results
from pinakes.core.analysis.models import Model, Models
from pinakes.core.analysis.plans import Batch, Plan
from pinakes.core.analysis.progress import Progress
from pinakes.core.analysis.results import Provenance
from pinakes.core.analysis.team import Computing, Team
from pinakes.core.annotations import formats
from pinakes.core.annotations.annotations import Annotations
from pinakes.core.annotations.formats import Format
from pinakes.core.annotations.records import Annotation
from pinakes.core.clock import Clock
from pinakes.core.content.content import Content
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import BlobUnknown, DatabaseUnavailable, ModelUnknown, PinakesError
from pinakes.core.jobs.kinds import JobFailed, Work
from pinakes.core.slides.prediction import Prediction
from pinakes.core.slides.run_records import Run
from pinakes.core.slides.states import Stage
from pinakes.imaging.analysis.requests import Begun, Classical, Executable, ModelChoice, OnnxModel
from pinakes.imaging.source import ImagingError

if TYPE_CHECKING:
    from pinakes.imaging.analysis.model import Findings

_PROBE_SECONDS: Final = 0.25
_PROBE_TILES: Final = 16
_MOST_BATCH_TILES: Final = 4096


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """start: starts a process that analyses, which ends when the calling thread does; raises OSError.

    processes: how many a run has.   most_running: how many runs are computed at once, over all workers.
    batch_seconds: about how long all processes together take for a batch of each.
    """

    start: Callable[[ModelChoice], Computing]
    processes: int
    most_running: int = 2
    batch_seconds: float = 1.0


class SlideAnalyser:
    """Computes predictions; see `slides.prediction.Analyser`."""

    def __init__(
        self,
        database: Database,
        content: Content,
        annotations: Annotations,
        models: Models,
        clock: Clock,
        options: AnalysisOptions,
    ) -> None:
        self._database = database
        self._content = content
        self._annotations = annotations
        self._models = models
        self._clock = clock
        self._start = options.start
        self._processes = options.processes
        self._seconds = options.batch_seconds / options.processes

    def analyse(self, prediction: Prediction) -> None:
        try:
            self._analyse(prediction, prediction.run())
        except ImagingError as exc:
            raise JobFailed(str(exc)) from exc
        except BlobUnknown as exc:
            raise JobFailed("The bytes of the slide, or of the model, are missing; see `pinakes verify`.") from exc
        except DatabaseUnavailable:
            raise
        except PinakesError as exc:
            raise JobFailed(exc.message) from exc

    def _analyse(self, prediction: Prediction, run: Run) -> None:
        digest = self._digest_of(run.image_id)
        with self._database.read() as connection:
            settled = plans.find(connection, run.id)
        model = self._model(run, settled)
        with ExitStack() as stack:
            path = stack.enter_context(self._content.local_copy(digest, check=prediction.work.check))
            team = stack.enter_context(self._team(self._choice(model), prediction.work))
            begun = team.begin(path)
            prediction.finish(Stage.TISSUE_AREA, tissue_area_mm2=begun.area_mm2)
            plan = settled
            if plan is None or not self._is_still(plan, run, begun):
                plan = self._plan(prediction.work, run, team, begun, digest, model)
                prediction.tell(Stage.TILING, f"{plan.tiles} of {begun.tiles_total} tiles have enough tissue.")
            prediction.finish(Stage.TILING)
            scores = self._score(prediction, run, team, plan)
            findings = team.findings(scores)
        self._publish(prediction, run, plan, begun, findings)

    def _digest_of(self, image_id: int) -> str:
        with self._database.read() as connection:
            digest = plans.input_of(connection, image_id)
        if digest is None:
            raise JobFailed("The slide has no bytes.")
        return digest

    # -- The model -------------------------------------------------------------------------------------------------

    def _model(self, run: Run, settled: Plan | None) -> Model | None:
        """Which model a run uses; once that is settled, it is no other. None for what is built in."""
        if settled is not None and settled.is_built_in:
            return None
        if run.model is None:
            return self._models.default()
        try:
            model = self._models.find(run.model)
        except ModelUnknown:
            raise JobFailed(f"The model {run.model} is not installed any more.") from None
        if model is not None and settled is not None and model.digest != settled.model_digest:
            raise JobFailed(f"The model {model.ref} is another one than when the run began.")
        return model

    def _choice(self, model: Model | None) -> ModelChoice:
        if model is None:
            return Classical()
        kind = OnnxModel if model.kind == "onnx" else Executable
        return kind(str(self._models.unpacked(model)), model.sha256)

    def _team(self, choice: ModelChoice, work: Work) -> Team:
        started: list[Computing] = []
        try:
            for _ in range(self._processes):
                started.append(self._start(choice))
        except OSError as exc:
            for process in started:
                process.stop()
            raise JobFailed("The processes that analyse could not be started.") from exc
        return Team(started, work.check)

    # -- The plan --------------------------------------------------------------------------------------------------

    def _is_still(self, settled: Plan, run: Run, begun: Begun) -> bool:
        """Whether this version of Pinakes, with the libraries of this machine, finds the tiles that were settled."""
        with self._database.read() as connection:
            return settled.software_version == __version__ and plans.tiles(connection, run.id) == begun.tiles

    def _plan(self, work: Work, run: Run, team: Team, begun: Begun, digest: str, model: Model | None) -> Plan:
        """A new plan, which is kept."""
        loaded = begun.model
        width, height = begun.size
        plan = Plan(
            model_name=loaded.name,
            model_version=loaded.version,
            model_sha256=loaded.sha256,
            model_digest=None if model is None else model.digest,
            model_kind=loaded.kind,
            input_digest=digest,
            software_version=__version__,
            width=width,
            height=height,
            tiles=begun.tiles_count,
            batch_tiles=self._batch_tiles(team, begun.tiles_count, loaded.tiles_at_once),
            columns=loaded.columns,
            heat_column=loaded.heat_column,
            heat_range=loaded.heat_range,
        )
        with self._database.write() as transaction:
            work.fence(transaction)
            plans.add(transaction, run.id, plan, begun.tiles, self._clock())
            plans.tell_progress(transaction, run.id, total=plan.tiles, done=0, rate=None)
        return plan

    def _batch_tiles(self, team: Team, tiles: int, at_once: int) -> int:
        """How many tiles make a batch, as measured on the first ones; once to get going, and once more in earnest.

        A multiple of at_once, which is how many the model scores in one go.
        """
        if not tiles:
            return at_once

        def seconds_for(goes: int) -> float:
            return _seconds(lambda: team.score(Batch(0, 0, min(tiles, goes * at_once))))

        probed = _within(_PROBE_SECONDS / seconds_for(1), _PROBE_TILES // at_once)
        return at_once * _within(probed / seconds_for(probed) * self._seconds, _MOST_BATCH_TILES // at_once)

    # -- The scores ------------------------------------------------------------------------------------------------

    def _score(self, prediction: Prediction, run: Run, team: Team, plan: Plan) -> bytes:
        with self._database.read() as connection:
            kept = plans.scores(connection, run.id)
        batches = list(plan.batches())
        progress = Progress(plan.tiles, sum(batch.count for batch in batches if batch.number in kept))
        for batch, scores in team.scores([batch for batch in batches if batch.number not in kept]):
            progress.advance(batch.count)
            self._keep(prediction.work, run, batch, scores, progress)
            kept[batch.number] = scores
            prediction.work.progress(progress.fraction)
            if news := progress.news():
                prediction.tell(Stage.ANNOTATION, news)
        return b"".join(kept[batch.number] for batch in batches)

    def _keep(self, work: Work, run: Run, batch: Batch, scores: bytes, progress: Progress) -> None:
        with self._database.write() as transaction:
            work.fence(transaction)
            plans.add_scores(transaction, run.id, batch, scores, self._clock())
            plans.tell_progress(transaction, run.id, total=progress.total, done=progress.done, rate=progress.rate)

    # -- The result ------------------------------------------------------------------------------------------------

    def _publish(self, prediction: Prediction, run: Run, plan: Plan, begun: Begun, findings: "Findings") -> None:
        markup = document.markup_of(begun, findings, plan)
        with self._annotations.receive_result() as upload:
            for piece in formats.write(Format.APERIO, markup):
                prediction.work.check()
                upload.write(piece)
            upload.finish()
            figures = document.metric_of(begun, findings, plan, upload.layers)
            prediction.publish(
                upload, figures, document.outcome_of(findings), beside=partial(self._keep_result, run, plan, begun)
            )

    def _keep_result(self, run: Run, plan: Plan, begun: Begun, transaction: Transaction, shown: Annotation) -> None:
        now = self._clock()
        result = Provenance(
            annotation_number=shown.number,
            model_name=plan.model_name,
            model_version=plan.model_version,
            model_sha256=plan.model_sha256,
            model_digest=plan.model_digest,
            model_kind=plan.model_kind,
            input_digest=plan.input_digest,
            parameters=document.parameters_of(begun),
            software_version=plan.software_version,
            host=socket.gethostname(),
            started_at=run.started_at or now,
            ended_at=now,
        )
        results.add(transaction, run.id, run.image_id, result)
        plans.forget_others(transaction, run.image_id, run.id)


def _within(goes: float, most: int) -> int:
    return max(1, min(round(goes), most))


def _seconds(call: Callable[[], object]) -> float:
    begun_at = time.monotonic()
    call()
    return max(time.monotonic() - begun_at, 1e-6)
