"""Stations: the kinds of place where patients are seen."""

from typing import Any

from pinakes.core import audit
from pinakes.core.actor import Actor, Permission
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue.images import Images
from pinakes.core.clinic.fields import check_integer, check_line
from pinakes.core.clinic.guard import require
from pinakes.core.clinic.records import references, stations
from pinakes.core.clinic.records.images import Filter
from pinakes.core.clinic.records.stations import Station
from pinakes.core.clinic.removal import remove_images
from pinakes.core.clock import Clock
from pinakes.core.db import schema
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import InvalidFields, NameTaken, StationUnknown

DEFAULT_LEVEL = 1


class Stations:
    """Operations on stations. Each raises KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, images: Images, clock: Clock) -> None:
        self._database = database
        self._images = images
        self._clock = clock

    def create(self, actor: Actor, name: str, level: int | None = None) -> int:
        """Make a station unless there is one of that name, whose level is set if one is given; the id.

        Raises InvalidFields.
        """
        require(actor, Permission.WRITE)
        _checked(name, level)
        with self._database.write() as transaction:
            stations.lock_name(transaction, name)
            known = stations.find_by_name(transaction, name)
            if known is None:
                station_id = stations.add(transaction, name, DEFAULT_LEVEL if level is None else level)
                self._record(transaction, actor, Action.STATION_CREATE, station_id)
                return station_id
            if level is not None and level != known.level:
                stations.change(transaction, known.id, {"level": level})
                self._record(transaction, actor, Action.STATION_UPDATE, known.id)
            return known.id

    def get(self, actor: Actor, station_id: int) -> Station:
        """Raises StationUnknown."""
        require(actor, Permission.READ)
        with self._database.read() as connection:
            station = stations.find(connection, station_id)
        if station is None:
            raise StationUnknown
        return station

    def list(self, actor: Actor) -> list[Station]:
        """All stations, by id."""
        require(actor, Permission.READ)
        with self._database.read() as connection:
            return stations.list_all(connection)

    def update(self, actor: Actor, station_id: int, *, name: str | None = None, level: int | None = None) -> None:
        """Set what is given. Raises InvalidFields if nothing is, StationUnknown, NameTaken."""
        require(actor, Permission.WRITE)
        changes = _checked(name, level)
        if not changes:
            raise InvalidFields.one("name", "give a name or a level to set")
        with self._database.write() as transaction:
            if name is not None:
                stations.lock_name(transaction, name)
                holder = stations.find_by_name(transaction, name)
                if holder is not None and holder.id != station_id:
                    references.check(transaction, schema.stations, station_id)
                    raise NameTaken(name)
            if not stations.change(transaction, station_id, changes):
                raise StationUnknown
            self._record(transaction, actor, Action.STATION_UPDATE, station_id, {"changed": sorted(changes)})

    def delete(self, actor: Actor, station_id: int) -> None:
        """Delete a station with its images and clinic stations. Raises StationUnknown."""
        require(actor, Permission.DELETE)
        with self._database.write() as transaction:
            references.seize(transaction, schema.stations, station_id)
            count = remove_images(transaction, self._images, actor, Filter(station_id=station_id))
            references.remove(transaction, schema.stations, station_id)
            self._record(transaction, actor, Action.STATION_DELETE, station_id, {"images": count})

    def _record(
        self,
        transaction: Transaction,
        actor: Actor,
        action: Action,
        station_id: int,
        detail: dict[str, Any] | None = None,
    ) -> None:
        event = Event(action, subject=f"station:{station_id}", detail=detail or {})
        audit.record(transaction, actor, self._clock(), event)


def _checked(name: str | None, level: int | None) -> dict[str, Any]:
    """What is given, by column. Raises InvalidFields."""
    changes: dict[str, Any] = {}
    if name is not None:
        changes["name"] = check_line("name", name, is_required=True)
    if level is not None:
        changes["level"] = check_integer("level", level)
    return changes
