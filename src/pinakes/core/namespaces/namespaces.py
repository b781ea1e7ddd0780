"""Namespaces: Djinn's tree of names. Who shares one is in `membership`; how images get in is in `places`."""

import enum
import re
from dataclasses import dataclass

from pinakes.core import audit
from pinakes.core.access import policy
from pinakes.core.access.guard import require_scope, require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource, Visibility
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.errors import InvalidFields, NamespaceUnknown, NotAllowed
from pinakes.core.namespaces import records, tree
from pinakes.core.namespaces.paths import MOST_CHARACTERS, MOST_LEVELS, NamespacePath, PathReason
from pinakes.core.namespaces.records import Found, Namespace
from pinakes.core.namespaces.tree import Level
from pinakes.core.page import Page, PageRequest
from pinakes.core.text import check_text, fold

_NAME_CHARACTERS = re.compile(r"[A-Za-z0-9]+")
_LEAST_NAME, _MOST_NAME = 3, 32
_MOST_DESCRIPTION = 255
_SEARCHABLE = re.compile(r"[A-Za-z0-9/]*")


class NamespaceReason(enum.StrEnum):
    """Why a namespace cannot be made or changed so."""

    MISSING = "is required"
    CHARACTERS = "can only contain letters and numbers"
    LENGTH = "must have 3 to 32 characters"
    TAKEN = "already exists"
    VISIBILITY = "must be private, internal or public"
    PARENT_UNKNOWN = "is not a namespace of yours"
    PARENT_FIXED = "cannot be changed"


@dataclass(frozen=True, slots=True)
class NewNamespace:
    """What is said of a namespace when it is made. parent: the path of one of the actor's own, or empty for a root.

    visibility: of a root; one below another takes its root's.
    """

    name: str
    parent: str = ""
    description: str = ""
    visibility: str = Visibility.PRIVATE


@dataclass(frozen=True, slots=True)
class NamespaceChanges:
    """What is to be different; an empty text leaves it as it is. A visibility counts for a root, and all below it."""

    name: str = ""
    parent: str = ""
    description: str = ""
    visibility: str = ""


Problems = dict[str, tuple[str, ...]]


class Namespaces:
    """Operations on namespaces. Each raises Unauthenticated, KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, actor: Actor, owner_name: str, path: str) -> Found:
        """A namespace the actor may see. Raises NamespaceUnknown."""
        require_scope(actor, Resource.NAMESPACE, Permission.READ)
        with self._database.read() as connection:
            return visible(connection, actor, owner_name, path)

    def list(self, actor: Actor, page: PageRequest) -> Page[Namespace]:
        """Those the actor owns or collaborates in, by path; the search is on the path."""
        user_id = require_user(actor, Kind.MACHINE, Resource.NAMESPACE, Permission.READ)
        if not _SEARCHABLE.fullmatch(page.search):
            return Page((), has_next=False)
        with self._database.read() as connection:
            return Page.of(records.mine_and_shared(connection, user_id, page), page)

    def children(self, actor: Actor, owner_name: str, path: str, page: PageRequest) -> tuple[Found, Page[Namespace]]:
        """A namespace the actor may see, and those directly below it, by name. Raises NamespaceUnknown."""
        require_scope(actor, Resource.NAMESPACE, Permission.READ)
        with self._database.read() as connection:
            found = visible(connection, actor, owner_name, path)
            if not _SEARCHABLE.fullmatch(page.search):
                return found, Page((), has_next=False)
            return found, Page.of(records.children(connection, found.namespace.id, page), page)

    def create(self, actor: Actor, new: NewNamespace) -> Namespace:
        """Make a namespace of the actor's own. Raises InvalidFields with all that is wrong."""
        owner_id = require_user(actor, Kind.MACHINE, Resource.NAMESPACE, Permission.WRITE)
        problems = _problems_of_name(new.name) | _problems_of_looks(new.description, new.visibility)
        with self._database.write() as transaction:
            tree.lock(transaction, owner_id)
            parent, path, misplaced = _find_parent(transaction, actor, owner_id, new)
            problems |= misplaced
            if not problems and path in tree.levels(transaction, owner_id, [path]):
                problems = {"name": (NamespaceReason.TAKEN,)}
            if problems:
                raise InvalidFields(problems)
            now = self._clock()
            visibility = Visibility(new.visibility)
            made = tree.add(
                transaction, owner_id, path, parent, now, description=new.description, visibility=visibility
            )
            audit.record(transaction, actor, now, Event(Action.NAMESPACE_CREATE, subject=f"namespace:{made.id}"))
            return _again(transaction, actor, made.id)

    def update(self, actor: Actor, owner_name: str, path: str, changes: NamespaceChanges) -> Namespace:
        """Change a namespace the actor owns. Raises NamespaceUnknown, NotAllowed, InvalidFields."""
        require_user(actor, Kind.MACHINE, Resource.NAMESPACE, Permission.WRITE)
        with self._database.write() as transaction:
            namespace = hold(transaction, actor, owner_name, path)
            _check_changes(transaction, namespace, changes)
            if changes.name and changes.name != namespace.name:
                tree.rename(transaction, namespace, changes.name)
            if changes.description:
                tree.describe(transaction, namespace.id, changes.description)
            if changes.visibility and namespace.parent_id is None:
                tree.show(transaction, namespace.root_id, Visibility(changes.visibility))
            event = Event(Action.NAMESPACE_UPDATE, subject=f"namespace:{namespace.id}")
            audit.record(transaction, actor, self._clock(), event)
            return _again(transaction, actor, namespace.id)

    def delete(self, actor: Actor, owner_name: str, path: str) -> None:
        """Remove a namespace the actor owns and all below it; its images stay. Raises NamespaceUnknown, NotAllowed."""
        require_user(actor, Kind.MACHINE, Resource.NAMESPACE, Permission.DELETE)
        with self._database.write() as transaction:
            namespace = hold(transaction, actor, owner_name, path)
            left = tree.remove(transaction, namespace)
            event = Event(Action.NAMESPACE_DELETE, subject=f"namespace:{namespace.id}", detail={"images": left})
            audit.record(transaction, actor, self._clock(), event)


def visible(connection: Executor, actor: Actor, owner_name: str, path: str) -> Found:
    """A namespace the actor may see. Raises NamespaceUnknown."""
    found = _looked_up(connection, actor, owner_name, path)
    if found is None or not policy.may_read_namespace(actor, found.facts):
        raise NamespaceUnknown
    return found


def owned(connection: Executor, actor: Actor, owner_name: str, path: str) -> Namespace:
    """A namespace that is the actor's to change. Raises NamespaceUnknown, NotAllowed."""
    found = visible(connection, actor, owner_name, path)
    if not policy.may_own_namespace(actor, found.facts):
        raise NotAllowed
    return found.namespace


def hold(transaction: Transaction, actor: Actor, owner_name: str, path: str) -> Namespace:
    """The same, and nobody else changes it before the transaction ends."""
    namespace = owned(transaction, actor, owner_name, path)
    tree.lock(transaction, namespace.owner.id)
    return _again(transaction, actor, namespace.id)


def _looked_up(connection: Executor, actor: Actor, owner_name: str, path: str) -> Found | None:
    try:
        segments = NamespacePath.parse(path).path
        check_text("owner", owner_name, most=30)
    except InvalidFields:
        return None
    return records.find_by_owner_name(connection, actor, fold(owner_name), segments)


def _again(transaction: Transaction, actor: Actor, namespace_id: int) -> Namespace:
    found = records.find(transaction, actor, namespace_id)
    if found is None:
        raise NamespaceUnknown
    return found.namespace


def _find_parent(
    transaction: Transaction, actor: Actor, owner_id: int, new: NewNamespace
) -> tuple[Level | None, str, Problems]:
    """The level to come under (None for a root), the new path, and what is wrong with the parent."""
    if not new.parent:
        return None, new.name, {}
    try:
        above = NamespacePath.parse(new.parent, field="parent")
    except InvalidFields as exc:
        return None, new.name, exc.problems
    parent = tree.levels(transaction, owner_id, [above.path]).get(above.path)
    path = f"{above.path}/{new.name}"
    if parent is None or (above.owner is not None and fold(above.owner) != fold(actor.name)):
        return None, path, {"parent": (NamespaceReason.PARENT_UNKNOWN,)}
    if len(above.segments) >= MOST_LEVELS:
        return None, path, {"parent": (PathReason.TOO_DEEP,)}
    if len(path) > MOST_CHARACTERS:
        return None, path, {"parent": (PathReason.TOO_LONG,)}
    return parent, path, {}


def _check_changes(transaction: Transaction, namespace: Namespace, changes: NamespaceChanges) -> None:
    """Raises InvalidFields with all that is wrong."""
    problems = _problems_of_looks(changes.description, changes.visibility or Visibility.PRIVATE)
    parent_path = namespace.parent.path if namespace.parent else ""
    if changes.parent not in {"", parent_path}:
        problems["parent"] = (NamespaceReason.PARENT_FIXED,)
    if changes.name and changes.name != namespace.name:
        problems |= _problems_of_name(changes.name)
        path = f"{parent_path}/{changes.name}" if parent_path else changes.name
        longer = len(path) - len(namespace.path)
        if not problems and path in tree.levels(transaction, namespace.owner.id, [path]):
            problems["name"] = (NamespaceReason.TAKEN,)
        elif longer > 0 and tree.longest_path(transaction, namespace) + longer > MOST_CHARACTERS:
            problems["name"] = (PathReason.TOO_LONG,)
    if problems:
        raise InvalidFields(problems)


def _problems_of_name(name: str) -> Problems:
    if not name:
        return {"name": (NamespaceReason.MISSING,)}
    reasons: list[str] = []
    if not _NAME_CHARACTERS.fullmatch(name):
        reasons.append(NamespaceReason.CHARACTERS)
    if not _LEAST_NAME <= len(name) <= _MOST_NAME:
        reasons.append(NamespaceReason.LENGTH)
    return {"name": tuple(reasons)} if reasons else {}


def _problems_of_looks(description: str, visibility: str) -> Problems:
    problems: Problems = {}
    try:
        check_text("description", description, most=_MOST_DESCRIPTION)
    except InvalidFields as exc:
        problems |= exc.problems
    if visibility not in set(Visibility):
        problems["visibility"] = (NamespaceReason.VISIBILITY,)
    return problems
