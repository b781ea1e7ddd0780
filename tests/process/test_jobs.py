"""Jobs that survive: real workers, two at a time, killed at every moment of a job, on both databases.

DESIGN.md section 5 on jobs: durable, cancelled within a second, resumed from the last finished step, taken over.
"""

import contextlib
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from pinakes.core import clock
from pinakes.core.actor import Actor
from pinakes.core.db.schema import job_workers
from pinakes.core.jobs.jobs import Job, Jobs
from pinakes.core.jobs.kinds import JobState
from tests.process import labourer
from tests.process.labourer import MOMENTS, STEPS, TAKING_OVER, ends_of
from tests.process.serving import Archive

pytestmark = pytest.mark.slow

STAFF = Actor("test", is_staff=True)
PATIENCE_SECONDS = 60
ROOT = Path(__file__).parent.parent.parent
MOST_WORKER_MIB = 150


class Yard:
    """An archive with workers that come and go, and the ledger of what they did."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.folder = archive.folder / "labour"
        self.folder.mkdir()
        self.jobs = Jobs(archive.backend.database, clock.now)
        labourer.register(self.jobs)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.spawned = 0

    def start(self, count: int = 1, **more: str) -> None:
        """Start workers and wait until they are at work."""
        self.spawn(count, **more)
        until(lambda: (self.folder / "log").read_text().count("does jobs") == self.spawned)

    def spawn(self, count: int = 1, **more: str) -> None:
        environment = self.archive.environment() | {"LABOUR": str(self.folder)} | more
        with (self.folder / "log").open("ab") as log:
            started = [
                subprocess.Popen(
                    [sys.executable, "-m", "tests.process.labourer"], cwd=ROOT, env=environment, stdout=log, stderr=log
                )
                for _ in range(count)
            ]
        self.workers += started
        self.spawned += count

    def names(self) -> list[str]:
        with self.archive.backend.database.read() as connection:
            return list(connection.execute(select(job_workers.c.name)).scalars())

    def enqueue(self, count: int = 1) -> list[int]:
        with self.archive.backend.database.write() as transaction:
            return [self.jobs.enqueue(transaction, STAFF, "toil", {"folder": str(self.folder)}) for _ in range(count)]

    def job(self, job_id: int) -> Job:
        return self.jobs.get(STAFF, job_id)

    def ended(self, job_id: int) -> Job:
        until(lambda: self.job(job_id).state.is_ended)
        return self.job(job_id)

    def log(self, job_id: int) -> list[str]:
        return [line.message for line in self.jobs.log(STAFF, job_id)]

    def ledger(self) -> Counter[str]:
        path = self.folder / "ledger"
        return Counter(path.read_text().splitlines()) if path.exists() else Counter()

    def order(self, name: str, content: str = "") -> Path:
        path = self.folder / name
        path.write_text(content)
        return path

    def check(self, job_id: int, state: JobState = JobState.DONE) -> Job:
        """It ended so, its kind was told of start and end once, and it was never run twice at once."""
        job = self.ended(job_id)
        assert job.state is state, (job, (self.folder / "log").read_text())
        assert self.log(job_id).count("started") == 1
        assert ends_of(self.log(job_id)) == [state]
        assert self.ledger()[f"{job_id} clash"] == 0
        return job


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


@pytest.fixture
def yard(archive: Archive) -> Iterator[Yard]:
    yard = Yard(archive)
    yield yard
    for worker in yard.workers:
        if worker.poll() is None:
            worker.kill()
        worker.wait()


def test_two_workers_at_once_run_every_job_once(yard: Yard) -> None:
    before = yard.enqueue(20)
    yard.start(2)
    job_ids = before + yard.enqueue(20)
    jobs = [yard.check(job_id) for job_id in job_ids]
    assert yard.ledger() == Counter(f"{job_id} step {number}" for job_id in job_ids for number in range(1, STEPS + 1))
    assert {job.attempts for job in jobs} == {1}
    assert len({job.worker for job in jobs}) == 2
    for worker in yard.workers:
        assert psutil.Process(worker.pid).memory_info().rss < MOST_WORKER_MIB * 1024 * 1024


def test_a_killed_workers_job_goes_on_from_its_last_finished_step_on_another_that_lives(yard: Yard) -> None:
    yard.start(2)
    for moment in MOMENTS:
        yard.order("die", moment)
        (job_id,) = yard.enqueue()
        job = yard.check(job_id)
        until(lambda: [worker for worker in yard.workers if worker.poll() == -signal.SIGKILL])
        yard.workers = [worker for worker in yard.workers if worker.poll() is None]
        check_steps(yard, job, moment)
        yard.start()


def test_a_killed_workers_job_goes_on_when_the_next_one_starts(yard: Yard) -> None:
    yard.start()
    for moment in ("before beginning", "in step 2", "before ending"):
        yard.order("die", moment)
        (job_id,) = yard.enqueue()
        yard.workers.pop().wait(PATIENCE_SECONDS)
        assert yard.job(job_id).state is JobState.RUNNING
        yard.start()
        check_steps(yard, yard.check(job_id), moment)


def test_workers_may_die_while_they_take_over(yard: Yard) -> None:
    yard.start()
    for moment in TAKING_OVER:
        yard.order("die", "in step 2")
        (job_id,) = yard.enqueue()
        yard.workers.pop().wait(PATIENCE_SECONDS)
        yard.order("die", moment)
        yard.start()
        yard.workers.pop().wait(PATIENCE_SECONDS)
        yard.start()
        job = yard.check(job_id)
        assert job.attempts == 3
        assert yard.ledger()[f"{job_id} step 1"] == 1


def check_steps(yard: Yard, job: Job, moment: str) -> None:
    """Finished steps ran once, the one that was cut off twice."""
    for number in range(1, STEPS + 1):
        wanted = 2 if moment == f"in step {number}" else 1
        assert yard.ledger()[f"{job.id} step {number}"] == wanted, moment
    assert job.attempts == (1 if moment == "after ending" else 2), moment


def test_a_frozen_worker_loses_its_job_and_can_change_nothing_when_it_wakes(yard: Yard) -> None:
    hold = yard.order("hold")
    yard.start(PINAKES_JOB_TAKEOVER_SECONDS="6")
    (job_id,) = yard.enqueue()
    until(lambda: yard.ledger()[f"{job_id} step 2"] == 1)
    (frozen,) = yard.workers
    frozen.send_signal(signal.SIGSTOP)
    yard.start(PINAKES_JOB_TAKEOVER_SECONDS="6")
    until(lambda: yard.ledger()[f"{job_id} step 2"] == 2)
    frozen.send_signal(signal.SIGCONT)
    hold.unlink()
    job = yard.ended(job_id)
    assert (job.state, job.attempts) == (JobState.DONE, 2)
    assert ends_of(yard.log(job_id)) == ["done"]
    stop(frozen)
    assert yard.ledger()[f"{job_id} step 1"] == yard.ledger()[f"{job_id} step 3"] == 1


def test_a_cancelled_job_stops_and_stays_cancelled_though_its_worker_dies(yard: Yard) -> None:
    hold = yard.order("hold")
    yard.start()
    (job_id,) = yard.enqueue()
    until(lambda: yard.ledger()[f"{job_id} step 2"] == 1)
    assert yard.jobs.stop(STAFF, job_id)
    (worker,) = yard.workers
    worker.kill()
    hold.unlink()
    yard.start()
    (next_id,) = yard.enqueue()
    yard.check(next_id)
    yard.check(job_id, JobState.CANCELLED)
    assert yard.ledger()[f"{job_id} step 3"] == 0


def test_a_stopped_worker_leaves_its_jobs_at_once_and_the_other_goes_on_with_them(yard: Yard) -> None:
    hold = yard.order("hold")
    yard.start()
    (job_id,) = yard.enqueue()
    until(lambda: yard.ledger()[f"{job_id} step 2"] == 1)
    first = yard.job(job_id).worker
    yard.start()
    (stopped, _) = yard.workers
    assert stop(stopped) < 5
    hold.unlink()
    job = yard.check(job_id)
    assert job.worker != first
    assert yard.ledger()[f"{job_id} step 1"] == 1
    assert job.worker in yard.names()
    assert first not in yard.names()


def test_no_argument_is_in_any_log(yard: Yard) -> None:
    yard.start(PINAKES_LOG_LEVEL="debug")
    with yard.archive.backend.database.write() as transaction:
        arguments = {"folder": str(yard.folder / "missing"), "password": "hunter2"}
        job_id = yard.jobs.enqueue(transaction, STAFF, "toil", arguments)
    yard.check(job_id, JobState.FAILED)
    log = (yard.folder / "log").read_text()
    assert f"job {job_id} (toil) failed" in log
    assert "hunter2" not in log
    assert "missing" not in log


def stop(worker: "subprocess.Popen[bytes]") -> float:
    """Ask a worker to end; how many seconds it took."""
    began = time.monotonic()
    worker.terminate()
    assert worker.wait(PATIENCE_SECONDS) == 0
    return time.monotonic() - began


# -- The worker of a server ---------------------------------------------------------------------------------------


def workers_of_server(yard: Yard) -> list[psutil.Process]:
    """The server's children that do jobs: those that hold a worker's file."""
    found = []
    for process in yard.archive.workers():
        with contextlib.suppress(psutil.Error):
            if any(Path(file.path).parent.name == "workers" for file in process.open_files()):
                found.append(process)
    return found


def test_a_server_has_a_worker_which_is_replaced_when_it_dies_and_stopped_with_it(yard: Yard) -> None:
    yard.archive.start()
    until(lambda: workers_of_server(yard))
    (victim,) = workers_of_server(yard)
    until(lambda: len(yard.names()) == 1)
    victim.kill()
    until(lambda: [process for process in workers_of_server(yard) if process != victim])
    (successor,) = workers_of_server(yard)
    until(lambda: "job worker 1 ended unexpectedly and is replaced" in yard.archive.log())
    yard.archive.stop()
    assert not successor.is_running()
    assert yard.names() == []


def test_a_server_killed_at_any_step_takes_its_worker_with_it_and_the_next_one_goes_on(yard: Yard) -> None:
    toiling = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'process' / 'toiling'}", "LABOUR": str(yard.folder)}
    yard.archive.start(more=toiling)
    for moment in (*(f"in step {number}" for number in range(1, STEPS + 1)), "before ending"):
        until(lambda: workers_of_server(yard))
        (worker,) = workers_of_server(yard)
        yard.order("die with the server", moment)
        (job_id,) = yard.enqueue()
        yard.archive.wait_until_dead()
        assert psutil.wait_procs([worker], timeout=PATIENCE_SECONDS)[1] == []
        assert yard.job(job_id).state is JobState.RUNNING
        yard.archive.start(more=toiling)
        check_steps(yard, yard.check(job_id), moment)


def test_a_server_without_workers_leaves_jobs_to_others(yard: Yard) -> None:
    yard.archive.start(more={"PINAKES_JOB_WORKERS": "0"})
    (job_id,) = yard.enqueue()
    yard.start()
    yard.check(job_id)
    assert workers_of_server(yard) == []
