"""What other systems call a patient, so that a slide's opaque number can lead to a person (DESIGN.md section 2)."""

from pinakes.core import audit
from pinakes.core.actor import Actor, Permission
from pinakes.core.audit import Action, Event
from pinakes.core.clinic.fields import MOST_CHARACTERS
from pinakes.core.clinic.guard import require
from pinakes.core.clinic.records import identifiers, references
from pinakes.core.clinic.records.identifiers import Identifier
from pinakes.core.clock import Clock
from pinakes.core.db import schema
from pinakes.core.db.engine import Database
from pinakes.core.errors import IdentifierTaken, IdentifierUnknown, InvalidFields
from pinakes.core.text import check_text

_SYSTEM_CHARACTERS = 64


class Identifiers:
    """Operations on identifiers. Each raises KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, actor: Actor, patient_id: int, system: str, value: str) -> int:
        """Give a patient an identifier, unless they have it already; its id.

        Raises InvalidFields, PatientUnknown, and IdentifierTaken if it is another patient's.
        """
        require(actor, Permission.WRITE)
        if not (system and value):
            raise InvalidFields.one("value" if system else "system", "must not be empty")
        check_text("system", system, most=_SYSTEM_CHARACTERS)
        check_text("value", value, most=MOST_CHARACTERS)
        with self._database.write() as transaction:
            references.hold(transaction, schema.patients, patient_id)
            identifiers.lock(transaction, system, value)
            known = identifiers.find(transaction, system, value)
            if known is not None and known.patient_id != patient_id:
                raise IdentifierTaken
            if known is not None:
                return known.id
            identifier_id = identifiers.add(transaction, patient_id, system, value)
            event = Event(Action.PATIENT_UPDATE, patient_id=patient_id, detail={"identifier_added": identifier_id})
            audit.record(transaction, actor, self._clock(), event)
        return identifier_id

    def list(self, actor: Actor, patient_id: int) -> list[Identifier]:
        """A patient's identifiers, oldest first. Raises PatientUnknown."""
        require(actor, Permission.READ)
        with self._database.read() as connection:
            references.check(connection, schema.patients, patient_id)
            return identifiers.of_patient(connection, patient_id)

    def find(self, actor: Actor, system: str, value: str) -> Identifier:
        """The identifier, which names its patient. Raises InvalidFields, IdentifierUnknown."""
        require(actor, Permission.READ)
        check_text("system", system)
        check_text("value", value)
        with self._database.read() as connection:
            found = identifiers.find(connection, system, value)
        if found is None:
            raise IdentifierUnknown
        return found

    def remove(self, actor: Actor, patient_id: int, identifier_id: int) -> None:
        """Take an identifier away. Raises IdentifierUnknown."""
        require(actor, Permission.WRITE)
        with self._database.write() as transaction:
            if not identifiers.remove(transaction, patient_id, identifier_id):
                raise IdentifierUnknown
            event = Event(Action.PATIENT_UPDATE, patient_id=patient_id, detail={"identifier_removed": identifier_id})
            audit.record(transaction, actor, self._clock(), event)
