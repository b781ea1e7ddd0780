"""The first questions of an operation: is there a user, of the kind, and does the token's scope go so far?"""

from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.errors import KindMissing, ScopeMissing, Unauthenticated


def require_user(actor: Actor, kind: Kind, resource: Resource, permission: Permission) -> int:
    """The id of the user who asks. Raises Unauthenticated, KindMissing, ScopeMissing."""
    if actor.user_id is None:
        raise Unauthenticated
    if not actor.has_kind(kind):
        raise KindMissing
    return require_account(actor, resource, permission)


def require_account(actor: Actor, resource: Resource, permission: Permission) -> int:
    """The same for what has nothing to do with kinds. Raises Unauthenticated, ScopeMissing."""
    if actor.user_id is None:
        raise Unauthenticated
    require_scope(actor, resource, permission)
    return actor.user_id


def require_scope(actor: Actor, resource: Resource, permission: Permission) -> None:
    """For what an anonymous caller may ask for too. Raises ScopeMissing."""
    if not actor.may(resource, permission):
        raise ScopeMissing
