"""kill -9 at every step of upload and delete: nothing acknowledged is lost, nothing half done is seen, nothing is left.

DESIGN.md rules 1, 3 and 10, on both databases and both stores, with real processes.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from sqlalchemy import func, select

from pinakes.core import audit, clock
from pinakes.core.actor import Kind
from pinakes.core.content.sweep import Sweep
from pinakes.core.content.verify import verify
from pinakes.core.db.schema import blobs, images, trash, versions
from tests.process.serving import ARMED, Answered, Archive, ServerGone

pytestmark = pytest.mark.slow

UPLOAD_STEPS = [
    "before writing a piece",
    "after writing a piece",
    "before finishing the object",
    "after finishing the object",
    "after adopting the bytes",
    "before committing",
    "after committing",
]
DELETE_STEPS = [
    "before releasing the bytes",
    "after releasing the bytes",
    "before committing",
    "after committing",
    "before emptying the trash",
    "before clearing the note",
    "after clearing the note",
]
AGAIN_STEPS = ["before committing", "after committing", "before emptying the trash", "before clearing the note"]


def content(seed: str, size_bytes: int = 2_500_000) -> bytes:
    """Bytes with the signature of a qcow2, the same for the same seed."""
    block = hashlib.sha256(seed.encode()).digest() * 1024
    return (b"QFI\xfb" + block * (size_bytes // len(block) + 1))[:size_bytes]


class Client:
    """One CI user."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.headers = {"Authorization": f"Bearer {archive.add_user('builder', Kind.MACHINE)}"}

    def put(self, name: str, body: bytes) -> Answered:
        headers = self.headers | {"Content-Type": "application/x-qemu-disk"}
        return self.archive.ask("POST", f"/djinn/images?name={name}", body, headers)

    def get(self, image_id: int) -> Answered:
        headers = self.headers | {"Accept": "application/octet-stream"}
        return self.archive.ask("GET", f"/djinn/images/{image_id}", None, headers)

    def delete(self, image_id: int) -> Answered:
        return self.archive.ask("DELETE", f"/djinn/images/{image_id}", None, self.headers)

    def names(self) -> dict[str, int]:
        return {
            image["name"]: image["id"] for image in self.archive.ask("GET", "/djinn/images", None, self.headers).json
        }


@contextmanager
def dying(archive: Archive, step: str) -> Iterator[None]:
    """The server dies at the step within the block; after it there is a new one."""
    order = archive.folder / "die"
    order.write_text(step)
    with pytest.raises(ServerGone):
        yield
    archive.wait_until_dead()
    order.unlink()
    archive.start(more=armed(archive))


def armed(archive: Archive) -> dict[str, str]:
    """Without workers for jobs: what they commit of their own would be taken for the step."""
    return {"PYTHONPATH": ARMED, "DIE_AT": str(archive.folder / "die"), "PINAKES_JOB_WORKERS": "0"}


def check_nothing_is_left(archive: Archive) -> None:
    """After a sweep the store holds exactly what the rows refer to, and every byte of it is right."""
    database, store = archive.backend.database, archive.backend.store
    sweep = Sweep(database, store, lambda: clock.now() + clock.HOUR, min_age_us=clock.MINUTE)
    sweep.run()
    late = Sweep(database, store, lambda: clock.now() + 2 * clock.HOUR, min_age_us=clock.MINUTE)
    late.run()  # what the first found ownerless stays condemned until a later one
    assert list(verify(database, store)) == []
    with database.read() as connection:
        kept = set(connection.execute(select(blobs.c.key)).scalars())
        assert connection.execute(select(func.count()).select_from(trash)).scalar_one() == 0
        assert (
            connection.execute(select(func.count()).select_from(versions)).scalar_one()
            == connection.execute(select(func.count()).select_from(images)).scalar_one()
        )
    objects = list(store.list())
    assert {stored.key for stored in objects} == kept
    assert not any(stored.is_partial for stored in objects)


def test_a_server_killed_in_an_upload_loses_and_leaves_nothing(any_archive: Archive) -> None:
    client = Client(any_archive)
    any_archive.start(more=armed(any_archive))
    kept = client.put("kept", content("kept")).json["id"]
    for number, step in enumerate(UPLOAD_STEPS):
        name = f"new{number}"
        with dying(any_archive, step):
            client.put(name, content(name))
        names = client.names()
        assert client.get(kept).body == content("kept")
        assert (name in names) == (step == "after committing"), step
        if name in names:
            assert client.get(names[name]).body == content(name)
        else:
            assert client.put(name, content(name)).status == 201
    check_nothing_is_left(any_archive)


def test_a_server_killed_in_a_delete_has_either_done_it_or_not(any_archive: Archive) -> None:
    client = Client(any_archive)
    any_archive.start(more=armed(any_archive))
    kept = client.put("kept", content("kept")).json["id"]
    for step in DELETE_STEPS:
        gone = client.put("gone", content("gone")).json["id"]
        with dying(any_archive, step):
            client.delete(gone)
        assert client.get(kept).body == content("kept")
        answer = client.get(gone)
        if DELETE_STEPS.index(step) >= DELETE_STEPS.index("after committing"):
            assert answer.status == 404, step
        else:
            assert answer.body == content("gone"), step
            assert client.delete(gone).status == 204
    check_nothing_is_left(any_archive)


def test_a_server_killed_while_it_drops_bytes_it_had_already_keeps_the_older(any_archive: Archive) -> None:
    client = Client(any_archive)
    any_archive.start(more=armed(any_archive))
    for step in AGAIN_STEPS:
        first = client.put("first", content("same")).json["id"]
        with dying(any_archive, step):
            client.put("second", content("same"))
        names = client.names()
        assert ("second" in names) == (step != "before committing"), step
        assert client.delete(first).status == 204
        if "second" in names:
            assert client.get(names["second"]).body == content("same")
            assert client.delete(names["second"]).status == 204
    check_nothing_is_left(any_archive)


def test_a_photograph_put_in_through_tscharts_survives_or_was_never_there(any_archive: Archive) -> None:
    headers = {"Authorization": f"Token {any_archive.add_user('tablet', Kind.CLINICAL)}"}
    any_archive.start(more=armed(any_archive))
    texts = (
        "paternal_last maternal_last first middle suffix prefix street1 street2 city colonia phone1 phone2 email "
        "emergencyfullname emergencyphone emergencyemail curp"
    )
    patient = dict.fromkeys(texts.split(), "invented") | {"dob": "1/2/1990", "gender": "Female", "state": "Sonora"}
    made = any_archive.ask("POST", "/tscharts/v1/patient/", json.dumps(patient).encode(), headers)
    photograph = {"patient": made.json["id"], "type": "Xray", "data": base64.b64encode(os.urandom(300_000)).decode()}
    body = json.dumps(photograph).encode()
    kept = any_archive.ask("POST", "/tscharts/v1/image/", body, headers)
    assert kept.status == 200
    photograph["data"] = base64.b64encode(os.urandom(300_000)).decode()
    with dying(any_archive, "after finishing the object"):
        any_archive.ask("POST", "/tscharts/v1/image/", json.dumps(photograph).encode(), headers)
    assert any_archive.ask("GET", "/tscharts/v1/image/", None, headers).json == [kept.json["id"]]
    check_nothing_is_left(any_archive)


def test_a_killed_parent_takes_its_workers_with_it(archive: Archive) -> None:
    archive.start(workers=2)
    workers = archive.workers()
    assert len(workers) >= 2
    assert archive.process is not None
    archive.process.kill()
    archive.wait_until_dead()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    archive.start(workers=2)
    assert archive.ask("GET", "/readyz").status == 200


def test_a_killed_worker_is_replaced(archive: Archive) -> None:
    archive.start(workers=1)
    (victim,) = [process for process in archive.workers() if listens(process, archive.port)]
    victim.kill()
    archive.wait_until_ready()
    assert archive.ask("GET", "/healthz").status == 200


def listens(process: object, port: int) -> bool:
    return any(connection.laddr.port == port for connection in process.net_connections("tcp"))  # type: ignore[attr-defined]


def test_a_revoked_token_is_refused_at_once_by_every_worker(archive: Archive) -> None:
    client = Client(archive)
    archive.start(workers=2)
    for _ in range(20):
        assert archive.ask("GET", "/djinn/user", None, client.headers).status == 200
    archive.run("token", "revoke", "1")
    for _ in range(40):
        assert archive.ask("GET", "/djinn/user", None, client.headers).status == 404


def test_reads_of_a_killed_server_are_in_the_trail_of_the_next(archive: Archive) -> None:
    client = Client(archive)
    archive.start()
    image_id = client.put("seen", content("seen")).json["id"]
    for _ in range(5):
        client.get(image_id)
    assert archive.process is not None
    archive.process.kill()
    archive.wait_until_dead()
    archive.start()
    with archive.backend.database.read() as connection:
        seen = [event for event in audit.of_image(connection, image_id) if event.action == "content:read"]
    assert len(seen) == 5
