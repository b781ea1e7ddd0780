"""Local copies: fetched once, bounded, never taken from who uses them, and only the ends where those are enough."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pinakes.core.content.content import Content, DistantContent
from pinakes.core.content.copies import HEAD_BYTES, TAIL_BYTES, Copies
from pinakes.core.content.store import Reader
from pinakes.core.content.stores import S3Options, open_store
from pinakes.core.db.engine import Database
from pinakes.core.errors import BlobUnknown, StorageFull, StoreUnavailable, TooLarge
from tests.conftest import Backend, MovableClock

MIB = 1024 * 1024


class Remote:
    """Contents that lie elsewhere, and how often they were opened."""

    def __init__(self) -> None:
        self.opened = 0

    def of(self, content: bytes, *, promised: int | None = None) -> Callable[[], Reader]:
        def open_it() -> Reader:
            self.opened += 1
            return _Bytes(content, len(content) if promised is None else promised)

        return open_it


class _Bytes:
    def __init__(self, content: bytes, size_bytes: int) -> None:
        self._content, self.size_bytes = content, size_bytes

    def read_at(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + length]

    def read_now(self, offset: int, length: int) -> bytes | None:
        return self.read_at(offset, length)

    def close(self) -> None:
        """Nothing is open."""


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fetched(copies: Copies, remote: Remote, content: bytes) -> bytes:
    with copies.whole(digest_of(content), remote.of(content)) as path:
        return path.read_bytes()


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder)) - {"lock"}


def test_a_copy_that_is_there_stays_for_who_uses_it_and_nothing_is_fetched(tmp_path: Path) -> None:
    remote, copies, content = Remote(), Copies(tmp_path / "copies", 10 * MIB), b"kept"
    with copies.kept(digest_of(content)) as missing:
        assert missing is None
    fetched(copies, remote, content)
    with copies.kept(digest_of(content)) as path:
        copies.forget(digest_of(content))
        assert path is not None
        assert path.read_bytes() == content
    copies.forget(digest_of(content))
    with copies.kept(digest_of(content)) as gone:
        assert gone is None
    assert remote.opened == 1


def test_a_copy_is_fetched_once(tmp_path: Path) -> None:
    remote, copies = Remote(), Copies(tmp_path, 10 * MIB)
    content = os.urandom(3 * MIB + 7)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: fetched(copies, remote, content), range(8)))
    assert results == [content] * 8
    assert fetched(Copies(tmp_path, 10 * MIB), remote, content) == content  # another process
    assert (remote.opened, names(tmp_path)) == (1, {digest_of(content)})


def test_the_copies_used_longest_ago_go_and_those_in_use_stay(tmp_path: Path) -> None:
    remote, copies = Remote(), Copies(tmp_path, 3 * MIB)
    a, b, c, d = (os.urandom(MIB) for _ in range(4))
    for number, content in enumerate((a, b, c)):
        fetched(copies, remote, content)
        os.utime(tmp_path / digest_of(content), (number, number))
    with copies.whole(digest_of(a), remote.of(a)):
        os.utime(tmp_path / digest_of(a), (0, 0))
        fetched(copies, remote, d)
        assert names(tmp_path) == {digest_of(one) for one in (a, c, d)}


def test_there_is_never_more_than_may_be(tmp_path: Path) -> None:
    remote, copies = Remote(), Copies(tmp_path, 2 * MIB)
    a, b, c = (os.urandom(MIB) for _ in range(3))
    with pytest.raises(TooLarge):
        fetched(copies, remote, bytes(2 * MIB + 1))
    with (
        copies.whole(digest_of(a), remote.of(a)),
        copies.whole(digest_of(b), remote.of(b)),
        pytest.raises(StorageFull),
    ):
        fetched(copies, remote, c)
    assert fetched(copies, remote, c) == c
    with pytest.raises(StorageFull):
        fetched(Copies(tmp_path, 2 * MIB, reserve_bytes=2**60), remote, a + b)


def test_a_content_that_ends_early_leaves_no_copy(tmp_path: Path) -> None:
    copies = Copies(tmp_path, 10 * MIB)
    with pytest.raises(StoreUnavailable), copies.whole("a" * 64, Remote().of(b"short", promised=100)):
        pass
    assert names(tmp_path) == set()


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    remote, copies = Remote(), Copies(tmp_path, 10 * MIB)
    content = os.urandom(MIB)
    fetched(copies, remote, content)
    for suffix in ("partial", "ends"):
        (tmp_path / f"{'b' * 64}.1234abcd.{suffix}").write_bytes(bytes(MIB))
    with copies.ends("c" * 64, remote.of(bytes(10))) as living:
        fetched(copies, remote, os.urandom(10))
        assert living.exists()
        assert not [name for name in names(tmp_path) if name.startswith("b" * 64)]
    assert not living.exists()


def test_the_folder_may_be_deleted_at_any_time(tmp_path: Path) -> None:
    remote, copies = Remote(), Copies(tmp_path / "copies", 10 * MIB)
    content = os.urandom(100)
    assert copies.digests() == []
    fetched(copies, remote, content)
    shutil.rmtree(tmp_path / "copies")
    assert fetched(copies, remote, content) == content
    copies.forget(digest_of(content))
    copies.forget(digest_of(content))
    assert copies.digests() == []


@pytest.mark.parametrize("size", [1, 1000, HEAD_BYTES, HEAD_BYTES + 10, HEAD_BYTES + TAIL_BYTES + 4096])
def test_a_copy_of_the_ends_has_them_and_the_size(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    with Copies(tmp_path, 1).ends(digest_of(content), Remote().of(content)) as path:
        kept = path.read_bytes()
    assert len(kept) == size
    assert kept[:HEAD_BYTES] == content[:HEAD_BYTES]
    assert kept[max(HEAD_BYTES, size - TAIL_BYTES) :] == content[max(HEAD_BYTES, size - TAIL_BYTES) :]
    assert names(tmp_path) == set()


def taken_in(backend: Backend, content: Content, written: bytes) -> str:
    with content.receive() as upload:
        upload.write(written)
        upload.finish()
        with backend.database.write() as transaction:
            return content.adopt(transaction, upload)


def test_content_is_located_without_being_fetched(backend: Backend, clock: MovableClock, tmp_path: Path) -> None:
    content = Content(backend.database, backend.store, clock, copies=Copies(tmp_path / "copies", MIB))
    written = os.urandom(5000)
    digest = taken_in(backend, content, written)

    def is_distant() -> bool:
        with content.located(digest) as found:
            if isinstance(found, Path):
                assert found.read_bytes() == written
                return False
            assert (found.size_bytes, found.read(0, 5000), found.read(4000, 7)) == (5000, written, written[4000:4007])
            return True

    has_files = backend.s3_options is None
    assert [is_distant(), is_distant()] == [not has_files] * 2
    assert not (tmp_path / "copies").exists()
    with content.local_copy(digest):
        assert not is_distant()
    content.sweep_copies()
    assert not is_distant(), "the copy stays"
    with backend.database.write() as transaction:
        content.release(transaction, [digest])
    with pytest.raises(BlobUnknown), content.located(digest):
        pass


def test_distant_content_that_goes_and_comes_again_is_read_on(s3_backend: Backend, clock: MovableClock) -> None:
    """Under another key: keys are never used again (DESIGN.md rule 10)."""
    content = Content(s3_backend.database, s3_backend.store, clock)
    written = os.urandom(5000)
    digest = taken_in(s3_backend, content, written)
    with content.located(digest) as found:
        assert isinstance(found, DistantContent)
        with s3_backend.database.write() as transaction:
            content.release(transaction, [digest])
        with pytest.raises(BlobUnknown):
            found.read(0, 1)
        assert taken_in(s3_backend, content, written) == digest
        assert found.read(10, 20) == written[10:30]


@pytest.fixture
def s3_backend(sqlite_url: str, s3_url: str, s3_options: S3Options) -> Iterator[Backend]:
    database = Database(sqlite_url)
    yield Backend(database, open_store(s3_url, s3=s3_options), sqlite_url, s3_url, s3_options)
    database.close()


def test_content_is_at_hand_as_a_local_file_wherever_it_lies(
    backend: Backend, clock: MovableClock, tmp_path: Path
) -> None:
    content = Content(backend.database, backend.store, clock, copies=Copies(tmp_path / "copies", MIB))
    written = os.urandom(5000)
    digest = taken_in(backend, content, written)
    for only_ends in (False, True):
        with content.local_copy(digest, only_ends=only_ends) as path:
            assert path.read_bytes() == written
    with backend.database.write() as transaction:
        content.release(transaction, [digest])
    with pytest.raises(BlobUnknown), content.local_copy(digest):  # also where there is a copy
        pass
    assert content.gone([digest, "0" * 64]) == {digest, "0" * 64}
    content.sweep_copies()
    assert not (tmp_path / "copies").exists() or names(tmp_path / "copies") == set()
