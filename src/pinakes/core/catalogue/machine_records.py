"""The SQL of machine images, and of the names by which Djinn CI shows them.

A list comes from an index in its own order: by holder, by root namespace or by namespace, then by name. One's own
images and those of each shared root are read in branches, each no further than the page, and merged; so a page costs
the same however many images there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, insert, or_, select, union_all, update
from sqlalchemy.exc import IntegrityError

from pinakes.core.access import policy
from pinakes.core.access.people import PERSON_WIDTH, Person, person_columns
from pinakes.core.access.policy import ImageFacts
from pinakes.core.actor import Actor, Kind, Visibility
from pinakes.core.catalogue.records import VERSION_COLUMNS, Version, version_of
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import collaborators, djinn_names, downloads, images, namespaces, users, versions
from pinakes.core.errors import NameTaken
from pinakes.core.namespaces.places import Place
from pinakes.core.namespaces.records import Namespace, namespace_columns, namespace_of, with_parents
from pinakes.core.page import PageRequest, contains_search


@dataclass(frozen=True, slots=True)
class Download:
    """How the content of an image, or of one version, is or was fetched from a URL.

    source: the URL, its password replaced.   error: why it failed, for people.
    started_at, finished_at: None until then.
    """

    source: str
    error: str | None
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None


@dataclass(frozen=True, slots=True)
class MachineImage:
    """A machine image as one actor sees it.

    ci_name: under which Djinn CI shows it; None for one it does not show.
    version: the one the name was given to; without a name the newest that has content. None while there is none, as
    of an image that is still being fetched.
    download: for an image that was made to be fetched from a URL.
    """

    id: int
    uid: str
    name: str
    ci_name: str | None
    created_at: Instant
    modified_at: Instant
    author: Person
    namespace: Namespace | None
    version: Version | None
    facts: ImageFacts
    download: Download | None

    @property
    def owner(self) -> Person:
        """Of the namespace it lies in; else the author."""
        return self.namespace.owner if self.namespace else self.author


DOWNLOAD_COLUMNS = tuple(downloads.c[name] for name in Download.__dataclass_fields__)
"""The columns that make a Download, in order."""

_place = namespaces.alias("place")
_place_owner = users.alias("place_owner")
_author = users.alias("author")
_newest = versions.alias("newest")

_OWN_COLUMNS = (
    images.c.id,
    images.c.uid,
    images.c.name,
    djinn_names.c.name,
    images.c.created_at,
    images.c.modified_at,
    images.c.visibility,
    images.c.end_at,
    policy.is_collaborator(_place.c.root_id),
    policy.is_granted(),
)
_AUTHOR = len(_OWN_COLUMNS)
_VERSION = _AUTHOR + PERSON_WIDTH
_DOWNLOAD = _VERSION + len(VERSION_COLUMNS)
_NAMESPACE = _DOWNLOAD + len(DOWNLOAD_COLUMNS)

_NEWEST_ID = (
    select(func.max(_newest.c.id))
    .where(_newest.c.image_id == images.c.id, _newest.c.digest.is_not(None))
    .correlate(images)
)
# A name shows the version it was given to, and nothing while it waits for one: others may be of any format.
_SHOWN_ID = case(
    (djinn_names.c.image_id.is_(None), _NEWEST_ID.scalar_subquery()),
    else_=djinn_names.c.version_id,
)
_ROWS = select(
    *_OWN_COLUMNS,
    *person_columns(_author),
    *VERSION_COLUMNS,
    *DOWNLOAD_COLUMNS,
    *namespace_columns(_place, _place_owner),
).select_from(
    images.join(_author, _author.c.id == images.c.author_id)
    .outerjoin(djinn_names, djinn_names.c.image_id == images.c.id)
    .outerjoin(versions, versions.c.id == _SHOWN_ID)
    .outerjoin(downloads, and_(downloads.c.image_id == images.c.id, downloads.c.version_id.is_(None)))
    .outerjoin(_place, _place.c.id == images.c.namespace_id)
    .outerjoin(_place_owner, _place_owner.c.id == _place.c.owner_id)
)
_FIND = Query(_ROWS.where(images.c.id == bindparam("image_id"), images.c.kind == Kind.MACHINE.value))


def find(connection: Executor, actor: Actor, image_id: int, now: Instant) -> MachineImage | None:
    """The machine image, whether or not the actor may read it; ask the policy."""
    found = _images(connection, _FIND, policy.parameters(actor, now) | {"image_id": image_id})
    return found[0] if found else None


def _images(connection: Executor, query: Query, parameters: Mapping[str, Any]) -> list[MachineImage]:
    found = [_image_of(row) for row in query.all(connection, parameters)]
    inside = {image.namespace.id: image.namespace for image in found if image.namespace}
    if not any(namespace.parent_id for namespace in inside.values()):
        return found
    whole = {namespace.id: namespace for namespace in with_parents(connection, list(inside.values()))}
    return [replace(image, namespace=whole[image.namespace.id]) if image.namespace else image for image in found]


def _image_of(row: Sequence[Any]) -> MachineImage:
    image_id, uid, name, ci_name, created_at, modified_at, visibility, end_at, is_collaborator, is_granted = row[
        :_AUTHOR
    ]
    author = Person(*row[_AUTHOR:_VERSION])
    namespace = None if row[_NAMESPACE] is None else namespace_of(row[_NAMESPACE:])
    facts = ImageFacts(
        Kind.MACHINE,
        author.id,
        namespace.visibility if namespace else Visibility(visibility),
        end_at,
        namespace.owner.id if namespace else None,
        bool(is_collaborator),
        bool(is_granted),
    )
    version = version_of(row[_VERSION:_DOWNLOAD])
    download = None if row[_DOWNLOAD] is None else Download(*row[_DOWNLOAD:_NAMESPACE])
    return MachineImage(
        image_id, uid, name, ci_name, created_at, modified_at, author, namespace, version, facts, download
    )


# -- Lists --------------------------------------------------------------------------------------------------------

_MOST_BRANCHES = 256  # SQLite takes 500
_BY_NAME = (djinn_names.c.name, djinn_names.c.image_id)
_SHARED_ROOTS = select(collaborators.c.root_id).where(collaborators.c.user_id == policy.ACTOR_ID)


def mine_and_shared(
    connection: Executor, actor: Actor, roots: Sequence[int], now: Instant, page: PageRequest
) -> list[MachineImage]:
    """What the actor holds, and what lies in these shared roots, by name."""
    branches = _padded(len(roots))
    parameters = policy.parameters(actor, now) | page.parameters()
    parameters |= {f"root_{number}": 0 for number in range(branches)}  # no namespace has the id 0
    if branches <= _MOST_BRANCHES:
        parameters |= {f"root_{number}": root_id for number, root_id in enumerate(roots)}
    return _images(connection, _mine_and_shared(branches, bool(page.search)), parameters)


def in_namespace(
    connection: Executor, actor: Actor, namespace_id: int, now: Instant, page: PageRequest
) -> list[MachineImage]:
    """What lies in a namespace itself, by name."""
    parameters = policy.parameters(actor, now) | page.parameters() | {"namespace_id": namespace_id}
    return _images(connection, _in_namespace(bool(page.search)), parameters)


def _padded(count: int) -> int:
    """The next power of two, so that few different statements are made and kept; one more than the most if beyond."""
    if count > _MOST_BRANCHES:
        return _MOST_BRANCHES + 1
    return 1 << (count - 1).bit_length() if count else 0


@cache
def _mine_and_shared(branches: int, is_search: bool) -> Query:
    mine = djinn_names.c.holder_id == policy.ACTOR_ID
    if branches > _MOST_BRANCHES:
        return _page_of(_names(or_(mine, djinn_names.c.root_id.in_(_SHARED_ROOTS)), is_search))
    if branches == 0:
        return _page_of(_names(mine, is_search))
    shared = [djinn_names.c.root_id == bindparam(f"root_{number}") for number in range(branches)]
    parts = [_names(condition, is_search).limit(bindparam("page_end")).subquery() for condition in (mine, *shared)]
    merged = union_all(*(select(part.c.name, part.c.image_id) for part in parts)).subquery()
    return _page_of(select(merged.c.name, merged.c.image_id).order_by(merged.c.name, merged.c.image_id))


@cache
def _in_namespace(is_search: bool) -> Query:
    return _page_of(_names(djinn_names.c.namespace_id == bindparam("namespace_id"), is_search))


def _names(condition: ColumnElement[bool], is_search: bool) -> Select[Any]:
    """Names and image ids in the order of a list. The condition picks what the policy lets the actor read."""
    statement = select(*_BY_NAME).join(images, images.c.id == djinn_names.c.image_id)
    statement = statement.where(condition, policy.IS_ACTIVE).order_by(*_BY_NAME)
    return statement.where(contains_search(djinn_names.c.name)) if is_search else statement


def _page_of(names: Select[Any]) -> Query:
    """The images of one page. The policy is asked again: what a condition let through by mistake is not shown."""
    page = names.limit(bindparam("page_limit")).offset(bindparam("page_offset")).subquery("page")
    whole = _ROWS.join(page, page.c.image_id == images.c.id).where(policy.READABLE)
    return Query(whole.order_by(page.c.name, page.c.image_id))


# -- Names --------------------------------------------------------------------------------------------------------

_IN_USE = select(djinn_names.c.image_id).where(djinn_names.c.name == bindparam("name"))
_IN_USE_OUTSIDE = Query(
    _IN_USE.where(
        djinn_names.c.author_id == bindparam("author_id"),
        djinn_names.c.namespace_id.is_(None),
        djinn_names.c.is_claimed,
    )
)
_IN_USE_INSIDE = Query(_IN_USE.where(djinn_names.c.namespace_id == bindparam("namespace_id")))
_CLAIM = insert(djinn_names)


def is_taken(connection: Executor, author_id: int, place: Place | None, name: str) -> bool:
    """Whether an image holds the name there: in the place, or among the author's images outside namespaces."""
    if place is None:
        return _IN_USE_OUTSIDE.first(connection, {"name": name, "author_id": author_id}) is not None
    return _IN_USE_INSIDE.first(connection, {"name": name, "namespace_id": place.id}) is not None


def claim(
    transaction: Transaction, author_id: int, place: Place | None, name: str, image_id: int, version_id: int | None
) -> None:
    """Give an image a name; without a version until there is one.

    Raises NameTaken, after which the transaction can only be rolled back.
    """
    row = {
        "image_id": image_id,
        "name": name,
        "version_id": version_id,
        "author_id": author_id,
        "namespace_id": place.id if place else None,
        "root_id": place.root_id if place else None,
        "holder_id": place.owner_id if place else author_id,
        "is_claimed": True,
    }
    try:
        transaction.execute(_CLAIM, row)
    except IntegrityError as exc:
        raise NameTaken(name) from exc


_WAITING = Query(
    select(djinn_names.c.name).where(
        djinn_names.c.image_id == bindparam("image_id"), djinn_names.c.version_id.is_(None)
    )
)


def has_waiting_name(connection: Executor, image_id: int) -> bool:
    """Whether an image has a name that was not given to a version yet."""
    return _WAITING.first(connection, {"image_id": image_id}) is not None


_GIVE = (
    update(djinn_names)
    .where(djinn_names.c.image_id == bindparam("named_id"), djinn_names.c.version_id.is_(None))
    .values(version_id=bindparam("given_id"))
)


def give_name(transaction: Transaction, image_id: int, version_id: int) -> None:
    """Give the name that an image has been waiting under to its version; nothing for an image without a name."""
    transaction.execute(_GIVE, {"named_id": image_id, "given_id": version_id})
