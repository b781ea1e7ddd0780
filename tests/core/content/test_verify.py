"""Verifying: every kind of damage is found and named, and a sound archive has none, on both backends."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete, insert, text, update
from sqlalchemy.engine import make_url

from pinakes.core.content.content import Content
from pinakes.core.content.store import ContentStore
from pinakes.core.content.stores import DiskStore
from pinakes.core.content.verify import Fault, Progress, What, verify
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import blobs, images, users, versions
from tests.conftest import Backend, MovableClock
from tests.core.content.test_content import finished, let_go, rows
from tests.suites.content_store import MIB, some_bytes

CONTENTS = [some_bytes(size, size) for size in (1, 5_000, 2 * MIB + 1)]


@pytest.fixture
def digests(backend: Backend, content: Content) -> list[str]:
    """Three contents, each that of one version."""
    return keep_versions(backend.database, content, CONTENTS)


def keep_versions(database: Database, content: Content, contents: list[bytes]) -> list[str]:
    """Take the contents in, as versions of one image; their digests."""
    digests = []
    with database.write() as transaction:
        names = {"name": "ana", "name_folded": "ana", "email": "a@b.example", "email_folded": "a@b.example"}
        user = names | {"kinds": "machine", "is_staff": False, "is_active": True, "created_at": 0}
        user_id = transaction.execute(insert(users).returning(users.c.id), user).scalar_one()
        image = {"uid": "0" * 32, "kind": "machine", "name": "n", "author_id": user_id, "visibility": "private"}
        image |= {"created_at": 0, "modified_at": 0}
        image_id = transaction.execute(insert(images).returning(images.c.id), image).scalar_one()
    for number, written in enumerate(contents):
        version = {"uid": f"{number:032x}", "image_id": image_id, "name": f"1.{number}", "size_bytes": len(written)}
        version |= {"format": "unknown", "author_id": user_id, "created_at": 0}
        with finished(content, written) as upload, database.write() as transaction:
            digests.append(content.adopt(transaction, upload))
            transaction.execute(insert(versions), version | {"digest": digests[-1]})
    return digests


def faults(backend: Backend) -> list[Fault]:
    return list(verify(backend.database, backend.store))


def replace(store: ContentStore, key: str, written: bytes) -> None:
    """Put other bytes under a key, as damage would."""
    store.delete(key)
    writer = store.begin(key)
    writer.write(written)
    writer.commit()


def test_a_sound_archive_has_no_faults(backend: Backend, digests: list[str]) -> None:
    assert len(digests) == 3
    assert faults(backend) == []


def test_an_empty_archive_has_no_faults(backend: Backend) -> None:
    assert faults(backend) == []


def test_progress_comes_to_all_blobs_and_bytes(backend: Backend, digests: list[str]) -> None:
    steps: list[Progress] = []
    assert list(verify(backend.database, backend.store, steps.append)) == []
    total = sum(map(len, CONTENTS))
    assert steps[-1] == Progress(len(digests), total, len(digests), total)
    assert [step.bytes for step in steps] == sorted(step.bytes for step in steps)
    assert len(steps) >= 5, "a large blob is told of in several steps"


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda store, key: store.delete(key), What.MISSING),
        (lambda store, key: replace(store, key, CONTENTS[1][:-1]), What.WRONG_SIZE),
        (lambda store, key: replace(store, key, CONTENTS[1] + b"x"), What.WRONG_SIZE),
        (lambda store, key: replace(store, key, b"x" + CONTENTS[1][1:]), What.WRONG_DIGEST),
    ],
    ids=["missing", "short", "long", "changed"],
)
def test_a_damaged_object_is_found_and_the_damage_named(
    backend: Backend, digests: list[str], damage: Callable[[ContentStore, str], None], what: What
) -> None:
    key = rows(backend)[digests[1]]
    damage(backend.store, key)
    assert faults(backend) == [Fault(digests[1], key, what)]


def test_one_flipped_bit_on_the_disk_is_found(tmp_path: Path, sqlite_url: str, clock: MovableClock) -> None:
    database, store = Database(sqlite_url), DiskStore(tmp_path / "content")
    (digest,) = keep_versions(database, Content(database, store, clock), [CONTENTS[2]])
    (path,) = (path for path in (tmp_path / "content" / "objects").rglob("*") if path.is_file())
    damaged = bytearray(path.read_bytes())
    damaged[MIB] ^= 1
    path.write_bytes(damaged)
    assert list(verify(database, store)) == [Fault(digest, path.name, What.WRONG_DIGEST)]


def test_an_object_that_cannot_be_read_is_told_as_such(tmp_path: Path, sqlite_url: str, clock: MovableClock) -> None:
    database, store = Database(sqlite_url), DiskStore(tmp_path / "content")
    (digest,) = keep_versions(database, Content(database, store, clock), [CONTENTS[0]])
    (path,) = (path for path in (tmp_path / "content" / "objects").rglob("*") if path.is_file())
    path.unlink()
    path.symlink_to(path)  # leads nowhere: even root cannot open it
    assert list(verify(database, store)) == [Fault(digest, path.name, What.UNREADABLE)]


def test_a_wrong_count_of_references_is_found(backend: Backend, digests: list[str]) -> None:
    with backend.database.write() as transaction:
        transaction.execute(update(blobs).where(blobs.c.digest == digests[0]).values(refs=2))
        transaction.execute(delete(versions).where(versions.c.digest == digests[2]))
    keys = rows(backend)
    wrong = {Fault(digest, keys[digest], What.WRONG_REFS) for digest in (digests[0], digests[2])}
    assert set(faults(backend)) == wrong


def test_a_version_whose_digest_has_no_row_is_found(backend: Backend, digests: list[str]) -> None:
    without_foreign_keys(backend, f"DELETE FROM blobs WHERE digest = '{digests[1]}'")
    assert faults(backend) == [Fault(digests[1], None, What.NO_ROW)]


def without_foreign_keys(backend: Backend, statement: str) -> None:
    """Run a statement that the foreign keys forbid, as a damaged or hand-edited database would look."""
    url = make_url(backend.database_url)
    if not backend.database.is_local:
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    with engine.begin() as connection:
        if not backend.database.is_local:
            connection.execute(text("SET session_replication_role = replica"))
        connection.execute(text(statement))
    engine.dispose()


def test_a_blob_that_is_deleted_meanwhile_is_no_fault(backend: Backend, content: Content, digests: list[str]) -> None:
    first, *others = sorted(digests)
    seen: list[Progress] = []

    def delete_the_others(progress: Progress) -> None:
        if not seen:
            with backend.database.write() as transaction:
                transaction.execute(delete(versions).where(versions.c.digest.in_(others)))
            for digest in others:
                let_go(backend, content, digest)
        seen.append(progress)

    assert list(verify(backend.database, backend.store, delete_the_others)) == []
    assert set(rows(backend)) == {first}
