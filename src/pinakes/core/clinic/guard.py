"""The one question every operation of the clinic asks first.

Every user of the kind `clinical` may do everything, as far as the token's scope goes: patients, clinics and the rest
fall under the scope's word `image` (DESIGN.md section 2, tscharts contract G17).
"""

from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource


def require(actor: Actor, permission: Permission) -> int:
    """The id of the user who asks. Raises Unauthenticated, KindMissing, ScopeMissing."""
    return require_user(actor, Kind.CLINICAL, Resource.IMAGE, permission)
