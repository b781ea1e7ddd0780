"""A slide that a worker, its owner and others work on at the same time: nobody waits for each other in a circle.

On PostgreSQL that is a matter of the order of locks (`core.slides.runs`); a deadlock would show as DatabaseUnavailable.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from pinakes.core.db.schema import runs
from pinakes.core.errors import ImageUnknown, WrongState
from pinakes.core.jobs.kinds import JobCancelled
from pinakes.core.slides.records import Slide
from pinakes.core.slides.states import ACTIVE_RUN, Stage
from tests.core.slides.working import attempt, begin

_ROUNDS = 6


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each gives, or the refusal it meets; anything else is raised."""

    def outcome(call: Callable[[], object]) -> object:
        try:
            return call()
        except (WrongState, ImageUnknown, JobCancelled) as refusal:
            return refusal

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


def active_runs(archive: Archive) -> int:
    with archive.database.read() as connection:
        return len(connection.execute(select(runs.c.id).where(runs.c.state.in_(ACTIVE_RUN))).all())


def test_a_stop_and_the_end_of_the_work_leave_one_end(archive: Archive, ana: Actor, uploaded: Slide) -> None:
    uid, slide_id = uploaded.uid, uploaded.id
    for number in range(_ROUNDS):
        archive.runs.start(ana, uid)
        work = attempt(archive, begin(archive))
        at_once(
            work.run,
            lambda: archive.runs.stop(ana, uid),
            lambda: archive.slides.update(ana, slide_id, {"location": str(number)}),  # noqa: B023 - called at once
            lambda: archive.slide_logs.post(ana, uid, "note", "seen"),
        )
        assert active_runs(archive) == 0
        now = archive.slides.find(ana, uid)
        assert {now.stages[stage] for stage in Stage} in ({"Stopped"}, {"Failed", "Pending"})
        assert now.location == str(number)


def test_a_delete_wins_over_whatever_else_happens(archive: Archive, ana: Actor, uploaded: Slide) -> None:
    uid = uploaded.uid
    archive.runs.start(ana, uid)
    work = attempt(archive, begin(archive))
    outcomes = at_once(
        lambda: archive.slides.delete(ana, uid),
        work.run,
        lambda: archive.runs.stop(ana, uid),
        lambda: archive.slide_sharing.replace(ana, uid, []),
        lambda: archive.slides.update(ana, uploaded.id, {"location": "x"}),
        lambda: archive.runs.start(ana, uid),
    )
    assert outcomes[0] is None
    assert active_runs(archive) == 0
    assert list(archive.store.list()) == []
