"""/station/: the kinds of place where patients are seen (contract section 5)."""

from typing import Any

from pinakes.apis.tscharts import representation
from pinakes.apis.tscharts.endpoint import Asked
from pinakes.apis.tscharts.fields import Members
from pinakes.core.errors import StationUnknown
from pinakes.web.api import ApiContext


class StationResource:
    """Stations on the wire."""

    def __init__(self, context: ApiContext) -> None:
        self._stations = context.archive.register.stations

    def search(self, asked: Asked) -> Any:
        found = self._stations.list(asked.actor)
        if not found:
            raise StationUnknown
        return [representation.station(station) for station in found]

    def get(self, asked: Asked) -> Any:
        return representation.station(self._stations.get(asked.actor, asked.id))

    def create(self, asked: Asked) -> Any:
        return {"id": self._stations.create(asked.actor, asked.members.text("name"), _level(asked.members))}

    def update(self, asked: Asked) -> Any:
        """The id is in the body (S3)."""
        members = asked.members
        name = members.text("name") if "name" in members else None
        self._stations.update(asked.actor, members.id("id"), name=name, level=_level(members))
        return {}

    def delete(self, asked: Asked) -> Any:
        self._stations.delete(asked.actor, asked.id)
        return {}


def _level(members: Members) -> int | None:
    return members.integer("level") if "level" in members else None
