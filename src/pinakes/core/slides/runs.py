"""Starting and stopping predictions (pathomiq contract 3.2). What they do meanwhile is in `prediction`.

Locks are taken in one order, or two transactions could wait for each other: the job's row, then the slide's. A worker
that ends a job holds the job and goes on to the slide; so does whoever stops one here.
"""

from sqlalchemy.exc import IntegrityError

from pinakes.core import audit
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import WrongState
from pinakes.core.jobs import records as job_records
from pinakes.core.jobs.jobs import Jobs
from pinakes.core.slides import logs, prediction, records, rows, run_records
from pinakes.core.slides.logs import LogType
from pinakes.core.slides.records import Slide
from pinakes.core.slides.run_records import Run
from pinakes.core.slides.states import Stage, StageStatus

_NOT_UPLOADED = "The image is not uploaded yet."
_ACTIVE = "A prediction is already queued or running."
_IDLE = "No prediction is queued or running."


class Runs:
    """Whoever may see a slide may start and stop its prediction.

    Each raises Unauthenticated, KindMissing, ScopeMissing and ImageUnknown beside what it names. A slide is named by
    its uid (text) or its id (number).
    """

    def __init__(self, database: Database, jobs: Jobs, clock: Clock) -> None:
        self._database = database
        self._jobs = jobs
        self._clock = clock

    def start(self, actor: Actor, uid: str | int, *, model: str | None = None) -> Slide:
        """Queue a run; the slide as it is then. Of several starts at once one wins.

        model: "name@version", which is there; None for whichever is the default when the run begins.
        Raises WrongState if the slide is not uploaded or has an active run, TooManyJobs.
        """
        user_id = require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.WRITE)
        with self._database.write() as transaction:
            now = self._clock()
            slide = records.held(transaction, actor, uid, now)
            if not slide.is_uploaded:
                raise WrongState(_NOT_UPLOADED)
            if run_records.active(transaction, slide.id) is not None:
                raise WrongState(_ACTIVE)
            job_id = self._jobs.enqueue(transaction, actor, prediction.PREDICT, {}, image_id=slide.id)
            try:
                run_records.add(transaction, slide.id, job_id, user_id, now, model=model)
            except IntegrityError as exc:
                raise WrongState(_ACTIVE) from exc
            rows.set_stages(transaction, slide.id, dict.fromkeys(Stage, StageStatus.PENDING), now)
            logs.append(
                transaction,
                slide.id,
                slide.uid,
                LogType.PREDICTION,
                "The prediction is queued.",
                user_id=user_id,
                now=now,
            )
            audit.record(transaction, actor, now, Event(Action.RUN_START, slide.id, subject=f"job:{job_id}"))
            return records.visible(transaction, actor, uid, now)

    def stop(self, actor: Actor, uid: str | int) -> Slide:
        """End the active run; the slide as it stays then. Raises WrongState if there is none."""
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.WRITE)
        with self._database.write() as transaction:
            now = self._clock()
            slide = records.visible(transaction, actor, uid, now)
            if not self.halt(transaction, actor, slide):
                raise WrongState(_IDLE)
            return records.visible(transaction, actor, uid, now)

    def halt(self, transaction: Transaction, actor: Actor, slide: Slide) -> bool:
        """End the active run of a slide, if there is one, as a part of a larger operation. Asks no permission.

        Nothing but the job may be held yet by the transaction.
        """
        run = self._held_active(transaction, slide.id)
        if run is None:
            return False
        now = self._clock()
        prediction.stop(transaction, run, actor.user_id, now)
        self._jobs.cancel(transaction, actor, run.job_id)
        audit.record(transaction, actor, now, Event(Action.RUN_STOP, slide.id, subject=f"job:{run.job_id}"))
        return True

    def _held_active(self, transaction: Transaction, image_id: int) -> Run | None:
        """The active run, its job and its slide held; None if it ended while they were waited for."""
        run = run_records.active(transaction, image_id)
        if run is None:
            return None
        job_records.hold(transaction, run.job_id)
        records.lock(transaction, image_id)
        return run_records.of_job(transaction, image_id, run.job_id)
