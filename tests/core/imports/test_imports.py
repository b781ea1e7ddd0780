"""Imports from asking to content: what is made, what fails and leaves nothing, what stops (djinn contract 7)."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from pinakes.core import audit
from pinakes.core.actor import Actor, Kind, Scope
from pinakes.core.archive import Archive
from pinakes.core.catalogue.machine_records import Download, MachineImage
from pinakes.core.catalogue.machines import NewMachine
from pinakes.core.catalogue.registration import VersionDraft
from pinakes.core.clock import SECOND
from pinakes.core.db.schema import blobs, djinn_names, downloads, images, jobs, versions
from pinakes.core.errors import (
    ContentExists,
    ImageUnknown,
    InvalidFields,
    KindMissing,
    NameTaken,
    NotAllowed,
    ScopeMissing,
    TooManyJobs,
    Unauthenticated,
    VersionUnknown,
    WrongState,
)
from pinakes.core.imports.imports import CANCELLED, KIND
from pinakes.core.jobs.kinds import JobState
from pinakes.core.page import PageRequest
from tests.conftest import MovableClock
from tests.core.clinic.making import stored_objects
from tests.core.imports.conftest import MAX_BYTES
from tests.core.imports.serving import Behaviour, Talk, web_server
from tests.core.namespaces.making import QCOW2, make_user, put
from tests.core.slides.working import attempt, begin, is_cancelled, take_over, work_off
from tests.statements import counted_statements

DISK = QCOW2 + bytes(range(256)) * 5000
VMDK = b"KDMV" + bytes(1000)
SECRET = "s3cret-word"


def start(
    archive: Archive, actor: Actor, url: str, name: str = "alpine", namespace: str = "", *, is_ci: bool = True
) -> MachineImage:
    new = NewMachine(name, ci_name=name if is_ci else None, namespace=namespace)
    return archive.imports.start_machine(actor, new, url)


def import_from(archive: Archive, actor: Actor, behaviour: Behaviour, name: str = "alpine") -> MachineImage:
    """An image after its import from a server that behaves so, whatever became of it."""
    with web_server(behaviour) as server:
        image = start(archive, actor, server.url(), name)
        work_off(archive)
    return archive.machines.get(actor, image.id)


def download_of(image: MachineImage) -> Download:
    assert image.download is not None
    return image.download


def count(archive: Archive, table: Any) -> int:
    with archive.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def count_jobs(archive: Archive) -> int:
    """How many imports were asked for."""
    with archive.database.read() as connection:
        return int(connection.execute(select(func.count()).where(jobs.c.kind == KIND)).scalar_one())


def job_row(archive: Archive) -> Any:
    with archive.database.read() as connection:
        return connection.execute(select(jobs).where(jobs.c.kind == KIND)).one()


def content(archive: Archive, actor: Actor, image: MachineImage) -> bytes:
    reader = archive.machines.open(actor, image)
    try:
        return reader.read_at(0, reader.size_bytes)
    finally:
        reader.close()


def disk(talk: Talk) -> None:
    talk.answer(DISK)


def add_version(archive: Archive, actor: Actor, image_id: int) -> int:
    return archive.registration.add_version(actor, image_id, VersionDraft())


# -- An image -----------------------------------------------------------------------------------------------------


def test_an_image_is_there_at_once_and_its_content_when_it_has_been_fetched(
    archive: Archive, ana: Actor, clock: MovableClock
) -> None:
    with web_server(disk) as server:
        image = start(archive, ana, server.url("/alpine.qcow2"))
        download = download_of(image)
        assert (image.ci_name, image.version) == ("alpine", None)
        assert download == Download(server.url("/alpine.qcow2"), None, clock(), None, None)
        assert archive.machines.get(ana, image.id) == image
        assert [one.id for one in archive.machines.list(ana, PageRequest()).items] == [image.id]
        with pytest.raises(ImageUnknown):
            archive.machines.open(ana, image)
        clock.advance(SECOND)
        claim = begin(archive)
        assert download_of(archive.machines.get(ana, image.id)).started_at == clock()
        started_at = clock()
        clock.advance(SECOND)
        attempt(archive, claim).run()
    done = archive.machines.get(ana, image.id)
    assert done.version is not None
    assert (done.version.name, done.version.format, done.version.size_bytes) == ("1.0", "qcow2", len(DISK))
    assert done.version.digest == hashlib.sha256(DISK).hexdigest()
    assert download_of(done) == Download(download.source, None, download.created_at, started_at, clock())
    assert content(archive, ana, done) == DISK
    assert job_row(archive).state == JobState.DONE


def test_what_happens_is_in_the_trail(archive: Archive, ana: Actor) -> None:
    image = import_from(archive, ana, disk)
    with archive.database.read() as connection:
        trail = audit.of_image(connection, image.id)
    assert [event.action for event in trail] == ["image:create", "job:create", "version:create"]
    assert {event.actor_id for event in trail} == {ana.user_id}
    assert [event.api for event in trail] == ["djinn", "djinn", "jobs"]


def test_four_bytes_of_signature_are_enough_for_djinn(archive: Archive, ana: Actor) -> None:
    image = import_from(archive, ana, lambda talk: talk.answer(QCOW2))
    assert image.version is not None
    assert content(archive, ana, image) == QCOW2


def test_without_a_ci_name_any_disk_is_taken(archive: Archive, ana: Actor) -> None:
    with web_server(lambda talk: talk.answer(VMDK)) as server:
        image = start(archive, ana, server.url(), is_ci=False)
        work_off(archive)
    shown = archive.images.get(ana, image.id)
    assert (shown.content.format, shown.content.size_bytes) == ("vmdk", len(VMDK))


def test_the_same_bytes_twice_are_kept_once(archive: Archive, ana: Actor) -> None:
    first, second = (import_from(archive, ana, disk, name) for name in ("one", "two"))
    assert first.version is not None
    assert second.version is not None
    assert first.version.digest == second.version.digest
    assert (stored_objects(archive), count(archive, blobs)) == (1, 1)


def test_nothing_is_made_where_something_is_wrong(archive: Archive, ana: Actor) -> None:
    put(archive, ana, "taken")
    start(archive, ana, "http://h/x", "waiting")
    before = [count(archive, table) for table in (images, jobs, downloads, djinn_names)]
    slides = make_user(archive, "eva", Kind.SLIDE)
    reader = Actor("djinn", ana.user_id, kinds=ana.kinds, scope=Scope.parse("image:read"))
    cases: list[tuple[type[Exception], Actor, str, str]] = [
        (InvalidFields, ana, "ftp://h/x", "new"),
        (InvalidFields, ana, "http://h/x", "a b"),
        (NameTaken, ana, "http://h/x", "taken"),
        (NameTaken, ana, "http://h/x", "waiting"),
        (Unauthenticated, Actor("djinn"), "http://h/x", "new"),
        (KindMissing, slides, "http://h/x", "new"),
        (ScopeMissing, reader, "http://h/x", "new"),
    ]
    for error, actor, url, name in cases:
        with pytest.raises(error):
            start(archive, actor, url, name)
    assert [count(archive, table) for table in (images, jobs, downloads, djinn_names)] == before


def test_one_user_cannot_have_any_number_waiting(
    archive: Archive, ana: Actor, ben: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = archive.jobs.kinds["import"]
    monkeypatch.setattr("pinakes.core.imports.imports._MOST_PER_USER", 2)
    monkeypatch.setitem(archive.jobs._kinds, kind.name, archive.imports.kind)
    start(archive, ana, "http://h/x", "one")
    start(archive, ana, "http://h/x", "two", "djinn")
    with pytest.raises(TooManyJobs):
        start(archive, ana, "http://h/x", "three", "new")
    assert (count(archive, images), count_jobs(archive)) == (2, 2)
    start(archive, ben, "http://h/x", "one")


# -- What fails ---------------------------------------------------------------------------------------------------


def without_end(talk: Talk) -> None:
    talk.send(b"HTTP/1.1 200 OK\r\n\r\n" + QCOW2)
    while True:
        talk.send(bytes(65536))


FAILURES: dict[str, tuple[Behaviour, str]] = {
    "error": (lambda talk: talk.answer(DISK, "500 Internal Server Error"), "The server answered 500."),
    "short": (
        lambda talk: talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + DISK),
        f"The file ended early: {len(DISK)} of 2000000 bytes came.",
    ),
    "format": (lambda talk: talk.answer(b"KDMV" + bytes(600)), "The content is not a QCOW2 file."),
    "three bytes": (lambda talk: talk.answer(b"QFI"), "The content is not a QCOW2 file."),
    "empty": (lambda talk: talk.answer(b""), "The file is empty."),
    "announced": (
        lambda talk: talk.answer(QCOW2 + bytes(MAX_BYTES)),
        f"The content is larger than the {MAX_BYTES} bytes that can be taken.",
    ),
    "endless": (without_end, f"The content is larger than the {MAX_BYTES} bytes that can be taken."),
    "forbidden": (
        lambda talk: talk.redirect("http://169.254.169.254/latest/meta-data"),
        "The host has an address that may not be fetched from.",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_7_3_what_fails_says_why_and_keeps_nothing(archive: Archive, ana: Actor, case: str) -> None:
    behaviour, expected = FAILURES[case]
    image = import_from(archive, ana, behaviour)
    download = download_of(image)
    assert (image.version, download.error) == (None, expected)
    assert None not in (download.started_at, download.finished_at)
    assert (stored_objects(archive), count(archive, blobs), count(archive, versions)) == (0, 0, 0)
    row = job_row(archive)
    assert (row.state, row.error, row.arguments) == (JobState.FAILED, expected, "{}")
    archive.machines.delete(ana, image.id)
    assert put(archive, ana, "alpine").ci_name == "alpine"  # the name is free again


def test_7_2_the_password_is_kept_with_the_job_alone_and_no_longer_than_it(archive: Archive, ana: Actor) -> None:
    def rows() -> str:
        with archive.database.read() as connection:
            return "".join(
                str(tuple(row)) for table in (downloads, images) for row in connection.execute(select(table))
            )

    with web_server(lambda talk: talk.answer(b"", "403 Forbidden")) as server:
        image = start(archive, ana, server.url(login=f"ana:{SECRET}@"))
        assert SECRET in job_row(archive).arguments
        assert SECRET not in rows()
        assert all(SECRET not in repr(job) for job in archive.jobs.list(ana))
        work_off(archive)
    assert "Authorization: Basic" in server.requests[0]
    assert SECRET not in str(tuple(job_row(archive))) + rows()
    assert download_of(archive.machines.get(ana, image.id)).source == server.url(login="ana:xxxxx@")


# -- What stops ---------------------------------------------------------------------------------------------------


def test_7_3_deleting_the_image_ends_an_import_that_waits(archive: Archive, ana: Actor) -> None:
    image = start(archive, ana, f"http://ana:{SECRET}@h/x")
    archive.machines.delete(ana, image.id)
    row = job_row(archive)
    assert (row.state, row.arguments) == (JobState.CANCELLED, "{}")
    assert [count(archive, table) for table in (images, downloads, djinn_names)] == [0, 0, 0]


@pytest.mark.parametrize("way", ["djinn", "native", "cli", "namespace gone"])
def test_7_3_deleting_the_image_stops_an_import_that_runs_and_keeps_nothing(
    archive: Archive, ana: Actor, way: str
) -> None:
    def delete(image_id: int) -> None:
        match way:
            case "native":
                archive.lifecycle.purge(ana, image_id)
            case "cli":
                archive.images.delete(ana, image_id)
            case _:
                archive.machines.delete(ana, image_id)

    def send_while_it_is_deleted(talk: Talk) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + DISK)
        if way == "namespace gone":
            archive.namespaces.delete(ana, "ana", "djinn")
        delete(image.id)
        talk.wait()

    with web_server(send_while_it_is_deleted) as server:
        image = start(archive, ana, server.url(), namespace="djinn")
        running = attempt(archive, begin(archive))
        assert is_cancelled(running.run)
    assert job_row(archive).state == JobState.CANCELLED
    assert (stored_objects(archive), count(archive, images), count(archive, downloads)) == (0, 0, 0)


def test_a_late_worker_changes_nothing_after_the_import_was_stopped(archive: Archive, ana: Actor) -> None:
    """The whole file has come when the image is deleted: what is asked last is the fence."""
    with web_server(disk) as server:
        image = start(archive, ana, server.url())
        running = attempt(archive, begin(archive))
        running.check = lambda: None  # type: ignore[method-assign]
        archive.machines.delete(ana, image.id)
        assert is_cancelled(running.run)
    assert (stored_objects(archive), count(archive, blobs), count(archive, versions)) == (0, 0, 0)


def test_a_late_worker_keeps_nothing_after_its_job_was_stopped(archive: Archive, ana: Actor) -> None:
    """The image is still there and could be filled: only the fence tells."""

    def stop(talk: Talk) -> None:
        assert archive.jobs.stop(ana, running.job_id)
        talk.answer(DISK)

    with web_server(stop) as server:
        image = start(archive, ana, server.url())
        running = attempt(archive, begin(archive))
        running.check = lambda: None  # type: ignore[method-assign]
        assert is_cancelled(running.run)
    shown = archive.machines.get(ana, image.id)
    assert (shown.version, download_of(shown).error) == (None, CANCELLED)
    assert (stored_objects(archive), count(archive, blobs), count(archive, versions)) == (0, 0, 0)


def test_an_import_that_is_stopped_as_a_job_says_so(archive: Archive, ana: Actor, clock: MovableClock) -> None:
    image = start(archive, ana, "http://h/x")
    (job,) = archive.jobs.list(ana)
    assert job.image_id == image.id
    assert archive.jobs.stop(ana, job.id)
    download = download_of(archive.machines.get(ana, image.id))
    assert (download.error, download.started_at, download.finished_at) == (CANCELLED, None, clock())


def test_an_import_begins_again_where_its_worker_died(archive: Archive, ana: Actor) -> None:
    with web_server(disk) as server:
        image = start(archive, ana, server.url())
        first = begin(archive)
        attempt(archive, take_over(archive, first)).run()
        assert is_cancelled(attempt(archive, first).run)  # the first one was only thought dead
    assert content(archive, ana, archive.machines.get(ana, image.id)) == DISK
    assert (len(server.requests), stored_objects(archive)) == (1, 1)


def test_an_import_whose_worker_died_after_its_last_commit_is_not_done_twice(archive: Archive, ana: Actor) -> None:
    with web_server(disk) as server:
        image = start(archive, ana, server.url())
        claim = begin(archive)
        archive.imports.kind.run(attempt(archive, claim))  # and then the worker dies, before it has ended the job
        done = archive.machines.get(ana, image.id)
        attempt(archive, take_over(archive, claim)).run()
    assert archive.machines.get(ana, image.id) == done
    assert (len(server.requests), count(archive, versions), job_row(archive).state) == (1, 1, JobState.DONE)


# -- A version ----------------------------------------------------------------------------------------------------


def serve(*, body: bytes = VMDK) -> Any:
    return web_server(lambda talk: talk.answer(body))


def test_a_version_without_content_is_filled(archive: Archive, ana: Actor, clock: MovableClock) -> None:
    image = put(archive, ana, "alpine")
    version_id = add_version(archive, ana, image.id)
    with serve() as server:
        started = archive.imports.start_version(ana, version_id, server.url(login=f"ana:{SECRET}@"))
        assert started == Download(server.url(login="ana:xxxxx@"), None, clock(), None, None)
        work_off(archive)
    assert archive.registration.content(ana, image.id, version_id).format == "vmdk"
    assert archive.imports.of_versions([version_id])[version_id].finished_at == clock()
    shown = archive.machines.get(ana, image.id)
    assert (shown.version, shown.download) == (image.version, None)  # Djinn keeps showing what its name was given to


def test_a_name_that_waits_is_given_to_the_first_version_fetched_if_it_is_a_qcow2(archive: Archive, ana: Actor) -> None:
    image_id = archive.registration.create(ana, NewMachine("alpine", ci_name="alpine"))
    version_id = add_version(archive, ana, image_id)
    with serve() as server:
        archive.imports.start_version(ana, version_id, server.url())
        work_off(archive)
    assert archive.imports.of_versions([version_id])[version_id].error == "The content is not a QCOW2 file."
    assert archive.machines.get(ana, image_id).version is None
    with serve(body=DISK) as server:
        archive.imports.start_version(ana, version_id, server.url())
        work_off(archive)
    download = archive.imports.of_versions([version_id])[version_id]
    assert (download.error, count(archive, downloads)) == (None, 1)  # the failure was replaced
    shown = archive.machines.get(ana, image_id)
    assert shown.version is not None
    assert (shown.version.id, shown.version.size_bytes) == (version_id, len(DISK))


def test_only_disks_are_taken_for_a_version(archive: Archive, ana: Actor) -> None:
    version_id = add_version(archive, ana, put(archive, ana, "alpine").id)
    for body in (b"%PDF-1.7" + bytes(600), b"\xff\xd8\xff" + bytes(600), b"text"):
        with serve(body=body) as server:
            archive.imports.start_version(ana, version_id, server.url())
            work_off(archive)
        assert archive.imports.of_versions([version_id])[version_id].error == "The content is not a disk image file."


def test_who_may_not_give_a_version_its_content_may_not_import_it(archive: Archive, ana: Actor, ben: Actor) -> None:
    image = put(archive, ana, "alpine", has_ci_name=False)
    version_id = add_version(archive, ana, image.id)
    with pytest.raises(VersionUnknown):
        archive.imports.start_version(ben, version_id, "http://h/x")
    for unknown in (0, 10**6, 2**63 - 1):
        with pytest.raises(VersionUnknown):
            archive.imports.start_version(ana, unknown, "http://h/x")
    with archive.database.write() as transaction:
        transaction.execute(images.update().values(visibility="public"))
    with pytest.raises(NotAllowed):
        archive.imports.start_version(ben, version_id, "http://h/x")
    assert image.version is not None
    with pytest.raises(ContentExists):
        archive.imports.start_version(ana, image.version.id, "http://h/x")
    with pytest.raises(InvalidFields):
        archive.imports.start_version(ana, version_id, "file:///etc/passwd")
    assert (count_jobs(archive), count(archive, downloads)) == (0, 0)


def test_a_version_is_fetched_once_at_a_time(archive: Archive, ana: Actor) -> None:
    version_id = add_version(archive, ana, put(archive, ana, "alpine").id)

    def attempt_one(_: int) -> bool:
        try:
            archive.imports.start_version(ana, version_id, "http://h/x")
        except WrongState:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt_one, range(4))) == [False, False, False, True]
    assert count_jobs(archive) == 1


def test_content_that_came_in_another_way_meanwhile_stays(archive: Archive, ana: Actor) -> None:
    image = put(archive, ana, "alpine")
    version_id = add_version(archive, ana, image.id)

    def send(talk: Talk) -> None:
        with archive.content.receive() as upload:
            upload.write(DISK)
            upload.finish()
            archive.registration.fill(ana, image.id, version_id, upload)
        talk.answer(VMDK)

    with web_server(send) as server:
        archive.imports.start_version(ana, version_id, server.url())
        work_off(archive)
    assert archive.imports.of_versions([version_id])[version_id].error == ContentExists().message
    assert archive.registration.content(ana, image.id, version_id).size_bytes == len(DISK)
    assert stored_objects(archive) == 2  # its first version's and this one's


def test_a_first_version_that_somebody_else_made_meanwhile_stays(archive: Archive, ana: Actor) -> None:
    def send(talk: Talk) -> None:
        add_version(archive, ana, image.id)
        talk.answer(DISK)

    with web_server(send) as server:
        image = start(archive, ana, server.url())
        work_off(archive)
    assert "by somebody else" in str(download_of(archive.machines.get(ana, image.id)).error)
    assert (count(archive, versions), stored_objects(archive)) == (1, 0)


def test_a_version_filled_natively_is_what_djinn_shows_and_nothing_else_before(archive: Archive, ana: Actor) -> None:
    """An image whose import failed shows no content of another format that it was given since."""
    image = import_from(archive, ana, lambda talk: talk.answer(b"", "404 Not Found"))
    with archive.database.write() as transaction, archive.content.receive() as upload:
        upload.write(VMDK)
        upload.finish()
        assert ana.user_id is not None
        archive.images.add_first_version(transaction, ana, image.id, ana.user_id, upload)
    assert archive.machines.get(ana, image.id).version is None
    assert archive.images.get(ana, image.id).content.format == "vmdk"


def test_statements_for_a_list_do_not_grow_with_its_downloads(archive: Archive, ana: Actor) -> None:
    def statements() -> int:
        with counted_statements(archive.database.engine) as seen:
            archive.machines.list(ana, PageRequest())
        return len(seen)

    start(archive, ana, "http://h/x", "one")
    few = statements()
    for number in range(10):
        start(archive, ana, "http://h/x", f"more{number}")
    assert statements() == few
