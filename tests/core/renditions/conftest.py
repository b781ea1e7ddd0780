"""An archive that decodes in the process of the test, its users, and pictures in it."""

import io
from pathlib import Path
from typing import Any

import pytest

from pinakes.core.access.users import User
from pinakes.core.actor import Actor, Kind
from pinakes.core.archive import Archive
from pinakes.core.renditions.renditions import PictureFormat, RegionWanted, Rendition, ViewedImage
from pinakes.core.slides.records import NewSlide
from pinakes.core.slides.staging import Staged
from pinakes.core.slides.states import SlideStatus
from pinakes.imaging.formats import sniff
from tests.core.clinic.making import make_image, make_patient
from tests.core.renditions.decoding import DecoderHere
from tests.imaging import parts
from tests.imaging.making_photographs import exif, saved, smooth
from tests.imaging.making_slides import tissue, write_svs

SYSTEM = Actor(api="system")


@pytest.fixture
def decoder() -> DecoderHere:
    return DecoderHere()


@pytest.fixture
def archive_options(decoder: DecoderHere) -> dict[str, Any]:
    return {"decoder": decoder}


def actor_of(user: User, api: str = "native") -> Actor:
    return Actor(api, user.id, user.name, user.email, user.created_at, user.kinds, user.is_staff)


@pytest.fixture
def ana(archive: Archive) -> Actor:
    """Who has all kinds, and whose the slides are."""
    return actor_of(archive.users.add(SYSTEM, "ana", "ana@example.org", None, list(Kind)))


@pytest.fixture
def ben(archive: Archive) -> Actor:
    """Likewise, but nothing is his."""
    return actor_of(archive.users.add(SYSTEM, "ben", "ben@example.org", None, list(Kind)))


@pytest.fixture(scope="session")
def photograph() -> bytes:
    """A JPEG of 300 x 200, taken on its side: shown, it is 200 x 300."""
    return saved(smooth(300, 200), "JPEG", quality=90, exif=exif(6, gps=True))


@pytest.fixture(scope="session")
def svs(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A slide of 1200 x 900 in tiles of 240, and a quarter of it; thumbnail, label and macro beside it."""
    path = tmp_path_factory.mktemp("slides") / "a.svs"
    write_svs(path, tissue(1200, 900))
    return path.read_bytes()


def add_photograph(archive: Archive, actor: Actor, content: bytes) -> int:
    """A clinical image of a patient; its id."""
    return make_image(archive, actor, make_patient(archive, actor), content=content)


def add_slide(archive: Archive, actor: Actor, content: bytes) -> int:
    """An uploaded slide; its id."""
    made = archive.slides.create(actor, NewSlide("a.svs"))
    with archive.content.receive(further=["md5"]) as upload:
        upload.write(content)
        received = upload.finish()
        staged = Staged(received.digest, len(content), sniff(content[: 33 * 1024]), received.further["md5"])
        archive.slide_uploads.stage(actor, made.uid, upload, staged)
    return archive.slides.update(actor, made.id, {}, SlideStatus.UPLOADED).id


def thumbnail(
    archive: Archive, actor: Actor, image_id: int, side: int, format: PictureFormat = PictureFormat.JPEG
) -> Rendition:
    """As an API asks for it."""
    viewed = archive.renditions.info(actor, image_id, in_small=True)
    return archive.renditions.region(actor, viewed, archive.renditions.thumbnail_wanted(viewed, side, format))


def tile(
    archive: Archive,
    actor: Actor,
    viewed: ViewedImage,
    place: tuple[int, int, int],
    side: int,
    format: PictureFormat = PictureFormat.JPEG,
) -> Rendition:
    """Likewise. place: level, column and row."""
    part = parts.tile(viewed.description.levels, *place, side)
    return archive.renditions.region(actor, viewed, RegionWanted(**part, format=format))


def opened(content: bytes) -> Any:
    """A picture as Pillow reads it."""
    from PIL import Image

    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
