"""Pictures of content in a bucket: read by ranges where the format allows it, from a whole copy elsewhere."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from pinakes.core.actor import Actor, Kind
from pinakes.core.archive import Archive, assemble
from pinakes.core.content.store import Reader
from pinakes.core.content.stores import S3Options, open_store
from pinakes.core.content.stores.s3 import S3Store
from pinakes.core.db.engine import Database
from pinakes.core.errors import BlobUnknown, ImageUnknown, StoreUnavailable
from pinakes.core.renditions.renditions import RegionWanted
from pinakes.imaging.source import Pixels, Rect, Size
from tests.core.renditions.conftest import (
    SYSTEM,
    actor_of,
    add_photograph,
    add_slide,
    files_below,
    opened,
    thumbnail,
    tile,
)
from tests.core.renditions.decoding import DecoderHere
from tests.imaging.making_slides import APERIO, tissue, write_jpeg_level, write_ome, write_pyramid, write_svs

MIB = 1024 * 1024


class CountedStore(S3Store):
    """fetched: bytes that were read.   lost: whether they can no longer be."""

    fetched = 0
    lost: Exception | None = None

    def open(self, key: str) -> Reader:
        reader = super().open(key)
        self.fetched += reader.size_bytes  # whoever opens it reads all of it
        return reader

    def read(self, key: str, offset: int, length: int) -> bytes:
        if self.lost is not None:
            raise self.lost
        self.fetched += length
        return super().read(key, offset, length)


@pytest.fixture
def store(s3_url: str, s3_options: S3Options) -> CountedStore:
    made = open_store(s3_url, s3=s3_options)
    assert isinstance(made, S3Store)
    made.__class__ = CountedStore
    assert isinstance(made, CountedStore)
    return made


Machine = Callable[..., Archive]


@pytest.fixture
def machine(sqlite_url: str, store: CountedStore, tmp_path: Path) -> Iterator[Machine]:
    """A machine by its name, with caches of its own; all share the database and the bucket."""
    database = Database(sqlite_url)
    archives: list[Archive] = []

    def made(name: str, *, real: bool = False) -> Archive:
        folder = tmp_path / name
        decoder = None if real else DecoderHere()
        archives.append(assemble(database, store, journal_directory=folder / "journals", decoder=decoder))
        return archives[-1]

    yield made
    for archive in archives:
        archive.close()


@pytest.fixture
def ana(machine: Machine) -> Actor:
    return actor_of(machine("users").users.add(SYSTEM, "ana", "ana@example.org", None, list(Kind)))


def noise(width: int, height: int) -> Pixels:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


def large_generic(path: Path) -> None:
    """48 MiB and a third of that, tiled, not compressed, of no scanner's kind."""
    picture = noise(4096, 4096)
    with tifffile.TiffWriter(path) as tiff:
        for step in (1, 2, 4):
            tiff.write(picture[::step, ::step], tile=(256, 256), photometric="rgb", subfiletype=int(step > 1))


def large_svs(path: Path) -> None:
    """Some 50 MiB in tiles of JPEG, as Aperio's scanners write."""
    picture = np.tile(noise(240, 240), (28, 28, 1))
    text = APERIO.format(width=picture.shape[1], height=picture.shape[0], tile=240)
    with tifffile.TiffWriter(path) as tiff:
        write_jpeg_level(tiff, picture, 240, rgb=True, description=text)
        tiff.write(picture[::16, ::16], compression="jpeg", photometric="rgb", metadata=None, description=text)
        write_jpeg_level(tiff, np.ascontiguousarray(picture[::4, ::4]), 240, rgb=True, description=text)


@pytest.mark.parametrize(("write", "side"), [(large_generic, 256), (large_svs, 240)])
def test_a_tile_of_a_large_slide_takes_less_than_a_megabyte(
    machine: Machine, store: CountedStore, ana: Actor, tmp_path: Path, write: Callable[[Path], None], side: int
) -> None:
    write(tmp_path / "slide")
    content = (tmp_path / "slide").read_bytes()
    assert len(content) > 40 * MIB
    here, there = machine("here"), machine("there", real=True)
    slide = add_slide(here, ana, content)
    viewed = here.renditions.info(ana, slide)  # it is described where it is whole
    store.fetched = 0
    seen = tile(there, ana, viewed, (0, 7, 9), side)
    assert 0 < store.fetched < 1_000_000
    assert seen.content == tile(here, ana, viewed, (0, 7, 9), side).content
    store.fetched = 0
    smaller = tile(there, ana, viewed, (1, 1, 1), side)
    assert store.fetched < 1_000_000
    assert smaller.content == tile(here, ana, viewed, (1, 1, 1), side).content
    assert not files_below(tmp_path / "there" / "cache" / "content")


WANTED = [
    RegionWanted(Rect(0, 0, 1000, 700), Size(100, 70)),
    RegionWanted(Rect(300, 200, 333, 222), Size(333, 222)),
    RegionWanted(Rect(240, 240, 480, 240), Size(240, 120), rotation=90.0, quality="gray"),
]


@pytest.mark.parametrize("write", [write_pyramid, write_ome, write_svs])
def test_every_picture_is_the_same_from_a_bucket_and_from_a_file(
    machine: Machine, store: CountedStore, ana: Actor, tmp_path: Path, write: Callable[..., None]
) -> None:
    write(tmp_path / "slide", tissue(1000, 700))
    here, there = machine("here"), machine("there")
    viewed = here.renditions.info(ana, add_slide(here, ana, (tmp_path / "slide").read_bytes()))
    for wanted in WANTED:
        assert there.renditions.region(ana, viewed, wanted) == here.renditions.region(ana, viewed, wanted)
    for column, row in ((0, 0), (1, 1), (3, 2)):
        seen = [tile(each, ana, viewed, (0, column, row), 240) for each in (here, there)]
        assert seen[0] == seen[1]
    assert not files_below(tmp_path / "there" / "cache" / "content")


def test_what_takes_the_whole_file_is_copied_and_then_read_from_the_copy(
    machine: Machine, store: CountedStore, ana: Actor, svs: bytes, photograph: bytes, tmp_path: Path
) -> None:
    here, there = machine("here"), machine("there")
    viewed = here.renditions.info(ana, add_slide(here, ana, svs))
    label = there.renditions.associated(ana, viewed, "label")
    assert label == here.renditions.associated(ana, viewed, "label")
    assert {path.name for path in files_below(tmp_path / "there" / "cache" / "content")} == {"lock", viewed.digest}
    store.fetched = 0
    there.renditions.region(ana, viewed, WANTED[1])
    assert store.fetched == 0, "the copy is there already"
    image_id = add_photograph(here, ana, photograph)
    thumbnail(here, ana, image_id, 100)
    assert opened(thumbnail(there, ana, image_id, 100).content).size == (67, 100)


def test_content_that_vanishes_midway_is_told_clearly(
    machine: Machine, store: CountedStore, ana: Actor, svs: bytes
) -> None:
    here, there = machine("here"), machine("there")
    slide = add_slide(here, ana, svs)
    viewed = here.renditions.info(ana, slide)
    for lost in (StoreUnavailable(), BlobUnknown("0" * 32)):
        store.lost = lost
        with pytest.raises(type(lost)):
            there.renditions.region(ana, viewed, WANTED[1])
    store.lost = None
    assert there.renditions.region(ana, viewed, WANTED[1]) == here.renditions.region(ana, viewed, WANTED[1])
    here.images.delete(ana, slide)
    with pytest.raises(ImageUnknown):
        there.renditions.region(ana, viewed, WANTED[0])
