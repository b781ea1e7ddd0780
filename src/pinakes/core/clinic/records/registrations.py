"""The SQL of registrations."""

import enum
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, delete, insert, select, update

from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import registrations


class RegistrationState(enum.StrEnum):
    """Whether a patient is at the clinic."""

    CHECKED_IN = "Checked In"
    CHECKED_OUT = "Checked Out"


@dataclass(frozen=True, slots=True)
class Registration:
    """One visit of a patient to a clinic. The two times are equal until one of them is set anew."""

    id: int
    clinic_id: int
    patient_id: int
    time_in_at: Instant
    time_out_at: Instant
    state: RegistrationState


_SELECT = select(*(registrations.c[field.name] for field in fields(Registration))).order_by(registrations.c.id)
_BY_ID = _SELECT.where(registrations.c.id == bindparam("row_id"))
_BETWEEN = (
    select(registrations.c.id)
    .where(
        registrations.c.clinic_id == bindparam("clinic_id"),
        registrations.c.patient_id == bindparam("patient_id"),
        registrations.c.time_in_at >= bindparam("since"),
        registrations.c.time_in_at < bindparam("until"),
    )
    .limit(1)
)
_INSERT = insert(registrations).returning(registrations.c.id)
_UPDATE = (
    update(registrations)
    .where(registrations.c.id == bindparam("row_id"))
    .returning(registrations.c.id, registrations.c.patient_id)
)
_DELETE = delete(registrations).where(registrations.c.id == bindparam("row_id")).returning(registrations.c.patient_id)


def find(connection: Executor, registration_id: int) -> Registration | None:
    row = connection.execute(_BY_ID, {"row_id": registration_id}).first()
    return _registration(row) if row else None


def search(connection: Executor, clinic_id: int | None, patient_id: int | None) -> list[Registration]:
    """Those of the clinic and the patient, as far as they are given; by id."""
    values = {"clinic_id": clinic_id, "patient_id": patient_id}
    given = {name: value for name, value in values.items() if value is not None}
    return [_registration(row) for row in connection.execute(_search(frozenset(given)), given)]


def lock(transaction: Transaction, clinic_id: int, patient_id: int) -> None:
    """Nobody else registers this patient at this clinic until the transaction ends."""
    transaction.lock(f"registration:{clinic_id}:{patient_id}")


def is_registered(transaction: Transaction, clinic_id: int, patient_id: int, since: Instant, until: Instant) -> bool:
    """Whether the patient came to the clinic from `since` on and before `until`."""
    parameters = {"clinic_id": clinic_id, "patient_id": patient_id, "since": since, "until": until}
    return transaction.execute(_BETWEEN, parameters).first() is not None


def add(transaction: Transaction, clinic_id: int, patient_id: int, state: RegistrationState, now: Instant) -> int:
    row = {
        "clinic_id": clinic_id,
        "patient_id": patient_id,
        "time_in_at": now,
        "time_out_at": now,
        "state": state.value,
    }
    registration_id: int = transaction.execute(_INSERT, row).scalar_one()
    return registration_id


def set_state(transaction: Transaction, registration_id: int, state: RegistrationState, now: Instant) -> int | None:
    """Set the state and its time; the patient's id, None if there is no such registration."""
    time = "time_in_at" if state is RegistrationState.CHECKED_IN else "time_out_at"
    statement = _UPDATE.values({"state": state.value, time: now})
    row = transaction.execute(statement, {"row_id": registration_id}).first()
    return row[1] if row else None


def remove(transaction: Transaction, registration_id: int) -> int | None:
    """The patient's id, None if there is no such registration."""
    patient_id: int | None = transaction.execute(_DELETE, {"row_id": registration_id}).scalar_one_or_none()
    return patient_id


@cache
def _search(names: frozenset[str]) -> Select[Any]:
    return _SELECT.where(*(registrations.c[name] == bindparam(name) for name in sorted(names)))


def _registration(row: Any) -> Registration:
    return Registration(row[0], row[1], row[2], row[3], row[4], RegistrationState(row[5]))
