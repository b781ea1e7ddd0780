"""The SQL of stations."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import stations


@dataclass(frozen=True, slots=True)
class Station:
    """A kind of place where patients are seen, as Dental or X-Ray. level: how many of them a clinic has room for."""

    id: int
    name: str
    level: int


_SELECT = select(stations.c.id, stations.c.name, stations.c.level).order_by(stations.c.id)
_BY_ID = _SELECT.where(stations.c.id == bindparam("station_id"))
_BY_NAME = _SELECT.where(stations.c.name == bindparam("name"))
_INSERT = insert(stations).returning(stations.c.id)
_UPDATE = update(stations).where(stations.c.id == bindparam("station_id")).returning(stations.c.id)


def find(connection: Executor, station_id: int) -> Station | None:
    row = connection.execute(_BY_ID, {"station_id": station_id}).first()
    return Station(*row) if row else None


def find_by_name(connection: Executor, name: str) -> Station | None:
    row = connection.execute(_BY_NAME, {"name": name}).first()
    return Station(*row) if row else None


def list_all(connection: Executor) -> list[Station]:
    """By id."""
    return [Station(*row) for row in connection.execute(_SELECT)]


def lock_name(transaction: Transaction, name: str) -> None:
    """Nobody else makes or renames a station to that name until the transaction ends."""
    transaction.lock(f"station:name:{name}")


def add(transaction: Transaction, name: str, level: int) -> int:
    station_id: int = transaction.execute(_INSERT, {"name": name, "level": level}).scalar_one()
    return station_id


def change(transaction: Transaction, station_id: int, changes: dict[str, Any]) -> bool:
    """Set columns by name; False if there is no such station."""
    return transaction.execute(_UPDATE.values(changes), {"station_id": station_id}).first() is not None
