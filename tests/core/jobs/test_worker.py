"""A worker at work, on both databases: each test makes up a kind of job and has it done."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from pinakes.core import clock
from pinakes.core.actor import Actor
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.db.schema import job_workers, jobs
from pinakes.core.errors import DatabaseUnavailable
from pinakes.core.jobs import attempt, worker
from pinakes.core.jobs.attempt import FAULT, Tools
from pinakes.core.jobs.jobs import Job, Jobs
from pinakes.core.jobs.kinds import JobCancelled, JobFailed, JobKind, JobState, Work
from pinakes.core.jobs.worker import UNKNOWN_KIND, Worker
from tests import servers

STAFF = Actor("test", is_staff=True)
SECRET = "hunter2"
PATIENCE_SECONDS = 30


class Workshop:
    """A database, and a worker that is started, stopped and started again."""

    def __init__(self, url: str, folder: Any) -> None:
        self.url, self.folder = url, folder
        self.database = Database(url)
        self.jobs = Jobs(self.database, clock.now)
        self.reports: list[tuple[str, BaseException]] = []
        self.worker: Worker | None = None

    def start(self, threads: int = 4) -> None:
        report = lambda what, error: self.reports.append((what, error))  # noqa: E731
        self.stopping = threading.Event()
        tools = Tools(self.database, self.jobs, clock.now, report, self.stopping)
        self.worker = Worker(
            tools,
            database_url=self.url,
            folder=self.folder,
            threads=threads,
            patience_seconds=PATIENCE_SECONDS,
            keep_seconds=0,
        )
        self.thread = threading.Thread(target=self.worker.run)
        self.thread.start()

    def stop(self) -> None:
        if self.worker is not None:
            self.stopping.set()
            self.thread.join()
            assert self.worker.close(PATIENCE_SECONDS)
            self.worker = None

    def kind(self, run: Callable[[Work], None], *, most_running: int = 4, **hooks: Any) -> str:
        name = uuid4().hex
        self.jobs.register(JobKind(name, run, most_running=most_running, most_per_user=100, **hooks))
        return name

    def enqueue(self, kind: str, user_id: int | None = None, **arguments: Any) -> int:
        with self.database.write() as transaction:
            return self.jobs.enqueue(transaction, Actor("test", user_id=user_id), kind, arguments)

    def job(self, job_id: int) -> Job:
        return self.jobs.get(STAFF, job_id)

    def ended(self, job_id: int) -> Job:
        until(lambda: self.job(job_id).state.is_ended)
        return self.job(job_id)

    def do(self, run: Callable[[Work], None], **arguments: Any) -> Job:
        return self.ended(self.enqueue(self.kind(run), **arguments))


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("workshop")
    if request.param == "sqlite":
        (folder / "pinakes.db").write_bytes(request.getfixturevalue("sqlite_template"))
        url = f"sqlite:///{folder / 'pinakes.db'}"
    else:
        server: servers.PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.create(request.getfixturevalue("postgres_template")))
    shop = Workshop(url, folder)
    yield shop
    shop.stop()
    shop.database.close()


@pytest.fixture
def shop(opened: Workshop) -> Workshop:
    """The workshop with its worker at work, shared by the tests of this module."""
    opened.reports.clear()
    if opened.worker is None:
        opened.start()
    return opened


# -- How jobs end -------------------------------------------------------------------------------------------------


def test_a_job_is_given_what_was_asked_and_ends_done(shop: Workshop) -> None:
    given: list[Any] = []
    job = shop.do(lambda work: given.append((work.job_id, work.user_id, dict(work.arguments))), user_id=5, url="x")
    assert given == [(job.id, 5, {"url": "x"})]
    assert (job.state, job.progress, job.error, job.attempts) == (JobState.DONE, 1.0, None, 1)
    assert job.started_at is not None
    assert job.ended_at is not None
    assert job.created_at <= job.started_at <= job.ended_at


def test_a_job_that_fails_by_itself_says_why(shop: Workshop) -> None:
    def run(work: Work) -> None:
        raise JobFailed("the server answered 404")

    job = shop.do(run)
    assert (job.state, job.error) == (JobState.FAILED, "the server answered 404")
    assert shop.reports == []


@pytest.mark.parametrize("in_step", [False, True])
def test_a_fault_is_reported_and_its_message_shown_to_nobody(shop: Workshop, in_step: bool) -> None:
    def fail() -> None:
        raise ValueError(SECRET)

    job = shop.do(lambda work: work.step("failing", fail) if in_step else fail())
    assert (job.state, job.error) == (JobState.FAILED, FAULT)
    ((what, error),) = shop.reports
    assert SECRET not in what
    assert type(error) is ValueError


def test_arguments_are_gone_when_a_job_has_ended(shop: Workshop) -> None:
    job = shop.do(lambda _: None, password=SECRET)
    with shop.database.read() as connection:
        assert connection.execute(select(jobs.c.arguments).where(jobs.c.id == job.id)).scalar_one() == "{}"


def test_the_kind_is_told_of_start_and_end_in_the_transactions_that_make_them(shop: Workshop) -> None:
    told: list[tuple[str, JobState, str | None]] = []

    def note(when: str) -> Callable[[Transaction, Job], None]:
        return lambda _, job: told.append((when, job.state, job.error))

    def run(work: Work) -> None:
        assert told == [("start", JobState.RUNNING, None)]
        raise JobFailed("no")

    shop.ended(shop.enqueue(shop.kind(run, on_start=note("start"), on_end=note("end"))))
    assert told == [("start", JobState.RUNNING, None), ("end", JobState.FAILED, "no")]


def test_a_job_whose_kind_cannot_reconcile_its_end_fails(shop: Workshop) -> None:
    told: list[JobState] = []

    def on_end(transaction: Transaction, job: Job) -> None:
        if job.state is JobState.DONE:
            raise ValueError(SECRET)
        told.append(job.state)

    job = shop.ended(shop.enqueue(shop.kind(lambda _: None, on_end=on_end)))
    assert (job.state, job.error, told) == (JobState.FAILED, FAULT, [JobState.FAILED])


def test_a_job_whose_kind_can_never_reconcile_still_ends(shop: Workshop) -> None:
    def fail(transaction: Transaction, job: Job) -> None:
        raise ValueError(SECRET)

    job = shop.ended(shop.enqueue(shop.kind(lambda _: None, on_end=fail)))
    assert (job.state, job.error) == (JobState.FAILED, FAULT)


def test_a_job_whose_kind_cannot_begin_it_fails(shop: Workshop) -> None:
    def fail(transaction: Transaction, job: Job) -> None:
        raise ValueError(SECRET)

    ran: list[Work] = []
    job = shop.ended(shop.enqueue(shop.kind(ran.append, on_start=fail)))
    assert (job.state, job.error, ran) == (JobState.FAILED, FAULT, [])


def test_a_job_of_a_kind_nobody_knows_fails_and_says_so(shop: Workshop) -> None:
    elsewhere = Jobs(shop.database, clock.now)
    elsewhere.register(JobKind("of a later version", lambda _: None, most_running=1, most_per_user=1))
    with shop.database.write() as transaction:
        job_id = elsewhere.enqueue(transaction, STAFF, "of a later version", {})
    job = shop.ended(job_id)
    assert (job.state, job.error) == (JobState.FAILED, UNKNOWN_KIND)


def test_a_job_is_taken_up_again_when_the_database_was_away(shop: Workshop) -> None:
    ran: list[int] = []

    def run(work: Work) -> None:
        ran.append(work.step("once", lambda: len(ran)))
        if len(ran) == 1:
            raise DatabaseUnavailable

    job = shop.do(run)
    assert (job.state, job.attempts, ran) == (JobState.DONE, 2, [0, 0])


# -- What a job is given ------------------------------------------------------------------------------------------


def test_steps_give_back_what_json_keeps(shop: Workshop) -> None:
    results: list[Any] = []

    def run(work: Work) -> None:
        results.append(work.step("tuple", lambda: (1, "two", {"three": None})))
        results.append(work.step("none", lambda: None))

    assert shop.do(run).state is JobState.DONE
    assert results == [[1, "two", {"three": None}], None]


def test_progress_and_log_are_seen_while_the_job_runs(shop: Workshop) -> None:
    go_on = threading.Event()

    def run(work: Work) -> None:
        work.progress(0.25)
        work.progress(0.5)  # within the same second: not written
        work.log("a quarter")
        work.log("and more")
        go_on.wait(PATIENCE_SECONDS)

    job_id = shop.enqueue(shop.kind(run))
    until(lambda: len(shop.jobs.log(STAFF, job_id)) == 2)
    assert (shop.job(job_id).state, shop.job(job_id).progress) == (JobState.RUNNING, 0.25)
    assert [line.message for line in shop.jobs.log(STAFF, job_id)] == ["a quarter", "and more"]
    go_on.set()
    assert shop.ended(job_id).progress == 1.0


def test_a_log_ends_at_its_limit(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "_MOST_LOG_LINES", 3)

    def run(work: Work) -> None:
        for number in range(5):
            work.log(str(number))

    assert len(shop.jobs.log(STAFF, shop.do(run).id)) == 3


# -- Cancelling ---------------------------------------------------------------------------------------------------


LOOK_SECONDS = 0.5
"""How often a kind looks, at least (`Work.check`)."""


@pytest.mark.parametrize("notice", ["check", "step", "log", "fence"])
def test_a_running_job_that_is_cancelled_stops_within_a_second_and_changes_nothing(shop: Workshop, notice: str) -> None:
    """The second is a kind's half and ours: no look passes that begins half a second after the cancel.

    So it holds however long the machine keeps the job from its next look.
    """
    passed: list[float] = []
    begun, cancelled, stopped = threading.Event(), threading.Event(), threading.Event()

    def look(work: Work) -> None:
        if notice == "check":
            work.check()
        elif notice == "step":
            work.step("more", lambda: None)
        elif cancelled.is_set() and notice == "log":
            work.log("too late")
        elif cancelled.is_set():
            with shop.database.write() as transaction:
                work.fence(transaction)

    def run(work: Work) -> None:
        begun.set()
        try:
            for _ in range(round(PATIENCE_SECONDS / 0.01)):
                began = time.monotonic()
                look(work)
                passed.append(began)
                time.sleep(0.01)
        except JobCancelled:
            stopped.set()
            raise

    ends: list[JobState] = []
    job_id = shop.enqueue(shop.kind(run, on_end=lambda _, job: ends.append(job.state)))
    until(begun.is_set)
    assert shop.jobs.stop(STAFF, job_id)
    cancelled.set()
    cancelled_at = time.monotonic()
    assert stopped.wait(PATIENCE_SECONDS)
    assert [began for began in passed if began - cancelled_at > 1 - LOOK_SECONDS] == []
    assert (shop.job(job_id).state, ends) == (JobState.CANCELLED, [JobState.CANCELLED])
    assert shop.jobs.log(STAFF, job_id) == []


def test_a_job_that_notices_no_cancel_does_not_end_done(shop: Workshop) -> None:
    reached, go_on, left = threading.Event(), threading.Event(), threading.Event()

    def run(work: Work) -> None:
        reached.set()
        go_on.wait(PATIENCE_SECONDS)
        work.progress(0.9)
        left.set()

    job_id = shop.enqueue(shop.kind(run))
    until(reached.is_set)
    shop.jobs.stop(STAFF, job_id)
    go_on.set()
    until(left.is_set)
    follower = shop.do(lambda _: None)
    assert follower.state is JobState.DONE
    assert (shop.job(job_id).state, shop.job(job_id).progress) == (JobState.CANCELLED, None)


def test_an_except_exception_does_not_swallow_a_cancel(shop: Workshop) -> None:
    swallowed: list[Exception] = []
    begun, done = threading.Event(), threading.Event()

    def run(work: Work) -> None:
        begun.set()
        try:
            while True:
                try:
                    work.step("on and on", lambda: time.sleep(0.01))
                except Exception as error:
                    swallowed.append(error)
        finally:
            done.set()

    job_id = shop.enqueue(shop.kind(run))
    until(begun.is_set)
    shop.jobs.stop(STAFF, job_id)
    until(done.is_set)
    assert swallowed == []


# -- Limits -------------------------------------------------------------------------------------------------------


def test_no_more_of_a_kind_run_at_once_than_may(shop: Workshop) -> None:
    lock, at_once, most, two = threading.Lock(), 0, 0, threading.Event()

    def run(work: Work) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            if at_once == 2:
                two.set()
        two.wait(PATIENCE_SECONDS)
        time.sleep(0.05)  # a third would have begun by now
        with lock:
            at_once -= 1

    kind = shop.kind(run, most_running=2)
    job_ids = [shop.enqueue(kind) for _ in range(6)]
    assert all(shop.ended(job_id).state is JobState.DONE for job_id in job_ids)
    assert most == 2


def test_a_user_with_many_jobs_does_not_hold_up_others(shop: Workshop) -> None:
    order: list[int | None] = []
    first, go_on = threading.Event(), threading.Event()

    def run(work: Work) -> None:
        first.set()
        go_on.wait(PATIENCE_SECONDS)
        order.append(work.user_id)

    kind = shop.kind(run, most_running=1)
    job_ids = [shop.enqueue(kind, user_id=1)]
    until(first.is_set)
    job_ids += [shop.enqueue(kind, user_id=1) for _ in range(3)]
    job_ids += [shop.enqueue(kind, user_id=2) for _ in range(2)]
    go_on.set()
    for job_id in job_ids:
        shop.ended(job_id)
    assert order == [1, 2, 1, 2, 1, 1]


# -- Stopping and starting ----------------------------------------------------------------------------------------


def test_a_stopped_worker_leaves_its_job_to_the_next_from_the_last_finished_step(shop: Workshop) -> None:
    ran: list[str] = []

    def keep() -> str:
        ran.append("first")
        return "kept"

    def run(work: Work) -> None:
        first = work.step("first", keep)
        assert first == "kept"
        ran.append(f"attempt in {threading.get_ident()}")
        while len(ran) < 3:
            work.check()
            time.sleep(0.01)
        work.step("second", lambda: ran.append("second"))

    started: list[int] = []
    kind = shop.kind(run, on_start=lambda _, job: started.append(job.id))
    job_id = shop.enqueue(kind)
    until(lambda: len(ran) == 2)
    shop.stop()
    assert shop.job(job_id).state is JobState.RUNNING
    with shop.database.read() as connection:
        assert connection.execute(select(job_workers.c.name)).all() == []
    shop.start()
    job = shop.ended(job_id)
    assert job.state is JobState.DONE
    assert ran.count("first") == ran.count("second") == 1
    assert started == [job_id]
    assert job.attempts == 1  # being stopped does not count against a job


def test_a_job_whose_workers_keep_dying_is_given_up(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_MOST_ATTEMPTS", 2)
    ran: list[int] = []

    def run(work: Work) -> None:
        ran.append(1)
        raise DatabaseUnavailable

    job = shop.do(run)
    assert (job.state, job.error, len(ran)) == (JobState.FAILED, worker.DIED, 2)


def test_what_the_engine_keeps_of_a_job_is_dropped_after_its_end(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dbos import DBOS

    job_id = shop.do(lambda work: work.step("secret", lambda: SECRET)).id
    with shop.database.read() as connection:
        uid = connection.execute(select(jobs.c.uid).where(jobs.c.id == job_id)).scalar_one()
    assert [step["output"] for step in DBOS.list_workflow_steps(uid)] == [SECRET]
    monkeypatch.setattr(worker, "_ENGINE_KEEPS_US", 0)
    assert shop.worker is not None
    shop.worker._clear_up()
    assert DBOS.get_workflow_status(uid) is None
    with shop.database.read() as connection:
        assert not connection.execute(select(jobs.c.is_handed_over).where(jobs.c.id == job_id)).scalar_one()


def test_jobs_that_ended_long_ago_are_deleted_with_their_logs(shop: Workshop) -> None:
    from pinakes.core.jobs import claims
    from pinakes.core.jobs.records import log_of

    old = shop.do(lambda work: work.log("told"))
    waiting = shop.enqueue(shop.kind(lambda _: None, most_running=0))
    assert old.ended_at is not None
    with shop.database.write() as transaction:
        claims.delete_old(transaction, old.ended_at)
        assert [line.message for line in log_of(transaction, old.id)] == ["told"]
        assert claims.delete_old(transaction, clock.now() + clock.DAY) > 0
        assert log_of(transaction, old.id) == []
    assert [job.id for job in shop.jobs.list(STAFF)] == [waiting]
