"""Migrations: the schema they make, several at once, and databases of other versions."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from pinakes.core.db import migrate
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import metadata
from pinakes.core.db.substrings import OWN_NAMES
from pinakes.core.errors import DatabaseUnavailable, SchemaMismatch


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


@pytest.fixture
def database(empty_url: str) -> Iterator[Database]:
    opened = Database(empty_url)
    yield opened
    opened.close()


def set_revision(database: Database, revision: str) -> None:
    with database.write() as transaction:
        transaction.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


_TABLES = {
    True: "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'",
    False: "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE 'alembic%'",
}


def made(database: Database) -> dict[str, list[str]]:
    """How the database itself describes its tables and indexes.

    The order of a table's constraints does not count, nor do quotes, which a table made anew has around its name.
    """
    with database.read() as connection:
        rows = connection.execute(text(_TABLES[database.is_local])).all()
    return {name: sorted(line.strip(" ,\n\t").replace('"', "") for line in sql.splitlines()) for name, sql in rows}


def is_described(name: str | None, _kind: str, _parents: object) -> bool:
    """Whether a table or an index is one that a `Table` can describe; the others are compared by `made`."""
    return name is None or not name.startswith(OWN_NAMES)


def test_the_migrated_schema_is_the_schema(database: Database) -> None:
    migrate.migrate(database)
    with database.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_name": is_described}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_migrating_makes_the_very_tables_and_indexes_that_the_schema_page_describes(
    database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    migrate.migrate(database)
    if database.is_local:
        other = Database(f"sqlite:///{tmp_path / 'other.db'}")
    else:
        server = request.getfixturevalue("postgres_server")
        other = Database(server.url(server.create()))
    try:
        metadata.create_all(other.engine)
        assert made(database) == made(other)
        assert any("AUTOINCREMENT" in line for lines in made(database).values() for line in lines) == database.is_local
    finally:
        other.close()


def test_an_empty_database_is_created_even_if_migrating_is_not_automatic(database: Database) -> None:
    assert migrate.current(database) is None
    migrate.ensure_schema(database, auto=False)
    assert migrate.current(database) == migrate.REVISION


def test_migrating_twice_does_nothing_the_second_time(database: Database) -> None:
    assert migrate.migrate(database) == (None, migrate.REVISION)
    assert migrate.migrate(database) == (migrate.REVISION, migrate.REVISION)


def test_an_older_database_is_refused_with_the_command_to_run(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(migrate, "REVISION", "0001")
        migrate.migrate(database)
    with pytest.raises(SchemaMismatch, match="run `pinakes migrate`"):
        migrate.ensure_schema(database, auto=False)
    assert migrate.current(database) == "0001"
    migrate.ensure_schema(database, auto=True)
    assert migrate.current(database) == migrate.REVISION


@pytest.mark.parametrize("auto", [True, False])
def test_a_newer_database_is_always_refused(database: Database, auto: bool) -> None:
    migrate.migrate(database)
    set_revision(database, "9999")
    with pytest.raises(SchemaMismatch, match="9999"):
        migrate.ensure_schema(database, auto=auto)
    with pytest.raises(SchemaMismatch, match="9999"):
        migrate.migrate(database)
    assert migrate.current(database) == "9999"


def test_a_database_of_another_program_is_refused_and_left_alone(database: Database) -> None:
    with database.write() as transaction:
        transaction.execute(text("CREATE TABLE users (id INTEGER PRIMARY KEY)"))
    with pytest.raises(SchemaMismatch, match="users"):
        migrate.ensure_schema(database, auto=True)
    assert migrate.current(database) is None


def test_a_migration_that_fails_leaves_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(connection: object) -> None:
        upgrade(connection)  # type: ignore[arg-type]
        raise RuntimeError("cut off at the very end")

    upgrade = migrate._upgrade
    monkeypatch.setattr(migrate, "_upgrade", broken)
    with pytest.raises(RuntimeError):
        migrate.migrate(database)
    assert migrate.current(database) is None
    assert made(database) == {}


def test_four_threads_migrating_at_once_do_it_once(empty_url: str) -> None:
    databases = [Database(empty_url) for _ in range(4)]
    try:
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(migrate.migrate, databases))
    finally:
        for one in databases:
            one.close()
    assert sorted(before or "" for before, _ in results) == ["", *[migrate.REVISION] * 3]


def test_four_processes_starting_at_once_all_find_the_schema(empty_url: str, database: Database) -> None:
    program = (
        "import sys; from pinakes.core.db import migrate; from pinakes.core.db.engine import Database; "
        "database = Database(sys.argv[1]); sys.stdin.readline(); migrate.ensure_schema(database, True); "
        "assert migrate.current(database) == migrate.REVISION"
    )
    command = [sys.executable, "-W", "error", "-c", program, empty_url]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert migrate.current(database) == migrate.REVISION


A_SLIDE = (
    "INSERT INTO users (id, name, name_folded, email, email_folded, kinds, is_staff, is_active, created_at,"
    " uid) VALUES (1, 'ana', 'ana', 'a@b', 'a@b', 'slide', FALSE, TRUE, 5, 'u')",
    "INSERT INTO images (id, uid, kind, name, author_id, visibility, created_at, modified_at)"
    " VALUES (1, 'i', 'slide', 'a.svs', 1, 'private', 5, 5)",
)
"""As it is written before descriptions and runs are known."""


def test_contents_that_were_there_before_descriptions_wait_to_be_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(migrate, "REVISION", "0003")
        migrate.migrate(database)
    with database.write() as transaction:
        for statement in (
            *A_SLIDE,
            "INSERT INTO blobs (digest, key, size_bytes, refs, created_at) VALUES ('d', 'k', 1, 1, 5)",
            "INSERT INTO versions (id, uid, image_id, name, digest, author_id, created_at, change_log, allows_imaging)"
            " VALUES (1, 'a', 1, '1.0', 'd', 1, 6, '', TRUE), (2, 'b', 1, '1.1', NULL, 1, 7, '', TRUE)",
        ):
            transaction.execute(text(statement))
    migrate.migrate(database)
    with database.read() as connection:
        assert [tuple(row) for row in connection.execute(text("SELECT version_id, state FROM descriptions"))] == [
            (1, "waiting")
        ]
        (job,) = connection.execute(text("SELECT kind, state, user_id, attempts, created_at FROM jobs")).all()
    assert tuple(job) == ("ingest", "queued", None, 0, 7)


def test_ids_of_runs_that_are_gone_are_not_given_again_after_their_table_was_made_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = (
        "INSERT INTO runs (uid, image_id, state, job_id, starter_id, created_at)"
        " VALUES ('{}', 1, 'done', NULL, 1, 5) RETURNING id"
    )
    with monkeypatch.context() as before:
        before.setattr(migrate, "REVISION", "0004")
        migrate.migrate(database)
    with database.write() as transaction:
        for statement in A_SLIDE:
            transaction.execute(text(statement))
        for uid in "abc":
            last = transaction.execute(text(insert.format(uid))).scalar_one()
        transaction.execute(text("DELETE FROM runs WHERE uid <> 'a'"))
    migrate.migrate(database)
    with database.write() as transaction:
        assert transaction.execute(text(insert.format("d"))).scalar_one() == last + 1


def test_the_revision_of_the_program_is_the_newest_there_is() -> None:
    assert max(migrate._known_revisions()) == migrate.REVISION


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, this is not a database. " * 100)
    with pytest.raises(DatabaseUnavailable):
        migrate.current(Database(f"sqlite:///{path}"))


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        migrate.ensure_schema(Database("postgresql://nobody@127.0.0.1:1/none"), auto=True)
