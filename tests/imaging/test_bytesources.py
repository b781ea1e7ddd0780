"""Bytes from a file or from afar: any way of reading them gives the same."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from pinakes.imaging.bytesources import BLOCK_BYTES, ByteSource, DistantFile, LocalFile, Stream
from pinakes.imaging.pyramids import open_tiff
from pinakes.imaging.source import Rect, Unreadable
from tests.imaging.making_slides import tissue, write_ome

SIZE = 3 * 1024 * 1024 + 4321
CONTENT = os.urandom(SIZE)

reads = st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)), max_size=12).map(
    lambda ends: [(min(pair), max(pair) - min(pair)) for pair in ends]
)
small_reads = st.lists(st.tuples(st.integers(0, SIZE - 200_000), st.integers(0, 200_000)), max_size=30)


class Fetched:
    """Gives ranges of a content, and notes which."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content = content
        self.asked: list[tuple[int, int]] = []

    def __call__(self, offset: int, count: int) -> bytes:
        self.asked.append((offset, count))
        assert 0 <= offset < offset + count <= len(self.content)
        return self.content[offset : offset + count]

    @property
    def bytes(self) -> int:
        return sum(count for _, count in self.asked)


@given(st.one_of(reads, small_reads))
def test_whatever_is_read_in_whatever_order_is_what_the_file_holds(ranges: list[tuple[int, int]]) -> None:
    distant = DistantFile(Fetched(), SIZE)
    for offset, count in ranges:
        assert distant.read(offset, count) == CONTENT[offset : offset + count]


@given(small_reads)
def test_a_little_cache_gives_the_same_bytes(ranges: list[tuple[int, int]]) -> None:
    distant = DistantFile(Fetched(), SIZE, kept_bytes=3 * BLOCK_BYTES)
    for offset, count in ranges:
        assert distant.read(offset, count) == CONTENT[offset : offset + count]
        assert len(distant._blocks) <= 3


@given(
    st.lists(st.one_of(st.integers(-1, SIZE), st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, SIZE))), max_size=9)
)
def test_a_stream_is_read_as_an_open_file_is(steps: list[int | tuple[int, int]]) -> None:
    ours, theirs = Stream(DistantFile(Fetched(), SIZE)), io.BytesIO(CONTENT)
    for step in steps:
        if isinstance(step, int):
            assert ours.read(step) == theirs.read(step)
        else:
            whence, offset = step
            offset = offset if whence == os.SEEK_SET else -offset if whence == os.SEEK_END else 0
            assert ours.seek(offset, whence) == theirs.seek(offset, whence)
        assert ours.tell() == theirs.tell()


def test_what_was_fetched_is_not_fetched_again() -> None:
    fetch = Fetched()
    distant = DistantFile(fetch, SIZE)
    distant.read(10, 20)
    distant.read(BLOCK_BYTES - 5, 5)
    assert fetch.asked == [(0, BLOCK_BYTES)]
    distant.read(BLOCK_BYTES - 5, 3 * BLOCK_BYTES)  # neighbours come in one go
    assert fetch.asked[1:] == [(BLOCK_BYTES, 3 * BLOCK_BYTES)]
    distant.read(SIZE - 1, 1)
    assert fetch.asked[2:] == [(SIZE // BLOCK_BYTES * BLOCK_BYTES, SIZE % BLOCK_BYTES)]


def test_what_is_large_is_fetched_as_it_is_asked_for() -> None:
    fetch = Fetched()
    distant = DistantFile(fetch, SIZE)
    distant.read(77, 2 * 1024 * 1024)
    assert fetch.asked == [(77, 2 * 1024 * 1024)]
    assert not distant._blocks


def local(tmp_path: Path) -> ByteSource:
    (tmp_path / "file").write_bytes(CONTENT)
    return LocalFile(tmp_path / "file")


@pytest.mark.parametrize("made", [local, lambda _: DistantFile(Fetched(), SIZE)], ids=["local", "distant"])
@pytest.mark.parametrize(("offset", "count"), [(-1, 5), (0, -1), (SIZE, 1), (SIZE - 1, 2), (2**70, 1)])
def test_bytes_outside_of_the_file_are_never_asked_for(
    tmp_path: Path, made: Callable[[Path], ByteSource], offset: int, count: int
) -> None:
    source = made(tmp_path)
    with pytest.raises(Unreadable, match="beyond its end"):
        source.read(offset, count)
    assert source.read(SIZE, 0) == b""
    source.close()
    source.close()


def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Unreadable):
        LocalFile(tmp_path / "missing")


def test_tifffile_reads_from_afar_what_it_reads_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    write_ome(path, tissue(700, 500))
    content = path.read_bytes()
    with (
        open_tiff(path) as near,
        open_tiff(DistantFile(Fetched(content), len(content))) as far,
        tifffile.TiffFile(path) as theirs,
    ):
        assert far.description == near.description
        whole = theirs.pages.first.asarray()
        for source in (near, far):
            size = source.description.levels[0].size
            assert (source.read_region(Rect(0, 0, size.width, size.height), size) == whole).all()
