"""Ingest: every new content is read soon after it came; nothing is refused, and failures can be tried again."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import func, select

from pinakes.core.actor import Actor, Scope
from pinakes.core.archive import Archive
from pinakes.core.audit import Action, of_image
from pinakes.core.catalogue import reading
from pinakes.core.catalogue.image_listing import ImageFilter
from pinakes.core.catalogue.machines import NewMachine
from pinakes.core.catalogue.reading import Reading
from pinakes.core.catalogue.registration import VersionDraft
from pinakes.core.content.content import Content
from pinakes.core.db.schema import descriptions
from pinakes.core.db.schema import jobs as job_table
from pinakes.core.errors import (
    DecodingUnavailable,
    ImageUnknown,
    NotAllowed,
    ScopeMissing,
    StoreUnavailable,
    Unauthenticated,
)
from pinakes.core.ingest.ingest import CRASHED, PUT_OFF
from pinakes.core.jobs import claims, records
from pinakes.core.jobs.kinds import JobState
from pinakes.demo.qcow2 import write_qcow2
from pinakes.imaging.decoding.requests import DecodeRequest, Describe, Exhausted
from pinakes.imaging.opening import open_source
from pinakes.imaging.source import Description, Size
from tests.conftest import MovableClock
from tests.core.renditions.conftest import add_photograph, add_slide
from tests.core.renditions.decoding import DecoderHere, die
from tests.core.slides.working import attempt
from tests.imaging.making_photographs import one_colour

BROKEN = b"\xff\xd8\xff this is no photograph"


@pytest.fixture
def qcow2(tmp_path: Path) -> bytes:
    path = tmp_path / "disk.qcow2"
    write_qcow2(path, {0: b"boot"})
    return path.read_bytes()


def ingest_jobs(archive: Archive) -> list[tuple[int, str, int | None]]:
    """Id, state and user of each."""
    columns = (job_table.c.id, job_table.c.state, job_table.c.user_id)
    with archive.database.read() as connection:
        found = connection.execute(select(*columns).where(job_table.c.kind == reading.JOB_KIND)).all()
    return [(row.id, row.state, row.user_id) for row in found]


def work_off(archive: Archive) -> None:
    """Do the one ingest job that waits, from beginning to end."""
    (waiting,) = [job_id for job_id, state, _ in ingest_jobs(archive) if state == JobState.QUEUED]
    with archive.database.write() as transaction:
        job = records.hold(transaction, waiting)
        assert job is not None
        claim = claims.claim(transaction, job, "a worker", archive.clock())
    attempt(archive, claim).run()


def count(archive: Archive, state: Reading) -> int:
    with archive.database.read() as connection:
        statement = select(func.count()).select_from(descriptions).where(descriptions.c.state == state.value)
        return int(connection.execute(statement).scalar_one())


def add_machine(archive: Archive, actor: Actor, content: bytes) -> tuple[int, int]:
    """A machine image whose one version is filled by hand; the ids of both."""
    image_id = archive.registration.create(actor, NewMachine("alpine"))
    version_id = archive.registration.add_version(actor, image_id, VersionDraft())
    with archive.content.receive() as upload:
        upload.write(content)
        upload.finish()
        archive.registration.fill(actor, image_id, version_id, upload)
    return image_id, version_id


# -- Being asked for ----------------------------------------------------------------------------------------------


def test_every_way_in_asks_for_a_reading_and_one_job_reads_them_all(
    archive: Archive, ana: Actor, photograph: bytes, svs: bytes, qcow2: bytes
) -> None:
    images = [
        add_photograph(archive, ana, photograph),
        add_slide(archive, ana, svs),
        add_machine(archive, ana, qcow2)[0],
    ]
    assert count(archive, Reading.WAITING) == 3
    assert [(state, user) for _, state, user in ingest_jobs(archive)] == [(JobState.QUEUED, None)]
    assert {archive.ingest.find(ana, image_id).state for image_id in images} == {Reading.WAITING}
    work_off(archive)
    found = [archive.ingest.find(ana, image_id) for image_id in images]
    assert [one.state for one in found] == [Reading.READY] * 3
    read = [one.description for one in found]
    assert [one and one.format for one in read] == ["jpeg", "tiff", "qcow2"]
    assert [one and one.size for one in read] == [Size(200, 300), Size(1200, 900), None]
    assert [state for _, state, _ in ingest_jobs(archive)] == [JobState.DONE]


def test_an_announced_version_is_read_only_once_its_content_has_come(archive: Archive, ana: Actor) -> None:
    image_id = archive.registration.create(ana, NewMachine("alpine"))
    archive.registration.add_version(ana, image_id, VersionDraft())
    assert (count(archive, Reading.WAITING), ingest_jobs(archive)) == (0, [])


def test_a_change_that_is_rolled_back_asks_for_nothing(archive: Archive, ana: Actor, photograph: bytes) -> None:
    version = archive.images.get(ana, add_photograph(archive, ana, photograph)).content
    work_off(archive)
    with pytest.raises(ZeroDivisionError), archive.database.write() as transaction:
        reading.ask(transaction, version.id, archive.clock())
        raise ZeroDivisionError
    assert count(archive, Reading.WAITING) == 0
    assert [state for _, state, _ in ingest_jobs(archive)] == [JobState.DONE]


def test_what_comes_while_a_job_runs_is_read_by_it_or_by_the_next(
    archive: Archive, ana: Actor, decoder: DecoderHere, photograph: bytes
) -> None:
    add_photograph(archive, ana, BROKEN)

    def another_comes(_: DecodeRequest) -> None:
        decoder.before = lambda _: None
        add_slide(archive, ana, photograph)

    decoder.before = another_comes
    work_off(archive)
    assert count(archive, Reading.WAITING) == 0
    assert sorted(state for _, state, _ in ingest_jobs(archive)) == [JobState.DONE, JobState.QUEUED]
    work_off(archive)  # which finds nothing left to do
    assert (count(archive, Reading.READY), count(archive, Reading.FAILED)) == (1, 1)


def test_many_uploads_at_once_leave_nothing_waiting_without_a_job(archive: Archive, ana: Actor, svs: bytes) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: add_slide(archive, ana, BROKEN + bytes([number])), range(8)))
    assert count(archive, Reading.WAITING) == 8
    assert [state for _, state, _ in ingest_jobs(archive) if state == JobState.QUEUED]


def test_uploads_count_against_no_limit_of_jobs_and_are_told_of_once(
    archive: Archive, ana: Actor, photograph: bytes
) -> None:
    image_id = add_photograph(archive, ana, photograph)
    assert archive.jobs.list(ana) == []
    work_off(archive)
    with archive.database.read() as connection:
        assert [event.action for event in of_image(connection, image_id)] == [Action.IMAGE_CREATE]


# -- What is noted ------------------------------------------------------------------------------------------------


def test_all_that_a_description_tells_is_kept(archive: Archive, ana: Actor, svs: bytes) -> None:
    image_id = add_slide(archive, ana, svs)
    work_off(archive)
    found = archive.ingest.find(ana, image_id)
    with archive.content.local_copy(found.version.digest) as path, open_source(path) as source:
        assert found.description == source.description


def test_the_pixels_of_a_photograph_have_a_digest_which_finds_it_in_another_file(
    archive: Archive, ana: Actor, tmp_path: Path
) -> None:
    """Issue 4, item 2. A slide's do not, and what cannot be decoded is described all the same."""
    picture = Image.radial_gradient("L").convert("RGB")
    alike, other, cut = (tmp_path / name for name in ("a.png", "b.tif", "c.png"))
    picture.save(alike)
    picture.save(other, compression="tiff_lzw", description="the same")
    cut.write_bytes(alike.read_bytes()[:-2000])
    first, second, third = (add_slide(archive, ana, path.read_bytes()) for path in (alike, other, cut))
    work_off(archive)
    expected = hashlib.sha256(b"256 256 3 8\n" + picture.tobytes()).hexdigest()
    for image_id, digest in ((first, expected), (second, expected), (third, None)):
        found = archive.ingest.find(ana, image_id)
        assert (found.state, found.description and found.description.pixel_digest) == (Reading.READY, digest)
    assert [image.id for image in archive.image_listing.list(ana, ImageFilter(pixel_digest=expected))] == [
        second,
        first,
    ]


def test_who_looks_before_the_job_comes_by_does_not_wait_for_the_digest_and_the_job_still_makes_it(
    archive: Archive, ana: Actor, decoder: DecoderHere, photograph: bytes
) -> None:
    image_id = add_photograph(archive, ana, photograph)
    archive.renditions.info(ana, image_id)
    archive.renditions.info(ana, image_id)
    asked = [request.pixel_digest for request in decoder.asked if isinstance(request, Describe)]
    seen = archive.ingest.find(ana, image_id)
    assert (asked, seen.state, seen.read_at) == ([False], Reading.WAITING, None)
    assert seen.description is not None
    assert seen.description.pixel_digest is None
    work_off(archive)
    read = archive.ingest.find(ana, image_id)
    assert read.state is Reading.READY
    assert read.description is not None
    assert read.description.pixel_digest is not None
    assert replace(read.description, pixel_digest=None) == seen.description


def test_what_dies_of_being_decoded_is_described_without_a_digest(
    archive: Archive, ana: Actor, decoder: DecoderHere, photograph: bytes
) -> None:
    def die_of_decoding(request: DecodeRequest) -> None:
        if isinstance(request, Describe) and request.pixel_digest:
            die(request)

    image_id = add_photograph(archive, ana, photograph)
    decoder.before = die_of_decoding
    work_off(archive)
    found = archive.ingest.find(ana, image_id)
    assert (found.state, found.description and found.description.pixel_digest) == (Reading.READY, None)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("2021-02-03T04:05:06", "2021-02-03T04:05:06"),
        ("2021-02-03T04:05:06+02:00", "2021-02-03T04:05:06+02:00"),
        ("yesterday", None),
        ("0000:00:00 00:00:00", None),
        ("9" * 1000, None),
        ("9999-12-31T23:59:59-23:00", None),
    ],
)
def test_only_a_time_is_kept_as_one(
    archive: Archive, ana: Actor, decoder: DecoderHere, monkeypatch: pytest.MonkeyPatch, told: str, kept: str | None
) -> None:
    strange = Description(
        format="jpeg\0" + "x" * 100,
        size=Size(1, 1),
        mpp=(float("nan"), 0.0),
        captured_at=told,
        facts={"text": "\0", "long": "x" * 1_000_000},
    )
    monkeypatch.setattr(decoder, "run", lambda _: strange)
    image_id = add_photograph(archive, ana, BROKEN)
    work_off(archive)
    read = archive.ingest.find(ana, image_id).description
    assert read is not None
    assert (read.captured_at, read.mpp, read.facts, len(read.format)) == (kept, None, {}, 32)


def test_what_cannot_be_read_is_stored_all_the_same_with_the_reason(archive: Archive, ana: Actor) -> None:
    image_id = add_photograph(archive, ana, BROKEN)
    work_off(archive)
    found = archive.ingest.find(ana, image_id)
    assert (found.state, found.description) == (Reading.FAILED, None)
    assert found.error
    assert "photograph" not in found.error  # nothing of the file's own text
    assert archive.images.get(ana, image_id).content.size_bytes == len(BROKEN)


def test_a_content_that_kills_its_reader_fails_and_others_are_read(
    archive: Archive, ana: Actor, decoder: DecoderHere, photograph: bytes
) -> None:
    bomb, other = add_photograph(archive, ana, BROKEN), add_slide(archive, ana, photograph)
    digest = archive.images.get(ana, bomb).content.digest

    def die_of_it(request: DecodeRequest) -> None:
        if request.key == digest:
            die(request)

    decoder.before = die_of_it
    work_off(archive)
    assert archive.ingest.find(ana, bomb).error == CRASHED
    assert archive.ingest.find(ana, other).state is Reading.READY


def test_a_lack_of_memory_is_no_failure_of_the_content(
    archive: Archive, ana: Actor, decoder: DecoderHere, photograph: bytes
) -> None:
    def exhaust(_: DecodeRequest) -> None:
        raise Exhausted("The picture takes more memory than is allowed.")

    image_id = add_photograph(archive, ana, photograph)
    decoder.before = exhaust
    with pytest.raises(DecodingUnavailable, match="more memory"):
        archive.renditions.info(ana, image_id)
    assert archive.ingest.find(ana, image_id).state is Reading.WAITING
    decoder.before = lambda _: None
    assert archive.renditions.info(ana, image_id).size == Size(200, 300)


def test_a_picture_of_too_many_pixels_is_described_and_found(archive: Archive, ana: Actor) -> None:
    image_id = add_photograph(archive, ana, one_colour(20_000))
    work_off(archive)
    found = archive.ingest.find(ana, image_id)
    assert found.state is Reading.READY
    assert found.description is not None
    assert (found.description.size, found.description.levels) == (Size(20_000, 20_000), ())
    (listed,) = archive.image_listing.list(ana, ImageFilter(min_width=20_000))
    assert listed.id == image_id


def test_a_store_that_does_not_answer_puts_readings_off(
    archive: Archive, ana: Actor, photograph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = add_photograph(archive, ana, photograph)

    def refuse(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Content, "local_copy", refuse)
        work_off(archive)
    ((job_id, state, _),) = ingest_jobs(archive)
    assert (state, archive.ingest.find(ana, image_id).state) == (JobState.FAILED, Reading.WAITING)
    with archive.database.read() as connection:
        ended = records.find(connection, job_id)
    assert ended is not None
    assert ended.error == PUT_OFF
    archive.ingest.resume()
    archive.ingest.resume()
    work_off(archive)
    assert archive.ingest.find(ana, image_id).state is Reading.READY
    archive.ingest.resume()
    assert [state for _, state, _ in ingest_jobs(archive)] == [JobState.FAILED, JobState.DONE]


def test_an_image_deleted_before_it_was_read_is_no_failure(archive: Archive, ana: Actor, svs: bytes) -> None:
    image_id = add_slide(archive, ana, svs)
    archive.slides.delete(ana, archive.slides.find(ana, image_id).uid)
    work_off(archive)
    with archive.database.read() as connection:
        assert connection.execute(select(descriptions)).all() == []
    assert [state for _, state, _ in ingest_jobs(archive)] == [JobState.DONE]


def test_of_a_disk_in_a_bucket_only_its_ends_are_fetched(
    archive: Archive, ana: Actor, qcow2: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinakes.core.content.copies.HEAD_BYTES", 64 * 1024)
    image_id, _ = add_machine(archive, ana, qcow2.ljust(4 * 1024 * 1024, b"\0"))
    with archive.content.local_copy(archive.images.get(ana, image_id).content.digest, only_ends=True) as path:
        assert path.stat().st_size == 4 * 1024 * 1024
    work_off(archive)
    assert archive.ingest.find(ana, image_id).state is Reading.READY
    if archive.content._copies is not None and archive.store.path("0" * 32) is None:
        assert archive.content._copies.digests() == []


# -- Trying again -------------------------------------------------------------------------------------------------


def test_a_failure_can_be_tried_again_by_those_who_may_change_the_image(
    archive: Archive, ana: Actor, ben: Actor, decoder: DecoderHere, clock: MovableClock, photograph: bytes
) -> None:
    image_id = add_slide(archive, ana, photograph)
    decoder.before = die
    work_off(archive)
    decoder.before = lambda _: None
    assert archive.ingest.find(ana, image_id).state is Reading.FAILED
    with pytest.raises(ImageUnknown):
        archive.ingest.retry(ben, image_id)
    assert ben.user_id is not None
    archive.slide_sharing.add(ana, archive.slides.find(ana, image_id).uid, [ben.user_id])
    with pytest.raises(NotAllowed):
        archive.ingest.retry(ben, image_id)
    with pytest.raises(ScopeMissing):
        archive.ingest.retry(replace(ana, scope=Scope.parse("image:read")), image_id)
    with pytest.raises(Unauthenticated):
        archive.ingest.retry(Actor("native"), image_id)
    assert archive.ingest.find(ana, image_id).state is Reading.FAILED

    clock.advance(1)
    asked = archive.ingest.retry(ana, image_id)
    assert (asked.state, asked.error, asked.read_at) == (Reading.WAITING, None, None)
    work_off(archive)
    found = archive.ingest.find(ana, image_id)
    assert (found.state, found.error, found.read_at) == (Reading.READY, None, clock())


def test_a_retry_is_told_of_in_the_trail(archive: Archive, ana: Actor, photograph: bytes) -> None:
    image_id = add_photograph(archive, ana, photograph)
    archive.ingest.retry(ana, image_id)
    with archive.database.read() as connection:
        assert Action.JOB_CREATE in [event.action for event in of_image(connection, image_id)]
