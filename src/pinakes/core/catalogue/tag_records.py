"""The SQL of tags, and of which images carry them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from pinakes.core.catalogue import machine_texts
from pinakes.core.catalogue.keys import Key
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import image_tags, tags
from pinakes.core.errors import TagExists
from pinakes.core.page import PageRequest
from pinakes.core.text import fold

FEATURED: Final = "Featured"
"""The tag of what staff recommends, in any case (atmosphere contract F4); one of the reserved."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A word that images are found by. uid: a UUID4 as 32 hex digits."""

    id: int
    uid: str
    name: str
    description: str


TAG_COLUMNS = tuple(tags.c[name] for name in Tag.__dataclass_fields__)
"""The columns that make a Tag, in order."""

_ROWS = select(*TAG_COLUMNS)
_BY_ID = Query(_ROWS.where(tags.c.id == bindparam("key")))
_BY_UID = Query(_ROWS.where(tags.c.uid == bindparam("key")))
_COUNT = Query(select(func.count()).select_from(tags))
_PAGE = Query(_ROWS.order_by(tags.c.name, tags.c.id).limit(bindparam("page_size")).offset(bindparam("page_offset")))
_SOME = _ROWS.where(tags.c.id.in_(bindparam("tag_ids", expanding=True)))
_NAMED = _ROWS.where(tags.c.name_folded.in_(bindparam("folded", expanding=True)))
_OF_IMAGES = (
    select(image_tags.c.image_id, *TAG_COLUMNS)
    .join(tags, tags.c.id == image_tags.c.tag_id)
    .where(image_tags.c.image_id.in_(bindparam("image_ids", expanding=True)))
    .order_by(tags.c.name, tags.c.id)
)


def find(connection: Executor, key: Key) -> Tag | None:
    row = (_BY_ID if isinstance(key, int) else _BY_UID).first(connection, {"key": key})
    return Tag(*row) if row else None


def some(connection: Executor, tag_ids: Sequence[int]) -> dict[int, Tag]:
    """Those of the tags that exist, by id."""
    return {row[0]: Tag(*row) for row in connection.execute(_SOME, {"tag_ids": list(tag_ids)})} if tag_ids else {}


def named(connection: Executor, names: Sequence[str]) -> dict[str, Tag]:
    """Those of the tags of these names, in any case, that exist; by their folded names."""
    folded = sorted({fold(name) for name in names if "\0" not in name})
    if not folded:
        return {}
    return {fold(row[2]): Tag(*row) for row in connection.execute(_NAMED, {"folded": folded})}


def count(connection: Executor) -> int:
    row = _COUNT.first(connection, {})
    assert row is not None
    total: int = row[0]
    return total


def listed(connection: Executor, page: PageRequest, total: int) -> list[Tag]:
    """A page of all tags, by name."""
    return [Tag(*row) for row in _PAGE.all(connection, page.window(total))]


def of_images(connection: Executor, image_ids: Sequence[int]) -> dict[int, tuple[Tag, ...]]:
    """The tags of each of these images, by name; images without any are left out."""
    found: dict[int, list[Tag]] = {}
    if image_ids:
        for row in connection.execute(_OF_IMAGES, {"image_ids": list(image_ids)}):
            found.setdefault(row[0], []).append(Tag(*row[1:]))
    return {image_id: tuple(carried) for image_id, carried in found.items()}


def change(transaction: Transaction, tag_id: int, values: dict[str, Any]) -> None:
    """Give a tag another name or description. The images that carry it are found by them at once. Raises TagExists."""
    if "name" in values:
        values = values | {"name_folded": fold(values["name"])}
    try:
        transaction.execute(update(tags).where(tags.c.id == tag_id).values(values))
    except IntegrityError as exc:
        raise TagExists from exc
    machine_texts.put(transaction, machine_texts.carrying(transaction, tag_id))


def remove(transaction: Transaction, tag_id: int) -> bool:
    """Delete a tag, also from the images that carry it; False if it was gone."""
    carrying = machine_texts.carrying(transaction, tag_id)
    gone = transaction.execute(delete(tags).where(tags.c.id == tag_id)).rowcount
    machine_texts.put(transaction, carrying)
    return bool(gone)


def detach(transaction: Transaction, image_id: int, tag_id: int) -> bool:
    """Take a tag off an image; False if it did not carry it."""
    gone = transaction.execute(
        delete(image_tags).where(image_tags.c.image_id == image_id, image_tags.c.tag_id == tag_id)
    ).rowcount
    machine_texts.put(transaction, [image_id])
    return bool(gone)


def attach(transaction: Transaction, image_id: int, tag_id: int) -> int:
    """Tag an image; the id of the row. Raises TagExists if it carries the tag."""
    try:
        row = {"image_id": image_id, "tag_id": tag_id}
        row_id: int = transaction.execute(insert(image_tags).returning(image_tags.c.id), row).scalar_one()
    except IntegrityError as exc:
        raise TagExists from exc
    machine_texts.put(transaction, [image_id])
    return row_id


def replace(transaction: Transaction, image_id: int, tag_ids: Sequence[int]) -> None:
    """Make these the tags of an image; rows that stay keep their ids. Raises IntegrityError for an unknown tag."""
    has = set(transaction.execute(select(image_tags.c.tag_id).where(image_tags.c.image_id == image_id)).scalars())
    gone = has - set(tag_ids)
    if gone:
        transaction.execute(
            delete(image_tags).where(image_tags.c.image_id == image_id, image_tags.c.tag_id.in_(sorted(gone)))
        )
    new = [{"image_id": image_id, "tag_id": tag_id} for tag_id in dict.fromkeys(tag_ids) if tag_id not in has]
    if new:
        transaction.execute(insert(image_tags), new)
    machine_texts.put(transaction, [image_id])
