"""A worker: takes waiting jobs and the jobs of dead workers, and has the job engine run them.

One thread does all of this, in turns of fifty milliseconds; the jobs themselves run in threads of the engine's.

    every turn    hand out what waits, whose turn it is, as far as limits and free threads go
    every second  take over the running jobs of workers that are gone, and fail those of kinds nobody knows
    5 seconds     a sign of life
    minute        have the engine forget ended jobs; delete what ended long ago
"""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from pinakes.core.clock import SECOND, Instant
from pinakes.core.db.engine import Transaction
from pinakes.core.errors import DatabaseUnavailable
from pinakes.core.jobs import claims, records
from pinakes.core.jobs.attempt import FAULT, Attempt, Tools, finish
from pinakes.core.jobs.claims import Claim, Party
from pinakes.core.jobs.engine import Engine
from pinakes.core.jobs.kinds import Job, JobCancelled, JobState
from pinakes.core.jobs.presence import Presence

_TURN_SECONDS = 0.05
_WATCH_SECONDS = 1.0
_BEAT_SECONDS = 5.0
_CLEAR_SECONDS = 60.0
_ENGINE_KEEPS_US = 60 * SECOND
_MOST_ATTEMPTS = 5

UNKNOWN_KIND = "This version of Pinakes does not know how to do this kind of job."
DIED = f"The job was begun {_MOST_ATTEMPTS} times, and each time its worker died."


class Worker:
    """One worker of an archive. There is one in a process, for the job engine is global.

    folder: local; holds the lock files of workers, and the engine's database beside an SQLite one.
    threads: how many jobs it runs at once.
    patience_seconds: how long a worker elsewhere may give no sign of life.
    keep_seconds: how long ended jobs are kept; 0 for ever.
    """

    def __init__(
        self,
        tools: Tools,
        *,
        database_url: str,
        folder: Path,
        threads: int,
        patience_seconds: float,
        keep_seconds: float,
    ) -> None:
        self.name = secrets.token_hex(8)
        self._tools = tools
        self._threads = threads
        self._keep_us = round(keep_seconds * SECOND)
        self._claimed: dict[int, Claim] = {}  # given to the engine, which has not begun them yet
        self._running: set[Claim] = set()
        self._changing = threading.Lock()  # of these two
        self._served: dict[Party, float] = {}
        self._wake = threading.Event()
        self._due: dict[str, float] = {}
        self._presence = Presence(folder / "workers", self.name, patience_seconds)
        self._engine = Engine(database_url, folder, self.name, self._run)

    def run(self) -> None:
        """Work until `tools.stopping` is set; jobs that run then stop at their next check."""
        while not self._tools.stopping.is_set():
            self._regularly("a sign of life could not be given", self._beat, _BEAT_SECONDS)
            self._regularly("jobs could not be handed out", self._hand_out, 0)
            self._regularly("orphaned jobs could not be taken over", self._watch, _WATCH_SECONDS)
            self._regularly("ended jobs could not be cleared up", self._clear_up, _CLEAR_SECONDS)
            self._wake.wait(_TURN_SECONDS)
            self._wake.clear()

    def close(self, patience_seconds: float) -> bool:
        """Let running jobs stop, and go. False if one did not stop in time: the process must end then.

        What is left is taken up by another worker from its last finished step.
        """
        deadline = time.monotonic() + patience_seconds
        while self._running and time.monotonic() < deadline:
            self._wake.wait(_TURN_SECONDS)
            self._wake.clear()
        if self._running:
            return False
        with self._tools.database.write() as transaction:
            claims.leave(transaction, self.name)
        self._engine.close()
        self._presence.close()
        return True

    def _regularly(self, what: str, task: Callable[[], None], seconds: float) -> None:
        """Do a task if it is due. What goes wrong is reported, and tried again a little later."""
        now = time.monotonic()
        if now < self._due.get(what, 0):
            return
        try:
            task()
        except Exception as fault:
            self._tools.report(what, fault)
            seconds = _WATCH_SECONDS
        self._due[what] = now + seconds

    def _beat(self) -> None:
        with self._tools.database.write() as transaction:
            claims.beat(transaction, self.name, self._tools.clock())

    # -- Running jobs ----------------------------------------------------------------------------------------------

    def _run(self, job_id: int) -> None:
        """Called by the engine, in a thread of its own. Raises nothing but JobCancelled."""
        with self._changing:
            claim = self._claimed.pop(job_id, None)
            if claim is None:
                raise JobCancelled  # each claim is for one execution
            self._running.add(claim)
        try:
            self._attempt(claim)
        except JobCancelled:
            if self._tools.stopping.is_set():
                self._give_back(claim)
            raise
        except Exception as fault:
            self._tools.report(f"job {job_id} was cut off", fault)
            raise JobCancelled from None
        finally:
            with self._changing:
                self._running.remove(claim)
            self._wake.set()

    def _attempt(self, claim: Claim) -> None:
        with self._tools.database.read() as connection:
            job = records.find(connection, claim.job_id)
        if job is None:
            raise JobCancelled
        Attempt(self._tools, self._engine.step, claim, job).run()

    def _give_back(self, claim: Claim) -> None:
        try:
            with self._tools.database.write() as transaction:
                claims.release(transaction, claim)
        except Exception as fault:
            self._tools.report("a job could not be given back", fault)

    def _give_to_engine(self, claim: Claim, take: Callable[[int, str], None]) -> None:
        """Where this fails, the job is an orphan, and taken up as one."""
        self._claimed[claim.job_id] = claim
        try:
            take(claim.job_id, claim.uid)
        except BaseException:
            self._claimed.pop(claim.job_id, None)
            raise

    @property
    def _free_threads(self) -> int:
        return self._threads - len(self._claimed) - len(self._running)

    def _has(self, job_id: int) -> bool:
        with self._changing:
            return job_id in self._claimed or any(claim.job_id == job_id for claim in self._running)

    # -- Waiting jobs ----------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        free = self._free_threads
        if free <= 0:
            return
        with self._tools.database.read() as connection:
            if not claims.is_any_waiting(connection):
                return
            chosen = claims.choose(connection, self._tools.jobs.kinds.values(), free, self._served)
        for job_id in chosen:
            try:
                claim = self._claim_waiting(job_id)
            except DatabaseUnavailable:
                raise
            except Exception as fault:
                self._tools.report(f"job {job_id} could not be begun", fault)
                finish(self._tools, partial(_waiting, job_id), JobState.FAILED, FAULT)
                continue
            if claim is not None:
                self._give_to_engine(claim, self._engine.begin)

    def _claim_waiting(self, job_id: int) -> Claim | None:
        """None if it is no longer waiting, or as many of its kind run as may."""
        with self._tools.database.write() as transaction:
            transaction.lock("jobs are handed out")
            job = _waiting(job_id, transaction)
            if job is None:
                return None
            kind = self._tools.jobs.kinds[job.kind]
            if claims.running_of_kind(transaction, kind.name) >= kind.most_running:
                return None
            now = self._tools.clock()
            claim = claims.claim(transaction, job, self.name, now)
            self._served[kind.name, job.user_id] = time.monotonic()
            if kind.on_start is not None:
                begun = replace(job, state=JobState.RUNNING, worker=self.name, attempts=claim.attempt, started_at=now)
                kind.on_start(transaction, begun)
            return claim

    # -- Jobs whose worker is gone ---------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Take over orphans, and fail what waits for a kind that nobody knows."""
        self._bury_dead()
        with self._tools.database.read() as connection:
            alive = claims.beats(connection)
            running = claims.running(connection)
            unknown = claims.waiting_of_unknown_kind(connection, self._tools.jobs.kinds)
        for job_id in unknown:
            finish(self._tools, partial(_waiting, job_id), JobState.FAILED, UNKNOWN_KIND)
        for job_id, worker in running:
            if worker not in alive or (worker == self.name and not self._has(job_id)):
                self._take_over(job_id, worker)

    def _bury_dead(self) -> None:
        with self._tools.database.read() as connection:
            beats = claims.beats(connection)
        for name in self._presence.dead(beats):
            with self._tools.database.write() as transaction:
                if not claims.bury(transaction, name, beats[name]):
                    continue
            self._presence.clear(name)
            self._engine.forget_worker(name)

    def _take_over(self, job_id: int, worker: str | None) -> None:
        if self._free_threads <= 0:
            return
        with self._tools.database.write() as transaction:
            job = _running_on(worker, job_id, transaction)
            if job is None:
                return
            problem = self._hopelessness(job)
            claim = None if problem else claims.claim(transaction, job, self.name, self._tools.clock())
        if claim is None:
            finish(self._tools, partial(_running_on, worker, job_id), JobState.FAILED, problem)
        else:
            self._give_to_engine(claim, self._engine.take_over)

    def _hopelessness(self, job: Job) -> str | None:
        """Why nobody should try again, if so."""
        if job.kind not in self._tools.jobs.kinds:
            return UNKNOWN_KIND
        return DIED if job.attempts >= _MOST_ATTEMPTS else None

    # -- Clearing up -----------------------------------------------------------------------------------------------

    def _clear_up(self) -> None:
        """The engine's side first, a minute after the end: a late execution still finds there that it has lost."""
        now = self._tools.clock()
        while kept := self._kept_by_engine(now - _ENGINE_KEEPS_US):
            self._engine.forget([uid for _, uid in kept])
            with self._tools.database.write() as transaction:
                claims.mark_forgotten(transaction, [job_id for job_id, _ in kept])
        if self._keep_us:
            with self._tools.database.write() as transaction:
                claims.delete_old(transaction, now - self._keep_us)

    def _kept_by_engine(self, before: Instant) -> list[tuple[int, str]]:
        with self._tools.database.read() as connection:
            return claims.kept_by_engine(connection, before)


def _waiting(job_id: int, transaction: Transaction) -> Job | None:
    """The job, held, if it still waits."""
    job = records.hold(transaction, job_id)
    return job if job is not None and job.state is JobState.QUEUED else None


def _running_on(worker: str | None, job_id: int, transaction: Transaction) -> Job | None:
    """The job, held, if it is still that worker's."""
    job = records.hold(transaction, job_id)
    return job if job is not None and (job.state, job.worker) == (JobState.RUNNING, worker) else None
