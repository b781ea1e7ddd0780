"""What a server does in the background, on both databases and both stores."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pinakes.core.archive import Archive, assemble
from pinakes.core.content import blobs
from pinakes.core.content.store import new_key
from pinakes.core.errors import StoreUnavailable
from pinakes.server.maintenance import Maintenance
from tests.conftest import Backend

PATIENCE_SECONDS = 30.0


@pytest.fixture
def archive(backend: Backend, tmp_path: Path) -> Iterator[Archive]:
    assembled = assemble(backend.database, backend.store, journal_directory=tmp_path / "journals")
    yield assembled
    assembled.trail.close()


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def leave(archive: Archive, *, noted: bool) -> str:
    """An object nobody refers to; its key."""
    key = new_key()
    writer = archive.store.begin(key)
    writer.write(b"left behind")
    writer.commit()
    if noted:
        with archive.database.write() as transaction:
            blobs.note_trash(transaction, [key], archive.clock())
    return key


def keys(archive: Archive) -> set[str]:
    return {found.key for found in archive.store.list()}


def test_the_trash_of_a_killed_process_is_emptied_soon_after_the_start(archive: Archive) -> None:
    trash, young = leave(archive, noted=True), leave(archive, noted=False)
    maintenance = Maintenance(archive, every_seconds=0, min_age_seconds=3600, start_seconds=0)
    maintenance.start()
    eventually(lambda: trash not in keys(archive))
    maintenance.stop()
    assert keys(archive) == {young}


def test_what_nobody_refers_to_is_swept_again_and_again(archive: Archive) -> None:
    maintenance = Maintenance(archive, every_seconds=0.05, min_age_seconds=0.001, start_seconds=0)
    maintenance.start()
    for _ in range(2):
        leave(archive, noted=False)
        eventually(lambda: keys(archive) == set())
    maintenance.stop()


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
def test_a_sweep_that_fails_is_logged_without_its_message_and_tried_again(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = threading.Semaphore(0)

    def fail(*_: object, **__: object) -> None:
        attempts.release()
        raise StoreUnavailable("hunter2")

    maintenance = Maintenance(archive, every_seconds=0.01, min_age_seconds=1, start_seconds=0)
    monkeypatch.setattr("pinakes.core.content.sweep.Sweep.run", fail)
    with caplog.at_level(logging.ERROR):
        maintenance.start()
        assert attempts.acquire(timeout=PATIENCE_SECONDS)
        assert attempts.acquire(timeout=PATIENCE_SECONDS)
        maintenance.stop()
    assert "the sweep failed: pinakes.core.errors.StoreUnavailable" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
def test_it_stops_at_once_while_it_waits(archive: Archive) -> None:
    maintenance = Maintenance(archive, every_seconds=3600, min_age_seconds=3600)
    maintenance.start()
    start = time.monotonic()
    maintenance.stop()
    assert time.monotonic() - start < 4
    Maintenance(archive, every_seconds=1, min_age_seconds=1).stop()  # never started: nothing to wait for


def test_folders_that_killed_programs_left_are_removed(archive: Archive, tmp_path: Path) -> None:
    left = tmp_path / "scratch" / "export-left"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    maintenance = Maintenance(
        archive, every_seconds=0, min_age_seconds=3600, scratch_folder=left.parent, start_seconds=0
    )
    maintenance.start()
    eventually(lambda: not left.exists())
    maintenance.stop()
