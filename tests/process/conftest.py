"""An archive for each test of real processes, ended however the test ends."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pinakes.core.content.stores import S3Options, open_store
from pinakes.core.db.engine import Database
from tests.conftest import Backend
from tests.process.serving import Archive


@pytest.fixture(params=["sqlite-disk", "sqlite-s3", "postgres-disk", "postgres-s3"])
def every_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Both databases with both stores."""
    database_kind, store_kind = request.param.split("-")
    database_url = request.getfixturevalue(f"{database_kind}_url")
    s3: S3Options | None = request.getfixturevalue("s3_options") if store_kind == "s3" else None
    store_url = request.getfixturevalue("s3_url") if store_kind == "s3" else f"disk://{tmp_path / 'content'}"
    database = Database(database_url)
    yield Backend(database, open_store(store_url, s3=s3), database_url, store_url, s3)
    database.close()


@pytest.fixture
def archive(backend: Backend, tmp_path: Path) -> Iterator[Archive]:
    yield from ended(Archive(backend, tmp_path))


@pytest.fixture
def any_archive(every_backend: Backend, tmp_path: Path) -> Iterator[Archive]:
    yield from ended(Archive(every_backend, tmp_path))


def ended(archive: Archive) -> Iterator[Archive]:
    """The archive, whose server is gone when the caller is done with it."""
    yield archive
    if archive.process is None:
        return
    family = [archive.process.pid]
    with contextlib.suppress(psutil.NoSuchProcess):
        family += [child.pid for child in psutil.Process(archive.process.pid).children(recursive=True)]
    for pid in family:
        if psutil.pid_exists(pid):
            psutil.Process(pid).kill()
    archive.process.wait()
