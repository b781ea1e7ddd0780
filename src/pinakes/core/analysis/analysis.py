"""Predictions for people: starting and stopping them, one slide or a whole study, and looking at them.

Whoever may see a slide may do all of it (pathomiq contract 3.2).
"""

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.analysis import results
from pinakes.core.analysis.models import Models
from pinakes.core.analysis.results import SeenRun
from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database
from pinakes.core.errors import (
    ImageUnknown,
    InvalidFields,
    ModelUnknown,
    RunUnknown,
    StudyUnknown,
    TooManyJobs,
    WrongState,
)
from pinakes.core.slides import records
from pinakes.core.slides.runs import Runs
from pinakes.core.text import check_text

MOST_OF_STUDY: Final = 1000
"""How many slides of a study are started at once."""

_GONE: Final = "The image is gone."


@dataclass(frozen=True, slots=True)
class NotStarted:
    """A slide whose run was not started. reason: for people."""

    image_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class StudyStart:
    """What became of a study's slides that were to be started."""

    started: Sequence[SeenRun]
    not_started: Sequence[NotStarted]


class Analysis:
    """Operations on runs. Each raises Unauthenticated, KindMissing, ScopeMissing and ImageUnknown beside what it names.

    A slide is named by its uid (text) or its id (number).
    """

    def __init__(self, database: Database, runs: Runs, models: Models, clock: Clock) -> None:
        self._database = database
        self._runs = runs
        self._models = models
        self._clock = clock

    def start(self, actor: Actor, ref: str | int, model: str | None = None) -> SeenRun:
        """Queue a run. model: "name@version", or `models.BUILT_IN`; None for the default.

        Raises InvalidFields for a model that is not installed, WrongState, TooManyJobs.
        """
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.WRITE)
        self._check_model(model)
        return self._newest(self._runs.start(actor, ref, model=model).id)

    def stop(self, actor: Actor, ref: str | int) -> SeenRun:
        """End the active run. Raises WrongState if there is none."""
        return self._newest(self._runs.stop(actor, ref).id)

    def start_study(self, actor: Actor, study: str, model: str | None = None, *, again: bool = False) -> StudyStart:
        """Queue a run of each slide of one of the laboratory's studies that the actor may see.

        Slides with an active run are left alone, and unless `again` is set those whose last run is done. Those come
        first that were never predicted, then those whose last run is oldest. Once the user has as many runs as they
        may, all others are told of as not started. Raises InvalidFields; StudyUnknown if there is no slide to be seen.
        """
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.WRITE)
        self._check_model(model)
        check_text("study", study)
        with self._database.read() as connection:
            now = self._clock()
            if not records.has_study(connection, actor, study, now):
                raise StudyUnknown
            image_ids = records.to_predict(connection, actor, study, now, most=MOST_OF_STUDY, again=again)
        reasons = self._start_each(actor, image_ids, model)
        with self._database.read() as connection:
            started = results.newest(connection, [image_id for image_id in image_ids if image_id not in reasons])
        return StudyStart(started, [NotStarted(image_id, reason) for image_id, reason in reasons.items()])

    def _start_each(self, actor: Actor, image_ids: Sequence[int], model: str | None) -> dict[int, str]:
        """Why those could not be started that were not."""
        reasons: dict[int, str] = {}
        full: str | None = None
        for image_id in image_ids:
            if full is not None:
                reasons[image_id] = full
                continue
            try:
                self._runs.start(actor, image_id, model=model)
            except TooManyJobs as exc:
                full = reasons[image_id] = exc.message
            except WrongState as exc:
                reasons[image_id] = exc.message
            except ImageUnknown:
                reasons[image_id] = _GONE
        return reasons

    def list(
        self, actor: Actor, ref: str | int, *, before_id: int | None = None, most: int = 50
    ) -> builtins.list[SeenRun]:
        """The last runs of a slide, or those before one, the newest first."""
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.READ)
        with self._database.read() as connection:
            slide = records.visible(connection, actor, ref, self._clock())
            return results.before(connection, slide.id, before_id, most)

    def get(self, actor: Actor, ref: str | int, run_id: int) -> SeenRun:
        """One run of a slide. Raises RunUnknown."""
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.READ)
        with self._database.read() as connection:
            slide = records.visible(connection, actor, ref, self._clock())
            run = results.find(connection, slide.id, run_id)
        if run is None:
            raise RunUnknown
        return run

    def _newest(self, image_id: int) -> SeenRun:
        """The run that was just started or stopped; or, of several at once, the last. Raises ImageUnknown."""
        with self._database.read() as connection:
            runs = results.before(connection, image_id, None, 1)
        if not runs:
            raise ImageUnknown
        return runs[0]

    def _check_model(self, ref: str | None) -> None:
        if ref is None:
            return
        try:
            self._models.find(ref)
        except ModelUnknown:
            raise InvalidFields.one("model", "is not installed") from None
