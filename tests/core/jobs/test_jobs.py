"""Asking for jobs, stopping them and looking at them, on both databases."""

from typing import Any

import pytest
from sqlalchemy import func, select

from pinakes.core.access.users import Users
from pinakes.core.actor import Actor, Kind
from pinakes.core.audit import Action
from pinakes.core.db.engine import Transaction
from pinakes.core.db.schema import events, jobs
from pinakes.core.errors import InvalidFields, JobUnknown, TooManyJobs
from pinakes.core.jobs import records
from pinakes.core.jobs.jobs import Jobs
from pinakes.core.jobs.kinds import Job, JobKind, JobState, Work
from tests.conftest import Backend, MovableClock

STAFF = Actor("test", name="system", is_staff=True)
SECRET = "hunter2"


def do_nothing(work: Work) -> None:
    """The jobs of these tests are never run."""


class Register:
    """Jobs of two kinds, two users, and what the kinds were told of ends."""

    def __init__(self, backend: Backend, clock: MovableClock) -> None:
        self.database = backend.database
        self.jobs = Jobs(backend.database, clock)
        self.ended: list[Job] = []
        self.fails_to_reconcile = False
        self.jobs.register(JobKind("copy", do_nothing, most_running=2, most_per_user=3, on_end=self._note_end))
        self.jobs.register(JobKind("other", do_nothing, most_running=2, most_per_user=3))
        users = Users(backend.database, clock)
        self.anna, self.ben = (self._user(users, name) for name in ("anna", "ben"))

    def _user(self, users: Users, name: str) -> Actor:
        user = users.add(STAFF, name, f"{name}@example.org", None, [Kind.MACHINE])
        return Actor("test", user_id=user.id, name=name, kinds=frozenset([Kind.MACHINE]))

    def _note_end(self, _: Transaction, job: Job) -> None:
        if self.fails_to_reconcile:
            raise RuntimeError("cannot reconcile")
        self.ended.append(job)

    def enqueue(self, actor: Actor, kind: str = "copy", image_id: int | None = None, **arguments: Any) -> int:
        with self.database.write() as transaction:
            return self.jobs.enqueue(transaction, actor, kind, arguments, image_id=image_id)

    def cancel(self, actor: Actor, job_id: int) -> bool:
        with self.database.write() as transaction:
            return self.jobs.cancel(transaction, actor, job_id)

    def arguments(self, job_id: int) -> str:
        with self.database.read() as connection:
            return str(connection.execute(select(jobs.c.arguments).where(jobs.c.id == job_id)).scalar_one())

    def count(self, action: Action, job_id: int) -> int:
        statement = select(func.count()).where(events.c.action == action, events.c.subject == f"job:{job_id}")
        with self.database.read() as connection:
            return int(connection.execute(statement).scalar_one())


@pytest.fixture
def register(backend: Backend, clock: MovableClock) -> Register:
    return Register(backend, clock)


def test_a_job_waits_with_its_audit_event_once_its_transaction_has_committed(register: Register) -> None:
    job_id = register.enqueue(register.anna, image_id=7, url="https://example.org")
    job = register.jobs.get(register.anna, job_id)
    assert (job.state, job.kind, job.image_id, job.user_id) == (JobState.QUEUED, "copy", 7, register.anna.user_id)
    assert (job.progress, job.error, job.worker, job.started_at, job.ended_at) == (None, None, None, None, None)
    assert register.count(Action.JOB_CREATE, job_id) == 1


def test_a_transaction_that_rolls_back_leaves_no_job_and_no_event(register: Register) -> None:
    with pytest.raises(RuntimeError), register.database.write() as transaction:
        job_id = register.jobs.enqueue(transaction, register.anna, "copy", {})
        raise RuntimeError
    assert register.jobs.list(STAFF) == []
    assert register.count(Action.JOB_CREATE, job_id) == 0


def test_an_unknown_kind_cannot_be_asked_for(register: Register) -> None:
    with pytest.raises(KeyError):
        register.enqueue(register.anna, "strange")


def test_two_kinds_of_one_name_are_a_mistake(register: Register) -> None:
    with pytest.raises(ValueError, match="copy"):
        register.jobs.register(JobKind("copy", do_nothing, most_running=1, most_per_user=1))


def test_a_user_has_a_limit_for_each_kind(register: Register) -> None:
    job_ids = [register.enqueue(register.anna) for _ in range(3)]
    with pytest.raises(TooManyJobs):
        register.enqueue(register.anna)
    register.enqueue(register.anna, "other")
    register.enqueue(register.ben)
    register.cancel(register.anna, job_ids[0])
    register.enqueue(register.anna)  # what has ended counts no longer


def test_the_archive_itself_has_no_limit(register: Register) -> None:
    for _ in range(5):
        register.enqueue(STAFF)


def test_a_waiting_job_that_is_cancelled_has_ended_at_once(register: Register, clock: MovableClock) -> None:
    job_id = register.enqueue(register.anna, password=SECRET)
    assert SECRET in register.arguments(job_id)
    assert register.cancel(register.anna, job_id)
    job = register.jobs.get(register.anna, job_id)
    assert (job.state, job.ended_at) == (JobState.CANCELLED, clock.now)
    assert SECRET not in register.arguments(job_id)
    assert register.count(Action.JOB_CANCEL, job_id) == 1


def test_the_kind_is_told_of_the_end_once_with_the_arguments(register: Register) -> None:
    job_id = register.enqueue(register.anna, password=SECRET)
    assert register.cancel(register.anna, job_id)
    assert not register.cancel(register.anna, job_id)
    (job,) = register.ended
    assert (job.id, job.state, job.arguments) == (job_id, JobState.CANCELLED, {"password": SECRET})
    assert register.count(Action.JOB_CANCEL, job_id) == 1


def test_a_cancel_that_rolls_back_has_not_happened(register: Register) -> None:
    job_id = register.enqueue(register.anna, password=SECRET)
    register.fails_to_reconcile = True
    with pytest.raises(RuntimeError):
        register.cancel(register.anna, job_id)
    assert register.jobs.get(register.anna, job_id).state is JobState.QUEUED
    assert SECRET in register.arguments(job_id)


def test_cancelling_what_never_was_is_no_mistake(register: Register) -> None:
    assert not register.cancel(register.anna, 4711)


def test_people_see_and_stop_their_own_jobs_and_staff_all(register: Register) -> None:
    of_anna, of_ben = register.enqueue(register.anna), register.enqueue(register.ben)
    assert [job.id for job in register.jobs.list(register.anna)] == [of_anna]
    assert [job.id for job in register.jobs.list(STAFF)] == [of_ben, of_anna]
    assert register.jobs.list(Actor("test")) == []
    for question in (register.jobs.get, register.jobs.log, register.jobs.stop):
        for stranger in (register.anna, Actor("test")):
            with pytest.raises(JobUnknown):
                question(stranger, of_ben)
    assert register.jobs.stop(register.ben, of_ben)
    assert not register.jobs.stop(register.ben, of_ben)
    assert register.jobs.stop(STAFF, of_anna)


@pytest.mark.parametrize("job_id", [0, -1, 2**63, 10**40])
def test_ids_beyond_all_jobs_are_unknown(register: Register, job_id: int) -> None:
    with pytest.raises(JobUnknown):
        register.jobs.get(STAFF, job_id)
    with pytest.raises(JobUnknown):
        register.jobs.log(STAFF, job_id)
    assert register.jobs.list(STAFF, before_id=job_id) == []


def test_arguments_are_shown_to_nobody(register: Register) -> None:
    job_id = register.enqueue(register.anna, password=SECRET)
    assert SECRET not in repr(register.jobs.get(STAFF, job_id))
    assert [dict(job.arguments) for job in register.jobs.list(STAFF)] == [{}]


def test_a_list_is_limited_by_state_kind_and_page(register: Register) -> None:
    first, second = register.enqueue(register.anna), register.enqueue(register.anna, "other")
    third = register.enqueue(register.anna)
    register.cancel(register.anna, first)
    found = register.jobs.list
    assert [job.id for job in found(STAFF, state=JobState.CANCELLED)] == [first]
    assert [job.id for job in found(STAFF, kind="other")] == [second]
    assert [job.id for job in found(STAFF, state=JobState.QUEUED, kind="copy")] == [third]
    assert [job.id for job in found(STAFF, most=2)] == [third, second]
    assert [job.id for job in found(STAFF, before_id=second)] == [first]
    assert found(STAFF, kind="strange") == []


@pytest.mark.parametrize("kind", ["a\0b", "\ud800"])
def test_a_kind_that_no_database_keeps_is_refused(register: Register, kind: str) -> None:
    with pytest.raises(InvalidFields):
        register.jobs.list(STAFF, kind=kind)


def test_a_log_is_read_in_order_and_keeps_what_databases_can_keep(register: Register, clock: MovableClock) -> None:
    job_id = register.enqueue(register.anna)
    for message in ("one", "tw\0o\ud800", "x" * 3_000):
        with register.database.write() as transaction:
            records.add_log(transaction, job_id, message, clock.now)
    one, two, long = register.jobs.log(register.anna, job_id)
    assert (one.message, one.created_at) == ("one", clock.now)
    assert two.message.startswith("tw")
    assert len(long.message) == 2_000
