"""An archive that imports from loopback, and users of machine images."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pinakes.core.actor import Actor
from pinakes.core.archive import Archive, assemble
from tests.conftest import Backend, MovableClock
from tests.core.imports.fetched import LIMITS
from tests.core.namespaces.making import make_user

MAX_BYTES = 3 * 1024 * 1024


@pytest.fixture
def archive(backend: Backend, clock: MovableClock, tmp_path: Path) -> Iterator[Archive]:
    archive = assemble(
        backend.database,
        backend.store,
        journal_directory=tmp_path / "journals",
        clock=clock,
        import_limits=replace(LIMITS, max_bytes=MAX_BYTES),
    )
    yield archive
    archive.close()


@pytest.fixture
def ana(archive: Archive) -> Actor:
    return make_user(archive, "ana")


@pytest.fixture
def ben(archive: Archive) -> Actor:
    return make_user(archive, "ben")
