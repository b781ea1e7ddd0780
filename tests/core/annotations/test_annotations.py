"""Versions of a slide's annotation, on both databases and both stores (pathomiq contract 3.2, 4.12, 4.13, 8.5)."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from pinakes.core import audit
from pinakes.core.actor import Actor, Kind, Scope
from pinakes.core.annotations import annotations
from pinakes.core.annotations.formats import Format
from pinakes.core.annotations.records import Annotation, Source
from pinakes.core.annotations.summary import LayerSummary
from pinakes.core.archive import Archive
from pinakes.core.db.schema import blobs, slide_logs
from pinakes.core.errors import (
    AnnotationUnknown,
    ImageUnknown,
    InvalidFields,
    NotAllowed,
    ScopeMissing,
    StoreUnavailable,
    TooLarge,
    UserUnknown,
    WrongState,
)
from pinakes.core.slides import records, rows
from pinakes.core.slides.records import NewSlide, Slide
from pinakes.core.slides.states import Stage, StageStatus
from tests.conftest import Backend, MovableClock
from tests.core.annotations.making import ASAP, IMAGESCOPE, document
from tests.core.annotations.test_geojson_reading import DOCUMENT
from tests.core.namespaces.making import make_user
from tests.suites.content_store import listed

MAX_BYTES = 8 * 1024


@pytest.fixture
def archive_options() -> dict[str, Any]:
    return {"max_annotation_bytes": MAX_BYTES}


@pytest.fixture
def ana(archive: Archive) -> Actor:
    return make_user(archive, "ana", Kind.SLIDE)


@pytest.fixture
def slide(archive: Archive, ana: Actor) -> Slide:
    """An uploaded slide of ana's."""
    return make_slide(archive, ana)


def make_slide(archive: Archive, owner: Actor, *, is_uploaded: bool = True) -> Slide:
    slide = archive.slides.create(owner, NewSlide("a.svs"))
    if is_uploaded:
        change(archive, slide, {"status": "Uploaded"})
    return archive.slides.get(owner, slide.id)


def change(archive: Archive, slide: Slide, columns: dict[str, Any]) -> None:
    with archive.database.write() as transaction:
        rows.change(transaction, slide.id, columns, archive.clock())


def share(archive: Archive, owner: Actor, slide: Slide, other: Actor) -> None:
    assert other.user_id is not None
    archive.slide_sharing.add(owner, slide.uid, [other.user_id])


def send(
    archive: Archive, actor: Actor, ref: str | int, xml: bytes = IMAGESCOPE, **more: Any
) -> tuple[Slide, Annotation]:
    with archive.annotations.receive() as upload:
        upload.write(xml)
        return archive.slide_annotations.upload(actor, ref, upload, **more)


def predict(archive: Archive, slide: Slide, xml: bytes) -> Annotation:
    """Publish what a machine drew."""
    with archive.annotations.receive() as upload:
        upload.write(xml)
        upload.finish()
        with archive.database.write() as transaction:
            records.lock(transaction, slide.id)
            return archive.annotations.add(transaction, slide.id, Source.PREDICTION, None, upload)


def content(archive: Archive, actor: Actor, annotation: Annotation) -> bytes:
    reader = archive.slide_annotations.open(actor, annotation)
    try:
        return reader.read_at(0, reader.size_bytes)
    finally:
        reader.close()


def test_a_version_is_kept_as_it_was_sent_with_what_it_holds(archive: Archive, ana: Actor, slide: Slide) -> None:
    _, annotation = send(archive, ana, slide.uid)
    assert archive.slide_annotations.get(ana, slide.uid) == annotation
    assert (annotation.number, annotation.source, annotation.author_id) == (1, Source.USER, ana.user_id)
    assert annotation.layers == (LayerSummary("Tumour", 1, 96.0), LayerSummary("", 0, 0.0))
    assert content(archive, ana, annotation) == IMAGESCOPE


def test_an_upload_sets_stage_metric_time_log_and_trail(
    archive: Archive, ana: Actor, slide: Slide, clock: MovableClock
) -> None:
    assert slide.metric is None
    changed, annotation = send(archive, ana, slide.id)
    assert changed == archive.slides.get(ana, slide.uid)
    assert changed.stages[Stage.ANNOTATION] is StageStatus.DONE
    assert changed.stages[Stage.TILING] is StageStatus.PENDING
    assert changed.has_annotation
    assert changed.modified_at > slide.modified_at
    assert changed.metric is not None
    assert [layer["name"] for layer in json.loads(changed.metric)["annotations"]] == ["Tumour", ""]
    with archive.database.read() as connection:
        line = connection.execute(select(slide_logs).where(slide_logs.c.type == "Annotation")).one()
        (event,) = [one for one in audit.of_image(connection, slide.id) if one.action == "annotation:create"]
    assert (line.image_uid, line.user_id, line.source) == (slide.uid, ana.user_id, "server")
    assert "Tumour" not in line.message
    assert (event.subject, event.actor_id) == (f"annotation:{annotation.id}", ana.user_id)


def test_while_a_run_is_active_the_stage_is_the_runs_to_tell_of(archive: Archive, ana: Actor, slide: Slide) -> None:
    """Contract 3.2."""
    archive.runs.start(ana, slide.uid)
    changed, annotation = send(archive, ana, slide.uid)
    assert changed.stages[Stage.ANNOTATION] is StageStatus.PENDING
    assert annotation.number == 1
    assert changed.metric is not None


def test_what_a_machine_drew_is_never_overwritten(archive: Archive, ana: Actor, slide: Slide) -> None:
    """Contract D11: both stay readable, the newest is the current one, whoever it is from."""
    predict(archive, slide, IMAGESCOPE)
    send(archive, ana, slide.uid, ASAP)
    get = archive.slide_annotations.get
    assert get(ana, slide.uid) == get(ana, slide.uid, 2)
    assert get(ana, slide.uid, 2).source is Source.USER
    machine = get(ana, slide.uid, 1)
    assert (machine.source, machine.author_id) == (Source.PREDICTION, None)
    assert content(archive, ana, machine) == IMAGESCOPE
    assert predict(archive, slide, IMAGESCOPE) == archive.annotations.current(slide.id)
    assert [each.number for each in archive.annotations.list(slide.id)] == [1, 2, 3]


def test_the_metric_of_a_prediction_stays_when_somebody_draws(archive: Archive, ana: Actor, slide: Slide) -> None:
    change(archive, slide, {"metric": json.dumps({"schema": 1, "tiles_total": 7, "mpp_x": 1.0, "mpp_y": 1.0})})
    changed, _ = send(archive, ana, slide.uid)
    figures = json.loads(changed.metric or "")
    assert (figures["tiles_total"], figures["annotations"][0]["area_mm2"]) == (7, 0.000096)


def test_versions_sent_at_once_get_numbers_of_their_own(archive: Archive, ana: Actor, slide: Slide) -> None:
    files = [document(attributes=f'Name="layer {n}"') for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda xml: send(archive, ana, slide.uid, xml)[1], files))
    assert sorted(annotation.number for annotation in sent) == list(range(1, 9))
    for annotation, xml in zip(sent, files, strict=True):
        assert content(archive, ana, archive.slide_annotations.get(ana, slide.uid, annotation.number)) == xml


def test_before_the_first_version_there_is_none(archive: Archive, ana: Actor, slide: Slide) -> None:
    assert archive.annotations.current(slide.id) is None
    for number in (None, 1, 2**40):
        with pytest.raises(AnnotationUnknown):
            archive.slide_annotations.get(ana, slide.uid, number)


def test_only_what_is_uploaded_can_be_annotated(archive: Archive, ana: Actor, backend: Backend) -> None:
    """Contract 3.1."""
    bare = make_slide(archive, ana, is_uploaded=False)
    with pytest.raises(WrongState):
        send(archive, ana, bare.uid)
    assert archive.annotations.list(bare.id) == []
    assert listed(backend.store) == {}


# -- Who ----------------------------------------------------------------------------------------------------------


def test_a_member_may_annotate_and_a_stranger_sees_nothing(archive: Archive, ana: Actor, slide: Slide) -> None:
    """Contract D3."""
    ben = make_user(archive, "ben", Kind.SLIDE)
    with pytest.raises(ImageUnknown):
        send(archive, ben, slide.uid)
    send(archive, ana, slide.uid)
    with pytest.raises(ImageUnknown):
        archive.slide_annotations.get(ben, slide.uid)
    share(archive, ana, slide, ben)
    _, annotation = send(archive, ben, slide.uid)
    assert annotation.author_id == ben.user_id
    assert archive.slide_annotations.get(ben, slide.uid, 1).author_id == ana.user_id


def test_staff_alone_may_send_for_somebody_else(archive: Archive, ana: Actor, slide: Slide) -> None:
    staff = make_user(archive, "sam", Kind.SLIDE, is_staff=True)
    clerk = make_user(archive, "clerk", Kind.CLINICAL)
    _, annotation = send(archive, staff, slide.uid, author_id=ana.user_id)
    assert annotation.author_id == ana.user_id
    with pytest.raises(NotAllowed):
        send(archive, ana, slide.uid, author_id=staff.user_id)
    for nobody in (10**6, clerk.user_id):
        with pytest.raises(UserUnknown):
            send(archive, staff, slide.uid, author_id=nobody)
    assert len(archive.annotations.list(slide.id)) == 1


def test_a_token_that_only_reads_cannot_annotate(archive: Archive, ana: Actor, slide: Slide) -> None:
    reader = Actor("pathomiq", ana.user_id, kinds=ana.kinds, scope=Scope.parse("image:read"))
    with pytest.raises(ScopeMissing):
        send(archive, reader, slide.uid)
    writer = Actor("pathomiq", ana.user_id, kinds=ana.kinds, scope=Scope.parse("image:write"))
    send(archive, writer, slide.uid)
    with pytest.raises(ScopeMissing):
        archive.slide_annotations.get(writer, slide.uid)


# -- What is refused, and what goes -------------------------------------------------------------------------------


@pytest.mark.parametrize("xml", [b"", b"<svg/>", IMAGESCOPE[:-20], b"<!DOCTYPE Annotations><Annotations/>"])
def test_what_is_no_annotation_leaves_nothing(
    archive: Archive, ana: Actor, slide: Slide, backend: Backend, xml: bytes
) -> None:
    with pytest.raises(InvalidFields):
        send(archive, ana, slide.uid, xml)
    assert archive.slides.get(ana, slide.uid) == slide
    assert listed(backend.store) == {}


def test_one_byte_too_many_is_refused_before_it_is_written(archive: Archive, ana: Actor, slide: Slide) -> None:
    xml = document()
    send(archive, ana, slide.uid, xml + b" " * (MAX_BYTES - len(xml)))
    with pytest.raises(TooLarge) as caught:
        send(archive, ana, slide.uid, xml + b" " * (MAX_BYTES - len(xml) + 1))
    assert caught.value.limit_bytes == MAX_BYTES
    archive.annotations.admit(MAX_BYTES)
    with pytest.raises(TooLarge):
        archive.annotations.admit(MAX_BYTES + 1)


def test_every_version_refers_to_its_bytes_and_deleting_the_slide_lets_go_of_all(
    archive: Archive, ana: Actor, slide: Slide, backend: Backend
) -> None:
    for xml in (IMAGESCOPE, IMAGESCOPE, ASAP):
        send(archive, ana, slide.uid, xml)
    with backend.database.read() as connection:
        assert sorted(connection.execute(select(blobs.c.refs)).scalars()) == [1, 2]
    archive.slides.delete(ana, slide.uid)
    assert listed(backend.store) == {}
    with pytest.raises(ImageUnknown):
        archive.slide_annotations.get(ana, slide.uid, 1)


def test_every_read_of_a_version_is_in_the_trail(archive: Archive, ana: Actor, slide: Slide) -> None:
    """DESIGN.md rule 11."""
    _, annotation = send(archive, ana, slide.uid)
    content(archive, ana, annotation)
    assert b"Tumour" in b"".join(archive.slide_annotations.written(ana, annotation, Format.GEOJSON))
    archive.trail.flush()
    with archive.database.read() as connection:
        reads = [one for one in audit.of_image(connection, slide.id) if one.action == "content:read"]
    assert [(one.actor_id, one.subject) for one in reads] == [(ana.user_id, f"annotation:{annotation.id}")] * 2


def test_a_machine_may_draw_more_than_people_send(archive: Archive, ana: Actor, slide: Slide) -> None:
    """Contract 4.12 bounds what is sent; what is computed here may be a region for every tile."""
    large = document() + b" " * MAX_BYTES
    with pytest.raises(TooLarge):
        predict(archive, slide, large)
    with archive.annotations.receive_result() as upload:
        upload.write(large)
        upload.finish()
        assert [layer.name for layer in upload.layers] == ["a"]
    with archive.annotations.receive_result() as upload, pytest.raises(InvalidFields):
        upload.write(DOCUMENT)
        upload.finish()


def test_a_document_that_grows_beyond_measure_is_not_made(
    archive: Archive, ana: Actor, slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, annotation = send(archive, ana, slide.uid)
    assert b"".join(archive.slide_annotations.written(ana, annotation, Format.ASAP))
    monkeypatch.setattr(annotations, "_MADE_SHARE", 0)
    with pytest.raises(WrongState, match="too large"):
        list(archive.slide_annotations.written(ana, annotation, Format.ASAP))


def test_a_store_that_fails_while_a_version_is_read_leaves_nothing_open(
    archive: Archive, ana: Actor, slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, annotation = send(archive, ana, slide.uid)
    closed = []

    class Failing:
        size_bytes = 10

        def read_at(self, *_: int) -> bytes:
            raise StoreUnavailable

        def close(self) -> None:
            closed.append(1)

    monkeypatch.setattr(archive.content, "open", lambda digest: Failing())  # noqa: ARG005
    with pytest.raises(StoreUnavailable):
        archive.slide_annotations.written(ana, annotation, Format.GEOJSON)
    assert closed == [1]


def test_an_unfinished_upload_tells_nothing_of_itself(archive: Archive) -> None:
    with archive.annotations.receive() as upload, pytest.raises(RuntimeError):
        _ = upload.layers
