"""Predictions that survive: real workers over real slides, killed in the middle, two at a time, stopped and started.

Pathomiq contract 3.2 and 8.6; issue 5, item 4.
"""

import itertools
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest
from sqlalchemy import select

from pinakes.core.actor import Actor, Kind
from pinakes.core.archive import Archive as Core
from pinakes.core.archive import assemble
from pinakes.core.db.schema import run_batches
from pinakes.core.slides.records import Slide
from pinakes.core.slides.states import RunState, Stage
from tests.core.analysis.making import document, put_slide, slide_bytes, stages
from tests.core.namespaces.making import SYSTEM
from tests.process.serving import PINAKES, Archive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE_SECONDS = 120
CLIENTS = 20

Batches = dict[int, tuple[bytes, int]]


class Laboratory:
    """An archive with a user and slides of hers, and workers that come and go."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        backend = archive.backend
        self.core: Core = assemble(backend.database, backend.store, journal_directory=archive.folder / "journals")
        user = self.core.users.add(SYSTEM, "ana", "ana@example.org", None, [Kind.SLIDE])
        self.ana = Actor("test", user.id, user.name, user.email, user.created_at, user.kinds)
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self, count: int = 1) -> None:
        with (self.archive.folder / "worker.log").open("ab") as log:
            for _ in range(count):
                environment = self.archive.environment() | {"PINAKES_ANALYSIS_PROCESSES": "2"}
                self.workers.append(
                    subprocess.Popen(
                        [PINAKES, "worker"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                    )
                )

    def kill(self, worker: "subprocess.Popen[bytes]") -> None:
        """As the kernel would, and its children must go with it."""
        children = psutil.Process(worker.pid).children(recursive=True)
        worker.kill()
        worker.wait()
        _, alive = psutil.wait_procs(children, timeout=5)
        assert alive == [], "an analysis process outlived its worker"
        self.workers.remove(worker)

    def children(self) -> list[psutil.Process]:
        """The analysis processes of all workers that live; decoding processes stay."""
        alive = [worker for worker in self.workers if worker.poll() is None]
        found = [child for worker in alive for child in psutil.Process(worker.pid).children(recursive=True)]
        return [child for child in found if "pinakes.imaging.analysis.child" in child.cmdline()]

    def slide(self, content: bytes) -> Slide:
        return put_slide(self.core, self.ana, content)

    def start_run(self, slide: Slide) -> None:
        self.core.runs.start(self.ana, slide.uid)

    def now(self, slide: Slide) -> Slide:
        return self.core.slides.find(self.ana, slide.uid)

    def batches(self) -> Batches:
        with self.archive.backend.database.read() as connection:
            rows = connection.execute(select(run_batches.c.number, run_batches.c.scores, run_batches.c.created_at))
            return {number: (bytes(scores), created_at) for number, scores, created_at in rows}

    def log(self) -> str:
        path = self.archive.folder / "worker.log"
        return path.read_text() if path.exists() else ""

    def until(self, condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def until_done(self, slide: Slide) -> None:
        self.until(lambda: not self.core.analysis.list(self.ana, slide.id)[0].is_active)
        run = self.core.analysis.list(self.ana, slide.id)[0]
        assert run.state is RunState.DONE, (run, self.log())
        assert stages(self.now(slide)) == "Done Done Done"


@pytest.fixture(scope="session")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A slide of some 240 tiles of tissue: two seconds or more, in eight batches or more, however fast the machine."""
    return slide_bytes(tmp_path_factory.mktemp("slide"), 12288, 9216, share=0.75)


@pytest.fixture
def laboratory(archive: Archive) -> Iterator[Laboratory]:
    made = Laboratory(archive)
    yield made
    for worker in made.workers:
        worker.kill()
        worker.wait()


def test_a_killed_workers_run_goes_on_with_at_most_one_batch_of_each_process_redone(
    laboratory: Laboratory, content: bytes
) -> None:
    whole, cut = laboratory.slide(content), laboratory.slide(content)
    laboratory.start()
    laboratory.start_run(whole)
    laboratory.until_done(whole)
    laboratory.start_run(cut)
    laboratory.until(lambda: len(of_run(laboratory, cut)) >= 3)
    laboratory.kill(laboratory.workers[0])
    kept = of_run(laboratory, cut)
    run = laboratory.core.analysis.list(laboratory.ana, cut.id)[0]
    assert run.is_active
    assert run.tiles_total is not None
    assert run.tiles_done is not None
    assert 0 < run.tiles_done < run.tiles_total
    laboratory.start()
    laboratory.until_done(cut)
    after = of_run(laboratory, cut)
    assert {number: after[number] for number in kept} == kept, "a batch that was kept was scored again"
    assert set(after) == set(range(len(after)))
    assert document(laboratory.core, laboratory.ana, cut) == document(laboratory.core, laboratory.ana, whole)


def of_run(laboratory: Laboratory, slide: Slide) -> Batches:
    """The batches of the slide's newest run."""
    run_id = laboratory.core.analysis.list(laboratory.ana, slide.id)[0].id
    with laboratory.archive.backend.database.read() as connection:
        rows = connection.execute(
            select(run_batches.c.number, run_batches.c.scores, run_batches.c.created_at).where(
                run_batches.c.run_id == run_id
            )
        )
        return {number: (bytes(scores), created_at) for number, scores, created_at in rows}


def test_two_workers_share_the_queue_and_one_goes_on_for_the_other(laboratory: Laboratory, content: bytes) -> None:
    slides = [laboratory.slide(content) for _ in range(3)]
    laboratory.start(2)
    for slide in slides:
        laboratory.start_run(slide)
    laboratory.until(lambda: any(of_run(laboratory, slide) for slide in slides))
    laboratory.kill(laboratory.workers[0])
    for slide in slides:
        laboratory.until_done(slide)
    documents = {document(laboratory.core, laboratory.ana, slide) for slide in slides}
    assert len(documents) == 1
    assert [annotation.number for slide in slides for annotation in laboratory.core.annotations.list(slide.id)] == [
        1
    ] * 3


def test_3_2_a_stop_ends_the_processes_within_a_second_and_nothing_comes_after(
    laboratory: Laboratory, content: bytes
) -> None:
    slide = laboratory.slide(content)
    laboratory.start()
    laboratory.start_run(slide)
    laboratory.until(lambda: of_run(laboratory, slide))
    children = laboratory.children()
    assert len(children) >= 2
    stopped_at = time.monotonic()
    stopped = laboratory.core.runs.stop(laboratory.ana, slide.uid)
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert time.monotonic() - stopped_at < 1.5  # a second, on a machine that does other things too
    time.sleep(1)
    assert laboratory.now(slide) == stopped
    assert laboratory.batches() == {}
    laboratory.start_run(slide)
    laboratory.until_done(slide)


def test_a_slide_that_is_deleted_while_it_is_predicted_leaves_nothing(laboratory: Laboratory, content: bytes) -> None:
    slide = laboratory.slide(content)
    laboratory.start()
    laboratory.start_run(slide)
    laboratory.until(lambda: of_run(laboratory, slide))
    children = laboratory.children()
    laboratory.core.slides.delete(laboratory.ana, slide.uid)
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert laboratory.batches() == {}
    assert list(laboratory.archive.backend.store.list()) == []
    laboratory.start_run(other := laboratory.slide(content))  # and the worker goes on
    laboratory.until_done(other)


# -- Over HTTP ----------------------------------------------------------------------------------------------------

ALLOWED = (
    {("Pending", "Pending", "Pending"), ("Done", "Done", "Done")}
    | {("Running", "Pending", "Pending"), ("Done", "Running", "Pending"), ("Done", "Done", "Running")}
    | {("Stopped", "Stopped", "Stopped"), ("Done", "Stopped", "Stopped"), ("Done", "Done", "Stopped")}
)


def ask(archive: Archive, token: str, method: str, path: str) -> tuple[int, Any]:
    answer = archive.ask(method, path, headers={"Authorization": f"Bearer {token}"})
    return answer.status, answer.json


def test_3_2_start_and_stop_from_twenty_clients_leave_only_states_that_are_allowed(
    laboratory: Laboratory, content: bytes
) -> None:
    archive, slide = laboratory.archive, laboratory.slide(content)
    token = laboratory.core.credentials.create(SYSTEM, "ana", scope=None, expires_at=None, label="")
    archive.start(more={"PINAKES_ANALYSIS_PROCESSES": "2"})
    seen: set[tuple[str, ...]] = set()
    statuses: list[int] = []
    until = time.monotonic() + 20
    rounds = itertools.count()

    def look() -> None:
        while time.monotonic() < until:
            now = laboratory.now(slide)
            seen.add(tuple(now.stages[stage] for stage in Stage))
            time.sleep(0.01)

    def play(client: int) -> None:
        while time.monotonic() < until:
            call = "startpredict" if next(rounds) % 2 else "stoppredict"
            status, _ = ask(archive, token, "GET", f"/Images/{call}/{slide.uid}")
            statuses.append(status)
            time.sleep(0.02 * client)

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        for future in [pool.submit(look), *(pool.submit(play, client) for client in range(CLIENTS))]:
            future.result()
    assert set(statuses) == {200, 409}
    assert seen <= ALLOWED, seen - ALLOWED
    assert {("Pending", "Pending", "Pending"), ("Running", "Pending", "Pending")} <= seen
    status, _ = ask(archive, token, "GET", f"/Images/startpredict/{slide.uid}")
    assert status in (200, 409)
    laboratory.until_done(slide)
    states = [run.state for run in laboratory.core.analysis.list(laboratory.ana, slide.id, most=10_000)]
    assert set(states) <= {RunState.STOPPED, RunState.DONE}
    assert "ended unexpectedly" not in archive.log()


def test_a_killed_servers_run_goes_on_with_the_next_server(laboratory: Laboratory, content: bytes) -> None:
    archive, slide = laboratory.archive, laboratory.slide(content)
    archive.start()
    laboratory.start_run(slide)
    laboratory.until(lambda: of_run(laboratory, slide))
    kept = of_run(laboratory, slide)
    family = archive.workers()
    assert archive.process is not None
    archive.process.kill()
    archive.wait_until_dead()
    assert psutil.wait_procs(family, timeout=5)[1] == []
    archive.start()
    laboratory.until_done(slide)
    after = of_run(laboratory, slide)
    assert {number: after[number] for number in kept} == kept


def test_a_run_is_followed_over_http_and_a_stopping_server_does_not_wait_for_who_follows(
    laboratory: Laboratory, content: bytes
) -> None:
    archive, slide = laboratory.archive, laboratory.slide(content)
    token = laboratory.core.credentials.create(SYSTEM, "ana", scope=None, expires_at=None, label="")
    archive.start(more={"PINAKES_JOB_WORKERS": "0"})
    laboratory.start_run(slide)
    run_id = laboratory.core.analysis.list(laboratory.ana, slide.id)[0].id
    path = f"/pinakes/v1/images/{slide.id}/runs/{run_id}/events"
    lines: list[str] = []
    command = ["curl", "-sSN", "-H", f"Authorization: Bearer {token}", f"http://127.0.0.1:{archive.port}{path}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        reader = threading.Thread(target=lambda: lines.extend(following.stdout or ()))
        reader.start()
        laboratory.until(lambda: any(line.startswith("data:") for line in lines))
        laboratory.start()
        laboratory.until_done(slide)
        reader.join(10)
    told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert (told[0]["state"], told[-1]["state"]) == ("queued", "done")
    assert any(one["tiles_done"] for one in told[1:-1])
    laboratory.core.runs.start(laboratory.ana, slide.uid)
    for worker in laboratory.workers:
        worker.kill()
    run_id = laboratory.core.analysis.list(laboratory.ana, slide.id)[0].id
    path = f"/pinakes/v1/images/{slide.id}/runs/{run_id}/events"
    with subprocess.Popen(
        [*command[:-1], f"http://127.0.0.1:{archive.port}{path}"], stdout=subprocess.PIPE
    ) as following:
        assert following.stdout is not None
        assert following.stdout.readline()
        began = time.monotonic()
        archive.stop()
        assert time.monotonic() - began < 10
