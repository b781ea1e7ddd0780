"""The SQL of clinics."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import bindparam, insert, select

from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import clinics


@dataclass(frozen=True, slots=True)
class NewClinic:
    """A clinic is held at a place on some days, the first and the last included."""

    location: str
    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Clinic:
    """A clinic that is kept."""

    id: int
    location: str
    start: date
    end: date


_SELECT = select(clinics.c.id, clinics.c.location, clinics.c.start, clinics.c.end).order_by(clinics.c.id)
_BY_ID = _SELECT.where(clinics.c.id == bindparam("clinic_id"))
_ON = _SELECT.where(clinics.c.start <= bindparam("day"), clinics.c.end >= bindparam("day")).limit(1)
_SAME = select(clinics.c.id).where(
    clinics.c.location == bindparam("location"),
    clinics.c.start == bindparam("start"),
    clinics.c.end == bindparam("end"),
)
_INSERT = insert(clinics).returning(clinics.c.id)


def find(connection: Executor, clinic_id: int) -> Clinic | None:
    row = connection.execute(_BY_ID, {"clinic_id": clinic_id}).first()
    return Clinic(*row) if row else None


def find_on(connection: Executor, day: date) -> Clinic | None:
    """The clinic of lowest id that is held on that day."""
    row = connection.execute(_ON, {"day": day}).first()
    return Clinic(*row) if row else None


def list_all(connection: Executor) -> list[Clinic]:
    """By id."""
    return [Clinic(*row) for row in connection.execute(_SELECT)]


def ensure(transaction: Transaction, new: NewClinic) -> tuple[int, bool]:
    """The id of the clinic of that place and days, and whether it had to be made."""
    transaction.lock(f"clinic:create:{new.location}")
    row = {"location": new.location, "start": new.start, "end": new.end}
    known: int | None = transaction.execute(_SAME, row).scalar_one_or_none()
    if known is not None:
        return known, False
    made: int = transaction.execute(_INSERT, row).scalar_one()
    return made, True
