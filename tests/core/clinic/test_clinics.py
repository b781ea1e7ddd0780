"""Clinics and stations: made once however often they are asked for, and gone with all that hangs on them."""

from datetime import UTC, date
from functools import partial

import pytest

from pinakes.core import audit
from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from pinakes.core.audit import Action
from pinakes.core.clinic.records.clinics import Clinic, NewClinic
from pinakes.core.clinic.records.clinicstations import NewClinicStation
from pinakes.core.clinic.records.stations import Station
from pinakes.core.errors import (
    ClinicStationUnknown,
    ClinicUnknown,
    ImageUnknown,
    InvalidFields,
    NameTaken,
    RegistrationUnknown,
    StationUnknown,
)
from tests.core.clinic.making import ROUNDS, at_once, make_clinic, make_image, make_patient, stored_objects

FIRST_DAY, LAST_DAY = date(2026, 2, 5), date(2026, 2, 8)


def test_a_clinic_is_made_once_however_many_ask_at_once(archive: Archive, actor: Actor) -> None:
    for place in ROUNDS:
        ids = at_once([partial(make_clinic, archive, actor, place)] * 8)
        assert len(set(map(str, ids))) == 1
    assert len(archive.register.clinics.list(actor)) == len(ROUNDS)


def test_clinics_of_other_days_or_places_are_others(archive: Archive, actor: Actor) -> None:
    first = make_clinic(archive, actor)
    second = make_clinic(archive, actor, "Ensenada")
    third = archive.register.clinics.create(actor, NewClinic("Tijuana", FIRST_DAY, date(2026, 2, 9)))
    assert first < second < third
    assert archive.register.clinics.get(actor, second) == Clinic(second, "Ensenada", FIRST_DAY, LAST_DAY)


@pytest.mark.parametrize("day", [FIRST_DAY, date(2026, 2, 6), LAST_DAY])
def test_the_clinic_on_a_day_is_the_first_that_is_held_then(archive: Archive, actor: Actor, day: date) -> None:
    first = make_clinic(archive, actor)
    make_clinic(archive, actor, "Ensenada")
    assert archive.register.clinics.on(actor, day).id == first


@pytest.mark.parametrize("day", [date(2026, 2, 4), date(2026, 2, 9)])
def test_there_is_no_clinic_the_day_before_or_after(archive: Archive, actor: Actor, day: date) -> None:
    make_clinic(archive, actor)
    with pytest.raises(ClinicUnknown):
        archive.register.clinics.on(actor, day)


@pytest.mark.parametrize("location", ["x" * 256, "a\0b", "\ud800"])
def test_a_location_no_database_keeps_is_refused(archive: Archive, actor: Actor, location: str) -> None:
    with pytest.raises(InvalidFields) as caught:
        make_clinic(archive, actor, location)
    assert list(caught.value.problems) == ["location"]


def test_deleting_a_clinic_takes_its_images_with_their_bytes_and_all_else(archive: Archive, actor: Actor) -> None:
    clinic_id, patient_id = make_clinic(archive, actor), make_patient(archive, actor)
    station_id = archive.register.stations.create(actor, "X-Ray")
    image_id = make_image(archive, actor, patient_id, clinic_id=clinic_id)
    kept_id = make_image(archive, actor, patient_id, content=b"of no clinic")
    clinicstation_id = archive.register.clinicstations.create(
        actor, NewClinicStation(clinic_id, station_id, "X-Ray 1", "Rayos X 1")
    )
    registration_id = archive.register.registrations.create(actor, clinic_id, patient_id, UTC)
    archive.register.clinics.delete(actor, clinic_id)
    with pytest.raises(ImageUnknown):
        archive.clinical_images.get(actor, image_id)
    with pytest.raises(ClinicStationUnknown):
        archive.register.clinicstations.get(actor, clinicstation_id)
    with pytest.raises(RegistrationUnknown):
        archive.register.registrations.get(actor, registration_id)
    assert archive.clinical_images.get(actor, kept_id).clinic_id is None
    assert stored_objects(archive) == 1
    with archive.database.read() as connection:
        assert [event.action for event in audit.of_image(connection, image_id)][-1] == Action.IMAGE_DELETE


def test_a_deleted_clinic_is_deleted_once(archive: Archive, actor: Actor) -> None:
    clinic_id = make_clinic(archive, actor)
    outcomes = at_once([lambda: archive.register.clinics.delete(actor, clinic_id)] * 4)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ClinicUnknown"] * 3 + ["NoneType"]


def test_ids_of_deleted_clinics_are_not_given_again(archive: Archive, actor: Actor) -> None:
    first = make_clinic(archive, actor)
    archive.register.clinics.delete(actor, first)
    assert make_clinic(archive, actor) > first


# -- Stations -----------------------------------------------------------------------------------------------------


def test_a_station_is_made_once_however_many_ask_at_once(archive: Archive, actor: Actor) -> None:
    for name in ROUNDS:
        ids = at_once([partial(archive.register.stations.create, actor, name)] * 8)
        station = archive.register.stations.list(actor)[-1]
        assert ids == [station.id] * 8
        assert (station.name, station.level) == (name, 1)


def test_making_a_station_again_sets_its_level_only_if_one_is_given(archive: Archive, actor: Actor) -> None:
    station_id = archive.register.stations.create(actor, "Dental", 3)
    assert archive.register.stations.create(actor, "Dental") == station_id
    assert archive.register.stations.get(actor, station_id) == Station(station_id, "Dental", 3)
    archive.register.stations.create(actor, "Dental", 2)
    assert archive.register.stations.get(actor, station_id).level == 2


def test_a_station_cannot_take_the_name_of_another(archive: Archive, actor: Actor) -> None:
    stations = archive.register.stations
    dental, xray = stations.create(actor, "Dental"), stations.create(actor, "X-Ray")
    with pytest.raises(NameTaken):
        stations.update(actor, dental, name="X-Ray")
    stations.update(actor, xray, name="X-Ray", level=4)
    assert stations.get(actor, xray) == Station(xray, "X-Ray", 4)


def test_nothing_to_set_is_refused_and_an_unknown_station_is_unknown(archive: Archive, actor: Actor) -> None:
    stations = archive.register.stations
    with pytest.raises(InvalidFields):
        stations.update(actor, stations.create(actor, "Dental"))
    with pytest.raises(StationUnknown):
        stations.update(actor, 99, name="Dental")
    with pytest.raises(StationUnknown):
        stations.update(actor, 99, level=2)


@pytest.mark.parametrize("level", [2**31, -(2**31), 10**40])
def test_a_level_beyond_32_bits_is_refused(archive: Archive, actor: Actor, level: int) -> None:
    with pytest.raises(InvalidFields):
        archive.register.stations.create(actor, "Dental", level)


def test_deleting_a_station_takes_its_images_with_their_bytes(archive: Archive, actor: Actor) -> None:
    station_id = archive.register.stations.create(actor, "Dental")
    image_id = make_image(archive, actor, make_patient(archive, actor), station_id=station_id)
    archive.register.stations.delete(actor, station_id)
    with pytest.raises(ImageUnknown):
        archive.clinical_images.get(actor, image_id)
    assert stored_objects(archive) == 0
    with pytest.raises(StationUnknown):
        archive.register.stations.delete(actor, station_id)
