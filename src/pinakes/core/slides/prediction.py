"""The work of a run, as the job that does it sees it: stage after stage, and whoever computes them.

An `Analyser` computes; this module says what a slide shows meanwhile. Everything it writes is fenced with the job and
the run: once a run was stopped, or its slide deleted, whatever still comes of it is dropped (pathomiq contract 3.2).

    queued: Pending Pending Pending ─> Running Pending Pending ─> Done Running Pending ─> Done Done Running ─> Done x 3
                                          └─ what fails is Failed, what comes after it stays Pending ─┘
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from pinakes.core.annotations import metric
from pinakes.core.annotations.annotations import Annotations
from pinakes.core.annotations.records import Annotation, Source
from pinakes.core.annotations.uploads import AnnotationUpload
from pinakes.core.clock import SECOND, Clock, Instant
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.jobs.kinds import Job, JobCancelled, JobFailed, JobKind, JobState, Work
from pinakes.core.slides import logs, records, rows, run_records
from pinakes.core.slides.logs import LogType
from pinakes.core.slides.run_records import Run
from pinakes.core.slides.states import RunState, Stage, StageStatus

PREDICT: Final = "predict"
NO_ANALYSER: Final = "No analyser is installed."
NO_RESULT: Final = "The analysis ended without a result."

_MOST_PER_USER = 200
_AFTER: Final = {Stage.TISSUE_AREA: Stage.TILING, Stage.TILING: Stage.ANNOTATION}
_TYPES: Final[Mapping[Stage, LogType]] = {
    Stage.TISSUE_AREA: LogType.TISSUE_AREA,
    Stage.TILING: LogType.TILING,
    Stage.ANNOTATION: LogType.ANNOTATION,
}
_ALL_PENDING: Final = dict.fromkeys(Stage, StageStatus.PENDING)


class Analyser(Protocol):
    """Computes predictions."""

    def analyse(self, prediction: "Prediction") -> None:
        """Compute one: `finish` the tissue area, then the tiling, then `publish`.

        What lies between steps must be able to run twice (see `Work.step`); reporting a stage twice does no harm.
        Raises JobFailed with a reason for people; lets JobCancelled through.
        """


class Prediction:
    """One run that is being worked on.

    work: for steps, progress, and `check`, which is to be called every half second.   image_id: the slide's.
    """

    def __init__(self, database: Database, annotations: Annotations, clock: Clock, work: Work, image_id: int) -> None:
        self._database = database
        self._annotations = annotations
        self._clock = clock
        self._since = clock()
        self.work = work
        self.image_id = image_id

    def run(self) -> Run:
        """The run as it stands. Raises JobCancelled if it has ended."""
        with self._database.read() as connection:
            run = run_records.of_job(connection, self.image_id, self.work.job_id)
        if run is None:
            raise JobCancelled
        return run

    def tell(self, stage: Stage, message: str) -> None:
        """Add a line to what is told of the slide. Raises JobCancelled if the run has ended."""
        with self._database.write() as transaction:
            self.work.fence(transaction)
            _log(transaction, self.image_id, _TYPES[stage], message, self._clock())

    def finish(self, stage: Stage, *, tissue_area_mm2: float | None = None) -> None:
        """A stage is done, and the next one begins.

        tissue_area_mm2: what the tissue stage found; None where the slide carries no scale.
        """
        with self._database.write() as transaction:
            if self._is_running(transaction, stage):
                results = {"tissue_area_mm2": tissue_area_mm2} if stage is Stage.TISSUE_AREA else {}
                self._move_on(transaction, stage, results)

    def publish(
        self,
        annotation: AnnotationUpload,
        figures: str,
        outcome_prediction: str | None = None,
        *,
        beside: Callable[[Transaction, Annotation], None] = lambda *_: None,
    ) -> None:
        """The last stage is done: the annotation and the figures are shown together.

        annotation: finished.   figures: the metric of pathomiq contract 8.5 as JSON, of which `annotations` is filled
        in here.   outcome_prediction: JSON, of models that give one.   beside: keeps what is to appear with them, in
        the same transaction, and is given the new version of the annotation.
        """
        with self._database.write() as transaction:
            if not self._is_running(transaction, Stage.ANNOTATION):
                return
            drawn = [one for one in self._annotations.list(self.image_id) if one.source is Source.USER]
            version = self._annotations.add(transaction, self.image_id, Source.PREDICTION, None, annotation)
            beside(transaction, version)
            results = {
                "metric": metric.merged(figures, drawn[-1].layers if drawn else ()),
                "outcome_prediction": outcome_prediction,
            }
            self._move_on(transaction, Stage.ANNOTATION, results)

    def _is_running(self, transaction: Transaction, stage: Stage) -> bool:
        """Whether the stage is still to be reported. Raises JobCancelled if the run has ended."""
        self.work.fence(transaction)
        if _held(transaction, self.image_id, self.work.job_id) is None:
            raise JobCancelled
        return rows.stages(transaction, self.image_id)[stage] is StageStatus.RUNNING

    def _move_on(self, transaction: Transaction, stage: Stage, results: Mapping[str, Any]) -> None:
        now = self._clock()
        changes = {stage: StageStatus.DONE}
        following = _AFTER.get(stage)
        if following is not None:
            changes[following] = StageStatus.RUNNING
        rows.change(transaction, self.image_id, {**results, **rows.stage_columns(changes)}, now)
        seconds = max(0, now - self._since) / SECOND
        _log(transaction, self.image_id, _TYPES[stage], f"{_TYPES[stage]} is done ({seconds:.1f} s).", now)
        if following is not None:
            _log(transaction, self.image_id, _TYPES[following], f"{_TYPES[following]} is running.", now)
        self._since = now


class Predictions:
    """The kind of job that predicts. analyser: None where none is installed; every run then ends failed and says so.

    most_running: how many runs at once, over all workers.
    """

    def __init__(
        self,
        database: Database,
        annotations: Annotations,
        clock: Clock,
        *,
        analyser: Analyser | None,
        most_running: int = 1,
    ) -> None:
        self._database = database
        self._annotations = annotations
        self._clock = clock
        self._analyser = analyser
        self._most_running = most_running

    @property
    def kind(self) -> JobKind:
        return JobKind(
            PREDICT, self.run, self._most_running, _MOST_PER_USER, on_end=self._ended, on_start=self._started
        )

    def run(self, work: Work) -> None:
        if work.image_id is None or self._analyser is None:
            raise JobFailed(NO_ANALYSER)
        if self._is_published(work.image_id, work.job_id):
            return  # by an attempt that was killed before its job had ended
        self._analyser.analyse(Prediction(self._database, self._annotations, self._clock, work, work.image_id))
        if not self._is_published(work.image_id, work.job_id):
            raise JobFailed(NO_RESULT)

    def _is_published(self, image_id: int, job_id: int) -> bool:
        """Whether the result is shown. Raises JobCancelled if the run has ended."""
        with self._database.read() as connection:
            if run_records.of_job(connection, image_id, job_id) is None:
                raise JobCancelled
            return rows.stages(connection, image_id)[Stage.ANNOTATION] is StageStatus.DONE

    def _started(self, transaction: Transaction, job: Job) -> None:
        run = _held(transaction, job.image_id, job.id)
        if run is None:
            return
        now = self._clock()
        run_records.start(transaction, run.id, now)
        stages = {**_ALL_PENDING, Stage.TISSUE_AREA: StageStatus.RUNNING}
        rows.set_stages(transaction, run.image_id, stages, now)
        _log(transaction, run.image_id, LogType.PREDICTION, "The prediction has started.", now)
        _log(transaction, run.image_id, LogType.TISSUE_AREA, f"{LogType.TISSUE_AREA} is running.", now)

    def _ended(self, transaction: Transaction, job: Job) -> None:
        """Whatever ended the job, the run ends with it, unless it was stopped before."""
        run = _held(transaction, job.image_id, job.id)
        if run is None:
            return
        now = self._clock()
        match job.state:
            case JobState.DONE:
                run_records.end(transaction, run.id, RunState.DONE, now)
                _log(transaction, run.image_id, LogType.PREDICTION, "The prediction is done.", now)
            case JobState.FAILED:
                self._fail(transaction, run, job.error or "It failed for an unknown reason.")
            case _:
                stop(transaction, run, None, now)

    def _fail(self, transaction: Transaction, run: Run, reason: str) -> None:
        now = self._clock()
        run_records.end(transaction, run.id, RunState.FAILED, now, error=reason)
        stages = rows.stages(transaction, run.image_id)
        failed = next((stage for stage in Stage if stages[stage] is not StageStatus.DONE), None)
        if failed is not None:
            rows.set_stages(transaction, run.image_id, {failed: StageStatus.FAILED}, now)
            _log(transaction, run.image_id, _TYPES[failed], f"{_TYPES[failed]} failed: {reason}", now)
        _log(transaction, run.image_id, LogType.PREDICTION, f"The prediction failed: {reason}", now)


def _held(transaction: Transaction, image_id: int | None, job_id: int) -> Run | None:
    """The run of a job that is held, its slide now held too (see `runs`); None if it has ended."""
    if image_id is None:
        return None
    records.lock(transaction, image_id)
    return run_records.of_job(transaction, image_id, job_id)


def stop(transaction: Transaction, run: Run, user_id: int | None, now: Instant) -> None:
    """End a run: every stage that is not done is stopped (contract 3.2). user_id: who asked; None for the archive."""
    run_records.end(transaction, run.id, RunState.STOPPED, now)
    stages = rows.stages(transaction, run.image_id)
    stopped = {stage: StageStatus.STOPPED for stage in Stage if stages[stage] is not StageStatus.DONE}
    rows.set_stages(transaction, run.image_id, stopped, now)
    _log(transaction, run.image_id, LogType.PREDICTION, "The prediction was stopped.", now, user_id)


def _log(
    transaction: Transaction, image_id: int, kind: LogType, message: str, now: Instant, user_id: int | None = None
) -> None:
    uid = rows.uid_of(transaction, image_id)
    logs.append(transaction, image_id, uid, kind, message, user_id=user_id, now=now)
