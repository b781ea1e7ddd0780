"""Patients, how they are found, and what other systems call them."""

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, date
from functools import partial
from threading import Event

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinakes.core import audit
from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from pinakes.core.audit import Action
from pinakes.core.catalogue.images import Images
from pinakes.core.clinic.images import ClinicalImages
from pinakes.core.clinic.records.patients import Gender, PatientFilter
from pinakes.core.errors import (
    ClinicUnknown,
    IdentifierTaken,
    IdentifierUnknown,
    ImageUnknown,
    InvalidFields,
    PatientExists,
    PatientUnknown,
)
from tests.core.clinic.making import (
    ROUNDS,
    at_once,
    make_clinic,
    make_image,
    make_patient,
    patient_details,
    stored_objects,
)


def test_a_patient_comes_back_as_given(archive: Archive, actor: Actor) -> None:
    patient_id = make_patient(archive, actor, middle="de la Ñ", oldid=-(2**63) + 1)
    patient = archive.register.patients.get(actor, patient_id)
    assert patient.details == patient_details(middle="de la Ñ", oldid=-(2**63) + 1)


def test_of_the_same_person_at_once_one_is_taken(archive: Archive, actor: Actor) -> None:
    for first in ROUNDS:
        outcomes = at_once([partial(make_patient, archive, actor, first=first)] * 8)
        assert sum(isinstance(outcome, PatientExists) for outcome in outcomes) == 7
    assert len(archive.register.patients.search(actor, PatientFilter())) == len(ROUNDS)


@pytest.mark.parametrize(
    "changes", [{"paternal_last": "Rey"}, {"first": "Eva"}, {"dob": date(2011, 3, 10)}, {"gender": Gender.MALE}]
)
def test_one_difference_makes_another_person(archive: Archive, actor: Actor, changes: dict[str, object]) -> None:
    assert make_patient(archive, actor) < make_patient(archive, actor, **changes)


# -- Search -------------------------------------------------------------------------------------------------------


def test_names_are_found_without_regard_to_case_beyond_ascii(archive: Archive, actor: Actor) -> None:
    patient_id = make_patient(archive, actor, paternal_last="ÑÚÑEZ", middle="Straße")
    search = archive.register.patients.search
    for name in ("ñúñ", "NÉ", "STRASSE", "salas", "quin"):
        expected = [] if name == "quin" else [patient_id]
        assert search(actor, PatientFilter(name=name)) == expected, name


@pytest.mark.parametrize("term", ["%", "_", "\\", "I_és", "%nés", "a%"])
def test_wildcards_are_plain_characters(archive: Archive, actor: Actor, term: str) -> None:
    make_patient(archive, actor)
    odd = make_patient(archive, actor, first=f"x{term}y")
    assert archive.register.patients.search(actor, PatientFilter(first=term)) == [odd]
    assert archive.register.patients.search(actor, PatientFilter(name=term)) == [odd]


def test_filters_must_all_fit(archive: Archive, actor: Actor) -> None:
    first = make_patient(archive, actor, oldid=5)
    second = make_patient(archive, actor, first="Inés María")
    search = archive.register.patients.search
    assert search(actor, PatientFilter()) == [first, second]
    assert search(actor, PatientFilter(first="inés")) == [first, second]
    assert search(actor, PatientFilter(first="INÉS", is_exact=True)) == [first]
    assert search(actor, PatientFilter(first="inés", oldid=5)) == [first]
    assert search(actor, PatientFilter(curp="qusi", gender=Gender.MALE)) == []
    assert search(actor, PatientFilter(dob=date(2011, 3, 9), maternal_last="ala")) == [first, second]


def test_patients_of_a_clinic_are_those_registered_there(archive: Archive, actor: Actor) -> None:
    make_patient(archive, actor, first="Eva")
    patient_id, clinic_id = make_patient(archive, actor), make_clinic(archive, actor)
    archive.register.registrations.create(actor, clinic_id, patient_id, UTC)
    assert archive.register.patients.search(actor, PatientFilter(clinic_id=clinic_id)) == [patient_id]
    with pytest.raises(ClinicUnknown):
        archive.register.patients.search(actor, PatientFilter(clinic_id=99))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(term=st.text(max_size=300))
def test_any_term_is_answered_or_refused(archive: Archive, actor: Actor, term: str) -> None:
    try:
        assert archive.register.patients.search(actor, PatientFilter(name=term)) == []
    except InvalidFields:
        assert "\0" in term or len(term) > 255 or any("\ud800" <= character <= "\udfff" for character in term)


# -- Changes ------------------------------------------------------------------------------------------------------


def test_a_changed_name_is_found_and_the_old_one_not(archive: Archive, actor: Actor) -> None:
    patient_id = make_patient(archive, actor)
    archive.register.patients.update(actor, patient_id, {"first": "EVA", "dob": date(2010, 1, 1)})
    assert archive.register.patients.get(actor, patient_id).details == patient_details(
        first="EVA", dob=date(2010, 1, 1)
    )
    assert archive.register.patients.search(actor, PatientFilter(name="eva")) == [patient_id]
    assert archive.register.patients.search(actor, PatientFilter(name="inés")) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"first": "x" * 256},
        {"first": "ΐ" * 255},  # three times as long once folded
        {"city": "a\0b"},
        {"email": "\udfff"},
        {"state": "x" * 65},
        {"oldid": 2**63},
        {"nose": "long"},
    ],
)
def test_what_cannot_be_kept_is_refused(archive: Archive, actor: Actor, changes: dict[str, object]) -> None:
    patient_id = make_patient(archive, actor)
    with pytest.raises(InvalidFields) as caught:
        archive.register.patients.update(actor, patient_id, changes)
    assert list(caught.value.problems) == list(changes)
    assert archive.register.patients.get(actor, patient_id).details == patient_details()


def test_deleting_a_patient_takes_images_registrations_and_identifiers(archive: Archive, actor: Actor) -> None:
    patient_id, clinic_id = make_patient(archive, actor), make_clinic(archive, actor)
    image_ids = [make_image(archive, actor, patient_id, clinic_id=clinic_id) for _ in range(3)]
    archive.register.registrations.create(actor, clinic_id, patient_id, UTC)
    archive.register.identifiers.add(actor, patient_id, "pathomiq", "P-1")
    archive.register.patients.delete(actor, patient_id)
    for image_id in image_ids:
        with pytest.raises(ImageUnknown):
            archive.clinical_images.get(actor, image_id)
    with pytest.raises(PatientUnknown):
        archive.register.patients.get(actor, patient_id)
    with pytest.raises(IdentifierUnknown):
        archive.register.identifiers.find(actor, "pathomiq", "P-1")
    assert archive.register.registrations.search(actor, clinic_id, None) == []
    assert stored_objects(archive) == 0
    with archive.database.read() as connection:
        actions = [event.action for event in audit.of_patient(connection, patient_id)]
    assert actions.count(Action.IMAGE_DELETE) == 3
    assert actions[-1] == Action.PATIENT_DELETE


def test_an_image_being_made_while_its_patient_is_deleted_goes_too(archive: Archive, actor: Actor) -> None:
    patient_id = make_patient(archive, actor)
    is_under_way, may_end = Event(), Event()

    def held_up() -> int:
        """A clock that stops the operation in the middle of its transaction."""
        is_under_way.set()
        may_end.wait(10)
        return archive.clock()

    images = Images(archive.database, archive.content, archive.trail, archive.jobs, held_up)
    slow = replace(archive, clinical_images=ClinicalImages(archive.database, images, archive.clock))
    with ThreadPoolExecutor(2) as pool:
        made = pool.submit(make_image, slow, actor, patient_id)
        is_under_way.wait(10)
        deleted = pool.submit(archive.register.patients.delete, actor, patient_id)
        assert not wait([deleted], 0.2).done
        may_end.set()
        deleted.result(10)
    with pytest.raises(ImageUnknown):
        archive.clinical_images.get(actor, made.result())
    with pytest.raises(PatientUnknown):
        make_image(archive, actor, patient_id)
    assert stored_objects(archive) == 0


def test_patient_and_clinic_deleted_at_once_leave_nothing_in_each_others_way(archive: Archive, actor: Actor) -> None:
    clinic_id = make_clinic(archive, actor)
    calls = [partial(archive.register.clinics.delete, actor, clinic_id)]
    for number in range(4):
        patient_id = make_patient(archive, actor, first=f"Eva {number}")
        archive.register.registrations.create(actor, clinic_id, patient_id, UTC)
        for content in (b"one", b"two") if number % 2 else (b"two", b"one"):
            make_image(archive, actor, patient_id, clinic_id=clinic_id, content=content)
        calls.append(partial(archive.register.patients.delete, actor, patient_id))
    assert at_once(calls) == [None] * 5
    assert stored_objects(archive) == 0


# -- Identifiers --------------------------------------------------------------------------------------------------


def test_an_identifier_leads_to_its_patient_until_it_is_removed(archive: Archive, actor: Actor) -> None:
    identifiers = archive.register.identifiers
    patient_id = make_patient(archive, actor)
    first = identifiers.add(actor, patient_id, "pathomiq", "P-1")
    second = identifiers.add(actor, patient_id, "hospital", "P-1")
    assert identifiers.add(actor, patient_id, "pathomiq", "P-1") == first
    assert identifiers.find(actor, "pathomiq", "P-1").patient_id == patient_id
    assert [one.id for one in identifiers.list(actor, patient_id)] == [first, second]
    identifiers.remove(actor, patient_id, first)
    with pytest.raises(IdentifierUnknown):
        identifiers.remove(actor, patient_id, first)
    with pytest.raises(IdentifierUnknown):
        identifiers.find(actor, "pathomiq", "P-1")


def test_two_patients_cannot_have_one_identifier_even_at_once(archive: Archive, actor: Actor) -> None:
    patient_ids = [make_patient(archive, actor, first=name) for name in ("Eva", "Ana", "Luz", "Sol")]
    outcomes = at_once([lambda: archive.register.identifiers.add(actor, patient_ids.pop(), "pathomiq", "P-1")] * 4)
    assert sum(isinstance(outcome, IdentifierTaken) for outcome in outcomes) == 3


def test_an_identifier_of_another_patient_is_not_removed(archive: Archive, actor: Actor) -> None:
    eva, ana = make_patient(archive, actor, first="Eva"), make_patient(archive, actor, first="Ana")
    identifier_id = archive.register.identifiers.add(actor, eva, "pathomiq", "P-1")
    with pytest.raises(IdentifierUnknown):
        archive.register.identifiers.remove(actor, ana, identifier_id)
    with pytest.raises(PatientUnknown):
        archive.register.identifiers.add(actor, 99, "pathomiq", "P-2")


@pytest.mark.parametrize(("system", "value"), [("", "x"), ("x", ""), ("x" * 65, "x"), ("x", "y" * 256), ("x", "\0")])
def test_an_identifier_has_both_parts(archive: Archive, actor: Actor, system: str, value: str) -> None:
    with pytest.raises(InvalidFields):
        archive.register.identifiers.add(actor, make_patient(archive, actor), system, value)
