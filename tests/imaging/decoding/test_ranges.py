"""Files read by ranges: the same pictures from a part of the bytes, and neither end at the mercy of the other."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pinakes.imaging.bytesources import BLOCK_BYTES, NeedsWhole
from pinakes.imaging.decoding import ranges
from pinakes.imaging.decoding.answering import Answers
from pinakes.imaging.decoding.pool import DecodingPool
from pinakes.imaging.decoding.ranges import MOST_AT_ONCE, MOST_BYTES, MOST_RANGES, Fetching, Supply, distant_of
from pinakes.imaging.decoding.requests import (
    Associated,
    Bounds,
    DecodingFailed,
    Describe,
    Distant,
    Encoded,
    MapTiles,
    PictureRequest,
    Refused,
    Region,
)
from pinakes.imaging.source import (
    DEFAULT_LIMITS,
    Description,
    Level,
    LimitExceeded,
    Pixels,
    Rect,
    Size,
    Unreadable,
)
from tests.imaging.decoding.conftest import BOUNDS, MakePool
from tests.imaging.decoding.fake_pictures import GREED, GREEDY_OPENER, LEVELS, FakePicture
from tests.imaging.making_slides import (
    chain_of_directories,
    directory_bytes,
    tissue,
    with_field,
    write_ome,
    write_pyramid,
    write_svs,
)
from tests.imaging.parts import tile


class File:
    """A file whose ranges are given, and counted."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.fetched = 0

    def supply(self) -> Supply:
        return Supply(self._fetch, len(self.content))

    def _fetch(self, offset: int, count: int) -> bytes:
        self.fetched += count
        return self.content[offset : offset + count]


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodingPool]:
    with DecodingPool(1, Bounds(memory_bytes=1536 * 1024**2, seconds=20)) as pool:
        yield pool


def described(pool: DecodingPool, path: Path) -> tuple[File, Distant]:
    """What is known of a file once somebody has seen all of it."""
    content = path.read_bytes()
    distant = distant_of(pool.run(Describe(path=str(path))), len(content))
    assert distant is not None
    return File(content), distant


def pixels_of(encoded: Encoded) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(encoded.content)).convert("RGB"))


def everywhere(levels: tuple[Level, ...]) -> list[PictureRequest]:
    """Requests of every kind that tiles and thumbnails are made of."""
    size, side = levels[0].size, levels[0].tile
    assert side is not None
    last = tile(levels, 0, size.width // side.width, size.height // side.height)
    return [
        Region(**tile(levels, 0, 1, 1)),
        Region(**tile(levels, 0, 1, 1), format="png"),
        Region(**tile(levels, 1, 0, 0), format="png"),
        Region(**last, format="png"),
        Region(rect=Rect(0, 0, size.width, size.height), size=Size(100, 75), format="png"),
        Region(rect=Rect(101, 57, 333, 222), size=Size(333, 222), format="png"),
    ]


def placed(request: PictureRequest, path: Path, distant: Distant, key: str) -> tuple[PictureRequest, PictureRequest]:
    """The same of a file here, and of one that is not."""
    here = msgspec.structs.replace(request, path=str(path), key=f"{key} here")
    return here, msgspec.structs.replace(request, distant=distant, key=key)


@pytest.mark.parametrize("kind", ["svs", "svs in YCbCr", "pyramid", "ome"])
def test_a_picture_read_by_ranges_is_the_same_to_the_byte(pool: DecodingPool, tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "ome":
        write_ome(path, tissue(1000, 700))
    elif kind == "pyramid":
        write_pyramid(path, tissue(1000, 700))
    else:
        write_svs(path, tissue(1000, 700), rgb=kind == "svs")
    file, distant = described(pool, path)
    for request in everywhere(distant.levels):
        here, far = placed(request, path, distant, kind)
        assert pool.run(far, file.supply()) == pool.run(here), request
    assert file.fetched > 0


def test_what_was_fetched_stays_with_the_open_picture(pool: DecodingPool, tmp_path: Path) -> None:
    write_pyramid(tmp_path / "slide", tissue(1000, 700))
    file, distant = described(pool, tmp_path / "slide")
    wanted = Region(distant=distant, key="stays", **tile(distant.levels, 0, 1, 1))
    first = pool.run(wanted, file.supply())
    fetched, file.fetched = file.fetched, 0
    assert fetched > 0
    assert pool.run(wanted, file.supply()) == first
    assert file.fetched == 0


def test_pictures_beside_a_slide_take_the_whole_file(pool: DecodingPool, tmp_path: Path) -> None:
    write_svs(tmp_path / "slide", tissue(1000, 700))
    file, distant = described(pool, tmp_path / "slide")
    with pytest.raises(NeedsWhole):
        pool.run(Associated(distant=distant, key="beside", name="label"), file.supply())


def test_a_tile_that_a_slide_left_out_takes_the_whole_file(pool: DecodingPool, tmp_path: Path) -> None:
    """OpenSlide shows another level in its place."""
    write_svs(tmp_path / "slide", tissue(1000, 700), missing=[6])
    file, distant = described(pool, tmp_path / "slide")
    wanted = Region(distant=distant, key="missing", **tile(distant.levels, 0, 1, 1))
    with pytest.raises(NeedsWhole):
        pool.run(wanted, file.supply())
    beside = msgspec.structs.replace(wanted, **tile(distant.levels, 0, 2, 1))
    assert pool.run(beside, file.supply()).spliced


def test_a_file_with_other_levels_than_those_known_is_to_be_had_whole(pool: DecodingPool, tmp_path: Path) -> None:
    write_pyramid(tmp_path / "slide", tissue(1000, 700))
    file, distant = described(pool, tmp_path / "slide")
    other = msgspec.structs.replace(distant, levels=distant.levels[:-1])
    with pytest.raises(NeedsWhole):
        pool.run(Region(distant=other, key="other", **tile(other.levels, 0, 0, 0)), file.supply())


def test_only_what_our_own_reader_shows_is_read_by_ranges() -> None:
    level = LEVELS[:1]

    def known(format: str, **facts: str) -> Distant | None:
        return distant_of(Description(format, level[0].size, level, facts=facts), 1000)

    assert known("tiff", kind="TIFF") == known("tiff", kind="OME-TIFF") == Distant(1000, level, only_plain=False)
    assert known("tiff", kind="whole slide", vendor="aperio") == Distant(1000, level, only_plain=True)
    for format, facts in (
        ("tiff", {"kind": "whole slide", "vendor": "hamamatsu"}),
        ("tiff", {}),
        ("jpeg", {"kind": "TIFF"}),
        ("dicom", {"kind": "whole slide", "vendor": "dicom"}),
    ):
        assert known(format, **facts) is None
    assert distant_of(Description("tiff", None, facts={"kind": "TIFF"}), 1000) is None


@pytest.mark.parametrize("write", [write_pyramid, write_svs])
def test_the_map_of_a_level_is_made_by_ranges_too(
    pool: DecodingPool, tmp_path: Path, write: Callable[[Path, Pixels], None]
) -> None:
    write(tmp_path / "slide", tissue(1000, 700))
    file, distant = described(pool, tmp_path / "slide")
    found = pool.run(MapTiles(distant=distant, key=f"map {write.__name__}", level=1), file.supply())
    assert found is not None
    assert found == pool.run(MapTiles(path=str(tmp_path / "slide"), level=1))


# -- What goes wrong ----------------------------------------------------------------------------------------------


class Lost(Exception):
    """The bytes are gone."""


@pytest.mark.parametrize("after_bytes", [0, 70_000])
def test_a_file_that_vanishes_midway_is_told_as_it_is_and_the_process_lives_on(
    pool: DecodingPool, tmp_path: Path, after_bytes: int
) -> None:
    write_ome(tmp_path / "slide", tissue(1000, 700))
    file, distant = described(pool, tmp_path / "slide")

    def vanishing(offset: int, count: int) -> bytes:
        if file.fetched >= after_bytes:
            raise Lost
        file.fetched += count
        return file.content[offset : offset + count]

    process = pool._places[0].process
    wanted = Region(distant=distant, key=f"lost {after_bytes}", rect=Rect(0, 0, 1000, 700), size=Size(1000, 700))
    with pytest.raises(Lost):
        pool.run(wanted, Supply(vanishing, len(file.content)))
    assert pool._places[0].process is process
    assert process is not None
    assert process.is_alive
    assert pixels_of(pool.run(wanted, file.supply())).shape == (700, 1000, 3), "it is opened again"


def test_what_a_library_could_not_read_is_not_shown_all_the_same() -> None:
    """It may go on without, and leave a hole."""
    fetching = Fetching(lambda _: b"")

    class Careless(FakePicture):
        def read_region(self, rect: Rect, size: Size, *, frame: int = 0) -> Pixels:
            with suppress(DecodingFailed):
                fetching.read(0, 10)
            return super().read_region(rect, size, frame=frame)

    answers = Answers(lambda _: Careless("plain", DEFAULT_LIMITS), 2, 2**40, DEFAULT_LIMITS, fetching)
    wanted = Region(distant=Distant(10, LEVELS, only_plain=False), rect=Rect(0, 0, 9, 9), size=Size(9, 9))
    assert answers.answer(wanted).result == Refused("failed", "The file cannot be read just now.")


def liar(kind: str, path: Path) -> bytes:
    if kind == "circle":
        return b"II*\0\x08\0\0\0" + b"\x01\0" + b"\0\x01\x04\0\x01\0\0\0\x01\0\0\0" + b"\x08\0\0\0"
    if kind == "beyond its end":
        write_pyramid(path, tissue(600, 400))
        with_field(path, 324, [2**31] * 6)
        return path.read_bytes()
    if kind == "noise":
        return os.urandom(100_000)
    return chain_of_directories(400_000)


@pytest.mark.parametrize("kind", ["circle", "beyond its end", "noise", "chain"])
def test_a_lying_file_is_refused_after_little(pool: DecodingPool, tmp_path: Path, kind: str) -> None:
    file = File(liar(kind, tmp_path / "lies"))
    levels: tuple[Level, ...] = LEVELS
    if kind == "beyond its end":
        write_pyramid(tmp_path / "true", tissue(600, 400))
        levels = described(pool, tmp_path / "true")[1].levels
    wanted = Region(distant=Distant(len(file.content), levels, False), key=kind, **tile(levels, 0, 0, 0))
    with pytest.raises(LimitExceeded if kind == "chain" else Unreadable):
        pool.run(wanted, file.supply())
    assert file.fetched < 1024**2


def test_directories_all_over_a_file_are_given_up(pool: DecodingPool) -> None:
    """Each of its own block: the number of ranges is bounded, and so is the time."""
    size = 9_000 * BLOCK_BYTES

    def fetch(offset: int, count: int) -> bytes:
        assert (offset % BLOCK_BYTES, count) == (0, BLOCK_BYTES)
        following = offset + BLOCK_BYTES
        head = directory_bytes({256: 1, 257: 1}, following) if offset else b"II*\0" + following.to_bytes(4, "little")
        return head.ljust(count, b"\0")

    wanted = Region(distant=Distant(size, LEVELS, False), key="all over", **tile(LEVELS, 0, 0, 0))
    supply = Supply(fetch, size)
    with pytest.raises(NeedsWhole):
        pool.run(wanted, supply)
    assert supply.failure is None


@pytest.mark.parametrize("behaviour", list(GREED))
def test_a_process_that_asks_for_what_it_may_not_have_is_stopped(make_pool: MakePool, behaviour: str) -> None:
    pool = make_pool(bounds=msgspec.structs.replace(BOUNDS, distant_opener=GREEDY_OPENER))
    asked: list[tuple[int, int]] = []
    size = 1024**3 + list(GREED).index(behaviour)

    def fetch(offset: int, count: int) -> bytes:
        asked.append((offset, count))
        return bytes(count)

    def run(size: int) -> int:
        told = pool.run(Describe(distant=Distant(size, LEVELS, only_plain=False), key="k"), Supply(fetch, size))
        return int(told.facts["pid"])

    before = run(1)
    with pytest.raises(DecodingFailed):
        run(size)
    assert all(0 <= offset < offset + count <= size and count <= MOST_AT_ONCE for offset, count in asked)
    assert len(asked) <= MOST_RANGES
    assert sum(count for _, count in asked) <= MOST_BYTES
    assert run(1) != before


def test_who_asks_for_bytes_of_no_file_is_stopped(make_pool: MakePool) -> None:
    pool = make_pool(bounds=msgspec.structs.replace(BOUNDS, distant_opener=GREEDY_OPENER))
    with pytest.raises(DecodingFailed):
        pool.run(Describe(distant=Distant(1024**3, LEVELS, only_plain=False)))


def test_a_file_that_comes_in_slowly_is_to_be_had_whole_and_the_process_lives_on(
    pool: DecodingPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pyramid(tmp_path / "slide", tissue(1000, 700))
    file, distant = described(pool, tmp_path / "slide")
    process = pool._places[0].process
    monkeypatch.setattr(ranges, "MOST_SECONDS", 0.0)
    wanted = Region(distant=distant, key="slow", rect=Rect(0, 0, 1000, 700), size=Size(1000, 700))
    with pytest.raises(NeedsWhole):
        pool.run(wanted, file.supply())
    assert pool._places[0].process is process
