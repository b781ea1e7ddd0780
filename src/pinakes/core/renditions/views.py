"""Who looked at which picture: one event a minute, however many tiles that took (DESIGN.md rule 11)."""

import hashlib
import threading
from typing import Final

from pinakes.core.actor import Actor, Kind
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import records
from pinakes.core.clock import MINUTE, Clock, Instant
from pinakes.core.db.engine import Database
from pinakes.core.readtrail import ReadTrail

_MOST_REMEMBERED: Final = 10_000


class Views:
    """Of all processes together: the event of a minute has the same uid wherever it is noted, so it is kept once."""

    def __init__(self, database: Database, trail: ReadTrail, clock: Clock) -> None:
        self._database = database
        self._trail = trail
        self._clock = clock
        self._noted: dict[tuple[str, int | None, int], Instant] = {}
        self._lock = threading.Lock()

    def note(self, actor: Actor, image_id: int, kind: Kind) -> None:
        """Note that the actor has looked at the image."""
        now = self._clock()
        minute = now // MINUTE
        if not self._is_new(actor, image_id, minute):
            return
        patient_id = self._patient_of(image_id) if kind is Kind.CLINICAL else None
        told = f"{actor.api} {actor.user_id} {image_id} {minute}"
        uid = hashlib.sha256(told.encode()).hexdigest()
        self._trail.note(actor, Event(Action.IMAGE_VIEW, image_id, patient_id), now, uid=uid)

    def _is_new(self, actor: Actor, image_id: int, minute: Instant) -> bool:
        key = (actor.api, actor.user_id, image_id)
        with self._lock:
            if self._noted.get(key) == minute:
                return False
            if len(self._noted) >= _MOST_REMEMBERED:
                self._noted.clear()
            self._noted[key] = minute
            return True

    def _patient_of(self, image_id: int) -> int | None:
        with self._database.read() as connection:
            return records.patient_of(connection, image_id)
