"""The sweep: it takes what is left behind and nothing else, on both databases and both stores."""

from collections.abc import Sequence

import pytest
from sqlalchemy import func, insert, select

from pinakes.core.clock import DAY, HOUR, MINUTE, Instant
from pinakes.core.content import blobs
from pinakes.core.content.content import Content
from pinakes.core.content.store import new_key
from pinakes.core.content.stores import DiskStore, MemoryStore
from pinakes.core.content.sweep import Sweep, SweepReport
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.db.schema import login_failures, tokens, trash, users
from pinakes.core.errors import DatabaseUnavailable, NameTaken, StoreUnavailable, UploadBroken
from tests.conftest import Backend, MovableClock
from tests.core.content.test_content import finished, is_tidy, keep, let_go, read, rows
from tests.suites.content_store import listed, put

NOTHING = SweepReport(0, 0, 0, 0, 0, 0)


@pytest.fixture
def sweep(backend: Backend, clock: MovableClock) -> Sweep:
    return Sweep(backend.database, backend.store, clock, min_age_us=DAY)


def note_trash(database: Database, keys: list[str]) -> None:
    with database.write() as transaction:
        blobs.note_trash(transaction, keys, 0)


def count_trash(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(trash)).scalar_one())


def add_user(database: Database) -> int:
    row = {"name": "ana", "name_folded": "ana", "email": "a@b.example", "email_folded": "a@b.example", "kinds": ""}
    with database.write() as transaction:
        statement = insert(users).returning(users.c.id)
        return int(
            transaction.execute(statement, row | {"is_staff": False, "is_active": True, "created_at": 0}).scalar_one()
        )


def test_a_tidy_archive_is_left_alone(backend: Backend, content: Content, sweep: Sweep, clock: MovableClock) -> None:
    digest = keep(backend, content, b"in use")
    clock.advance(100 * DAY)
    assert sweep.run() == NOTHING
    assert read(content, digest) == b"in use"


def test_an_old_object_without_a_row_goes(backend: Backend, sweep: Sweep, clock: MovableClock) -> None:
    put(backend.store, b"12345")
    clock.advance(2 * DAY)
    assert sweep.run(dry_run=True) == SweepReport(0, 0, 1, 5, 0, 0)
    assert len(listed(backend.store)) == 1, "a dry run only counts"
    assert sweep.run() == SweepReport(0, 0, 1, 5, 0, 0)
    assert listed(backend.store) == {}
    assert sweep.run() == NOTHING


def test_a_young_object_without_a_row_is_spared(
    backend: Backend, content: Content, sweep: Sweep, clock: MovableClock
) -> None:
    with finished(content, b"its row is on the way") as upload:
        clock.advance(23 * HOUR)
        assert sweep.run() == NOTHING
        with backend.database.write() as transaction:
            digest = content.adopt(transaction, upload)
    assert read(content, digest) == b"its row is on the way"


def test_an_object_that_is_adopted_while_the_sweep_looks_is_spared(
    backend: Backend, content: Content, sweep: Sweep, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.advance(2 * DAY)
    look_up = blobs.known_keys
    looks: list[int] = []
    with finished(content, b"just in time") as upload:

        def look_up_and_adopt(connection: Executor, keys: Sequence[str]) -> set[str]:
            found = look_up(connection, keys)
            looks.append(len(found))
            if len(looks) == 1:
                with backend.database.write() as transaction:
                    content.adopt(transaction, upload)
            return found

        monkeypatch.setattr(blobs, "known_keys", look_up_and_adopt)
        assert sweep.run() == NOTHING
    assert looks == [0, 1], "unknown at first, known just before it would have been deleted"
    assert is_tidy(backend)
    assert len(rows(backend)) == 1


def test_an_upload_whose_bytes_were_swept_is_refused_instead_of_referring_to_nothing(
    backend: Backend, content: Content, sweep: Sweep, clock: MovableClock
) -> None:
    with finished(content, b"too slow") as upload:
        clock.advance(2 * DAY)
        assert sweep.run().orphans_removed == 1
        assert sweep.run() == NOTHING, "the note stands, and is not an orphan again"
        with pytest.raises(UploadBroken), backend.database.write() as transaction:
            content.adopt(transaction, upload)
    assert rows(backend) == {}
    clock.advance(DAY)
    assert sweep.run() == SweepReport(1, 0, 0, 0, 0, 0), "the note has stood long enough"
    assert is_tidy(backend)


def test_hundreds_of_objects_are_swept_in_batches(sqlite_url: str, clock: MovableClock) -> None:
    database, store = Database(sqlite_url), MemoryStore()
    content = Content(database, store, clock)
    kept = [keep_in(database, content, str(number).encode()) for number in range(30)]
    for _ in range(603):
        put(store, b"orphan")
    clock.advance(2 * DAY)
    report = Sweep(database, store, clock, min_age_us=DAY).run()
    assert (report.orphans_removed, report.bytes_freed) == (603, 603 * 6)
    assert all(read(content, digest) for digest in kept)
    assert len(listed(store)) == 30


def test_the_partial_object_of_a_dead_writer_goes_and_that_of_a_living_one_stays(
    tmp_path_factory: pytest.TempPathFactory, sqlite_url: str, clock: MovableClock
) -> None:
    store = DiskStore(tmp_path_factory.mktemp("content"))
    dead, living = store.begin(new_key()), store.begin(new_key())
    dead.write(b"123")
    living.write(b"alive")
    del dead  # as when its process dies: the lock goes, the file stays
    sweep = Sweep(Database(sqlite_url), store, clock, min_age_us=DAY)
    assert sweep.run(dry_run=True).partials_removed == 2
    assert sweep.run() == SweepReport(0, 1, 0, 3, 0, 0)
    living.commit()
    assert [found.size_bytes for found in store.list()] == [5]


def test_noted_trash_is_deleted_and_the_note_cleared(backend: Backend, sweep: Sweep) -> None:
    keys = [put(backend.store, b"1234"), new_key()]  # the second was deleted, and then the process died
    note_trash(backend.database, keys)
    expected = SweepReport(2, 0, 0, 4, 0, 0)
    assert sweep.run(dry_run=True) == expected
    assert count_trash(backend.database) == 2
    assert sweep.run() == expected
    assert is_tidy(backend)
    assert listed(backend.store) == {}


def test_more_trash_than_one_page_is_counted_and_emptied(sqlite_url: str, clock: MovableClock) -> None:
    database, store = Database(sqlite_url), MemoryStore()
    note_trash(database, [put(store, b"x") for _ in range(1_100)])
    sweep = Sweep(database, store, clock, min_age_us=DAY)
    assert sweep.run(dry_run=True).trash_cleared == 1_100
    assert sweep.run() == SweepReport(1_100, 0, 0, 1_100, 0, 0)
    assert count_trash(database) == 0


def test_trash_that_cannot_be_deleted_stays_noted_for_the_next_sweep(sqlite_url: str, clock: MovableClock) -> None:
    database, store = Database(sqlite_url), StubbornStore()
    stuck, loose = put(store, b"stuck"), put(store, b"loose")
    note_trash(database, [stuck, loose])
    store.stuck.add(stuck)
    clock.advance(2 * DAY)  # old enough for an orphan: but what is noted is not counted twice
    assert Sweep(database, store, clock, min_age_us=DAY).run() == SweepReport(1, 0, 0, 5, 0, 0)
    assert count_trash(database) == 1
    store.stuck.clear()
    assert Sweep(database, store, clock, min_age_us=DAY).run() == SweepReport(1, 0, 0, 5, 0, 0)
    assert count_trash(database) == 0


def test_what_the_store_refused_to_delete_when_it_was_let_go_is_swept_later(
    sqlite_url: str, clock: MovableClock
) -> None:
    database, store = Database(sqlite_url), StubbornStore()
    content = Content(database, store, clock)
    store.refuses_all = True
    twice = [keep_in(database, content, b"same") for _ in range(2)]
    with database.write() as transaction:
        content.release(transaction, twice)
    assert len(listed(store)) == 2, "the second upload's object, and then the first's, could not be deleted"
    store.refuses_all = False
    assert Sweep(database, store, clock, min_age_us=DAY).run() == SweepReport(2, 0, 0, 8, 0, 0)
    assert listed(store) == {}
    assert count_trash(database) == 0


def test_an_upload_that_could_not_be_discarded_tells_its_own_error_and_is_swept_later(
    sqlite_url: str, clock: MovableClock
) -> None:
    database, store = Database(sqlite_url), StubbornStore()
    store.refuses_all = True
    with pytest.raises(NameTaken), finished(Content(database, store, clock), b"1234"):
        raise NameTaken("taken")
    store.refuses_all = False
    clock.advance(2 * DAY)
    assert Sweep(database, store, clock, min_age_us=DAY).run() == SweepReport(0, 0, 1, 4, 0, 0)


def test_a_delete_is_done_though_the_note_of_its_trash_could_not_be_cleared(
    backend: Backend, content: Content, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(transaction: Transaction, keys: Sequence[str]) -> None:
        raise DatabaseUnavailable

    digest = keep(backend, content, b"gone")
    with monkeypatch.context() as patched:
        patched.setattr(blobs, "clear_trash", fail)
        let_go(backend, content, digest)
    assert listed(backend.store) == {}
    assert sweep.run().trash_cleared == 1
    assert is_tidy(backend)


def test_login_failures_are_forgotten_after_a_day(backend: Backend, sweep: Sweep, clock: MovableClock) -> None:
    ages = [MINUTE, 23 * HOUR, DAY, 3 * DAY]
    with backend.database.write() as transaction:
        failures = [{"address": "192.0.2.1", "name_folded": "ana", "at": clock() - age} for age in ages]
        transaction.execute(insert(login_failures), failures)
    assert sweep.run(dry_run=True).login_failures_removed == 2
    assert sweep.run().login_failures_removed == 2
    assert sweep.run() == NOTHING


@pytest.mark.parametrize(
    ("expires_in", "idle_limit", "unused_for", "goes"),
    [
        (None, None, 1_000 * DAY, False),
        (1, None, 0, False),
        (0, None, 0, True),
        (-DAY, 30 * DAY, 0, True),
        (None, 30 * DAY, 29 * DAY, False),
        (None, 30 * DAY, 30 * DAY, False),  # it may have been used within the hour that was not written down
        (None, 30 * DAY, 30 * DAY + HOUR, True),
        (DAY, 30 * DAY, 31 * DAY, True),
    ],
)
def test_tokens_go_when_nothing_can_be_opened_with_them_any_more(
    backend: Backend,
    sweep: Sweep,
    clock: MovableClock,
    expires_in: int | None,
    idle_limit: int | None,
    unused_for: int,
    goes: bool,
) -> None:
    expires_at: Instant | None = None if expires_in is None else clock() + expires_in
    row = {"user_id": add_user(backend.database), "digest": "0" * 64, "name": "t", "origin": "made", "created_at": 0}
    times = {"last_used_at": clock() - unused_for, "expires_at": expires_at, "idle_limit_us": idle_limit}
    with backend.database.write() as transaction:
        transaction.execute(insert(tokens), row | times)
    assert sweep.run(dry_run=True).tokens_removed == int(goes)
    assert sweep.run().tokens_removed == int(goes)
    assert sweep.run() == NOTHING


def keep_in(database: Database, content: Content, written: bytes) -> str:
    with finished(content, written) as upload, database.write() as transaction:
        return content.adopt(transaction, upload)


class StubbornStore(MemoryStore):
    """A store in which some objects cannot be deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck: set[str] = set()
        self.refuses_all = False

    def delete(self, key: str) -> None:
        if self.refuses_all or key in self.stuck:
            raise StoreUnavailable
        super().delete(key)
