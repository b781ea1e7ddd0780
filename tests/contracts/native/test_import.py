"""A version fetched from a URL, from asking to content, natively and as Djinn CI shows it (issue 3, deliverable 6)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pinakes.core.actor import Actor
from pinakes.core.archive import assemble
from pinakes.core.catalogue.machine_records import MachineImage
from tests.conftest import Backend
from tests.contracts.native.conftest import QCOW2, Client, World, content_path, sha256
from tests.core.imports.fetched import LIMITS
from tests.core.imports.serving import Talk, WebServer, web_server
from tests.core.slides.working import work_off

pytestmark = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)  # tests/core/imports runs on both

DISK = QCOW2 + bytes(range(256)) * 40
VMDK = b"KDMV" + bytes(1000)
SECRET = "s3cret-word"


@pytest.fixture
def archive_options(archive_options: dict[str, Any]) -> dict[str, Any]:
    """Those of every other test here, but that the archive may import from loopback."""
    return {**archive_options, "import_limits": LIMITS}


@pytest.fixture
def files() -> Iterator[WebServer]:
    """A server that has two disk images, and nothing else."""
    bodies = {"/qcow2": DISK, "/vmdk": VMDK}

    def behave(talk: Talk) -> None:
        body = bodies.get(talk.target)
        talk.answer(body) if body else talk.answer(b"", "404 Not Found")

    with web_server(behave) as server:
        yield server


@dataclass(frozen=True, slots=True)
class Import:
    """A version without content, and its import."""

    world: World
    client: Client
    version: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/vm-images/{self.version['image_id']}/versions/{self.version['id']}"

    def ask(self, url: str) -> Any:
        answer = self.client.post(f"{self.path}/import", json={"url": url})
        assert answer.status_code == 202, answer.text
        assert SECRET not in answer.text
        return answer.json()

    def run(self, url: str) -> Any:
        """The version after its import."""
        self.ask(url)
        work_off(self.world.archive)
        return self.client.get(self.path).json()

    @property
    def job(self) -> Any:
        """The last one."""
        answer = self.client.get("/jobs")
        assert SECRET not in answer.text
        return answer.json()["items"][0]


@pytest.fixture
def pending(world: World, ana: Client) -> Import:
    return Import(world, ana, ana.version(ana.image(ci_name="debian")["id"]))


def ci_image(pending: Import) -> MachineImage:
    """The image as Djinn CI shows it."""
    ana = pending.world.archive.users.get("ana")
    actor = Actor("djinn", ana.id, ana.name, kinds=ana.kinds)
    return pending.world.archive.machines.get(actor, pending.version["image_id"])


def test_a_version_is_fetched_and_shown_by_djinn_too(pending: Import, files: WebServer) -> None:
    version = pending.run(files.url("/qcow2", login=f"ana:{SECRET}@"))
    assert version["content"]["sha256"] == sha256(DISK)
    assert version["content"]["format"] == "qcow2"
    download = version["download"]
    assert (download["source"], download["error"]) == (files.url("/qcow2", login="ana:xxxxx@"), None)
    assert None not in (download["created_at"], download["started_at"], download["finished_at"])
    assert "Authorization: Basic" in files.requests[0]
    assert (pending.job["state"], pending.job["progress"]) == ("done", 1.0)
    assert pending.client.get(content_path(version)).content == DISK
    shown = ci_image(pending).version
    assert shown is not None
    assert (shown.id, shown.digest) == (version["id"], sha256(DISK))


def test_what_is_fetched_for_a_djinn_name_must_be_a_qcow2_and_for_a_later_version_any_disk(
    pending: Import, files: WebServer
) -> None:
    refused = pending.run(files.url("/vmdk"))
    assert (refused["content"], refused["download"]["error"]) == (None, "The content is not a QCOW2 file.")
    assert (pending.job["state"], pending.job["error"]) == ("failed", "The content is not a QCOW2 file.")
    assert ci_image(pending).version is None
    assert not pending.world.stored_keys()
    assert pending.run(files.url("/qcow2"))["download"]["error"] is None  # the failed one has made room
    later = Import(pending.world, pending.client, pending.client.version(pending.version["image_id"], name="2.0"))
    assert later.run(files.url("/vmdk"))["content"]["format"] == "vmdk"
    shown = ci_image(pending).version
    assert shown is not None
    assert shown.id == pending.version["id"]


def test_an_import_that_fails_says_why_and_leaves_room_for_content_sent(pending: Import, files: WebServer) -> None:
    assert pending.run(files.url("/missing"))["download"]["error"] == "The server answered 404."
    assert not pending.world.stored_keys()
    assert pending.client.put(content_path(pending.version), content=DISK).status_code == 200
    assert ci_image(pending).version is not None


@pytest.mark.parametrize("way", ["purge", "cancel"])
def test_purging_the_image_and_cancelling_the_job_end_an_import(pending: Import, files: WebServer, way: str) -> None:
    pending.ask(files.url("/qcow2", login=f"ana:{SECRET}@"))
    image = f"/vm-images/{pending.version['image_id']}"
    path = f"{image}/purge" if way == "purge" else f"/jobs/{pending.job['id']}/cancel"
    assert pending.client.post(path).is_success
    assert pending.job["state"] == "cancelled"
    assert not files.requests
    if way == "purge":
        assert pending.client.get(pending.path).status_code == 404
    else:
        assert pending.client.get(pending.path).json()["download"]["error"] == "The import was cancelled."
        assert pending.run(files.url("/qcow2"))["content"]["sha256"] == sha256(DISK)


def test_loopback_is_not_fetched_from_unless_a_setting_allows_it(
    backend: Backend, pending: Import, files: WebServer, tmp_path: Path
) -> None:
    """Djinn contract 7.5."""
    pending.ask(files.url("/qcow2"))
    work_off(assemble(backend.database, backend.store, journal_directory=tmp_path / "other"))
    download = pending.client.get(pending.path).json()["download"]
    assert download["error"] == "The host has an address that may not be fetched from."
    assert not files.requests
