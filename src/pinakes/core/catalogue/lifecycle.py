"""What becomes of machine images: their end, their removal, their transfer, and what staff decide about them.

Who may: the image's people and staff end and restore it; its author and staff remove it and give it away; staff alone
moderate (atmosphere contract, sections 11.6 and 11.7).

What becomes of a transferred image: it lies outside namespaces, or it is refused, since inside one the namespace's
people have the say. Its Djinn name is let go of: nobody may slip an image under a name among another's, where their
builds would find it. The patterns it was shared by go too, since they stay their owner's to change. Shares with users
and groups stay; the new owner sees and sets them.
"""

from typing import Any

from sqlalchemy import delete

from pinakes.core import audit
from pinakes.core.access.groups import known_users
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource, Visibility
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import machine_access, records, tag_records
from pinakes.core.catalogue.images import Images
from pinakes.core.clock import Clock, Instant
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.db.schema import djinn_names, grants, image_patterns
from pinakes.core.errors import ImageUnknown, WrongState

_FEATURED_DESCRIPTION = "Recommended by those who run this archive."


class Lifecycle:
    """Operations on machine images that are there.

    Each raises Unauthenticated, KindMissing, ScopeMissing, ImageUnknown and NotAllowed beside what it names.
    """

    def __init__(self, database: Database, images: Images, clock: Clock) -> None:
        self._database = database
        self._images = images
        self._clock = clock

    def end(self, actor: Actor, image_id: int) -> None:
        """End an image now: it is off every list, and there for its author and staff only. An end in the past stays."""
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        with self._database.write() as transaction:
            now = self._clock()
            image = machine_access.held(transaction, actor, image_id, now)
            if not image.facts.is_ended(now):
                self._change(transaction, actor, image_id, {"end_at": now}, now)

    def restore(self, actor: Actor, image_id: int) -> None:
        """Take an image's end away."""
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        with self._database.write() as transaction:
            now = self._clock()
            image = machine_access.held(transaction, actor, image_id, now)
            if image.facts.end_at is not None:
                self._change(transaction, actor, image_id, {"end_at": None}, now)

    def purge(self, actor: Actor, image_id: int) -> None:
        """Remove an image and its bytes for good."""
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.DELETE)
        with self._database.write() as transaction:
            machine_access.held_by_its_own(transaction, actor, image_id, self._clock())
            if not self._images.remove(transaction, actor, image_id):
                raise ImageUnknown

    def transfer(self, actor: Actor, image_id: int, to: str) -> None:
        """Give an image to another user, who is its author from then on.

        Raises InvalidFields for who is no active user of the kind, WrongState inside a namespace.
        """
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        with self._database.write() as transaction:
            now = self._clock()
            image = machine_access.held_by_its_own(transaction, actor, image_id, now)
            if image.namespace is not None:
                raise WrongState("The image lies in a namespace; those who share that have the say over it.")
            owner = known_users(transaction, frozenset({Kind.MACHINE}), [to], field="username")[to]
            if owner.id == image.author.id:
                return
            transaction.execute(delete(djinn_names).where(djinn_names.c.image_id == image_id))
            transaction.execute(delete(image_patterns).where(image_patterns.c.image_id == image_id))
            transaction.execute(delete(grants).where(grants.c.image_id == image_id, grants.c.user_id == owner.id))
            records.change(transaction, image_id, {"author_id": owner.id}, now)
            parties = {"from": image.author.id, "to": owner.id}
            audit.record(transaction, actor, now, Event(Action.IMAGE_TRANSFER, image_id, detail=parties))

    def moderate(
        self, actor: Actor, image_id: int, *, hides: bool = False, ends: bool = False, is_featured: bool | None = None
    ) -> None:
        """Judge an image, as staff: make it private, end it now, give it the tag of what is featured or take it away.

        Raises WrongState for hiding what lies in a namespace.
        """
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        with self._database.write() as transaction:
            now = self._clock()
            image = machine_access.held_by_staff(transaction, actor, image_id, now)
            if hides and image.namespace is not None:
                raise WrongState("The image lies in a namespace, whose visibility counts.")
            values: dict[str, Any] = {}
            if hides and image.facts.visibility is not Visibility.PRIVATE:
                values["visibility"] = Visibility.PRIVATE.value
            if ends and not image.facts.is_ended(now):
                values["end_at"] = now
            is_tagged_anew = is_featured is not None and self._feature(transaction, actor, image_id, is_featured, now)
            if values or is_tagged_anew:
                self._change(transaction, actor, image_id, values, now, *(["tags"] if is_tagged_anew else []))

    def _feature(self, transaction: Transaction, actor: Actor, image_id: int, is_featured: bool, now: Instant) -> bool:
        """Whether that changed anything."""
        tag_id, is_new = records.ensure_tag(transaction, tag_records.FEATURED, now, description=_FEATURED_DESCRIPTION)
        if is_new:
            audit.record(transaction, actor, now, Event(Action.TAG_CREATE, subject=f"tag:{tag_id}"))
        carried = tag_records.of_images(transaction, [image_id]).get(image_id, ())
        if is_featured is any(tag.id == tag_id for tag in carried):
            return False
        if is_featured:
            tag_records.attach(transaction, image_id, tag_id)
        else:
            tag_records.detach(transaction, image_id, tag_id)
        return True

    def _change(
        self, transaction: Transaction, actor: Actor, image_id: int, values: dict[str, Any], now: Instant, *also: str
    ) -> None:
        """Write down columns that get another value. also: what else was changed, for the trail."""
        records.change(transaction, image_id, values, now)
        event = Event(Action.IMAGE_UPDATE, image_id, detail={"changed": sorted({*values, *also})})
        audit.record(transaction, actor, now, event)
