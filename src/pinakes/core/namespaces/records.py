"""The SQL of looking at namespaces: finding and listing them, with owners and parents filled in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, FromClause, bindparam, or_, select

from pinakes.core.access import policy
from pinakes.core.access.people import PERSON_WIDTH, Person, person_columns
from pinakes.core.access.policy import NamespaceFacts
from pinakes.core.actor import Actor, Visibility
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor
from pinakes.core.db.query import Query
from pinakes.core.db.schema import collaborators, namespaces, users
from pinakes.core.page import PageRequest, contains_search


@dataclass(frozen=True, slots=True)
class Namespace:
    """One level of a tree. parent: the level above with its own parents; None for a root.

    visibility: its root's.   path: from the root's name to its own, with slashes between.
    """

    id: int
    parent_id: int | None
    root_id: int
    name: str
    path: str
    description: str
    visibility: Visibility
    created_at: Instant
    owner: Person
    parent: "Namespace | None" = None

    def facts(self, *, is_collaborator: bool) -> NamespaceFacts:
        return NamespaceFacts(self.owner.id, self.visibility, is_collaborator)


@dataclass(frozen=True, slots=True)
class Found:
    """A namespace, and whether the actor who asked collaborates in its root."""

    namespace: Namespace
    is_collaborator: bool

    @property
    def facts(self) -> NamespaceFacts:
        return self.namespace.facts(is_collaborator=self.is_collaborator)


def namespace_columns(table: FromClause, owner: FromClause) -> Sequence[ColumnElement[Any]]:
    """The columns of `namespaces` and `users`, or of aliases of them, that make a Namespace, in order."""
    names = ("id", "parent_id", "root_id", "name", "path", "description", "visibility", "created_at")
    return [*(table.c[name] for name in names), *person_columns(owner)]


NAMESPACE_WIDTH = 8 + PERSON_WIDTH
"""How many columns `namespace_columns` gives."""


def namespace_of(row: Sequence[Any]) -> Namespace:
    """A namespace, without its parents, from a row of `namespace_columns`."""
    namespace_id, parent_id, root_id, name, path, description, visibility, created_at = row[:8]
    owner = Person(*row[8:NAMESPACE_WIDTH])
    return Namespace(
        namespace_id, parent_id, root_id, name, path, description, Visibility(visibility), created_at, owner
    )


_owner = users.alias("owner")
_COLUMNS = namespace_columns(namespaces, _owner)
_FROM = namespaces.join(_owner, _owner.c.id == namespaces.c.owner_id)
_IS_COLLABORATOR = policy.is_collaborator(namespaces.c.root_id)

_FIND = select(*_COLUMNS, _IS_COLLABORATOR).select_from(_FROM)
_HAS_PATH = namespaces.c.path == bindparam("path")
_BY_ID = Query(_FIND.where(namespaces.c.id == bindparam("namespace_id")))
_BY_PATH = Query(_FIND.where(namespaces.c.owner_id == bindparam("owner_id"), _HAS_PATH))
_BY_OWNER_NAME = Query(_FIND.where(_owner.c.name_folded == bindparam("owner_folded"), _HAS_PATH))
_ABOVE = (
    select(*_COLUMNS)
    .select_from(_FROM)
    .where(
        namespaces.c.owner_id.in_(bindparam("owner_ids", expanding=True)),
        namespaces.c.path.in_(bindparam("paths", expanding=True)),
    )
)


def find(connection: Executor, actor: Actor, namespace_id: int) -> Found | None:
    """Whether or not the actor may see it; ask the policy."""
    return _found(connection, _BY_ID, {"namespace_id": namespace_id, "actor_id": actor.user_id or 0})


def find_by_path(connection: Executor, actor: Actor, owner_id: int, path: str) -> Found | None:
    """The same by the owner's id and the path."""
    parameters = {"owner_id": owner_id, "path": path, "actor_id": actor.user_id or 0}
    return _found(connection, _BY_PATH, parameters)


def find_by_owner_name(connection: Executor, actor: Actor, owner_name: str, path: str) -> Found | None:
    """The same by the owner's name, in any case, and the path."""
    parameters = {"owner_folded": owner_name.casefold(), "path": path, "actor_id": actor.user_id or 0}
    return _found(connection, _BY_OWNER_NAME, parameters)


def _found(connection: Executor, query: Query, parameters: Mapping[str, Any]) -> Found | None:
    row = query.first(connection, parameters)
    if row is None:
        return None
    (namespace,) = with_parents(connection, [namespace_of(row)])
    return Found(namespace, bool(row[NAMESPACE_WIDTH]))


def with_parents(connection: Executor, found: Sequence[Namespace]) -> list[Namespace]:
    """The same namespaces with their parents filled in: at most one statement, however many and deep they are."""
    above: dict[tuple[int, str], Namespace] = {}
    paths = {path for namespace in found if namespace.parent_id for path in _paths_above(namespace.path)}
    if paths:
        owner_ids = {namespace.owner.id for namespace in found if namespace.parent_id}
        rows = connection.execute(_ABOVE, {"owner_ids": sorted(owner_ids), "paths": sorted(paths)})
        for namespace in sorted(map(namespace_of, rows), key=lambda one: len(one.path)):
            above[namespace.owner.id, namespace.path] = _linked(namespace, above)
    return [_linked(namespace, above) for namespace in found]


def _linked(namespace: Namespace, above: Mapping[tuple[int, str], Namespace]) -> Namespace:
    if namespace.parent_id is None:
        return namespace
    return replace(namespace, parent=above.get((namespace.owner.id, namespace.path.rpartition("/")[0])))


def _paths_above(path: str) -> Iterable[str]:
    while path := path.rpartition("/")[0]:
        yield path


# -- Lists --------------------------------------------------------------------------------------------------------

_SHARED_ROOTS = select(collaborators.c.root_id).where(collaborators.c.user_id == policy.ACTOR_ID)
_SHARED_ROOTS_IN_ORDER = Query(_SHARED_ROOTS.order_by(collaborators.c.root_id))
_IS_MINE_OR_SHARED = or_(namespaces.c.owner_id == policy.ACTOR_ID, namespaces.c.root_id.in_(_SHARED_ROOTS))
_IS_CHILD = namespaces.c.parent_id == bindparam("parent_id")


def _paged(condition: ColumnElement[bool], *order: ColumnElement[Any]) -> dict[bool, Query]:
    """The statement of a paged list, with and without a search."""
    plain = select(*_COLUMNS).select_from(_FROM).where(condition).order_by(*order)
    plain = plain.limit(bindparam("page_limit")).offset(bindparam("page_offset"))
    return {False: Query(plain), True: Query(plain.where(contains_search(namespaces.c.path)))}


_MINE_AND_SHARED = _paged(_IS_MINE_OR_SHARED, namespaces.c.path, namespaces.c.id)
_CHILDREN = _paged(_IS_CHILD, namespaces.c.name, namespaces.c.id)


def shared_roots(connection: Executor, user_id: int) -> list[int]:
    """The roots a user collaborates in, by id."""
    return [row[0] for row in _SHARED_ROOTS_IN_ORDER.all(connection, {"actor_id": user_id})]


def mine_and_shared(connection: Executor, user_id: int, page: PageRequest) -> list[Namespace]:
    """What a user owns or collaborates in, by path."""
    rows = _MINE_AND_SHARED[bool(page.search)].all(connection, page.parameters() | {"actor_id": user_id})
    return with_parents(connection, [namespace_of(row) for row in rows])


def children(connection: Executor, namespace_id: int, page: PageRequest) -> list[Namespace]:
    """The namespaces directly below one, by name."""
    rows = _CHILDREN[bool(page.search)].all(connection, page.parameters() | {"parent_id": namespace_id})
    return with_parents(connection, [namespace_of(row) for row in rows])
