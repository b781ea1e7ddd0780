"""The files in which it is kept where the regions of annotations lie: their room, and what is remembered of them."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pinakes.core.annotations import region_indexing
from pinakes.core.annotations.region_files import REVISION, RegionFiles
from pinakes.core.archive import Archive
from pinakes.core.errors import StorageFull, WrongState
from tests.core.annotations.making import IMAGESCOPE

DIGEST = hashlib.sha256(IMAGESCOPE).hexdigest()
ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
pytestmark = ONE_BACKEND

MIB = 1024 * 1024


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One item for each time that an annotation is read to make its index."""
    times: list[int] = []
    real = region_indexing.index

    def counted(pieces: object, file: object, admit: Callable[[int], object]) -> None:
        times.append(1)
        real(pieces, file, admit)  # type: ignore[arg-type]

    monkeypatch.setattr(region_indexing, "index", counted)
    return times


@pytest.fixture
def files_of(archive: Archive, tmp_path: Path) -> Callable[..., RegionFiles]:
    """Makes them, for an archive that holds one annotation."""
    with archive.content.receive() as upload:
        upload.write(IMAGESCOPE)
        upload.finish()
        with archive.database.write() as transaction:
            archive.content.adopt(transaction, upload)

    def make(most_bytes: int = MIB, *, reserve_bytes: int = 0) -> RegionFiles:
        return RegionFiles(archive.content, tmp_path / "indexes", most_bytes, reserve_bytes=reserve_bytes)

    return make


def test_an_index_is_made_once(files_of: Callable[..., RegionFiles], made: list[int]) -> None:
    files = files_of()
    assert not files.has(DIGEST)
    assert files.open(DIGEST).count == files.open(DIGEST).count == 1
    assert files.has(DIGEST)
    assert len(made) == 1


def test_one_that_is_larger_than_all_may_be_is_refused_at_once_the_next_time(
    files_of: Callable[..., RegionFiles], made: list[int], tmp_path: Path
) -> None:
    files = files_of(500)
    for _ in range(3):
        with pytest.raises(WrongState, match="more in this annotation"):
            files.open(DIGEST)
    assert len(made) == 1
    assert [path for path in tmp_path.rglob("indexes/**/*") if path.is_file()] == []


def test_nothing_is_written_that_the_disk_has_no_room_for_and_that_is_asked_anew(
    files_of: Callable[..., RegionFiles], made: list[int]
) -> None:
    files = files_of(reserve_bytes=2**60)
    for _ in range(2):
        with pytest.raises(StorageFull):
            files.open(DIGEST)
    assert len(made) == 2


def test_an_index_is_on_the_disk_before_it_is_believed(
    files_of: Callable[..., RegionFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one is found after a power failure whose head is there and whose body is zeros."""
    done: list[tuple[str, int]] = []
    real = os.fsync, os.link

    def fsync(descriptor: int) -> None:
        done.append(("fsync", os.fstat(descriptor).st_ino))
        real[0](descriptor)

    def link(source: Path, target: Path) -> None:
        done.append(("link", source.stat().st_ino))
        real[1](source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    files_of().open(DIGEST)
    assert [name for name, _ in done] == ["fsync", "link"]
    assert len({inode for _, inode in done}) == 1


def test_those_of_earlier_revisions_are_swept(files_of: Callable[..., RegionFiles], tmp_path: Path) -> None:
    files = files_of()
    files.sweep()  # before there are any
    for name in ("0", str(int(REVISION) + 1), "1x"):
        (tmp_path / "indexes" / name).mkdir(parents=True)
        (tmp_path / "indexes" / name / DIGEST).write_bytes(b"")
    files.open(DIGEST)
    files.sweep()
    assert {path.name for path in (tmp_path / "indexes").iterdir()} == {REVISION, str(int(REVISION) + 1), "1x"}
    assert files.has(DIGEST)
