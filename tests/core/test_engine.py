"""The database: transactions, what joins what, and what happens after the outcome is certain."""

import threading

import pytest
from sqlalchemy import func, insert, select

from pinakes.core.db.engine import Database, Executor
from pinakes.core.db.schema import stations
from pinakes.core.errors import PinakesError
from tests.conftest import Backend


def add_station(connection: Executor, name: str) -> None:
    connection.execute(insert(stations), {"name": name, "level": 1})


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(stations.c.name).order_by(stations.c.id)).scalars())


def test_a_write_that_ends_well_is_kept(backend: Backend) -> None:
    with backend.database.write() as transaction:
        add_station(transaction, "dental")
    assert names(backend.database) == ["dental"]


def test_a_write_that_raises_leaves_nothing(backend: Backend) -> None:
    with pytest.raises(PinakesError), backend.database.write() as transaction:
        add_station(transaction, "dental")
        raise PinakesError
    assert names(backend.database) == []


def test_callbacks_run_only_when_the_outcome_they_wait_for_is_certain(backend: Backend) -> None:
    heard: list[str] = []
    with backend.database.write() as transaction:
        transaction.after_commit(lambda: heard.append("committed"))
        transaction.after_rollback(lambda: heard.append("never"))
        assert heard == []
    with pytest.raises(PinakesError), backend.database.write() as transaction:
        transaction.after_commit(lambda: heard.append("never"))
        transaction.after_rollback(lambda: heard.append("rolled back"))
        raise PinakesError
    assert heard == ["committed", "rolled back"]


def test_a_callback_after_commit_may_write_again(backend: Backend) -> None:
    def again() -> None:
        with backend.database.write() as transaction:
            add_station(transaction, "second")

    with backend.database.write() as transaction:
        add_station(transaction, "first")
        transaction.after_commit(again)
    assert names(backend.database) == ["first", "second"]


def test_a_read_inside_a_write_sees_what_the_write_did(backend: Backend) -> None:
    with backend.database.write() as transaction:
        add_station(transaction, "dental")
        assert names(backend.database) == ["dental"]


def test_a_write_inside_a_write_is_a_mistake(backend: Backend) -> None:
    with backend.database.write(), pytest.raises(RuntimeError), backend.database.write():
        pass


def test_parallel_read_modify_writes_lose_no_update(backend: Backend) -> None:
    with backend.database.write() as transaction:
        add_station(transaction, "counter")

    def count() -> None:
        for _ in range(20):
            with backend.database.write() as transaction:
                transaction.lock("counter")
                level = transaction.execute(select(stations.c.level)).scalar_one()
                transaction.execute(stations.update().values(level=level + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with backend.database.read() as connection:
        assert connection.execute(select(stations.c.level)).scalar_one() == 81


def test_ids_are_never_used_again(backend: Backend) -> None:
    with backend.database.write() as transaction:
        add_station(transaction, "first")
        first = transaction.execute(select(func.max(stations.c.id))).scalar_one()
        transaction.execute(stations.delete())
        add_station(transaction, "second")
        assert transaction.execute(select(func.max(stations.c.id))).scalar_one() > first
