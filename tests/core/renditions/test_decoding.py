"""Renditions with real decoding processes: the archive as it is assembled where nothing else is said."""

from typing import Any

import pytest

from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from pinakes.core.errors import NotAnImage
from pinakes.core.renditions.renditions import RegionWanted
from pinakes.imaging.source import Rect, Size
from tests.core.renditions.conftest import add_photograph, add_slide, opened, thumbnail, tile


@pytest.fixture
def archive_options() -> dict[str, Any]:
    return {}


def test_pictures_come_from_a_process_of_their_own(archive: Archive, ana: Actor, photograph: bytes, svs: bytes) -> None:
    slide = archive.renditions.info(ana, add_slide(archive, ana, svs))
    stored = tile(archive, ana, slide, (0, 1, 2), 240)
    assert stored.content[-500:] in svs
    region = RegionWanted(Rect(100, 100, 300, 200), Size(150, 100))
    assert opened(archive.renditions.region(ana, slide, region).content).size == (150, 100)
    assert opened(archive.renditions.associated(ana, slide, "label").content).size > (1, 1)
    image_id = add_photograph(archive, ana, photograph)
    assert opened(thumbnail(archive, ana, image_id, 150).content).size == (100, 150)
    broken = add_slide(archive, ana, b"\xff\xd8\xff no photograph")
    with pytest.raises(NotAnImage):
        archive.renditions.info(ana, broken)
    assert tile(archive, ana, slide, (0, 1, 2), 240) == stored
