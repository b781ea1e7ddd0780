"""A real worker process with a kind of job of the tests' own, which tells what it does and dies when it is told to.

Run as `python -m tests.process.labourer`, with the settings of an archive in the environment. The job `toil` has three
steps. What it does is appended to the file `ledger` in the folder it is given, a line each. Where the file `die` there
names a moment, the process that reaches it kills itself, once; where `die with the server` does, the server whose child
it is.
"""

import fcntl
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pinakes.config import Settings
from pinakes.core.archive import Archive
from pinakes.core.db.engine import Transaction
from pinakes.core.jobs import records
from pinakes.core.jobs.jobs import Job, Jobs
from pinakes.core.jobs.kinds import JobKind, Work

STEPS = 3
MOMENTS = [
    "before beginning",
    "after beginning",
    "before step 1",
    "in step 1",
    "after step 1",
    "in step 2",
    "after step 3",
    "before ending",
    "after ending",
]
TAKING_OVER = ["before taking over", "after taking over"]
AFTER_HANDING_OVER = ("after beginning", "after taking over")


def register(jobs: Jobs, most_running: int = 8) -> None:
    jobs.register(
        JobKind("toil", _toil, most_running=most_running, most_per_user=10_000, on_start=_note_start, on_end=_note_end)
    )


def ends_of(lines: list[str]) -> list[str]:
    """Which ends the job's kind was told of, as its log tells."""
    return [line.partition(" ")[2] for line in lines if line.startswith("ended")]


def _note_start(transaction: Transaction, job: Job) -> None:
    records.add_log(transaction, job.id, "started", job.created_at)


def _note_end(transaction: Transaction, job: Job) -> None:
    records.add_log(transaction, job.id, f"ended {job.state}", job.created_at)


def _toil(work: Work) -> None:
    folder = Path(work.arguments["folder"])
    while _orders(folder / "die", *AFTER_HANDING_OVER):  # another thread carries that out: it is to come before a step
        time.sleep(0.5)
    with (folder / f"{work.job_id}.lock").open("w") as alone:
        try:
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _tell(folder, f"{work.job_id} clash")
        for number in range(1, STEPS + 1):
            _die_at(folder, f"before step {number}")
            result = work.step(f"step {number}", lambda number=number: _step(work, folder, number))  # type: ignore[misc]
            assert result == number
            _die_at(folder, f"after step {number}")


def _step(work: Work, folder: Path, number: int) -> int:
    _tell(folder, f"{work.job_id} step {number}")
    _die_at(folder, f"in step {number}")
    while number == 2 and (folder / "hold").exists():
        work.check()
        time.sleep(0.01)
    return number


def _tell(folder: Path, line: str) -> None:
    with (folder / "ledger").open("a") as ledger:
        ledger.write(line + "\n")


def _die_at(folder: Path, moment: str) -> None:
    if _is_ordered(folder / "die", moment):
        os.kill(os.getpid(), signal.SIGKILL)
    if _is_ordered(folder / "die with the server", moment):
        os.kill(os.getppid(), signal.SIGKILL)
        signal.pause()


def _is_ordered(order: Path, moment: str) -> bool:
    """Whether the order names the moment; then it is carried out, and gone."""
    try:
        if not _orders(order, moment):
            return False
        order.unlink()
    except FileNotFoundError:
        return False
    return True


def _orders(order: Path, *moments: str) -> bool:
    """Whether the order names one of the moments."""
    try:
        return order.read_text() in moments
    except FileNotFoundError:
        return False


def _around(owner: Any, name: str, moment: str, folder: Path) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        _die_at(folder, f"before {moment}")
        result = original(*args, **kwargs)
        _die_at(folder, f"after {moment}")
        return result

    setattr(owner, name, wrapped)


def arm() -> None:
    """Have this process's archive know the job, and the process die at the moments that lie outside of it."""
    from pinakes import opening
    from pinakes.core.jobs import attempt
    from pinakes.core.jobs.engine import Engine

    folder = Path(os.environ["LABOUR"])
    _around(Engine, "begin", "beginning", folder)
    _around(Engine, "take_over", "taking over", folder)
    _around(attempt, "finish", "ending", folder)
    open_archive = opening.open_archive

    def open_with_toil(settings: Settings, **options: Any) -> Archive:
        archive = open_archive(settings, **options)
        register(archive.jobs)
        return archive

    opening.open_archive = open_with_toil


if __name__ == "__main__":
    from pinakes import config, worker

    arm()
    worker.run(config.load())
