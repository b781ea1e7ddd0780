"""The SQL of changing namespaces: adding levels, renaming, showing and removing whole subtrees.

The owner, the root and the visibility are the same for a whole tree. Whoever writes to a tree holds its owner's lock
(`lock`), so that what was read under it stays true until the transaction ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Integer, bindparam, case, delete, func, insert, or_, select, update

from pinakes.core.actor import Visibility
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import djinn_names, images, namespaces
from pinakes.core.namespaces.records import Namespace


def lock(transaction: Transaction, owner_id: int) -> None:
    """Keep everybody else from changing any namespace of this owner, or adding to one, until the transaction ends."""
    transaction.lock(f"namespaces:{owner_id}")


def lock_names(transaction: Transaction, author_id: int) -> None:
    """The same for the names that images of this author hold outside namespaces. Taken after `lock`, if both are."""
    transaction.lock(f"names:{author_id}")


_INSERT = insert(namespaces).returning(namespaces.c.id)
_MADE_ID = bindparam("made_id", type_=namespaces.c.id.type)
_SET_ROOT = update(namespaces).where(namespaces.c.id == _MADE_ID).values(root_id=_MADE_ID)
_LEVELS = select(namespaces.c.path, namespaces.c.id, namespaces.c.root_id, namespaces.c.visibility).where(
    namespaces.c.owner_id == bindparam("owner_id"), namespaces.c.path.in_(bindparam("paths", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Level:
    """An existing level of a tree, with what a new one below it takes over."""

    id: int
    root_id: int
    visibility: Visibility


def levels(connection: Executor, owner_id: int, paths: Sequence[str]) -> dict[str, Level]:
    """Those of the owner's paths that exist."""
    rows = connection.execute(_LEVELS, {"owner_id": owner_id, "paths": list(paths)})
    return {row[0]: Level(row[1], row[2], Visibility(row[3])) for row in rows}


def add(
    transaction: Transaction,
    owner_id: int,
    path: str,
    parent: Level | None,
    now: Instant,
    *,
    description: str = "",
    visibility: Visibility = Visibility.PRIVATE,
) -> Level:
    """Insert a level below its parent, whose visibility it takes, or a root. The path must be free."""
    visibility = parent.visibility if parent else visibility
    row = {
        "owner_id": owner_id,
        "parent_id": parent.id if parent else None,
        "root_id": parent.root_id if parent else None,
        "name": path.rpartition("/")[2],
        "path": path,
        "description": description,
        "visibility": visibility.value,
        "created_at": now,
    }
    namespace_id: int = transaction.execute(_INSERT, row).scalar_one()
    if parent is None:
        transaction.execute(_SET_ROOT, {"made_id": namespace_id})
    return Level(namespace_id, parent.root_id if parent else namespace_id, visibility)


# A path below another begins with it and a slash. Compared by `substr`: LIKE and ranges depend on the collation.
_PREFIX_LENGTH = bindparam("prefix_length", type_=Integer())
_BEGINS_WITH = func.substr(namespaces.c.path, 1, _PREFIX_LENGTH) == bindparam("prefix", type_=namespaces.c.path.type)
_IN_SUBTREE = (
    namespaces.c.root_id == bindparam("top_root_id", type_=namespaces.c.id.type),
    or_(namespaces.c.id == bindparam("top_id", type_=namespaces.c.id.type), _BEGINS_WITH),
)
_SUBTREE_IDS = select(namespaces.c.id).where(*_IN_SUBTREE)


def _subtree(top: Namespace) -> dict[str, Any]:
    prefix = f"{top.path}/"
    return {"top_root_id": top.root_id, "top_id": top.id, "prefix": prefix, "prefix_length": len(prefix)}


_DESCRIBE = (
    update(namespaces).where(namespaces.c.id == bindparam("top_id")).values(description=bindparam("new_description"))
)
_SHOW = (
    update(namespaces)
    .where(namespaces.c.root_id == bindparam("top_root_id"))
    .values(visibility=bindparam("new_visibility"))
)
_MOVE = (
    update(namespaces)
    .where(*_IN_SUBTREE)
    .values(
        name=case((namespaces.c.id == bindparam("top_id"), bindparam("new_name")), else_=namespaces.c.name),
        path=bindparam("new_path", type_=namespaces.c.path.type)
        + func.substr(namespaces.c.path, _PREFIX_LENGTH, type_=namespaces.c.path.type),
    )
)
_LONGEST = select(func.max(func.length(namespaces.c.path))).where(*_IN_SUBTREE)


def describe(transaction: Transaction, namespace_id: int, description: str) -> None:
    transaction.execute(_DESCRIBE, {"top_id": namespace_id, "new_description": description})


def show(transaction: Transaction, root_id: int, visibility: Visibility) -> None:
    """Give a whole tree a visibility, in one statement."""
    transaction.execute(_SHOW, {"top_root_id": root_id, "new_visibility": visibility.value})


def rename(transaction: Transaction, top: Namespace, name: str) -> None:
    """Give a namespace another name, and everything below it the path that follows. The path must be free."""
    above, slash, _ = top.path.rpartition("/")
    parameters = _subtree(top) | {"new_name": name, "new_path": above + slash + name}
    transaction.execute(_MOVE, parameters)


def longest_path(connection: Executor, top: Namespace) -> int:
    """The length of the longest path in a namespace, its own included."""
    length: int = connection.execute(_LONGEST, _subtree(top)).scalar_one()
    return length


# -- Removal ------------------------------------------------------------------------------------------------------

_inside = djinn_names.alias("inside")
_outside = djinn_names.alias("outside")
_AUTHORS = (
    select(djinn_names.c.author_id)
    .where(djinn_names.c.namespace_id.in_(_SUBTREE_IDS))
    .distinct()
    .order_by(djinn_names.c.author_id)
)
_HOLDING = (
    select(func.min(_inside.c.image_id))
    .where(
        _inside.c.namespace_id.in_(_SUBTREE_IDS),
        ~select(_outside.c.image_id)
        .where(
            _outside.c.author_id == _inside.c.author_id,
            _outside.c.name == _inside.c.name,
            _outside.c.namespace_id.is_(None),
            _outside.c.is_claimed,
        )
        .exists(),
    )
    .group_by(_inside.c.author_id, _inside.c.name)
)
_LET_GO = (
    update(djinn_names)
    .where(djinn_names.c.namespace_id.in_(_SUBTREE_IDS), djinn_names.c.image_id.not_in(_HOLDING))
    .values(is_claimed=False)
)
_NAMES_OUT = (
    update(djinn_names)
    .where(djinn_names.c.namespace_id.in_(_SUBTREE_IDS))
    .values(namespace_id=None, root_id=None, holder_id=djinn_names.c.author_id)
)
_IMAGES_OUT = update(images).where(images.c.namespace_id.in_(_SUBTREE_IDS)).values(namespace_id=None)
_REMOVE = delete(namespaces).where(*_IN_SUBTREE)


def remove(transaction: Transaction, top: Namespace) -> int:
    """Delete a namespace and all below it; how many images it left behind.

    Images stay, outside any namespace. Where the author has an image of that name outside already, the survivor keeps
    its name without holding it; among several survivors of one name the oldest holds it.
    """
    subtree = _subtree(top)
    for author_id in transaction.execute(_AUTHORS, subtree).scalars().all():
        lock_names(transaction, author_id)
    left = transaction.execute(_IMAGES_OUT, subtree).rowcount  # images before names: the order of deleting an image
    transaction.execute(_LET_GO, subtree)
    transaction.execute(_NAMES_OUT, subtree)
    transaction.execute(_REMOVE, subtree)
    return int(left)
