"""/clinic/: where and when patients are seen (contract section 4)."""

from typing import Any

from pinakes.apis.tscharts import representation
from pinakes.apis.tscharts.endpoint import Asked
from pinakes.core.clinic.records.clinics import NewClinic
from pinakes.core.errors import ClinicUnknown
from pinakes.web.api import ApiContext


class ClinicResource:
    """Clinics on the wire."""

    def __init__(self, context: ApiContext) -> None:
        self._clinics = context.archive.register.clinics

    def search(self, asked: Asked) -> Any:
        """All clinics, or with `date` the first that is held on that day, as one object (K2, K3)."""
        day = asked.parameters.day("date")
        if day is not None:
            return representation.clinic(self._clinics.on(asked.actor, day))
        found = self._clinics.list(asked.actor)
        if not found:
            raise ClinicUnknown
        return [representation.clinic(clinic) for clinic in found]

    def get(self, asked: Asked) -> Any:
        return representation.clinic(self._clinics.get(asked.actor, asked.id))

    def create(self, asked: Asked) -> Any:
        members = asked.members
        new = NewClinic(members.text("location"), members.day("start"), members.day("end"))
        return {"id": self._clinics.create(asked.actor, new)}

    def delete(self, asked: Asked) -> Any:
        """Without an id it is nobody's: 404 (K4)."""
        self._clinics.delete(asked.actor, asked.id)
        return {}
