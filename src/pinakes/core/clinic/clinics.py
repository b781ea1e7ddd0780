"""Clinics: where and on which days patients are seen."""

from datetime import date

from pinakes.core import audit
from pinakes.core.actor import Actor, Permission
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue.images import Images
from pinakes.core.clinic.fields import check_line
from pinakes.core.clinic.guard import require
from pinakes.core.clinic.records import clinics, references
from pinakes.core.clinic.records.clinics import Clinic, NewClinic
from pinakes.core.clinic.records.images import Filter
from pinakes.core.clinic.removal import remove_images
from pinakes.core.clock import Clock
from pinakes.core.db import schema
from pinakes.core.db.engine import Database
from pinakes.core.errors import ClinicUnknown


class Clinics:
    """Operations on clinics. Each raises KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, images: Images, clock: Clock) -> None:
        self._database = database
        self._images = images
        self._clock = clock

    def create(self, actor: Actor, new: NewClinic) -> int:
        """Make a clinic unless there is one of the same place and days; its id.

        An end before the start is taken (tscharts contract K1). Raises InvalidFields.
        """
        require(actor, Permission.WRITE)
        check_line("location", new.location)
        with self._database.write() as transaction:
            clinic_id, is_new = clinics.ensure(transaction, new)
            if is_new:
                event = Event(Action.CLINIC_CREATE, subject=f"clinic:{clinic_id}")
                audit.record(transaction, actor, self._clock(), event)
        return clinic_id

    def get(self, actor: Actor, clinic_id: int) -> Clinic:
        """Raises ClinicUnknown."""
        require(actor, Permission.READ)
        with self._database.read() as connection:
            return _known(clinics.find(connection, clinic_id))

    def on(self, actor: Actor, day: date) -> Clinic:
        """The first clinic that is held on that day. Raises ClinicUnknown."""
        require(actor, Permission.READ)
        with self._database.read() as connection:
            return _known(clinics.find_on(connection, day))

    def list(self, actor: Actor) -> list[Clinic]:
        """All clinics, by id."""
        require(actor, Permission.READ)
        with self._database.read() as connection:
            return clinics.list_all(connection)

    def delete(self, actor: Actor, clinic_id: int) -> None:
        """Delete a clinic with its images, clinic stations and registrations. Raises ClinicUnknown."""
        require(actor, Permission.DELETE)
        with self._database.write() as transaction:
            references.seize(transaction, schema.clinics, clinic_id)
            count = remove_images(transaction, self._images, actor, Filter(clinic_id=clinic_id))
            references.remove(transaction, schema.clinics, clinic_id)
            event = Event(Action.CLINIC_DELETE, subject=f"clinic:{clinic_id}", detail={"images": count})
            audit.record(transaction, actor, self._clock(), event)


def _known(clinic: Clinic | None) -> Clinic:
    if clinic is None:
        raise ClinicUnknown
    return clinic
