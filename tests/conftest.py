"""What every test may ask for: a clock to move, a database, a content store, both kinds of each together, an archive.

`backend` runs a test twice: on SQLite with the disk store, and on a real PostgreSQL with a real S3 server.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from pinakes.core import clock as instants
from pinakes.core.archive import Archive, assemble
from pinakes.core.clock import Instant
from pinakes.core.content.content import Content
from pinakes.core.content.store import ContentStore
from pinakes.core.content.stores import S3Options, open_store
from pinakes.core.db import migrate
from pinakes.core.db.engine import Database
from tests import servers

_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 6 * 1024**3
_DISK = Path("/var/tmp")


def pytest_configure(config: pytest.Config) -> None:
    """Quick tests keep their files in memory where there is room: much of what they wait for is fsync and new files.

    The slow ones, which kill processes and fill disks, stay on the disk. TMPDIR, if it is set, decides for all.
    """
    is_quick = config.getoption("markexpr", "") == "not slow"
    if not is_quick or "TMPDIR" in os.environ or not _MEMORY.is_dir():
        return
    if shutil.disk_usage(_MEMORY).free >= _MEMORY_BYTES:
        folder = tempfile.mkdtemp(prefix="pinakes-tests-", dir=_MEMORY)
        os.chmod(folder, 0o711)  # PostgreSQL runs as nobody
        os.environ["TMPDIR"] = tempfile.tempdir = folder  # the workers of pytest-xdist are started with it
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@dataclass(frozen=True, slots=True)
class Backend:
    """A database with its tables and an empty content store, and the URLs by which another process opens them."""

    database: Database
    store: ContentStore
    database_url: str
    store_url: str
    s3_options: S3Options | None


class MovableClock:
    """A clock that stands still until it is told to go on. It starts at the present."""

    def __init__(self) -> None:
        self.now: Instant = instants.now()

    def __call__(self) -> Instant:
        return self.now

    def advance(self, microseconds: int) -> None:
        self.now += microseconds


def prepare_database(url: str) -> None:
    """Give an empty database its tables."""
    database = Database(url)
    migrate.migrate(database)
    database.close()


@pytest.fixture
def disk_path() -> Iterator[Path]:
    """A folder on the disk, for what files in memory cannot do: they are never read without waiting (RWF_NOWAIT)."""
    with tempfile.TemporaryDirectory(prefix="pinakes-tests-", dir=_DISK) as folder:
        yield Path(folder)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


# -- Servers and templates, once a session ------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.PostgresServer]:
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[servers.S3Server]:
    with servers.s3() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres_server: servers.PostgresServer) -> str:
    """The name of a database with all tables, to be copied."""
    name = postgres_server.create()
    prepare_database(postgres_server.url(name))
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "pinakes.sqlite"
    prepare_database(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    try:
        return connection.serialize()
    finally:
        connection.close()


# -- A fresh place for each test ----------------------------------------------------------------------------------


@pytest.fixture
def empty_postgres_url(postgres_server: servers.PostgresServer) -> Iterator[str]:
    """A database without tables."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def postgres_url(postgres_server: servers.PostgresServer, postgres_template: str) -> Iterator[str]:
    """A database with all tables and no rows."""
    name = postgres_server.create(postgres_template)
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: bytes) -> str:
    """The same as an SQLite file."""
    path = tmp_path / "pinakes.sqlite"
    path.write_bytes(sqlite_template)
    return f"sqlite:///{path}"


@pytest.fixture
def s3_options(s3_server: servers.S3Server) -> S3Options:
    return s3_server.options


@pytest.fixture
def s3_bucket(s3_server: servers.S3Server) -> str:
    """The bucket; tests share it, each under a prefix of its own."""
    return servers.BUCKET


@pytest.fixture
def s3_url(s3_bucket: str) -> str:
    """The URL of an empty store."""
    return f"s3://{s3_bucket}/{token_hex(8)}"


@pytest.fixture(params=["sqlite-disk", "postgres-s3"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    s3: S3Options | None = None
    if request.param == "sqlite-disk":
        database_url = request.getfixturevalue("sqlite_url")
        store_url = f"disk://{tmp_path / 'content'}"
    else:
        database_url = request.getfixturevalue("postgres_url")
        store_url = request.getfixturevalue("s3_url")
        s3 = request.getfixturevalue("s3_options")
    database = Database(database_url)
    yield Backend(database, open_store(store_url, s3=s3), database_url, store_url, s3)
    database.close()


@pytest.fixture
def content(backend: Backend, clock: MovableClock) -> Content:
    return Content(backend.database, backend.store, clock)


@pytest.fixture
def archive_options() -> dict[str, Any]:
    """What `archive` is assembled with besides; folders and modules of tests have their own."""
    return {}


@pytest.fixture
def archive(
    backend: Backend, clock: MovableClock, tmp_path: Path, archive_options: dict[str, Any]
) -> Iterator[Archive]:
    folder = tmp_path / "journals"
    archive = assemble(backend.database, backend.store, journal_directory=folder, clock=clock, **archive_options)
    yield archive
    archive.close()
