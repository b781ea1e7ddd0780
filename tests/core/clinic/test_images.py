"""Clinical images: found by what the clinic knows, read with a trace, gone once."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from pinakes.core import audit
from pinakes.core.actor import Actor, Kind, Scope
from pinakes.core.archive import Archive
from pinakes.core.audit import Action
from pinakes.core.clinic.records.images import ClinicalType, Filter, Order
from pinakes.core.db.schema import images
from pinakes.core.errors import (
    BlobUnknown,
    ClinicUnknown,
    ImageUnknown,
    KindMissing,
    PatientUnknown,
    PinakesError,
    ScopeMissing,
    StationUnknown,
)
from tests.conftest import MovableClock
from tests.core.clinic.conftest import SYSTEM
from tests.core.clinic.making import at_once, make_clinic, make_image, make_patient, stored_objects


def test_an_image_comes_back_with_what_was_said_and_its_bytes(archive: Archive, actor: Actor) -> None:
    patient_id, clinic_id = make_patient(archive, actor), make_clinic(archive, actor)
    image_id = make_image(archive, actor, patient_id, clinic_id=clinic_id, type=ClinicalType.SURGERY)
    image = archive.clinical_images.get(actor, image_id)
    assert (image.id, image.patient_id, image.clinic_id, image.station_id) == (image_id, patient_id, clinic_id, None)
    assert (image.type, image.is_verbatim, image.version.format) == (ClinicalType.SURGERY, False, "jpeg")
    reader = archive.clinical_images.open(actor, image)
    assert reader.read_at(0, reader.size_bytes) == b"\xff\xd8\xff a photograph"
    reader.close()


def test_reading_the_content_is_in_the_trail_with_its_patient(archive: Archive, actor: Actor) -> None:
    patient_id = make_patient(archive, actor)
    image = archive.clinical_images.get(actor, make_image(archive, actor, patient_id))
    archive.clinical_images.open(actor, image).close()
    archive.trail.flush()
    with archive.database.read() as connection:
        event = audit.of_patient(connection, patient_id)[-1]
    assert (event.action, event.image_id, event.actor_id) == (Action.CONTENT_READ, image.id, actor.user_id)


def test_search_needs_all_that_is_given(archive: Archive, actor: Actor) -> None:
    eva, ana = make_patient(archive, actor, first="Eva"), make_patient(archive, actor, first="Ana")
    clinic_id = make_clinic(archive, actor)
    station_id = archive.register.stations.create(actor, "Dental")
    one = make_image(archive, actor, eva, clinic_id=clinic_id)
    two = make_image(archive, actor, eva, type=ClinicalType.HEADSHOT)
    three = make_image(archive, actor, ana, clinic_id=clinic_id, station_id=station_id)

    def found(**by: object) -> list[int]:
        return archive.clinical_images.search(actor, Filter(**by))  # type: ignore[arg-type]

    assert found() == [one, two, three]
    assert found(patient_id=eva) == [one, two]
    assert found(patient_id=eva, type=ClinicalType.HEADSHOT) == [two]
    assert found(clinic_id=clinic_id) == [one, three]
    assert found(clinic_id=clinic_id, patient_id=ana, station_id=station_id, type=ClinicalType.XRAY) == [three]
    assert found(patient_id=99) == []


def test_the_newest_first_and_of_equal_times_the_higher_id(archive: Archive, actor: Actor, clock: MovableClock) -> None:
    patient_id = make_patient(archive, actor)
    first, second = make_image(archive, actor, patient_id), make_image(archive, actor, patient_id)
    clock.advance(-1)
    earlier = make_image(archive, actor, patient_id)
    found_by = Filter(patient_id=patient_id)
    assert archive.clinical_images.search(actor, found_by, Order.NEWEST_FIRST) == [second, first, earlier]
    assert archive.clinical_images.search(actor, found_by) == [first, second, earlier]
    assert archive.clinical_images.newest(actor, found_by).id == second
    with pytest.raises(ImageUnknown):
        archive.clinical_images.newest(actor, Filter(type=ClinicalType.AUDIOGRAM))


@pytest.mark.parametrize(
    ("patient_id", "clinic_id", "station_id", "error"),
    [(99, None, None, PatientUnknown), (1, 99, None, ClinicUnknown), (1, None, 99, StationUnknown)],
)
def test_an_image_of_nobody_is_refused_and_leaves_nothing(
    archive: Archive,
    actor: Actor,
    patient_id: int,
    clinic_id: int | None,
    station_id: int | None,
    error: type[PinakesError],
) -> None:
    assert make_patient(archive, actor) == 1
    with pytest.raises(error):
        make_image(archive, actor, patient_id, clinic_id=clinic_id, station_id=station_id)
    assert stored_objects(archive) == 0
    assert archive.clinical_images.search(actor, Filter()) == []


def test_of_parallel_deletes_one_succeeds_and_the_bytes_are_gone(archive: Archive, actor: Actor) -> None:
    image_id = make_image(archive, actor, make_patient(archive, actor))
    outcomes = at_once([lambda: archive.clinical_images.delete(actor, image_id)] * 6)
    assert sum(isinstance(outcome, ImageUnknown) for outcome in outcomes) == 5
    assert outcomes.count(None) == 1
    assert stored_objects(archive) == 0


def test_the_same_bytes_are_kept_until_their_last_image_is_deleted(archive: Archive, actor: Actor) -> None:
    patient_id = make_patient(archive, actor)
    first, second = make_image(archive, actor, patient_id), make_image(archive, actor, patient_id)
    assert first != second
    archive.clinical_images.delete(actor, first)
    image = archive.clinical_images.get(actor, second)
    archive.clinical_images.open(actor, image).close()
    archive.clinical_images.delete(actor, second)
    assert stored_objects(archive) == 0


def test_an_image_deleted_before_it_is_opened_is_unknown(archive: Archive, actor: Actor) -> None:
    image = archive.clinical_images.get(actor, make_image(archive, actor, make_patient(archive, actor)))
    archive.clinical_images.delete(actor, image.id)
    with pytest.raises(ImageUnknown):
        archive.clinical_images.open(actor, image)


def test_bytes_missing_from_the_store_are_not_called_an_unknown_image(archive: Archive, actor: Actor) -> None:
    image = archive.clinical_images.get(actor, make_image(archive, actor, make_patient(archive, actor)))
    for stored in list(archive.store.list()):
        archive.store.delete(stored.key)
    with pytest.raises(BlobUnknown):
        archive.clinical_images.open(actor, image)


def test_an_ended_image_is_its_authors_alone(archive: Archive, actor: Actor, clock: MovableClock) -> None:
    image_id = make_image(archive, actor, make_patient(archive, actor))
    with archive.database.write() as transaction:
        transaction.execute(update(images).values(end_at=clock.now))
    other = archive.users.add(SYSTEM, "other", "other@example.org", None, [Kind.CLINICAL])
    stranger = replace(actor, user_id=other.id)
    assert archive.clinical_images.get(actor, image_id).id == image_id
    with pytest.raises(ImageUnknown):
        archive.clinical_images.get(stranger, image_id)
    with pytest.raises(ImageUnknown):
        archive.clinical_images.delete(stranger, image_id)
    assert archive.clinical_images.search(stranger, Filter()) == []
    assert archive.clinical_images.search(actor, Filter()) == [image_id]


def test_every_operation_needs_the_kind_and_the_scope(archive: Archive, actor: Actor) -> None:
    patient_id = make_patient(archive, actor)
    image = archive.clinical_images.get(actor, make_image(archive, actor, patient_id))
    stranger = replace(actor, kinds=frozenset({Kind.MACHINE, Kind.SLIDE}), is_staff=True)
    reader = replace(actor, scope=Scope.parse("image:read"))
    writer = replace(actor, scope=Scope.parse("image:write namespace:read,delete"))
    with pytest.raises(KindMissing):
        archive.clinical_images.get(stranger, image.id)
    with pytest.raises(KindMissing):
        archive.register.patients.get(stranger, patient_id)
    with pytest.raises(ScopeMissing):
        archive.clinical_images.delete(reader, image.id)
    with pytest.raises(ScopeMissing):
        make_image(archive, reader, patient_id)
    with pytest.raises(ScopeMissing):
        archive.register.patients.get(writer, patient_id)
    with pytest.raises(ScopeMissing):
        archive.register.patients.delete(writer, patient_id)
    assert archive.clinical_images.get(reader, image.id) == image
    assert make_image(archive, writer, patient_id) > image.id
