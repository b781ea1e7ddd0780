"""The SQL of patients."""

import enum
from dataclasses import asdict, dataclass, fields
from datetime import date
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, insert, or_, select, update

from pinakes.core.clinic.fields import folded
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import patients, registrations


class Gender(enum.StrEnum):
    """The two words the clinic's charts have."""

    MALE = "Male"
    FEMALE = "Female"


@dataclass(frozen=True, slots=True)
class PatientDetails:
    """What is known of a patient. dob: date of birth. oldid: the number in an older system, -1 for none.

    curp: Mexico's personal identity code. colonia: the quarter of the town.
    """

    paternal_last: str
    maternal_last: str
    first: str
    middle: str
    suffix: str
    prefix: str
    dob: date
    gender: Gender
    street1: str
    street2: str
    city: str
    colonia: str
    state: str
    phone1: str
    phone2: str
    email: str
    emergencyfullname: str
    emergencyphone: str
    emergencyemail: str
    curp: str
    oldid: int = -1


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient that is kept."""

    id: int
    details: PatientDetails


@dataclass(frozen=True, slots=True)
class PatientFilter:
    """Which patients are looked for: all that is given must fit.

    name: occurs in any of the four name parts. The four texts after it occur in their own field, or are all of it
    if is_exact. Case never counts. clinic_id: registered at that clinic.
    """

    name: str | None = None
    paternal_last: str | None = None
    maternal_last: str | None = None
    first: str | None = None
    curp: str | None = None
    is_exact: bool = False
    dob: date | None = None
    gender: Gender | None = None
    oldid: int | None = None
    clinic_id: int | None = None


NAME_FIELDS = ("paternal_last", "maternal_last", "first", "middle")
FOLDED_FIELDS = (*NAME_FIELDS, "curp")
_SEARCHED_TEXTS = ("paternal_last", "maternal_last", "first", "curp")
_ESCAPE = "\\"
_GENDER = [field.name for field in fields(PatientDetails)].index("gender")

_SELECT = select(patients.c.id, *(patients.c[field.name] for field in fields(PatientDetails)))
_BY_ID = _SELECT.where(patients.c.id == bindparam("patient_id"))
_BY_ID_FOR_UPDATE = _BY_ID.with_for_update()
_SAME = (
    select(patients.c.id)
    .where(*(patients.c[name] == bindparam(name) for name in ("paternal_last", "first", "dob", "gender")))
    .limit(1)
)
_INSERT = insert(patients).returning(patients.c.id)
_UPDATE = update(patients).where(patients.c.id == bindparam("patient_id"))


def find(connection: Executor, patient_id: int) -> Patient | None:
    return _first(connection, _BY_ID, patient_id)


def find_for_update(transaction: Transaction, patient_id: int) -> Patient | None:
    """The patient, whom nobody else changes until the transaction ends."""
    return _first(transaction, _BY_ID_FOR_UPDATE, patient_id)


def search(connection: Executor, found_by: PatientFilter) -> list[int]:
    """Ids, ascending."""
    parameters = _parameters(found_by)
    statement = _search(frozenset(parameters), found_by.is_exact)
    return list(connection.execute(statement, parameters).scalars())


def has_same(transaction: Transaction, details: PatientDetails) -> bool:
    """Whether there is a patient of the same name, date of birth and gender; none can come until the end."""
    key = {
        "paternal_last": details.paternal_last,
        "first": details.first,
        "dob": details.dob,
        "gender": details.gender.value,
    }
    transaction.lock("patient:create:" + "\0".join(map(str, key.values())))
    return transaction.execute(_SAME, key).first() is not None


def add(transaction: Transaction, details: PatientDetails, now: Instant) -> int:
    """Raises InvalidFields for a text that is too long once folded."""
    patient_id: int = transaction.execute(_INSERT, _row(details) | {"created_at": now}).scalar_one()
    return patient_id


def change(transaction: Transaction, patient_id: int, details: PatientDetails) -> None:
    """Raises InvalidFields for a text that is too long once folded."""
    transaction.execute(_UPDATE.values(_row(details)), {"patient_id": patient_id})


def _first(connection: Executor, statement: Select[Any], patient_id: int) -> Patient | None:
    row = connection.execute(statement, {"patient_id": patient_id}).first()
    if row is None:
        return None
    values = list(row[1:])
    values[_GENDER] = Gender(values[_GENDER])
    return Patient(row[0], PatientDetails(*values))


def _row(details: PatientDetails) -> dict[str, Any]:
    row = asdict(details) | {"gender": details.gender.value}
    return row | {f"{name}_folded": folded(name, row[name]) for name in FOLDED_FIELDS}


def _parameters(found_by: PatientFilter) -> dict[str, Any]:
    """What the statement is bound to; which names are in it decides which statement it is."""
    values: dict[str, Any] = {
        "dob": found_by.dob,
        "gender": found_by.gender and found_by.gender.value,
        "oldid": found_by.oldid,
        "clinic_id": found_by.clinic_id,
    }
    if found_by.name is not None:
        values["name"] = _pattern(found_by.name)
    for field in _SEARCHED_TEXTS:
        text = getattr(found_by, field)
        if text is not None:
            values[field] = text.casefold() if found_by.is_exact else _pattern(text)
    return {name: value for name, value in values.items() if value is not None}


@cache
def _search(names: frozenset[str], is_exact: bool) -> Select[Any]:
    conditions = [_condition(name, is_exact) for name in sorted(names)]
    return select(patients.c.id).where(*conditions).order_by(patients.c.id)


def _condition(name: str, is_exact: bool) -> ColumnElement[bool]:
    if name == "name":
        return or_(*(_contains(field, "name") for field in NAME_FIELDS))
    if name == "clinic_id":
        return exists().where(
            registrations.c.patient_id == patients.c.id, registrations.c.clinic_id == bindparam("clinic_id")
        )
    if name in _SEARCHED_TEXTS:
        return patients.c[f"{name}_folded"] == bindparam(name) if is_exact else _contains(name, name)
    return patients.c[name] == bindparam(name)


def _contains(field: str, parameter: str) -> ColumnElement[bool]:
    return patients.c[f"{field}_folded"].like(bindparam(parameter), escape=_ESCAPE)


def _pattern(text: str) -> str:
    """The LIKE pattern of texts that contain this one, in which no character is a wildcard."""
    escaped = text.casefold()
    for character in (_ESCAPE, "%", "_"):
        escaped = escaped.replace(character, _ESCAPE + character)
    return f"%{escaped}%"
