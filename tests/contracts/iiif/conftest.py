"""The IIIF API in this process, under its path, with real pictures behind it; and clients that look at them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pinakes.apis.iiif import API
from pinakes.core.actor import Actor, Kind, Visibility
from pinakes.core.archive import Archive, assemble
from pinakes.core.clinic.records.images import ClinicalType
from pinakes.core.content.stores import open_store
from pinakes.core.db.engine import Database
from pinakes.core.slides.records import NewSlide
from pinakes.core.slides.staging import Staged
from pinakes.core.slides.states import SlideStatus
from pinakes.imaging.formats import sniff
from pinakes.imaging.source import Pixels
from tests.contracts.serving import ORIGIN as ORIGIN
from tests.contracts.serving import ApiClient, ApiWorld, serving
from tests.core.clinic.making import make_image, make_patient
from tests.core.namespaces.making import put
from tests.imaging.making_photographs import quarters, saved

BASE = f"{ORIGIN}/iiif"
PHOTOGRAPH = quarters(300, 200)


class Client(ApiClient):
    base = BASE

    def pixels(self, path: str, **options: Any) -> Pixels:
        """The picture at a path."""
        answer = self.get(path, **options)
        assert answer.status_code == 200, answer.text
        return decoded(answer.content)

    def document(self, path: str, **options: Any) -> Any:
        answer = self.get(path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()


class World(ApiWorld[Client]):
    """Clients are of the clinic unless other kinds are named."""

    kind = Kind.CLINICAL

    def client(self, token: str | None, _name: str, /) -> Client:
        return Client(self.app, self.loop, token)

    def actor(self, name: str) -> Actor:
        """The user of that name, as the core sees them."""
        user = self.archive.users.get(name)
        token = self.archive.credentials.create(Actor("system"), name, scope=None, expires_at=None, label="")
        assert user.name == name
        return self.archive.credentials.actor("iiif", token)

    def patient(self, name: str, **details: Any) -> int:
        return make_patient(self.archive, self.actor(name), **details)

    def clinical(
        self, name: str, patient_id: int, content: bytes | None = None, kind: ClinicalType = ClinicalType.HEADSHOT
    ) -> int:
        """A clinical image made by a user; its id."""
        made = saved(PHOTOGRAPH, "PNG") if content is None else content
        return make_image(self.archive, self.actor(name), patient_id, type=kind, content=made)

    def machine(self, name: str, content: bytes, visibility: Visibility = Visibility.PRIVATE) -> int:
        actor = self.actor(name)
        return put(self.archive, actor, "machine", content=content, visibility=visibility, has_ci_name=False).id

    def slide(self, name: str, content: bytes, **members: Any) -> int:
        """A slide whose bytes are committed; its id."""
        actor = self.actor(name)
        slide = self.archive.slides.create(actor, NewSlide("Quintero.svs", **members))
        with self.archive.content.receive(further=["md5"]) as upload:
            upload.write(content)
            received = upload.finish()
            staged = Staged(received.digest, len(content), sniff(content), received.further["md5"])
            self.archive.slide_uploads.stage(actor, slide.uid, upload, staged)
        self.archive.slides.update(actor, slide.id, {}, SlideStatus.UPLOADED)
        return slide.id

    def link(self, name: str, image_id: int, seconds: int = 60) -> str:
        """A view link made by a user."""
        return self.archive.view_links.create(self.actor(name), image_id, seconds)


def world_of(archive: Archive, folder: Path) -> Iterator[World]:
    with serving(API, archive, folder, host="pictures.example", max_json_bytes=1024) as (app, loop):
        yield World(archive, app, loop)


@pytest.fixture
def world(archive: Archive, tmp_path: Path) -> Iterator[World]:
    yield from world_of(archive, tmp_path)


@pytest.fixture(scope="module")
def lasting_world(tmp_path_factory: pytest.TempPathFactory, sqlite_template: bytes) -> Iterator[World]:
    """One world for all tests of a module that only look: starting what decodes takes long."""
    folder = tmp_path_factory.mktemp("lasting")
    (folder / "pinakes.sqlite").write_bytes(sqlite_template)
    database = Database(f"sqlite:///{folder / 'pinakes.sqlite'}")
    archive = assemble(database, open_store(f"disk://{folder / 'content'}"), journal_directory=folder / "journals")
    yield from world_of(archive, folder)
    archive.close()


@pytest.fixture(scope="module")
def ana(lasting_world: World) -> Client:
    """Of the clinic."""
    return lasting_world.user("ana")


@pytest.fixture(scope="module")
def photograph(lasting_world: World, ana: Client) -> int:
    """The id of a clinical image of 300 by 200 pixels in four colours."""
    return lasting_world.clinical("ana", lasting_world.patient("ana"))


def decoded(content: bytes) -> Pixels:
    import io

    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))
