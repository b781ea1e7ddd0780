"""/register/: patients coming to a clinic and leaving it (contract section 8)."""

from typing import Any

from pinakes.apis.tscharts import representation
from pinakes.apis.tscharts.endpoint import Asked
from pinakes.core.clinic.records.registrations import RegistrationState
from pinakes.core.errors import ClinicUnknown, InvalidFields, PatientUnknown, RegistrationUnknown
from pinakes.web.api import ApiContext


class RegistrationResource:
    """Registrations on the wire."""

    def __init__(self, context: ApiContext) -> None:
        self._registrations = context.archive.register.registrations
        self._zone = context.time_zone

    def search(self, asked: Asked) -> Any:
        """An unknown clinic or patient is 400 here, and nothing found 404 (R2)."""
        clinic_id, patient_id = asked.parameters.id("clinic"), asked.parameters.id("patient")
        try:
            found = self._registrations.search(asked.actor, clinic_id, patient_id)
        except ClinicUnknown as exc:
            raise InvalidFields.one("clinic", exc.message) from exc
        except PatientUnknown as exc:
            raise InvalidFields.one("patient", exc.message) from exc
        if not found:
            raise RegistrationUnknown
        return [representation.registration(registration, self._zone) for registration in found]

    def get(self, asked: Asked) -> Any:
        return representation.registration(self._registrations.get(asked.actor, asked.id), self._zone)

    def create(self, asked: Asked) -> Any:
        members = asked.members
        clinic_id, patient_id = members.id("clinic"), members.id("patient")
        state = members.choice("state", RegistrationState) if "state" in members else RegistrationState.CHECKED_IN
        return {"id": self._registrations.create(asked.actor, clinic_id, patient_id, self._zone, state)}

    def update(self, asked: Asked) -> Any:
        self._registrations.set_state(asked.actor, asked.id, asked.members.choice("state", RegistrationState))
        return {}

    def delete(self, asked: Asked) -> Any:
        self._registrations.delete(asked.actor, asked.id)
        return {}

    def refuse(self, asked: Asked) -> Any:  # noqa: ARG002
        """PUT and DELETE without an id are 400 (R3)."""
        raise InvalidFields.one("id", "is required")
