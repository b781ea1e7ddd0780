"""An archive with a user, and a slide of hers that is uploaded."""

import pytest

from pinakes.core.actor import Actor, Kind
from pinakes.core.archive import Archive
from pinakes.core.slides.records import NewSlide, Slide
from pinakes.core.slides.staging import Staged
from pinakes.core.slides.states import SlideStatus
from tests.core.namespaces.making import SYSTEM


@pytest.fixture
def ana(archive: Archive) -> Actor:
    user = archive.users.add(SYSTEM, "ana", "ana@example.org", None, [Kind.SLIDE])
    return Actor("pathomiq", user.id, user.name, user.email, user.created_at, user.kinds)


@pytest.fixture
def uploaded(archive: Archive, ana: Actor) -> Slide:
    made = archive.slides.create(ana, NewSlide("a.svs"))
    with archive.content.receive(further=["md5"]) as upload:
        upload.write(b"invented")
        received = upload.finish()
        staged = Staged(received.digest, 8, "unknown", received.further["md5"])
        archive.slide_uploads.stage(ana, made.uid, upload, staged)
    return archive.slides.update(ana, made.id, {}, SlideStatus.UPLOADED)
