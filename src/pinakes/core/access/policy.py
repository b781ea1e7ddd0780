"""Who may see and change an image: written once, for one image in Python and for many in SQL (DESIGN.md rule 4).

    kind      may read                                                      may change and delete
    clinical  every user of the kind                                        the same
    slide     owner, holder of a grant, staff                               owner, staff
    machine   outside a namespace: author                                   author
              inside one: owner and collaborators of the root               the same
              both: visibility public (anyone), internal (users of          staff
              the kind); holder of a grant; staff

An ended image is seen by its author and staff only. Staff counts only inside the user's own kinds; an API in which it
does not count passes `actor.as_plain_user()`. A user without the kind sees what an anonymous caller sees.
Inside a namespace its people decide: an author who is no longer a collaborator has no special right there.

    namespace   may read                                  may add and remove images    may rename, share, delete
                owner and collaborators of the root;      owner and collaborators      owner, staff
                visibility as for machine images; staff   of the root, staff

`tests/core/access/test_policy.py` holds the property that `may_read` and `READABLE` agree.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, exists, false, or_, select

from pinakes.core.actor import Actor, Kind, Visibility
from pinakes.core.clock import Instant
from pinakes.core.db.schema import collaborators, grants, images, namespaces


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the rule needs to know of one image, seen by one actor.

    visibility: the root namespace's for an image in one, else its own.
    root_owner_id: owner of the root namespace; None outside.
    is_collaborator: the actor is one, of the root namespace.
    is_granted: the actor holds a grant that has not expired.
    """

    kind: Kind
    author_id: int
    visibility: Visibility
    end_at: Instant | None
    root_owner_id: int | None
    is_collaborator: bool
    is_granted: bool

    def is_ended(self, now: Instant) -> bool:
        return self.end_at is not None and self.end_at <= now


def may_read(actor: Actor, image: ImageFacts, now: Instant) -> bool:
    """Whether the actor may see the image and its content."""
    if _is_staff(actor, image.kind):
        return True
    if image.is_ended(now):
        return actor.has_kind(image.kind) and image.author_id == actor.user_id
    match image.kind:
        case Kind.CLINICAL:
            return actor.has_kind(Kind.CLINICAL)
        case Kind.SLIDE:
            return actor.has_kind(Kind.SLIDE) and (image.author_id == actor.user_id or image.is_granted)
        case Kind.MACHINE:
            return image.visibility is Visibility.PUBLIC or (
                actor.has_kind(Kind.MACHINE)
                and (image.visibility is Visibility.INTERNAL or image.is_granted or _is_among_people(actor, image))
            )


def may_change(actor: Actor, image: ImageFacts, now: Instant) -> bool:
    """Whether the actor may change or delete the image. Implies `may_read`."""
    if _is_staff(actor, image.kind):
        return True
    if not actor.has_kind(image.kind) or not may_read(actor, image, now):
        return False
    match image.kind:
        case Kind.CLINICAL:
            return True
        case Kind.SLIDE:
            return image.author_id == actor.user_id
        case Kind.MACHINE:
            return image.author_id == actor.user_id if image.is_ended(now) else _is_among_people(actor, image)


def _is_staff(actor: Actor, kind: Kind) -> bool:
    return actor.is_staff and actor.has_kind(kind)


def _is_among_people(actor: Actor, image: ImageFacts) -> bool:
    if image.root_owner_id is None:
        return image.author_id == actor.user_id
    return image.is_collaborator or image.root_owner_id == actor.user_id


def is_among_people(actor: Actor, image: ImageFacts) -> bool:
    """Whether a machine image is the actor's own, or lies in a namespace of which the actor is one of the people."""
    return actor.has_kind(Kind.MACHINE) and _is_among_people(actor, image)


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """What the rule needs to know of one namespace, seen by one actor; owner and visibility are its root's too.

    is_collaborator: the actor is one, of the root namespace.
    """

    owner_id: int
    visibility: Visibility
    is_collaborator: bool


def may_read_namespace(actor: Actor, namespace: NamespaceFacts) -> bool:
    """Whether the actor may see the namespace and what it lists. The images in it answer alike (`may_read`)."""
    if namespace.visibility is Visibility.PUBLIC or may_use_namespace(actor, namespace):
        return True
    return namespace.visibility is Visibility.INTERNAL and actor.has_kind(Kind.MACHINE)


def may_use_namespace(actor: Actor, namespace: NamespaceFacts) -> bool:
    """Whether the actor may add images to the namespace."""
    if may_own_namespace(actor, namespace):
        return True
    return namespace.is_collaborator and actor.has_kind(Kind.MACHINE)


def may_own_namespace(actor: Actor, namespace: NamespaceFacts) -> bool:
    """Whether the actor may change, share or delete the namespace."""
    return actor.has_kind(Kind.MACHINE) and (namespace.owner_id == actor.user_id or actor.is_staff)


# -- The same rule as SQL -----------------------------------------------------------------------------------------
# Statements are built once, so what depends on the caller comes in as parameters: see `parameters`.

ACTOR_ID = bindparam("actor_id", type_=images.c.author_id.type)
NOW = bindparam("now", type_=images.c.end_at.type)

_ROOT = namespaces.alias("policy_root")
_PLACE = namespaces.alias("policy_place")

ROOT_OF_IMAGE = (
    select(_ROOT.c.id)
    .select_from(_PLACE.join(_ROOT, _ROOT.c.id == _PLACE.c.root_id))
    .where(_PLACE.c.id == images.c.namespace_id)
)
"""The root namespace of the image in the enclosing statement; none outside a namespace."""


def is_granted() -> ColumnElement[bool]:
    """Whether the caller holds a grant on the image of the enclosing statement."""
    return exists().where(
        grants.c.image_id == images.c.id,
        grants.c.user_id == ACTOR_ID,
        or_(grants.c.expires_at.is_(None), grants.c.expires_at > NOW),
    )


def is_collaborator(root_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether the caller collaborates in the root namespace of that id."""
    return exists().where(collaborators.c.root_id == root_id, collaborators.c.user_id == ACTOR_ID)


def _root_where(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return ROOT_OF_IMAGE.where(*conditions).correlate(images).exists()


def _flag(name: str) -> ColumnElement[bool]:
    return bindparam(name, type_=images.c.id.type) == 1


IS_ACTIVE = or_(images.c.end_at.is_(None), images.c.end_at > NOW)
"""`not ImageFacts.is_ended`: what lists add where an ended image is off the list for its author too."""
_IS_AUTHOR = images.c.author_id == ACTOR_ID
_IN_NAMESPACE = images.c.namespace_id.is_not(None)
_SEES_INTERNAL = _flag("has_machine")

_MACHINE_READABLE = or_(
    and_(~_IN_NAMESPACE, images.c.visibility == Visibility.PUBLIC.value),
    and_(~_IN_NAMESPACE, _SEES_INTERNAL, or_(images.c.visibility == Visibility.INTERNAL.value, _IS_AUTHOR)),
    and_(_IN_NAMESPACE, _root_where(_ROOT.c.visibility == Visibility.PUBLIC.value)),
    and_(
        _IN_NAMESPACE,
        _SEES_INTERNAL,
        _root_where(
            or_(
                _ROOT.c.visibility == Visibility.INTERNAL.value,
                _ROOT.c.owner_id == ACTOR_ID,
                is_collaborator(_ROOT.c.id),
            )
        ),
    ),
    and_(_SEES_INTERNAL, is_granted()),
)

_HAS_KIND = case(
    (images.c.kind == Kind.CLINICAL.value, _flag("has_clinical")),
    (images.c.kind == Kind.MACHINE.value, _flag("has_machine")),
    (images.c.kind == Kind.SLIDE.value, _flag("has_slide")),
    else_=false(),
)

READABLE: ColumnElement[bool] = or_(
    and_(_flag("is_staff"), _HAS_KIND),
    and_(~IS_ACTIVE, _HAS_KIND, _IS_AUTHOR),
    and_(
        IS_ACTIVE,
        case(
            (images.c.kind == Kind.CLINICAL.value, _flag("has_clinical")),
            (images.c.kind == Kind.SLIDE.value, and_(_flag("has_slide"), or_(_IS_AUTHOR, is_granted()))),
            (images.c.kind == Kind.MACHINE.value, _MACHINE_READABLE),
            else_=false(),
        ),
    ),
)
"""`may_read`, for a WHERE over `images`. Give the statement `parameters(actor, now)`."""


def parameters(actor: Actor, now: Instant) -> dict[str, Any]:
    """What READABLE and its parts are bound to."""
    return {
        "actor_id": actor.user_id or 0,  # ids start at 1: nobody is 0
        "now": now,
        "is_staff": int(actor.is_staff),
        "has_clinical": int(actor.has_kind(Kind.CLINICAL)),
        "has_machine": int(actor.has_kind(Kind.MACHINE)),
        "has_slide": int(actor.has_kind(Kind.SLIDE)),
    }
