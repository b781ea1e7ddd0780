"""The cache of pictures: bounded, torn files are not believed, and its folder may go at any time."""

import os
import shutil
from pathlib import Path

import pytest

from pinakes.core.renditions.cache import PictureCache
from tests.core.renditions.conftest import files_below

MIB = 1024 * 1024
DIGEST = "d" * 64


def key(number: int) -> str:
    return f"{number:064x}"


def taken(folder: Path) -> int:
    return sum(path.stat().st_size for path in files_below(folder) if path.name != "lock")


def test_what_was_put_is_there_for_other_processes_too(tmp_path: Path) -> None:
    PictureCache(tmp_path, MIB).put(DIGEST, key(1), b"picture")
    other = PictureCache(tmp_path, MIB)
    assert other.get(DIGEST, key(1)) == b"picture"
    assert other.get(DIGEST, key(2)) is None
    assert other.get("e" * 64, key(1)) is None


def test_it_never_takes_more_than_it_may_and_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path, MIB)
    for number in range(400):
        cache.put(DIGEST, key(number), bytes(8_000))
        path = tmp_path / DIGEST[:2] / DIGEST[2:] / key(number)
        os.utime(path, (number, number))
        assert taken(tmp_path) <= MIB
    assert cache.get(DIGEST, key(0)) is None
    assert cache.get(DIGEST, key(399)) == bytes(8_000)


def test_what_was_used_lately_stays(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path, MIB)
    for number in range(300):
        cache.put(DIGEST, key(number), bytes(8_000))
        os.utime(tmp_path / DIGEST[:2] / DIGEST[2:] / key(number), (number, number))
        assert cache.get(DIGEST, key(0)) == bytes(8_000)


@pytest.mark.parametrize("kept", [b"", b"abc", b"abcd", b"\0\0\0\0picture"])
def test_a_torn_file_is_not_believed(tmp_path: Path, kept: bytes) -> None:
    cache = PictureCache(tmp_path, MIB)
    cache.put(DIGEST, key(1), b"picture")
    (path,) = [path for path in files_below(tmp_path) if path.name != "lock"]
    path.write_bytes(kept)
    assert cache.get(DIGEST, key(1)) is None
    cache.put(DIGEST, key(1), b"picture")
    assert cache.get(DIGEST, key(1)) == b"picture"


def test_its_folder_may_be_deleted_at_any_time(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path / "cache", MIB)
    cache.put(DIGEST, key(1), b"picture")
    shutil.rmtree(tmp_path / "cache")
    assert cache.get(DIGEST, key(1)) is None
    assert list(cache.digests()) == []
    cache.forget(DIGEST)
    cache.put(DIGEST, key(1), b"picture")
    assert cache.get(DIGEST, key(1)) == b"picture"


def test_a_folder_that_cannot_be_written_to_costs_only_the_cache(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    cache = PictureCache(tmp_path / "cache", MIB)
    for number in range(3):
        cache.put(DIGEST, key(number), b"picture")
        assert cache.get(DIGEST, key(number)) is None
    assert len(caplog.records) == 1  # told once, not for every tile


def test_without_room_nothing_is_kept(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path / "cache", 0)
    cache.put(DIGEST, key(1), b"picture")
    assert cache.get(DIGEST, key(1)) is None
    assert not (tmp_path / "cache").exists()


def test_a_picture_that_is_a_large_part_of_all_is_not_kept(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path, MIB)
    cache.put(DIGEST, key(1), bytes(MIB // 8))
    assert cache.get(DIGEST, key(1)) is None


def test_all_pictures_of_a_content_can_be_forgotten(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path, MIB)
    for digest in (DIGEST, "e" * 64):
        cache.put(digest, key(1), b"picture")
    assert sorted(cache.digests()) == [DIGEST, "e" * 64]
    cache.forget(DIGEST)
    assert list(cache.digests()) == ["e" * 64]
    assert cache.get(DIGEST, key(1)) is None
