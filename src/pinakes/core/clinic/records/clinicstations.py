"""The SQL of clinic stations."""

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, delete, insert, select, update

from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import clinicstations


@dataclass(frozen=True, slots=True)
class NewClinicStation:
    """What is said of a clinic station when it is made. level: None for its station's."""

    clinic_id: int
    station_id: int
    name: str
    name_es: str
    is_active: bool = False
    is_away: bool = True
    is_finished: bool = False
    level: int | None = None
    away_minutes: int = 30
    active_patient_id: int | None = None
    next_patient_id: int | None = None


@dataclass(frozen=True, slots=True)
class ClinicStation:
    """A station as it stands at one clinic. name_es: its name in Spanish. will_return_at: when its staff is back."""

    id: int
    clinic_id: int
    station_id: int
    name: str
    name_es: str
    is_active: bool
    is_away: bool
    is_finished: bool
    level: int
    away_minutes: int
    will_return_at: Instant
    active_patient_id: int | None
    next_patient_id: int | None


@dataclass(frozen=True, slots=True)
class StationFilter:
    """Which of a clinic's stations are looked for: all that is given must fit."""

    is_active: bool | None = None
    is_away: bool | None = None
    is_finished: bool | None = None
    level: int | None = None


_SELECT = select(*(clinicstations.c[field.name] for field in fields(ClinicStation)))
_BY_ID = _SELECT.where(clinicstations.c.id == bindparam("row_id"))
_OF_CLINIC = _SELECT.where(clinicstations.c.clinic_id == bindparam("clinic_id")).order_by(
    clinicstations.c.station_id, clinicstations.c.id
)
_INSERT = insert(clinicstations).returning(clinicstations.c.id)
_UPDATE = update(clinicstations).where(clinicstations.c.id == bindparam("row_id")).returning(clinicstations.c.id)
_DELETE = delete(clinicstations).where(clinicstations.c.id == bindparam("row_id")).returning(clinicstations.c.id)


def find(connection: Executor, clinicstation_id: int) -> ClinicStation | None:
    row = connection.execute(_BY_ID, {"row_id": clinicstation_id}).first()
    return ClinicStation(*row) if row else None


def of_clinic(connection: Executor, clinic_id: int, found_by: StationFilter) -> list[ClinicStation]:
    """By station, then by id."""
    values = {field.name: getattr(found_by, field.name) for field in fields(StationFilter)}
    given = {name: value for name, value in values.items() if value is not None}
    rows = connection.execute(_of_clinic(frozenset(given)), given | {"clinic_id": clinic_id})
    return [ClinicStation(*row) for row in rows]


def add(transaction: Transaction, row: dict[str, Any]) -> int:
    """Insert a row of column names and values; its id."""
    clinicstation_id: int = transaction.execute(_INSERT, row).scalar_one()
    return clinicstation_id


def change(transaction: Transaction, clinicstation_id: int, changes: dict[str, Any]) -> bool:
    """Set columns by name; False if there is no such clinic station."""
    return transaction.execute(_UPDATE.values(changes), {"row_id": clinicstation_id}).first() is not None


def remove(transaction: Transaction, clinicstation_id: int) -> bool:
    """False if there is no such clinic station."""
    return transaction.execute(_DELETE, {"row_id": clinicstation_id}).first() is not None


@cache
def _of_clinic(names: frozenset[str]) -> Select[Any]:
    return _OF_CLINIC.where(*(clinicstations.c[name] == bindparam(name) for name in sorted(names)))
