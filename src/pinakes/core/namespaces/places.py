"""Where an image is put: from the path a client names to the namespace it means, made on the way if need be."""

import enum
from dataclasses import dataclass

from pinakes.core import audit
from pinakes.core.access import policy, users
from pinakes.core.actor import Actor
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.errors import InvalidFields, Unauthenticated
from pinakes.core.namespaces import records, tree
from pinakes.core.namespaces.paths import NamespacePath
from pinakes.core.namespaces.records import Found
from pinakes.core.namespaces.tree import Level

FIELD = "namespace"


class PlaceReason(enum.StrEnum):
    """Why nothing can be put there. Whether the namespace or its owner exist is not told."""

    CLOSED = "is not one you may add to"


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace to put something into, its root, and whose they are."""

    id: int
    root_id: int
    owner_id: int


def find_place(connection: Executor, actor: Actor, path: NamespacePath) -> Place | None:
    """The place a path means; None if it is the actor's own to make.

    Raises InvalidFields with PlaceReason.CLOSED for an unknown owner and for what is not open to the actor.
    """
    owner_id = _owner_id(connection, actor, path)
    return _open_place(actor, owner_id, records.find_by_path(connection, actor, owner_id, path.path))


def ensure_place(transaction: Transaction, actor: Actor, path: NamespacePath, now: Instant) -> Place:
    """The same, with the missing levels made: private ones, or as visible as the root they come under.

    Nobody else changes a namespace of that owner before the transaction ends. Raises as `find_place`.
    """
    owner_id = _owner_id(transaction, actor, path)
    tree.lock(transaction, owner_id)
    place = _open_place(actor, owner_id, records.find_by_path(transaction, actor, owner_id, path.path))
    if place is not None:
        return place
    level = _make_levels(transaction, actor, owner_id, path, now)
    return Place(level.id, level.root_id, owner_id)


def _make_levels(transaction: Transaction, actor: Actor, owner_id: int, path: NamespacePath, now: Instant) -> Level:
    existing = tree.levels(transaction, owner_id, path.prefixes)
    level: Level | None = None
    for prefix in path.prefixes:
        if prefix in existing:
            level = existing[prefix]
        else:
            level = tree.add(transaction, owner_id, prefix, level, now)
            audit.record(transaction, actor, now, Event(Action.NAMESPACE_CREATE, subject=f"namespace:{level.id}"))
    assert level is not None  # a path has at least one level
    return level


def _owner_id(connection: Executor, actor: Actor, path: NamespacePath) -> int:
    if actor.user_id is None:
        raise Unauthenticated
    if path.owner is None:
        return actor.user_id
    owner = users.find_by_name(connection, path.owner)
    if owner is None:
        raise _closed()
    return owner.id


def _open_place(actor: Actor, owner_id: int, found: Found | None) -> Place | None:
    if found is None:
        if owner_id != actor.user_id:
            raise _closed()
        return None
    if not policy.may_use_namespace(actor, found.facts):
        raise _closed()
    return Place(found.namespace.id, found.namespace.root_id, owner_id)


def _closed() -> InvalidFields:
    return InvalidFields.one(FIELD, PlaceReason.CLOSED)
