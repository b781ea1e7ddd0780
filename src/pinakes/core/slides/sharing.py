"""Who else may see a slide: adding, removing and replacing them (pathomiq contract 4.9)."""

from collections.abc import Callable, Sequence

from sqlalchemy import bindparam, delete, insert, update

from pinakes.core import audit
from pinakes.core.access import policy
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock, Instant
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.db.schema import grants
from pinakes.core.errors import InvalidFields, NotAllowed, WrongState
from pinakes.core.slides import logs, people, records, rows
from pinakes.core.slides.logs import LogType
from pinakes.core.slides.records import Slide

MOST_PEOPLE = 1000
"""How many users one slide can be shared with."""

_INSERT = insert(grants)
_EXPIRED = delete(grants).where(grants.c.image_id == bindparam("slide_id"), grants.c.expires_at <= bindparam("now"))
_REMOVE = delete(grants).where(
    grants.c.image_id == bindparam("slide_id"), grants.c.user_id.in_(bindparam("user_ids", expanding=True))
)
_MOVE = (
    update(grants)
    .where(grants.c.image_id == bindparam("slide_id"), grants.c.user_id == bindparam("moved_id"))
    .values(position=bindparam("new_position"))
)


class Sharing:
    """A slide's owner and staff change whom it is shared with. The slide is held meanwhile: no change gets lost.

    Each gives the slide as it is then, and raises Unauthenticated, KindMissing, ScopeMissing, ImageUnknown, NotAllowed,
    and InvalidFields for users who are not known or too many.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, actor: Actor, ref: str | int, user_ids: Sequence[int]) -> Slide:
        """Add users behind those who are there already."""
        return self._change(actor, ref, lambda slide: _merged(slide.shared_with, _others(slide, user_ids)))

    def remove(self, actor: Actor, ref: str | int, user_ids: Sequence[int]) -> Slide:
        """Remove users; those who are not there are no error. Raises WrongState for the owner."""

        def left(slide: Slide) -> list[int]:
            if slide.owner_id in user_ids:
                raise WrongState("The owner cannot be removed.")
            return [user_id for user_id in slide.shared_with if user_id not in set(user_ids)]

        return self._change(actor, ref, left)

    def replace(self, actor: Actor, ref: str | int, user_ids: Sequence[int]) -> Slide:
        """Share with these users and nobody else, in this order."""
        return self._change(actor, ref, lambda slide: _merged((), _others(slide, user_ids)))

    def _change(self, actor: Actor, ref: str | int, wanted: Callable[[Slide], list[int]]) -> Slide:
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.WRITE)
        with self._database.write() as transaction:
            now = self._clock()
            slide = records.held(transaction, actor, ref, now)
            if not policy.may_change(actor, slide.facts, now):
                raise NotAllowed
            people_then = wanted(slide)
            if people_then != list(slide.shared_with):
                self._share(transaction, actor, slide, people_then, now)
            return records.visible(transaction, actor, ref, now)

    def _share(
        self, transaction: Transaction, actor: Actor, slide: Slide, user_ids: Sequence[int], now: Instant
    ) -> None:
        added = [user_id for user_id in user_ids if user_id not in slide.shared_with]
        removed = [user_id for user_id in slide.shared_with if user_id not in set(user_ids)]
        _check(transaction, added, len(user_ids))
        transaction.execute(_EXPIRED, {"slide_id": slide.id, "now": now})
        if removed:
            transaction.execute(_REMOVE, {"slide_id": slide.id, "user_ids": removed})
        _place(transaction, slide, user_ids, set(added), now)
        rows.touch(transaction, slide.id, now)
        self._tell(transaction, actor, slide, added, removed, now)

    def _tell(
        self,
        transaction: Transaction,
        actor: Actor,
        slide: Slide,
        added: Sequence[int],
        removed: Sequence[int],
        now: Instant,
    ) -> None:
        for action, verb, user_ids in (
            (Action.GRANT_CREATE, "added", added),
            (Action.GRANT_DELETE, "removed", removed),
        ):
            if not user_ids:
                continue
            message = f"Users {verb}: {', '.join(map(str, user_ids))}."
            logs.append(transaction, slide.id, slide.uid, LogType.SHARE, message, user_id=actor.user_id, now=now)
            audit.record(
                transaction,
                actor,
                now,
                *(Event(action, slide.id, subject=f"user:{user_id}") for user_id in user_ids),
            )


def _others(slide: Slide, user_ids: Sequence[int]) -> list[int]:
    """The owner sees the slide anyway, always first, and is no part of the list."""
    return [user_id for user_id in user_ids if user_id != slide.owner_id]


def _merged(first: Sequence[int], then: Sequence[int]) -> list[int]:
    """Each once, where it comes first."""
    return list(dict.fromkeys([*first, *then]))


def _check(transaction: Transaction, added: Sequence[int], count: int) -> None:
    if count > MOST_PEOPLE:
        raise InvalidFields.one("userid", f"can name at most {MOST_PEOPLE} users")
    if added and (unknown := set(added) - people.known(transaction, added)):
        raise InvalidFields.one("userid", f"no such user: {min(unknown)}")


def _place(transaction: Transaction, slide: Slide, user_ids: Sequence[int], added: set[int], now: Instant) -> None:
    """Write the order down, and insert those who are new."""
    places = list(enumerate(user_ids, start=1))
    kept = [
        {"slide_id": slide.id, "moved_id": user_id, "new_position": position}
        for position, user_id in places
        if user_id not in added
    ]
    new = [
        {"image_id": slide.id, "user_id": user_id, "expires_at": None, "created_at": now, "position": position}
        for position, user_id in places
        if user_id in added
    ]
    if kept:
        transaction.execute(_MOVE, kept)
    if new:
        transaction.execute(_INSERT, new)
