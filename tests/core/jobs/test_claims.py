"""Whose turn it is, who may still write, and who counts as alive, on both databases."""

from dataclasses import replace

import pytest

from pinakes.core.actor import Actor
from pinakes.core.db.engine import Database
from pinakes.core.jobs import claims, records
from pinakes.core.jobs.claims import Claim
from pinakes.core.jobs.jobs import Jobs
from pinakes.core.jobs.kinds import JobKind, Work
from tests.conftest import Backend, MovableClock


def do_nothing(work: Work) -> None:
    """The jobs of these tests are never run."""


COPY = JobKind("copy", do_nothing, most_running=3, most_per_user=100)
OTHER = JobKind("other", do_nothing, most_running=1, most_per_user=100)


@pytest.fixture
def database(backend: Backend) -> Database:
    return backend.database


@pytest.fixture
def jobs(database: Database, clock: MovableClock) -> Jobs:
    jobs = Jobs(database, clock)
    jobs.register(COPY)
    jobs.register(OTHER)
    return jobs


def enqueue(database: Database, jobs: Jobs, user_id: int | None, kind: str = "copy") -> int:
    with database.write() as transaction:
        return jobs.enqueue(transaction, Actor("test", user_id=user_id), kind, {})


def claim(database: Database, job_id: int, worker: str = "w1", at: int = 5) -> Claim:
    with database.write() as transaction:
        job = records.hold(transaction, job_id)
        assert job is not None
        return claims.claim(transaction, job, worker, at)


def chosen(database: Database, most: int = 10, served: dict[claims.Party, float] | None = None) -> list[int]:
    with database.read() as connection:
        return claims.choose(connection, [COPY, OTHER], most, served or {})


def test_the_oldest_come_first_as_far_as_their_kind_may_run(database: Database, jobs: Jobs) -> None:
    copies = [enqueue(database, jobs, None) for _ in range(4)]
    others = [enqueue(database, jobs, None, "other") for _ in range(2)]
    assert set(chosen(database)) == {*copies[:3], others[0]}
    assert chosen(database, most=1) == copies[:1]
    claim(database, copies[0])
    claim(database, others[0])
    assert chosen(database) == copies[1:3]


def test_users_with_fewer_running_jobs_come_first(database: Database, jobs: Jobs) -> None:
    of_anna = [enqueue(database, jobs, 1) for _ in range(4)]
    of_ben = [enqueue(database, jobs, 2) for _ in range(2)]
    assert chosen(database) == [of_anna[0], of_ben[0], of_anna[1]]
    claim(database, of_anna[0])
    assert chosen(database) == [of_ben[0], of_anna[1]]


def test_who_was_served_the_longest_time_ago_comes_first(database: Database, jobs: Jobs) -> None:
    of_anna, of_ben = enqueue(database, jobs, 1), enqueue(database, jobs, 2)
    assert chosen(database, most=1, served={("copy", 1): 7.0}) == [of_ben]
    assert chosen(database, most=1, served={("copy", 1): 7.0, ("copy", 2): 8.0}) == [of_anna]


def test_a_user_with_many_waiting_jobs_hides_nobody(database: Database, clock: MovableClock, jobs: Jobs) -> None:
    generous = Jobs(database, clock)
    generous.register(replace(COPY, most_per_user=1000))
    with database.write() as transaction:
        for _ in range(600):
            generous.enqueue(transaction, Actor("test", user_id=1), COPY.name, {})
    of_ben = enqueue(database, jobs, 2)
    assert of_ben in chosen(database)


def test_only_the_attempt_that_has_the_job_may_write(database: Database, jobs: Jobs) -> None:
    job_id = enqueue(database, jobs, 1)
    first = claim(database, job_id, "w1")
    strangers = [
        replace(first, worker="w2"),
        replace(first, attempt=2),
        replace(first, job_id=job_id + 1),
    ]
    with database.write() as transaction:
        assert claims.is_current(transaction, first)
        assert claims.hold_for(transaction, first) is not None
        for stranger in strangers:
            assert not claims.is_current(transaction, stranger)
            assert claims.hold_for(transaction, stranger) is None
            claims.set_progress(transaction, stranger, 0.9)
        claims.set_progress(transaction, first, 0.1)
        job = records.find(transaction, job_id)
    assert job is not None
    assert job.progress == 0.1


def test_a_job_that_is_taken_over_keeps_its_start_and_is_lost_to_its_first_attempt(
    database: Database, jobs: Jobs
) -> None:
    job_id = enqueue(database, jobs, 1)
    first, second = claim(database, job_id, "w1", at=5), claim(database, job_id, "w2", at=9)
    with database.write() as transaction:
        assert claims.hold_for(transaction, first) is None
        job = claims.hold_for(transaction, second)
    assert job is not None
    assert (job.started_at, job.attempts, job.worker) == (5, 2, "w2")


def test_an_attempt_that_was_given_back_does_not_count(database: Database, jobs: Jobs) -> None:
    first = claim(database, enqueue(database, jobs, 1))
    with database.write() as transaction:
        claims.release(transaction, first)
        assert not claims.is_current(transaction, first)
    assert claim(database, first.job_id, "w2").attempt == 1


def test_a_worker_is_buried_only_if_it_has_given_no_sign_of_life_since(database: Database) -> None:
    with database.write() as transaction:
        claims.beat(transaction, "w1", 1)
        claims.beat(transaction, "w2", 1)
        claims.beat(transaction, "w1", 2)
        assert claims.beats(transaction) == {"w1": 2, "w2": 1}
        assert not claims.bury(transaction, "w1", 1)
        assert claims.bury(transaction, "w2", 1)
        assert claims.beats(transaction) == {"w1": 2}
        claims.beat(transaction, "w2", 3)  # it was only slow
        claims.leave(transaction, "w1")
        assert claims.beats(transaction) == {"w2": 3}


def test_waiting_jobs_of_kinds_nobody_knows_are_found(database: Database, jobs: Jobs) -> None:
    enqueue(database, jobs, 1)
    other = enqueue(database, jobs, 1, "other")
    with database.read() as connection:
        assert claims.waiting_of_unknown_kind(connection, {"copy": COPY}) == [other]
        assert claims.waiting_of_unknown_kind(connection, jobs.kinds) == []
