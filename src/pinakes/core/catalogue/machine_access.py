"""The first questions about one machine image: may the actor read it, change it, give it away?

The rule is the policy's. Each raises ImageUnknown for an image that may not be seen, as for one that is not there.
"""

from pinakes.core.access import policy
from pinakes.core.actor import Actor
from pinakes.core.catalogue import machine_records, records
from pinakes.core.catalogue.machine_records import MachineImage
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.errors import ImageUnknown, NotAllowed


def readable(connection: Executor, actor: Actor, image_id: int, now: Instant) -> MachineImage:
    """An image the actor may read."""
    image = machine_records.find(connection, actor, image_id, now)
    if image is None or not policy.may_read(actor, image.facts, now):
        raise ImageUnknown
    return image


def changeable(connection: Executor, actor: Actor, image_id: int, now: Instant) -> MachineImage:
    """An image the actor may change: for its people and staff. Raises NotAllowed."""
    image = readable(connection, actor, image_id, now)
    if not policy.may_change(actor, image.facts, now):
        raise NotAllowed
    return image


def overseen(connection: Executor, actor: Actor, image_id: int, now: Instant) -> MachineImage:
    """An image of which the actor may know everything: its author and staff. Raises NotAllowed."""
    image = readable(connection, actor, image_id, now)
    if not policy.may_oversee(actor, image.facts, now):
        raise NotAllowed("This is for the author of the image, and for staff.")
    return image


def held(transaction: Transaction, actor: Actor, image_id: int, now: Instant) -> MachineImage:
    """`changeable`, and nobody else changes or removes it until the transaction ends. Raises NotAllowed."""
    _hold(transaction, image_id)
    return changeable(transaction, actor, image_id, now)


def held_by_its_own(transaction: Transaction, actor: Actor, image_id: int, now: Instant) -> MachineImage:
    """`overseen`, likewise: not for the other people of its namespace. Raises NotAllowed."""
    _hold(transaction, image_id)
    return overseen(transaction, actor, image_id, now)


def held_by_staff(transaction: Transaction, actor: Actor, image_id: int, now: Instant) -> MachineImage:
    """`readable`, likewise, for staff alone. Raises NotAllowed."""
    _hold(transaction, image_id)
    image = readable(transaction, actor, image_id, now)
    if not actor.is_staff:
        raise NotAllowed("This is for staff.")
    return image


def _hold(transaction: Transaction, image_id: int) -> None:
    if not records.hold(transaction, image_id):
        raise ImageUnknown
