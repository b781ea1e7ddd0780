"""Registrations: once a day, as the clinic's own clock counts days."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from pinakes.core.clinic.records.registrations import Registration, RegistrationState
from pinakes.core.clock import HOUR, MINUTE, from_datetime
from pinakes.core.errors import AlreadyRegistered, ClinicUnknown, PatientUnknown, RegistrationUnknown
from tests.conftest import MovableClock
from tests.core.clinic.making import at_once, make_clinic, make_patient

TIJUANA = timezone(timedelta(hours=-8))
Ids = tuple[int, int]


@pytest.fixture
def visit(archive: Archive, actor: Actor) -> Ids:
    """A clinic and a patient."""
    return make_clinic(archive, actor), make_patient(archive, actor)


def test_both_times_start_out_equal_and_then_go_their_own_ways(
    archive: Archive, actor: Actor, visit: Ids, clock: MovableClock
) -> None:
    registrations = archive.register.registrations
    start = clock.now
    made = registrations.create(actor, *visit, UTC)
    assert registrations.get(actor, made) == Registration(made, *visit, start, start, RegistrationState.CHECKED_IN)
    clock.advance(HOUR)
    registrations.set_state(actor, made, RegistrationState.CHECKED_OUT)
    registration = registrations.get(actor, made)
    assert (registration.time_in_at, registration.time_out_at) == (start, start + HOUR)
    clock.advance(HOUR)
    registrations.set_state(actor, made, RegistrationState.CHECKED_IN)
    registration = registrations.get(actor, made)
    assert (registration.time_in_at, registration.time_out_at) == (start + 2 * HOUR, start + HOUR)


def test_of_one_patient_at_once_one_is_registered(archive: Archive, actor: Actor, visit: Ids) -> None:
    outcomes = at_once([lambda: archive.register.registrations.create(actor, *visit, UTC)] * 8)
    assert sum(isinstance(outcome, AlreadyRegistered) for outcome in outcomes) == 7


def test_a_day_ends_at_the_clinics_midnight(archive: Archive, actor: Actor, visit: Ids, clock: MovableClock) -> None:
    clock.now = from_datetime(datetime(2026, 2, 5, 20, 0, tzinfo=TIJUANA))
    create = archive.register.registrations.create
    create(actor, *visit, TIJUANA)
    clock.advance(4 * HOUR - MINUTE)
    with pytest.raises(AlreadyRegistered):
        create(actor, *visit, TIJUANA)
    clock.advance(MINUTE)
    create(actor, *visit, TIJUANA)


def test_they_are_found_by_clinic_and_patient(archive: Archive, actor: Actor, visit: Ids) -> None:
    clinic_id, patient_id = visit
    other = make_patient(archive, actor, first="Eva")
    registrations = archive.register.registrations
    first = registrations.create(actor, clinic_id, patient_id, UTC)
    second = registrations.create(actor, clinic_id, other, UTC)

    def found(clinic: int | None, patient: int | None) -> list[int]:
        return [one.id for one in registrations.search(actor, clinic, patient)]

    assert found(clinic_id, None) == found(None, None) == [first, second]
    assert found(None, other) == found(clinic_id, other) == [second]
    with pytest.raises(ClinicUnknown):
        found(99, None)
    with pytest.raises(PatientUnknown):
        found(None, 99)


def test_what_is_unknown_is_told(archive: Archive, actor: Actor, visit: Ids) -> None:
    registrations = archive.register.registrations
    with pytest.raises(ClinicUnknown):
        registrations.create(actor, 99, visit[1], UTC)
    with pytest.raises(PatientUnknown):
        registrations.create(actor, visit[0], 99, UTC)
    made = registrations.create(actor, *visit, UTC)
    registrations.delete(actor, made)
    with pytest.raises(RegistrationUnknown):
        registrations.delete(actor, made)
    with pytest.raises(RegistrationUnknown):
        registrations.set_state(actor, made, RegistrationState.CHECKED_OUT)
