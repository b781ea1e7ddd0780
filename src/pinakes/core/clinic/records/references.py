"""Rows that others refer to, held against a delete that happens at the same time.

    hold    whoever makes something that refers to the row: many at once, but none beside a `seize`
    seize   whoever deletes the row: waits for the holders, so that it sees all that refers to it

SQLite has one writer at a time and needs neither; there both only look.
"""

from sqlalchemy import Select, Table, bindparam, delete, select

from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import clinics, patients, stations
from pinakes.core.errors import ClinicUnknown, PatientUnknown, StationUnknown, Unknown

_UNKNOWN: dict[Table, type[Unknown]] = {clinics: ClinicUnknown, stations: StationUnknown, patients: PatientUnknown}


def _find(table: Table) -> Select[int]:
    return select(table.c.id).where(table.c.id == bindparam("row_id"))


_FIND = {table: _find(table) for table in _UNKNOWN}
_HOLD = {table: _find(table).with_for_update(read=True, key_share=True) for table in _UNKNOWN}
_SEIZE = {table: _find(table).with_for_update() for table in _UNKNOWN}
_DELETE = {table: delete(table).where(table.c.id == bindparam("row_id")) for table in _UNKNOWN}


def check(connection: Executor, table: Table, row_id: int | None) -> None:
    """Raises ClinicUnknown, StationUnknown or PatientUnknown if there is no such row; None passes."""
    _look(connection, table, _FIND[table], row_id)


def hold(transaction: Transaction, table: Table, row_id: int | None) -> None:
    """The same, and the row stays until the transaction ends."""
    _look(transaction, table, _HOLD[table], row_id)


def seize(transaction: Transaction, table: Table, row_id: int) -> None:
    """The same, and nobody can refer to the row from now on.

    Deletes that cascade go one after the other: two of them would meet in rows that belong to both.
    """
    transaction.lock("clinic:cascade")
    _look(transaction, table, _SEIZE[table], row_id)


def remove(transaction: Transaction, table: Table, row_id: int) -> None:
    """Delete a seized row."""
    transaction.execute(_DELETE[table], {"row_id": row_id})


def _look(connection: Executor, table: Table, statement: Select[int], row_id: int | None) -> None:
    if row_id is not None and connection.execute(statement, {"row_id": row_id}).first() is None:
        raise _UNKNOWN[table]
