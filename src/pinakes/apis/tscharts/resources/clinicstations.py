"""/clinicstation/: a station as it stands at one clinic (contract section 6)."""

from collections.abc import Callable
from typing import Any

from pinakes.apis.tscharts import representation
from pinakes.apis.tscharts.endpoint import Asked
from pinakes.apis.tscharts.fields import Members
from pinakes.core.clinic.records.clinicstations import NewClinicStation, StationFilter
from pinakes.core.errors import ClinicStationUnknown, InvalidFields
from pinakes.web.api import ApiContext

_REQUIRED = ("clinic", "station", "name", "name_es")

# Member of the body: field of NewClinicStation, and how the member is read.
_MEMBERS: dict[str, tuple[str, Callable[[Members, str], Any]]] = {
    "clinic": ("clinic_id", Members.id),
    "station": ("station_id", Members.id),
    "name": ("name", Members.text),
    "name_es": ("name_es", Members.text),
    "active": ("is_active", Members.boolean),
    "away": ("is_away", Members.boolean),
    "finished": ("is_finished", Members.boolean),
    "level": ("level", Members.integer),
    "awaytime": ("away_minutes", Members.integer),
    "activepatient": ("active_patient_id", Members.id_or_null),
    "nextpatient": ("next_patient_id", Members.id_or_null),
}


class ClinicStationResource:
    """Clinic stations on the wire."""

    def __init__(self, context: ApiContext) -> None:
        self._clinicstations = context.archive.register.clinicstations
        self._zone = context.time_zone

    def search(self, asked: Asked) -> Any:
        """Those of one clinic, which must be named (T2)."""
        parameters = asked.parameters
        clinic_id = parameters.id("clinic")
        found_by = StationFilter(
            is_active=parameters.capitalised_flag("active"),
            is_away=parameters.capitalised_flag("away"),
            is_finished=parameters.capitalised_flag("finished"),
            level=parameters.integer("level"),
        )
        if clinic_id is None:
            raise InvalidFields.one("clinic", "is required")
        found = self._clinicstations.of_clinic(asked.actor, clinic_id, found_by)
        if not found:
            raise ClinicStationUnknown
        return [representation.clinicstation(clinicstation, self._zone) for clinicstation in found]

    def get(self, asked: Asked) -> Any:
        return representation.clinicstation(self._clinicstations.get(asked.actor, asked.id), self._zone)

    def create(self, asked: Asked) -> Any:
        for name in _REQUIRED:
            asked.members.value(name)
        fields = _fields(asked.members)
        return {"id": self._clinicstations.create(asked.actor, NewClinicStation(**fields))}

    def update(self, asked: Asked) -> Any:
        self._clinicstations.update(asked.actor, asked.id, _fields(asked.members, is_new=False))
        return {}

    def delete(self, asked: Asked) -> Any:
        self._clinicstations.delete(asked.actor, asked.id)
        return {}

    def refuse(self, asked: Asked) -> Any:  # noqa: ARG002
        """PUT and DELETE without an id are 400 (T3)."""
        raise InvalidFields.one("id", "is required")


def _fields(members: Members, *, is_new: bool = True) -> dict[str, Any]:
    """What is given; a null level is none when a clinic station is made (T1)."""
    given = {name for name in _MEMBERS if name in members}
    if is_new and "level" in given and members.value("level") is None:
        given.remove("level")
    return {field: read(members, name) for name, (field, read) in _MEMBERS.items() if name in given}
