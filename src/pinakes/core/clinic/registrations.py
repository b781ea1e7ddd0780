"""Registrations: a patient comes to a clinic, and leaves it."""

from datetime import datetime, time, timedelta, tzinfo

from pinakes.core import audit
from pinakes.core.actor import Actor, Permission
from pinakes.core.audit import Action, Event
from pinakes.core.clinic.guard import require
from pinakes.core.clinic.records import references
from pinakes.core.clinic.records import registrations as records
from pinakes.core.clinic.records.registrations import Registration, RegistrationState
from pinakes.core.clock import Clock, Instant, from_datetime, to_datetime
from pinakes.core.db import schema
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import AlreadyRegistered, RegistrationUnknown


class Registrations:
    """Operations on registrations. Each raises KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        actor: Actor,
        clinic_id: int,
        patient_id: int,
        zone: tzinfo,
        state: RegistrationState = RegistrationState.CHECKED_IN,
    ) -> int:
        """Register a patient at a clinic; the id. zone: where "today" is judged.

        Raises ClinicUnknown, PatientUnknown, and AlreadyRegistered for a second time on one day.
        """
        require(actor, Permission.WRITE)
        with self._database.write() as transaction:
            references.hold(transaction, schema.clinics, clinic_id)
            references.hold(transaction, schema.patients, patient_id)
            records.lock(transaction, clinic_id, patient_id)
            now = self._clock()
            since, until = _day_of(now, zone)
            if records.is_registered(transaction, clinic_id, patient_id, since, until):
                raise AlreadyRegistered
            registration_id = records.add(transaction, clinic_id, patient_id, state, now)
            self._record(transaction, actor, Action.REGISTRATION_CREATE, registration_id, patient_id)
        return registration_id

    def get(self, actor: Actor, registration_id: int) -> Registration:
        """Raises RegistrationUnknown."""
        require(actor, Permission.READ)
        with self._database.read() as connection:
            registration = records.find(connection, registration_id)
        if registration is None:
            raise RegistrationUnknown
        return registration

    def search(self, actor: Actor, clinic_id: int | None, patient_id: int | None) -> list[Registration]:
        """Those of the clinic and the patient, as far as they are given; by id.

        Raises ClinicUnknown, PatientUnknown.
        """
        require(actor, Permission.READ)
        with self._database.read() as connection:
            references.check(connection, schema.clinics, clinic_id)
            references.check(connection, schema.patients, patient_id)
            return records.search(connection, clinic_id, patient_id)

    def set_state(self, actor: Actor, registration_id: int, state: RegistrationState) -> None:
        """Check a patient in or out, now. Raises RegistrationUnknown."""
        require(actor, Permission.WRITE)
        with self._database.write() as transaction:
            patient_id = records.set_state(transaction, registration_id, state, self._clock())
            if patient_id is None:
                raise RegistrationUnknown
            self._record(transaction, actor, Action.REGISTRATION_UPDATE, registration_id, patient_id)

    def delete(self, actor: Actor, registration_id: int) -> None:
        """Raises RegistrationUnknown."""
        require(actor, Permission.DELETE)
        with self._database.write() as transaction:
            patient_id = records.remove(transaction, registration_id)
            if patient_id is None:
                raise RegistrationUnknown
            self._record(transaction, actor, Action.REGISTRATION_DELETE, registration_id, patient_id)

    def _record(
        self, transaction: Transaction, actor: Actor, action: Action, registration_id: int, patient_id: int
    ) -> None:
        event = Event(action, patient_id=patient_id, subject=f"registration:{registration_id}")
        audit.record(transaction, actor, self._clock(), event)


def _day_of(now: Instant, zone: tzinfo) -> tuple[Instant, Instant]:
    """The first instant of the day in that zone, and of the next day."""
    today = to_datetime(now).astimezone(zone).date()
    start = datetime.combine(today, time.min, zone)
    end = datetime.combine(today + timedelta(days=1), time.min, zone)
    return from_datetime(start), from_datetime(end)
