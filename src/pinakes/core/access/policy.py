"""Who may see and change an image: written once, for one image in Python and for many in SQL (DESIGN.md rule 4).

    kind      may read                                                      may change and delete
    clinical  every user of the kind                                        the same
    slide     owner, holder of a grant, staff                               owner, staff
    machine   outside a namespace: author                                   author
              inside one: owner and collaborators of the root               the same
              both: visibility public (anyone), internal (users of          staff
              the kind); with whom it is shared; staff

A machine image is shared with who holds a grant; with the members of a group that holds one, or that is a member of
one of its versions; and with whom a pattern of the image that allows matches by name or e-mail address, unless a
pattern of the image that denies matches too: denying takes back what patterns give, and nothing else. Patterns stay
the author's to change, so they count only while the author has a say in the namespace the image lies in. A slide is
shared by grants only. Grants of users and of groups may expire.

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

from sqlalchemy import ColumnElement, and_, bindparam, case, exists, or_, select

from pinakes.core.actor import Actor, Kind, Visibility
from pinakes.core.clock import Instant
from pinakes.core.db.schema import (
    collaborators,
    grants,
    group_grants,
    group_members,
    image_patterns,
    images,
    namespaces,
    patterns,
    users,
    version_memberships,
    versions,
)
from pinakes.core.text import fold


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the rule needs to know of one image, seen by one actor.

    visibility: the root namespace's for an image in one, else its own.
    root_owner_id: owner of the root namespace; None outside.
    is_collaborator: the actor is one, of the root namespace.
    is_granted: it is shared with the actor, in one of the ways told above, and that has not expired.
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


def may_edit(actor: Actor, image: ImageFacts, now: Instant) -> bool:
    """Whether the actor is the image's creator and may change it; staff does not count (atmosphere contract E2)."""
    return image.author_id == actor.user_id and may_change(actor.as_plain_user(), image, now)


def may_oversee(actor: Actor, image: ImageFacts, now: Instant) -> bool:
    """Whether the actor sees its ended versions, and with whom it is shared: the creator and staff.

    Atmosphere contract D10, D12, N1. Implies `may_read`.
    """
    return _is_staff(actor, image.kind) or may_edit(actor, image, now)


def may_see_identity(actor: Actor, image: ImageFacts, now: Instant) -> bool:
    """Whether the actor may see what in the file tells who is shown: the label of a slide, the place of a photograph.

    Those who may change the image: of slides not those they are merely shared with. Every user of clinical images
    knows the patient anyway. Nobody who comes with a view link, which may have been passed on. Implies `may_read`.
    """
    return actor.may_identify and may_change(actor, image, now)


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


# Aliases keep these tables apart from the enclosing statement's own.
_GRANT = grants.alias("policy_grant")
_GROUP_GRANT = group_grants.alias("policy_group_grant")
_MEMBER = group_members.alias("policy_member")
_VERSION = versions.alias("policy_version")
_MEMBERSHIP = version_memberships.alias("policy_membership")
_ATTACHED = image_patterns.alias("policy_attached")
_PATTERN = patterns.alias("policy_pattern")

_HOLDS_GRANT = (
    exists()
    .where(
        _GRANT.c.image_id == images.c.id,
        _GRANT.c.user_id == ACTOR_ID,
        or_(_GRANT.c.expires_at.is_(None), _GRANT.c.expires_at > NOW),
    )
    .correlate(images)
)
_IN_ANY_GROUP = exists().where(_MEMBER.c.user_id == ACTOR_ID).correlate(None)
"""Asked once a statement: who is in no group is spared the two questions that follow, for each image."""
_GROUP_HOLDS_GRANT = (
    exists()
    .where(
        _GROUP_GRANT.c.image_id == images.c.id,
        or_(_GROUP_GRANT.c.expires_at.is_(None), _GROUP_GRANT.c.expires_at > NOW),
        _MEMBER.c.group_id == _GROUP_GRANT.c.group_id,
        _MEMBER.c.user_id == ACTOR_ID,
    )
    .correlate(images)
)
_GROUP_IS_MEMBER = (
    exists()
    .where(
        _VERSION.c.image_id == images.c.id,
        _MEMBERSHIP.c.version_id == _VERSION.c.id,
        _MEMBER.c.group_id == _MEMBERSHIP.c.group_id,
        _MEMBER.c.user_id == ACTOR_ID,
    )
    .correlate(images)
)
_SUBJECT = case(
    (_PATTERN.c.subject == "name", bindparam("actor_name", type_=users.c.name_folded.type)),
    else_=bindparam("actor_email", type_=users.c.email_folded.type),
)


def _pattern_matches(allows: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether one of the patterns of the image, of those that allow or of those that do not, matches the caller."""
    return (
        exists()
        .where(
            _ATTACHED.c.image_id == images.c.id,
            _PATTERN.c.id == _ATTACHED.c.pattern_id,
            allows,
            _SUBJECT.like(_PATTERN.c.like_folded, escape="\\"),
        )
        .correlate(images)
    )


def is_collaborator(root_id: ColumnElement[int], user_id: ColumnElement[int] = ACTOR_ID) -> ColumnElement[bool]:
    """Whether the caller, or the user of that id, collaborates in the root namespace of that id."""
    found = exists().where(collaborators.c.root_id == root_id, collaborators.c.user_id == user_id)
    return found.correlate_except(collaborators)


def _root_where(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return ROOT_OF_IMAGE.where(*conditions).correlate(images).exists()


_IN_NAMESPACE = images.c.namespace_id.is_not(None)
_AUTHOR_HAS_A_SAY = or_(
    ~_IN_NAMESPACE,
    _root_where(or_(_ROOT.c.owner_id == images.c.author_id, is_collaborator(_ROOT.c.id, images.c.author_id))),
)
_IS_SHARED = or_(
    _HOLDS_GRANT,
    and_(_IN_ANY_GROUP, or_(_GROUP_HOLDS_GRANT, _GROUP_IS_MEMBER)),
    and_(
        ACTOR_ID != 0,
        _pattern_matches(_PATTERN.c.allows),
        ~_pattern_matches(~_PATTERN.c.allows),
        _AUTHOR_HAS_A_SAY,
    ),
)


def is_granted() -> ColumnElement[bool]:
    """Whether the image of the enclosing statement is shared with the caller: `ImageFacts.is_granted`."""
    return case((images.c.kind == Kind.MACHINE.value, _IS_SHARED), else_=_HOLDS_GRANT)


def _flag(name: str) -> ColumnElement[bool]:
    return bindparam(name, type_=images.c.id.type) == 1


IS_ACTIVE = or_(images.c.end_at.is_(None), images.c.end_at > NOW)
"""`not ImageFacts.is_ended`: what lists add where an ended image is off the list for its author too."""
_IS_AUTHOR = images.c.author_id == ACTOR_ID
_SEES_INTERNAL = _flag("has_machine")

_IS_AMONG_ITS_PEOPLE = or_(_ROOT.c.owner_id == ACTOR_ID, is_collaborator(_ROOT.c.id))

_MACHINE_READABLE = or_(
    and_(~_IN_NAMESPACE, images.c.visibility == Visibility.PUBLIC.value),
    and_(~_IN_NAMESPACE, _SEES_INTERNAL, or_(images.c.visibility == Visibility.INTERNAL.value, _IS_AUTHOR)),
    and_(_IN_NAMESPACE, _root_where(_ROOT.c.visibility == Visibility.PUBLIC.value)),
    and_(
        _IN_NAMESPACE,
        _SEES_INTERNAL,
        _root_where(or_(_ROOT.c.visibility == Visibility.INTERNAL.value, _IS_AMONG_ITS_PEOPLE)),
    ),
    and_(_SEES_INTERNAL, _IS_SHARED),
)

# Alternatives, no CASE: SQLite leaves off at the first that holds only where no value of the whole is asked for.
_IS_CLINICAL = images.c.kind == Kind.CLINICAL.value
_IS_SLIDE = images.c.kind == Kind.SLIDE.value
_IS_MACHINE = images.c.kind == Kind.MACHINE.value

_HAS_KIND = or_(
    and_(_IS_CLINICAL, _flag("has_clinical")),
    and_(_IS_MACHINE, _flag("has_machine")),
    and_(_IS_SLIDE, _flag("has_slide")),
)

_IS_STAFF = and_(_flag("is_staff"), _HAS_KIND)

READABLE: ColumnElement[bool] = or_(
    _IS_STAFF,
    and_(~IS_ACTIVE, _HAS_KIND, _IS_AUTHOR),
    and_(
        IS_ACTIVE,
        or_(
            and_(_IS_CLINICAL, _flag("has_clinical")),
            and_(_IS_SLIDE, _flag("has_slide"), or_(_IS_AUTHOR, _HOLDS_GRANT)),
            and_(_IS_MACHINE, _MACHINE_READABLE),
        ),
    ),
)
"""`may_read`, for a WHERE over `images`. Give the statement `parameters(actor, now)`."""

OVERSEEN: ColumnElement[bool] = or_(
    _IS_STAFF,
    and_(_IS_AUTHOR, _HAS_KIND, or_(~IS_ACTIVE, ~_IN_NAMESPACE, _root_where(_IS_AMONG_ITS_PEOPLE))),
)
"""`may_oversee`, likewise."""


def parameters(actor: Actor, now: Instant) -> dict[str, Any]:
    """What READABLE and its parts are bound to."""
    return {
        "actor_id": actor.user_id or 0,  # ids start at 1: nobody is 0
        "actor_name": fold(actor.name),
        "actor_email": fold(actor.email),
        "now": now,
        "is_staff": int(actor.is_staff),
        "has_clinical": int(actor.has_kind(Kind.CLINICAL)),
        "has_machine": int(actor.has_kind(Kind.MACHINE)),
        "has_slide": int(actor.has_kind(Kind.SLIDE)),
    }
