"""/patient/: people whose images are kept (contract section 7)."""

from collections.abc import Iterable
from typing import Any

from pinakes.apis.tscharts import representation
from pinakes.apis.tscharts.endpoint import Asked
from pinakes.apis.tscharts.fields import Members
from pinakes.core.clinic.records.patients import Gender, PatientDetails, PatientFilter
from pinakes.core.errors import InvalidFields, PatientUnknown
from pinakes.web.api import ApiContext

_OPTIONAL = frozenset({"oldid"})


class PatientResource:
    """Patients on the wire."""

    def __init__(self, context: ApiContext) -> None:
        self._patients = context.archive.register.patients

    def search(self, asked: Asked) -> Any:
        """Ids; with `name` the other filters but `clinic` are ignored (P6)."""
        parameters = asked.parameters
        name, clinic_id = parameters.text("name"), parameters.id("clinic")
        if name is not None:
            found_by = PatientFilter(name=name, clinic_id=clinic_id)
        else:
            found_by = PatientFilter(
                paternal_last=parameters.text("paternal_last"),
                maternal_last=parameters.text("maternal_last"),
                first=parameters.text("first"),
                curp=parameters.text("curp"),
                is_exact=parameters.capitalised_flag("exact") or False,
                dob=parameters.date_of_birth("dob"),
                gender=parameters.choice("gender", Gender),
                oldid=parameters.integer("oldid"),
                clinic_id=clinic_id,
            )
        found = self._patients.search(asked.actor, found_by)
        if not found:
            raise PatientUnknown
        return found

    def get(self, asked: Asked) -> Any:
        return representation.patient(self._patients.get(asked.actor, asked.id))

    def create(self, asked: Asked) -> Any:
        """Every field but `oldid` must be there, and no other (P1, P3)."""
        if unknown := sorted(asked.members.names.difference(representation.PATIENT_FIELDS)):
            raise InvalidFields.one("body", f"has {len(unknown)} members that are no field of a patient")
        given = [name for name in representation.PATIENT_FIELDS if name not in _OPTIONAL or name in asked.members]
        details = PatientDetails(**_values(asked.members, given))
        return {"id": self._patients.create(asked.actor, details)}

    def update(self, asked: Asked) -> Any:
        given = [name for name in representation.PATIENT_FIELDS if name in asked.members]
        self._patients.update(asked.actor, asked.id, _values(asked.members, given))
        return {}

    def delete(self, asked: Asked) -> Any:
        self._patients.delete(asked.actor, asked.id)
        return {}

    def refuse(self, asked: Asked) -> Any:  # noqa: ARG002
        """PUT and DELETE without an id are 400 (P7)."""
        raise InvalidFields.one("id", "is required")


def _values(members: Members, names: Iterable[str]) -> dict[str, Any]:
    return {name: _value(members, name) for name in names}


def _value(members: Members, name: str) -> Any:
    match name:
        case "dob":
            return members.date_of_birth(name)
        case "gender":
            return members.choice(name, Gender)
        case "oldid":
            return members.integer(name)
        case "state":
            return _state(members.text(name))
        case _:
            return members.text(name)


def _state(text: str) -> str:
    if text not in representation.STATES:
        raise InvalidFields.one("state", "must be a state of Mexico")
    return text
