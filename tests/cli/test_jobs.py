"""`pinakes jobs`: what waits, runs and has ended, shown and cancelled."""

import pytest

from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from pinakes.core.clock import now
from pinakes.core.jobs import records
from pinakes.core.jobs.jobs import Jobs
from pinakes.core.jobs.kinds import JobKind
from tests.cli.conftest import Run


@pytest.fixture
def job_ids(archive: Archive) -> list[int]:
    """Three waiting jobs."""
    jobs = Jobs(archive.database, now)
    jobs.register(JobKind("copy", lambda _: None, most_running=1, most_per_user=1))
    with archive.database.write() as transaction:
        return [jobs.enqueue(transaction, Actor("test"), "copy", {"password": "hunter2"}, image_id=7) for _ in range(3)]


def test_jobs_are_listed_the_newest_first(pinakes: Run, job_ids: list[int]) -> None:
    for command in (["jobs"], ["jobs", "list"]):
        rows = pinakes(*command).rows
        assert [int(row[0]) for row in rows] == job_ids[::-1]
        assert rows[0][1:7] == ["copy", "queued", "-", "-", "7", "-"]


@pytest.mark.parametrize("command", [["jobs"], ["jobs", "list"]])
def test_jobs_are_listed_by_state_and_kind(pinakes: Run, job_ids: list[int], command: list[str]) -> None:
    pinakes("jobs", "cancel", str(job_ids[1]))
    assert [int(row[0]) for row in pinakes(*command, "--state", "cancelled").rows] == [job_ids[1]]
    assert len(pinakes(*command, "--state", "queued", "--kind", "copy").rows) == 2
    assert pinakes(*command, "--kind", "strange").rows == []
    assert pinakes(*command, "--state", "strange").status == 2


def test_a_job_is_shown_with_what_it_told_and_without_its_arguments(
    pinakes: Run, job_ids: list[int], archive: Archive
) -> None:
    with archive.database.write() as transaction:
        records.add_log(transaction, job_ids[0], "half\tway", now())
    shown = pinakes("jobs", "show", str(job_ids[0]))
    assert ["state", "queued"] in shown.rows
    assert shown.rows[-1][1] == "half\\tway"
    assert "hunter2" not in shown.text


def test_a_cancelled_job_is_said_to_be_so_once(pinakes: Run, job_ids: list[int]) -> None:
    first, second = pinakes("jobs", "cancel", str(job_ids[0])), pinakes("jobs", "cancel", str(job_ids[0]))
    assert (first.status, first.text, first.err.strip()) == (0, "", f"cancelled job {job_ids[0]}")
    assert (second.status, second.err.strip()) == (0, f"job {job_ids[0]} had ended already")


@pytest.mark.parametrize("command", ["show", "cancel"])
@pytest.mark.parametrize("job_id", ["4711", "9" * 30])
@pytest.mark.usefixtures("archive")
def test_what_never_was_is_said_not_to_be_there(pinakes: Run, command: str, job_id: str) -> None:
    assert pinakes("jobs", command, job_id).failure == "There is no such job."
