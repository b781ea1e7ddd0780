"""The SQL of patients' identifiers."""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select

from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import patient_identifiers


@dataclass(frozen=True, slots=True)
class Identifier:
    """What another system calls a patient. system: whose word it is, as "pathomiq". value: the word."""

    id: int
    patient_id: int
    system: str
    value: str


_SELECT = select(
    patient_identifiers.c.id,
    patient_identifiers.c.patient_id,
    patient_identifiers.c.system,
    patient_identifiers.c.value,
).order_by(patient_identifiers.c.id)
_OF_PATIENT = _SELECT.where(patient_identifiers.c.patient_id == bindparam("patient_id"))
_BY_VALUE = _SELECT.where(
    patient_identifiers.c.system == bindparam("system"), patient_identifiers.c.value == bindparam("value")
)
_INSERT = insert(patient_identifiers).returning(patient_identifiers.c.id)
_DELETE = (
    delete(patient_identifiers)
    .where(
        patient_identifiers.c.id == bindparam("identifier_id"),
        patient_identifiers.c.patient_id == bindparam("patient_id"),
    )
    .returning(patient_identifiers.c.id)
)


def of_patient(connection: Executor, patient_id: int) -> list[Identifier]:
    """By id."""
    return [Identifier(*row) for row in connection.execute(_OF_PATIENT, {"patient_id": patient_id})]


def find(connection: Executor, system: str, value: str) -> Identifier | None:
    row = connection.execute(_BY_VALUE, {"system": system, "value": value}).first()
    return Identifier(*row) if row else None


def lock(transaction: Transaction, system: str, value: str) -> None:
    """Nobody else gives this identifier to a patient until the transaction ends."""
    transaction.lock(f"identifier:{system}\0{value}")


def add(transaction: Transaction, patient_id: int, system: str, value: str) -> int:
    row = {"patient_id": patient_id, "system": system, "value": value}
    identifier_id: int = transaction.execute(_INSERT, row).scalar_one()
    return identifier_id


def remove(transaction: Transaction, patient_id: int, identifier_id: int) -> bool:
    """False if the patient has no such identifier."""
    parameters = {"patient_id": patient_id, "identifier_id": identifier_id}
    return transaction.execute(_DELETE, parameters).first() is not None
