"""An assembled archive and a volunteer of its clinic."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pinakes.core.actor import Actor, Kind
from pinakes.core.archive import Archive, assemble
from tests.conftest import Backend, MovableClock

SYSTEM = Actor(api="system")


@pytest.fixture
def archive(backend: Backend, clock: MovableClock, tmp_path: Path) -> Iterator[Archive]:
    archive = assemble(backend.database, backend.store, journal_directory=tmp_path / "journals", clock=clock)
    yield archive
    archive.close()


@pytest.fixture
def actor(archive: Archive) -> Actor:
    user = archive.users.add(SYSTEM, "volunteer", "volunteer@example.org", None, [Kind.CLINICAL])
    return Actor("tscharts", user.id, user.name, user.email, user.created_at, user.kinds)
