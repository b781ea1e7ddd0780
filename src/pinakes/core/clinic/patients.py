"""Patients: people whose images are kept."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from pinakes.core import audit
from pinakes.core.actor import Actor, Permission
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue.images import Images
from pinakes.core.clinic.fields import check_line
from pinakes.core.clinic.guard import require
from pinakes.core.clinic.records import patients, references
from pinakes.core.clinic.records.images import Filter
from pinakes.core.clinic.records.patients import Patient, PatientDetails, PatientFilter
from pinakes.core.clinic.removal import remove_images
from pinakes.core.clock import Clock
from pinakes.core.db import schema
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import InvalidFields, PatientExists, PatientUnknown
from pinakes.core.text import check_text

_STATE_CHARACTERS = 64
_FIELDS = frozenset(field.name for field in fields(PatientDetails))
_TEXTS = _FIELDS - {"dob", "gender", "oldid", "state"}
_MOST_OLDID = 2**63 - 1


class Patients:
    """Operations on patients. Each raises KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, images: Images, clock: Clock) -> None:
        self._database = database
        self._images = images
        self._clock = clock

    def create(self, actor: Actor, details: PatientDetails) -> int:
        """Take a patient into the register; the id.

        Raises InvalidFields, and PatientExists for one of the same paternal and first name, date of birth and gender.
        """
        require(actor, Permission.WRITE)
        _check(details)
        now = self._clock()
        with self._database.write() as transaction:
            if patients.has_same(transaction, details):
                raise PatientExists
            patient_id = patients.add(transaction, details, now)
            audit.record(transaction, actor, now, Event(Action.PATIENT_CREATE, patient_id=patient_id))
        return patient_id

    def get(self, actor: Actor, patient_id: int) -> Patient:
        """Raises PatientUnknown."""
        require(actor, Permission.READ)
        with self._database.read() as connection:
            patient = patients.find(connection, patient_id)
        if patient is None:
            raise PatientUnknown
        return patient

    def search(self, actor: Actor, found_by: PatientFilter) -> list[int]:
        """The ids of the patients that match, ascending. Raises InvalidFields, ClinicUnknown."""
        require(actor, Permission.READ)
        for name in ("name", "paternal_last", "maternal_last", "first", "curp"):
            check_line(name, getattr(found_by, name) or "")
        with self._database.read() as connection:
            references.check(connection, schema.clinics, found_by.clinic_id)
            return patients.search(connection, found_by)

    def update(self, actor: Actor, patient_id: int, changes: Mapping[str, Any]) -> None:
        """Set some of the fields of PatientDetails, by name. Raises InvalidFields, PatientUnknown."""
        require(actor, Permission.WRITE)
        if unknown := sorted(changes.keys() - _FIELDS):
            raise InvalidFields(dict.fromkeys(unknown, ("is no field of a patient",)))
        with self._database.write() as transaction:
            patient = patients.find_for_update(transaction, patient_id)
            if patient is None:
                raise PatientUnknown
            details = replace(patient.details, **changes)
            if details == patient.details:
                return
            _check(details)
            patients.change(transaction, patient_id, details)
            self._record(transaction, actor, Action.PATIENT_UPDATE, patient_id, {"changed": sorted(changes)})

    def delete(self, actor: Actor, patient_id: int) -> None:
        """Delete a patient with their images, registrations and identifiers. Raises PatientUnknown."""
        require(actor, Permission.DELETE)
        with self._database.write() as transaction:
            references.seize(transaction, schema.patients, patient_id)
            count = remove_images(transaction, self._images, actor, Filter(patient_id=patient_id))
            references.remove(transaction, schema.patients, patient_id)
            self._record(transaction, actor, Action.PATIENT_DELETE, patient_id, {"images": count})

    def _record(
        self, transaction: Transaction, actor: Actor, action: Action, patient_id: int, detail: dict[str, Any]
    ) -> None:
        audit.record(transaction, actor, self._clock(), Event(action, patient_id=patient_id, detail=detail))


def _check(details: PatientDetails) -> None:
    """Raises InvalidFields."""
    for name in _TEXTS:
        check_line(name, getattr(details, name))
    check_text("state", details.state, most=_STATE_CHARACTERS)
    if not -_MOST_OLDID <= details.oldid <= _MOST_OLDID:
        raise InvalidFields.one("oldid", "must be a number of at most 64 bits")
