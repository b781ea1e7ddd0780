"""Clinic stations: what they take from their station, and whom they treat."""

import pytest

from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from pinakes.core.clinic.records.clinicstations import ClinicStation, NewClinicStation, StationFilter
from pinakes.core.clock import MINUTE
from pinakes.core.errors import ClinicStationUnknown, ClinicUnknown, InvalidFields, PatientUnknown, StationUnknown
from tests.conftest import MovableClock
from tests.core.clinic.making import make_clinic, make_patient

Ids = tuple[int, int]


@pytest.fixture
def place(archive: Archive, actor: Actor) -> Ids:
    """A clinic and a station of level 5."""
    return make_clinic(archive, actor), archive.register.stations.create(actor, "Dental", 5)


def test_what_is_not_said_has_its_default(archive: Archive, actor: Actor, place: Ids, clock: MovableClock) -> None:
    made = archive.register.clinicstations.create(actor, NewClinicStation(*place, "Dental 1", "Dentista 1"))
    assert archive.register.clinicstations.get(actor, made) == ClinicStation(
        made, *place, "Dental 1", "Dentista 1", False, True, False, 5, 30, clock.now + 30 * MINUTE, None, None
    )


def test_references_must_exist(archive: Archive, actor: Actor, place: Ids) -> None:
    create = archive.register.clinicstations.create
    clinic_id, station_id = place
    with pytest.raises(ClinicUnknown):
        create(actor, NewClinicStation(99, station_id, "a", "b"))
    with pytest.raises(StationUnknown):
        create(actor, NewClinicStation(clinic_id, 99, "a", "b"))
    with pytest.raises(PatientUnknown):
        create(actor, NewClinicStation(clinic_id, station_id, "a", "b", next_patient_id=99))


def test_a_clinics_stations_come_by_station_and_then_id(archive: Archive, actor: Actor, place: Ids) -> None:
    clinic_id, dental = place
    xray = archive.register.stations.create(actor, "X-Ray")
    create = archive.register.clinicstations.create
    last = create(actor, NewClinicStation(clinic_id, xray, "X-Ray 1", ""))
    first = create(actor, NewClinicStation(clinic_id, dental, "Dental 1", "", is_active=True))
    second = create(actor, NewClinicStation(clinic_id, dental, "Dental 2", "", is_away=False, level=9))
    of_clinic = archive.register.clinicstations.of_clinic

    def found(found_by: StationFilter) -> list[int]:
        return [one.id for one in of_clinic(actor, clinic_id, found_by)]

    assert found(StationFilter()) == [first, second, last]
    assert found(StationFilter(is_active=True)) == [first]
    assert found(StationFilter(is_active=False, is_away=True)) == [last]
    assert found(StationFilter(level=9)) == [second]
    assert found(StationFilter(is_finished=True)) == []
    with pytest.raises(ClinicUnknown):
        of_clinic(actor, 99, StationFilter())


def test_going_away_sets_when_the_staff_is_back(
    archive: Archive, actor: Actor, place: Ids, clock: MovableClock
) -> None:
    clinicstations = archive.register.clinicstations
    made = clinicstations.create(actor, NewClinicStation(*place, "a", "b"))
    clock.advance(5 * MINUTE)
    clinicstations.update(actor, made, {"is_active": True})
    assert clinicstations.get(actor, made).will_return_at == clock.now + 25 * MINUTE
    clinicstations.update(actor, made, {"is_away": True, "away_minutes": 10})
    assert clinicstations.get(actor, made).will_return_at == clock.now + 10 * MINUTE


def test_a_patient_is_set_and_cleared_and_gone_when_deleted(archive: Archive, actor: Actor, place: Ids) -> None:
    clinicstations = archive.register.clinicstations
    patient_id = make_patient(archive, actor)
    made = clinicstations.create(actor, NewClinicStation(*place, "a", "b", active_patient_id=patient_id))
    clinicstations.update(actor, made, {"next_patient_id": patient_id, "active_patient_id": None})
    stands = clinicstations.get(actor, made)
    assert (stands.active_patient_id, stands.next_patient_id) == (None, patient_id)
    archive.register.patients.delete(actor, patient_id)
    assert clinicstations.get(actor, made).next_patient_id is None


@pytest.mark.parametrize(
    "changes", [{}, {"id": 5}, {"will_return_at": 5}, {"name": "\0"}, {"away_minutes": -1}, {"level": 2**31}]
)
def test_wrong_changes_are_refused(archive: Archive, actor: Actor, place: Ids, changes: dict[str, object]) -> None:
    made = archive.register.clinicstations.create(actor, NewClinicStation(*place, "a", "b"))
    with pytest.raises(InvalidFields):
        archive.register.clinicstations.update(actor, made, changes)


def test_what_is_unknown_is_neither_changed_nor_deleted(archive: Archive, actor: Actor, place: Ids) -> None:
    clinicstations = archive.register.clinicstations
    made = clinicstations.create(actor, NewClinicStation(*place, "a", "b"))
    clinicstations.delete(actor, made)
    with pytest.raises(ClinicStationUnknown):
        clinicstations.delete(actor, made)
    with pytest.raises(ClinicStationUnknown):
        clinicstations.update(actor, made, {"is_active": True})
