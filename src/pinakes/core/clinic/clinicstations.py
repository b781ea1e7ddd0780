"""Clinic stations: a station as it stands at one clinic, whom it treats and when its staff is back."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from pinakes.core import audit
from pinakes.core.actor import Actor, Permission
from pinakes.core.audit import Action, Event
from pinakes.core.clinic.fields import check_integer, check_line
from pinakes.core.clinic.guard import require
from pinakes.core.clinic.records import clinicstations as records
from pinakes.core.clinic.records import references, stations
from pinakes.core.clinic.records.clinicstations import ClinicStation, NewClinicStation, StationFilter
from pinakes.core.clock import MINUTE, Clock
from pinakes.core.db import schema
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import ClinicStationUnknown, InvalidFields, StationUnknown

_SETTABLE = frozenset(field.name for field in fields(NewClinicStation))
_REFERENCES = {
    "clinic_id": schema.clinics,
    "station_id": schema.stations,
    "active_patient_id": schema.patients,
    "next_patient_id": schema.patients,
}


class ClinicStations:
    """Operations on clinic stations. Each raises KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, actor: Actor, new: NewClinicStation) -> int:
        """Set a station up at a clinic; the id.

        Raises InvalidFields, ClinicUnknown, StationUnknown, PatientUnknown.
        """
        require(actor, Permission.WRITE)
        row = asdict(new)
        if new.level is None:
            del row["level"]
        _check(row)
        with self._database.write() as transaction:
            _hold_references(transaction, row)
            if new.level is None:
                row["level"] = _level_of(transaction, new.station_id)
            row["will_return_at"] = self._clock() + new.away_minutes * MINUTE
            clinicstation_id = records.add(transaction, row)
            self._record(transaction, actor, Action.CLINICSTATION_CREATE, clinicstation_id)
        return clinicstation_id

    def get(self, actor: Actor, clinicstation_id: int) -> ClinicStation:
        """Raises ClinicStationUnknown."""
        require(actor, Permission.READ)
        with self._database.read() as connection:
            found = records.find(connection, clinicstation_id)
        if found is None:
            raise ClinicStationUnknown
        return found

    def of_clinic(self, actor: Actor, clinic_id: int, found_by: StationFilter) -> list[ClinicStation]:
        """A clinic's stations, by station and id. Raises ClinicUnknown."""
        require(actor, Permission.READ)
        with self._database.read() as connection:
            references.check(connection, schema.clinics, clinic_id)
            return records.of_clinic(connection, clinic_id, found_by)

    def update(self, actor: Actor, clinicstation_id: int, changes: Mapping[str, Any]) -> None:
        """Set some of the fields of NewClinicStation, by name.

        Going away, or for longer, sets when the staff is back. Raises InvalidFields if nothing is given or a value
        is wrong, ClinicStationUnknown, ClinicUnknown, StationUnknown, PatientUnknown.
        """
        require(actor, Permission.WRITE)
        row = dict(changes)
        _check(row)
        if not row:
            raise InvalidFields.one("name", "give at least one field to set")
        with self._database.write() as transaction:
            _hold_references(transaction, row)  # before the row itself: a patient's delete locks in that order too
            current = records.find(transaction, clinicstation_id)
            if current is None:
                raise ClinicStationUnknown
            if "away_minutes" in row or row.get("is_away"):
                row["will_return_at"] = self._clock() + row.get("away_minutes", current.away_minutes) * MINUTE
            if not records.change(transaction, clinicstation_id, row):
                raise ClinicStationUnknown
            self._record(
                transaction, actor, Action.CLINICSTATION_UPDATE, clinicstation_id, {"changed": sorted(changes)}
            )

    def delete(self, actor: Actor, clinicstation_id: int) -> None:
        """Raises ClinicStationUnknown."""
        require(actor, Permission.DELETE)
        with self._database.write() as transaction:
            if not records.remove(transaction, clinicstation_id):
                raise ClinicStationUnknown
            self._record(transaction, actor, Action.CLINICSTATION_DELETE, clinicstation_id)

    def _record(
        self,
        transaction: Transaction,
        actor: Actor,
        action: Action,
        clinicstation_id: int,
        detail: dict[str, Any] | None = None,
    ) -> None:
        event = Event(action, subject=f"clinicstation:{clinicstation_id}", detail=detail or {})
        audit.record(transaction, actor, self._clock(), event)


def _check(row: Mapping[str, Any]) -> None:
    """Raises InvalidFields."""
    for name, value in row.items():
        if name not in _SETTABLE:
            raise InvalidFields.one(name, "cannot be set")
        if name in {"name", "name_es"}:
            check_line(name, value)
        elif name == "level":
            check_integer(name, value)
        elif name == "away_minutes":
            check_integer(name, value, least=0)


def _hold_references(transaction: Transaction, row: Mapping[str, Any]) -> None:
    for name, table in _REFERENCES.items():
        references.hold(transaction, table, row.get(name))


def _level_of(transaction: Transaction, station_id: int) -> int:
    station = stations.find(transaction, station_id)
    if station is None:
        raise StationUnknown
    return station.level
