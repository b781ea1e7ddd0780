"""Stored tiles read by a map of where they lie: the same bytes as a decoding process gives, and nothing else."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pinakes.core.actor import Actor, Scope
from pinakes.core.archive import Archive
from pinakes.core.errors import ImageUnknown, NotAnImage, PinakesError, ScopeMissing
from pinakes.core.renditions import files
from pinakes.core.renditions.files import OpenFile, OpenFiles
from pinakes.core.renditions.recent import Recent
from pinakes.core.renditions.renditions import RegionWanted, ViewedImage
from pinakes.core.renditions.stored import StoredTiles
from pinakes.core.renditions.wanted import PictureFormat
from pinakes.imaging import splicing
from pinakes.imaging.decoding.requests import Encoded, MapTiles, Region
from pinakes.imaging.decoding.tiles import Place
from pinakes.imaging.opening import open_source
from pinakes.imaging.source import Rect, Size
from pinakes.imaging.tilemap import MappedSource, Splice, TileMap
from tests.core.renditions.conftest import add_slide
from tests.core.renditions.decoding import DecoderHere
from tests.imaging.making_slides import tissue, write_pyramid

SIDE = 240


@pytest.fixture
def tmp_path(disk_path: Path) -> Path:
    """Stored tiles are at hand if the system has them in memory, which of files in memory it does not tell."""
    return disk_path


def region(column: int, row: int, scale: int = 1, **how: Any) -> RegionWanted:
    """What shows one tile of a level."""
    side = SIDE * scale
    return RegionWanted(Rect(column * side, row * side, side, side), Size(SIDE, SIDE), **how)


def from_child(path: Path, wanted: RegionWanted) -> Encoded:
    """What a decoding process gives for it."""
    asked = Region(path=str(path), rect=wanted.rect, size=wanted.size, format=wanted.format.value)
    made = DecoderHere().run(asked)
    assert isinstance(made, Encoded)
    return made


def warmed(archive: Archive, actor: Actor, content: bytes) -> ViewedImage:
    """A slide of which a tile of the largest level was looked at."""
    viewed = archive.renditions.info(actor, add_slide(archive, actor, content))
    archive.renditions.region(actor, viewed, region(0, 0))
    return viewed


@pytest.mark.parametrize("rgb", [True, False])
def test_each_tile_is_byte_for_byte_what_a_decoding_process_gives(
    archive: Archive, ana: Actor, decoder: DecoderHere, tmp_path: Path, rgb: bool
) -> None:
    path = tmp_path / "slide.tif"
    write_pyramid(path, tissue(1000, 700), tile=SIDE - SIDE % 16, rgb=rgb, levels=2)
    viewed = archive.renditions.info(ana, add_slide(archive, ana, path.read_bytes()))
    asked = [region(column, row) for column in range(4) for row in range(2)] + [region(1, 0, scale=2)]
    for wanted in asked:
        theirs = from_child(path, wanted)
        assert theirs.spliced
        assert archive.renditions.region(ana, viewed, wanted).content == theirs.content
        assert archive.renditions.at_hand(ana, viewed, wanted) == theirs.content
    assert [request for request in decoder.asked if isinstance(request, Region)] == []


def test_the_tiles_beside_one_that_was_seen_are_at_hand(
    archive: Archive, ana: Actor, decoder: DecoderHere, svs: bytes
) -> None:
    viewed = archive.renditions.info(ana, add_slide(archive, ana, svs))
    assert archive.renditions.at_hand(ana, viewed, region(0, 0)) is None  # nobody has seen where they lie
    archive.renditions.region(ana, viewed, region(0, 0))
    asked = len(decoder.asked)
    beside = archive.renditions.at_hand(ana, viewed, region(1, 1))
    assert beside is not None
    assert archive.renditions.region(ana, viewed, region(1, 1)).content == beside
    assert len(decoder.asked) == asked


@pytest.mark.parametrize(
    "wanted",
    [
        region(0, 0, rotation=90.0),
        region(0, 0, mirrored=True),
        region(0, 0, quality="gray"),
        region(0, 0, format=PictureFormat.PNG),
        RegionWanted(Rect(1, 0, SIDE, SIDE), Size(SIDE, SIDE)),
        RegionWanted(Rect(0, 0, SIDE, SIDE), Size(SIDE - 1, SIDE)),
        RegionWanted(Rect(0, 720, SIDE, 180), Size(SIDE, 180)),  # cut off at the lower edge
        region(0, 0, scale=2),  # no level has it
    ],
)
def test_what_is_not_just_a_stored_tile_is_decoded(
    archive: Archive, ana: Actor, decoder: DecoderHere, svs: bytes, wanted: RegionWanted
) -> None:
    viewed = warmed(archive, ana, svs)
    assert archive.renditions.at_hand(ana, viewed, wanted) is None
    made = archive.renditions.region(ana, viewed, wanted).content
    assert isinstance(decoder.asked[-1], Region)
    assert archive.renditions.at_hand(ana, viewed, wanted) == made  # it was made lately
    assert made != archive.renditions.at_hand(ana, viewed, region(0, 0))


def test_a_tile_that_begins_otherwise_is_judged_by_a_decoding_process(
    archive: Archive, ana: Actor, decoder: DecoderHere, svs: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "slide.svs"
    path.write_bytes(svs)
    offset, _ = place_in(path, 1, 1)
    changed = bytearray(svs)
    assert changed[offset + 2 : offset + 4] == b"\xff\xc0"
    changed[offset + 3] = 0xC1  # another kind of frame, which all decoders take
    path.write_bytes(changed)
    viewed = warmed(archive, ana, bytes(changed))
    assert archive.renditions.at_hand(ana, viewed, region(1, 1)) is None
    assert archive.renditions.region(ana, viewed, region(1, 1)).content == from_child(path, region(1, 1)).content
    assert isinstance(decoder.asked[-1], Region)


@pytest.mark.parametrize("damage", ["overwritten", "cut off"])
def test_a_file_damaged_under_the_server_gives_no_tile(
    archive: Archive, ana: Actor, svs: bytes, tmp_path: Path, damage: str
) -> None:
    viewed = warmed(archive, ana, svs)
    path = tmp_path / "slide.svs"
    path.write_bytes(svs)
    offset, count = place_in(path, 1, 1)
    with archive.content.located(viewed.digest) as found:
        if not isinstance(found, Path):
            pytest.skip("what is in a bucket is not written over")
        os.chmod(found, 0o600)
        with found.open("r+b") as file:
            if damage == "cut off":
                file.truncate(offset + count - 1)
            else:
                file.seek(offset)
                file.write(bytes(count))
    assert archive.renditions.at_hand(ana, viewed, region(1, 1)) is None
    with pytest.raises(PinakesError) as refusal:
        archive.renditions.region(ana, viewed, region(1, 1))
    assert isinstance(refusal.value, NotAnImage)


def test_who_may_no_longer_see_an_image_is_refused_however_warm_it_is(
    archive: Archive, ana: Actor, ben: Actor, svs: bytes
) -> None:
    viewed = warmed(archive, ana, svs)
    assert ben.user_id is not None
    archive.slide_sharing.add(ana, viewed.image_id, [ben.user_id])
    shared = archive.renditions.glance(ben, viewed.image_id)
    assert shared is not None
    assert archive.renditions.at_hand(ben, shared, region(0, 0)) is not None
    archive.slide_sharing.remove(ana, viewed.image_id, [ben.user_id])
    with pytest.raises(ImageUnknown):
        archive.renditions.glance(ben, viewed.image_id)
    limited = Actor("native", ana.user_id, ana.name, kinds=ana.kinds, scope=Scope.parse("namespace:read"))
    with pytest.raises(ScopeMissing):
        archive.renditions.glance(limited, viewed.image_id)
    archive.images.delete(ana, viewed.image_id)
    with pytest.raises(ImageUnknown):
        archive.renditions.glance(ana, viewed.image_id)


def test_the_file_of_a_deleted_image_is_let_go_of(
    archive: Archive, ana: Actor, decoder: DecoderHere, svs: bytes
) -> None:
    viewed = warmed(archive, ana, svs)
    decoder.close()  # it has files of its own
    assert open_files()
    archive.images.delete(ana, viewed.image_id)
    archive.renditions.sweep()
    assert not open_files()


def open_files() -> list[str]:
    """The contents that this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that lists them
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return [name for name in found if "/objects/" in name or "/cache/content/" in name]


def test_a_tile_that_lies_beyond_any_file_is_not_there(archive: Archive, ana: Actor, svs: bytes) -> None:
    viewed = archive.renditions.info(ana, add_slide(archive, ana, svs))
    side, splice = Size(SIDE, SIDE), Splice(b"\xff\xd8\xff\xc0", b"")
    far = TileMap(side, side, (2**61).to_bytes(8, "little"), (9).to_bytes(4, "little"), splice)
    assert far.is_sound
    stored = StoredTiles(archive.content)
    for _ in range(2):
        assert stored.read(viewed.digest, Place(0, 0, 0), lambda: far) is None
        assert stored.at_hand(viewed.digest, Place(0, 0, 0)) is None
    stored.close()


# -- Bounds -------------------------------------------------------------------------------------------------------


class FakeReader:
    size_bytes = 0
    is_closed = False

    def read_at(self, offset: int, length: int) -> bytes:  # noqa: ARG002
        return b""

    def read_now(self, offset: int, length: int) -> bytes | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        self.is_closed = True


def test_open_files_are_bounded_in_number_and_in_age() -> None:
    kept, readers = OpenFiles(), [FakeReader() for _ in range(files._MOST + 1)]
    for number, reader in enumerate(readers):
        kept.give_back(OpenFile(f"{number}", reader, time.monotonic()))
    assert [reader.is_closed for reader in readers[:3]] == [True, False, False]
    assert kept.take("0") is None
    taken = kept.take("1")
    assert taken is not None
    assert taken.reader is readers[1]
    assert kept.take("1") is None  # it is the caller's alone
    kept.give_back(taken)
    kept.close()
    assert all(reader.is_closed for reader in readers)
    old = FakeReader()
    kept.give_back(OpenFile("old", old, time.monotonic() - 2 * files._SECONDS))
    assert old.is_closed
    assert kept.take("old") is None


def test_what_is_kept_in_memory_is_bounded_and_what_was_used_longest_ago_goes_first() -> None:
    recent: Recent[str, bytes] = Recent(100, len)
    for name in "abc":
        recent.put(name, bytes(30))
    assert recent.get("a") == bytes(30)
    recent.put("d", bytes(40))
    assert [name for name in "abcd" if recent.get(name) is not None] == ["a", "c", "d"]
    assert recent.taken == 100
    recent.put("e", bytes(101))
    assert recent.get("e") is None
    recent.put("a", bytes(1))
    assert (recent.get("a"), recent.taken) == (bytes(1), 71)  # one key is kept once


def test_a_map_weighs_what_it_takes_and_one_of_too_many_tiles_is_not_given(
    svs: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "slide.svs"
    path.write_bytes(svs)
    tiles = map_of(path)
    assert tiles is not None
    assert tiles.taken_bytes >= len(tiles.offsets) + len(tiles.counts) == 20 * 12
    monkeypatch.setattr(splicing, "MOST_TILES", 19)
    assert map_of(path) is None
    assert DecoderHere().run(MapTiles(path=str(path), level=0)) is None
    assert DecoderHere().run(MapTiles(path=str(path), level=99)) is None


def test_a_map_that_does_not_hold_what_it_must_is_not_believed() -> None:
    """It comes from a process that has read what a stranger sent."""
    splice = Splice(b"\xff\xd8\xff\xc0", b"")
    sound = TileMap(Size(500, 300), Size(256, 256), bytes(8 * 4), bytes(4 * 4), splice)
    assert sound.is_sound
    assert sound.place(0, 0) is None  # left out
    for size, tile, offsets, counts, head in [
        (Size(500, 300), Size(256, 256), bytes(31), bytes(16), splice),
        (Size(500, 300), Size(256, 256), bytes(32), bytes(12), splice),
        (Size(500, 300), Size(0, 256), bytes(32), bytes(16), splice),
        (Size(2**40, 2**40), Size(1, 1), b"", b"", splice),
        (Size(500, 300), Size(256, 256), bytes(32), bytes(16), Splice(b"", b"")),
    ]:
        assert not TileMap(size, tile, offsets, counts, head).is_sound
    for count in (2**32 - 1, 64 * 1024 * 1024 + 1):
        lying = TileMap(Size(256, 256), Size(256, 256), b"\xff" * 8, count.to_bytes(4, "little"), splice)
        assert lying.place(0, 0) is None
    for offset, place in ((2**64 - 1, None), (2**62, None), (2**40, (2**40, 9))):
        far = TileMap(Size(256, 256), Size(256, 256), offset.to_bytes(8, "little"), (9).to_bytes(4, "little"), splice)
        assert far.place(0, 0) == place


def place_in(path: Path, column: int, row: int) -> tuple[int, int]:
    """Where a tile of the largest level lies in a file."""
    tiles = map_of(path)
    assert tiles is not None
    place = tiles.place(column, row)
    assert place is not None
    return place


def map_of(path: Path) -> TileMap | None:
    with open_source(path) as source:
        assert isinstance(source, MappedSource)
        return source.tile_map(0)
