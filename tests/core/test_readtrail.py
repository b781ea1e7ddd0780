"""Reads of content reach the audit trail: in batches, and though the process is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from pinakes.core import audit
from pinakes.core.actor import Actor
from pinakes.core.audit import Action, Event
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import events
from pinakes.core.readtrail import ReadTrail
from tests.conftest import Backend

ACTOR = Actor(api="tscharts", user_id=7, token_id=3)


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(events)).scalar_one())


@pytest.fixture
def journals(tmp_path: Path) -> Path:
    return tmp_path / "journals"


def test_a_read_is_in_the_trail_after_a_flush(backend: Backend, journals: Path) -> None:
    trail = ReadTrail(backend.database, journals)
    trail.note(ACTOR, Event(Action.CONTENT_READ, image_id=5, patient_id=9), 1_000)
    trail.flush()
    with backend.database.read() as connection:
        (event,) = audit.of_patient(connection, 9)
    assert (event.actor_id, event.token_id, event.image_id, event.action, event.api, event.at) == (
        7,
        3,
        5,
        "content:read",
        "tscharts",
        1_000,
    )
    trail.close()


def test_closing_writes_what_is_pending_and_leaves_no_journal(backend: Backend, journals: Path) -> None:
    trail = ReadTrail(backend.database, journals)
    for image_id in range(1, 1_201):
        trail.note(ACTOR, Event(Action.CONTENT_READ, image_id=image_id), 1_000)
    trail.close()
    assert count(backend.database) == 1_200
    assert list(journals.iterdir()) == []


def test_a_second_close_does_nothing(backend: Backend, journals: Path) -> None:
    trail = ReadTrail(backend.database, journals)
    trail.note(ACTOR, Event(Action.CONTENT_READ, image_id=1), 1_000)
    trail.close()
    trail.close()
    assert count(backend.database) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from pinakes.core.actor import Actor
from pinakes.core.audit import Action, Event
from pinakes.core.db.engine import Database
from pinakes.core.readtrail import ReadTrail

trail = ReadTrail(Database(sys.argv[1]), Path(sys.argv[2]))
trail.flush = lambda: None  # killed before the first flush
for image_id in range(1, 51):
    trail.note(Actor(api="djinn", user_id=1), Event(Action.CONTENT_READ, image_id=image_id), 5)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(backend: Backend, journals: Path) -> Path:
    """The journals of a process that noted 50 reads and was killed."""
    script = [sys.executable, "-c", KILLED, backend.database_url, str(journals)]
    assert subprocess.run(script, check=False).returncode == -signal.SIGKILL
    assert count(backend.database) == 0
    return journals


def test_the_journal_of_a_killed_process_is_taken_over(backend: Backend, killed: Path) -> None:
    assert ReadTrail(backend.database, killed).recover() == 50
    assert count(backend.database) == 50
    assert list(killed.iterdir()) == []


def test_a_journal_taken_twice_counts_once(backend: Backend, killed: Path) -> None:
    (journal,) = killed.iterdir()
    copy = journal.read_bytes()
    ReadTrail(backend.database, killed).recover()
    journal.write_bytes(copy)
    ReadTrail(backend.database, killed).recover()
    assert count(backend.database) == 50


def test_a_journal_cut_off_in_its_last_line_gives_the_lines_before(backend: Backend, killed: Path) -> None:
    (journal,) = killed.iterdir()
    os.truncate(journal, journal.stat().st_size - 3)
    assert ReadTrail(backend.database, killed).recover() == 49


def test_the_journal_of_a_living_process_is_left_alone(backend: Backend, journals: Path) -> None:
    living = ReadTrail(backend.database, journals)
    living.note(ACTOR, Event(Action.CONTENT_READ, image_id=1), 1)
    assert ReadTrail(backend.database, journals).recover() == 0
    assert len(list(journals.iterdir())) == 1
    living.close()
