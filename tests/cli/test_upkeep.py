"""`pinakes verify`, `sweep`, `migrate`, and what every command refuses."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from pinakes.core.archive import Archive
from pinakes.core.content.store import new_key
from pinakes.core.db import migrate
from pinakes.demo.loading import write_disk
from tests.cli.conftest import Run


def leave_orphan(archive: Archive) -> None:
    """Bytes whose row was never committed."""
    writer = archive.store.begin(new_key())
    writer.write(b"left behind")
    writer.commit()


@pytest.fixture
def image(pinakes: Run, user: str, tmp_path: Path) -> str:
    path = tmp_path / "disk.qcow2"
    write_disk(path)
    return pinakes("image", "put", path, "--as", user, "--kind", "machine").result


def test_an_archive_without_faults_verifies(pinakes: Run, image: str) -> None:
    verified = pinakes("verify")
    assert (verified.status, verified.out) == (0, b"")
    assert "1 blobs, " in verified.err


def test_a_missing_object_is_found_and_named(pinakes: Run, archive: Archive, image: str) -> None:
    (stored,) = archive.store.list()
    archive.store.delete(stored.key)
    verified = pinakes("verify")
    assert verified.status == 1
    ((digest, key, what),) = [line.split("\t") for line in verified.text.splitlines()]
    assert (len(digest), key, what) == (64, stored.key, "the object is missing")
    assert "1 faults" in verified.err


def test_a_sweep_removes_what_a_crash_left_and_nothing_else(pinakes: Run, archive: Archive, image: str) -> None:
    leave_orphan(archive)
    dry = dict(pinakes("sweep", "--dry-run").rows)
    assert (dry["orphans removed"], dry["bytes freed"]) == ("1", "11")
    assert len(list(archive.store.list())) == 2
    assert dict(pinakes("sweep").rows)["orphans removed"] == "1"
    assert len(list(archive.store.list())) == 1
    assert pinakes("verify").status == 0


def test_migrate_tells_what_it_did(pinakes: Run, archive: Archive) -> None:
    again = pinakes("migrate")
    assert (again.status, again.out) == (0, b"")
    assert f"has schema {migrate.REVISION} already" in again.err


def test_migrate_brings_an_empty_database_up_to_date(
    pinakes: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINAKES_DATABASE_URL", f"sqlite:///{tmp_path}/new.db")
    assert f"from schema none to {migrate.REVISION}" in pinakes("migrate").err


def test_a_newer_database_is_refused_by_every_command(pinakes: Run, archive: Archive) -> None:
    with archive.database.write() as transaction:
        transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for command in (("user", "list"), ("verify",), ("migrate",), ("serve", "--port", "0")):
        assert "schema 9999" in pinakes(*command).failure


one_backend = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)


@one_backend
@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("PINAKES_DATBASE_URL", "postgresql://u:hunter2@h/d", "PINAKES_DATBASE_URL is not an option of Pinakes"),
        ("PINAKES_THREADS", "many", "PINAKES_THREADS: "),
        ("PINAKES_DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:1/d", "the database cannot be opened: "),
        ("PINAKES_DATABASE_URL", "postgresql://u:hunter2@[::1/d", "PINAKES_DATABASE_URL: "),
        ("PINAKES_STORE_URL", "disk:///dev/null/store", "the content store cannot be used: "),
        ("PINAKES_STORE_URL", "s3://X", "PINAKES_STORE_URL: "),
        ("PINAKES_DATA", "/dev/null/data", "the data folder /dev/null/data cannot be used: "),
    ],
)
def test_what_cannot_be_opened_is_one_clear_line(
    pinakes: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(variable, value)
    failed = pinakes("user", "list")
    assert failed.failure.startswith(reason)
    assert "hunter2" not in failed.err
    assert "Traceback" not in failed.err


@one_backend
def test_a_folder_of_images_that_is_missing_is_not_taken_for_an_empty_one(
    pinakes: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, image: str
) -> None:
    monkeypatch.setenv("PINAKES_STORE_URL", f"disk://{tmp_path}/mountpoint")
    (tmp_path / "mountpoint").mkdir()
    assert "is its volume mounted?" in pinakes("image", "list").failure
    assert list((tmp_path / "mountpoint").iterdir()) == []
    assert image


@one_backend
def test_the_data_folder_can_be_given_to_every_command(
    pinakes: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PINAKES_DATABASE_URL")
    monkeypatch.delenv("PINAKES_STORE_URL")
    other = tmp_path / "other"
    assert pinakes("user", "add", "zoe", "--email", "z@example.org", "--data", other).result == "1"
    assert [row[1] for row in pinakes("user", "list", "--data", other).rows] == ["zoe"]
    assert pinakes("user", "list").rows == []
    assert (other / "pinakes.db").exists()


@one_backend
def test_a_fault_of_ours_is_told_by_type_and_place_without_its_message(
    pinakes: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise KeyError("hunter2")

    monkeypatch.setattr("pinakes.core.access.users.Users.list", fail)
    failed = pinakes("user", "list")
    assert failed.status == 1
    assert "KeyError" in failed.err
    assert "hunter2" not in failed.err


def test_help_loads_neither_database_nor_server() -> None:
    program = (
        "import sys; sys.argv = ['pinakes', '--help']\n"
        "from pinakes.cli import main\n"
        "try: main()\n"
        "except SystemExit as exc: assert not exc.code\n"
        "heavy = {'sqlalchemy', 'granian', 'obstore', 'alembic', 'pydantic', 'starlette'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "serve" in done.stdout


def test_without_a_command_the_help_is_shown_as_wrong_usage() -> None:
    done = subprocess.run([sys.executable, "-m", "pinakes.cli"], capture_output=True, text=True)
    assert done.returncode == 2


def test_the_version_is_printed_alone(capfd: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "pinakes.cli", "--version"], capture_output=True, text=True)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
