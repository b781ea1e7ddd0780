"""The SQL of `machine_texts`: what a search for machine images looks in, kept beside what it is made from.

Whoever changes the name, the description or the tags of images, or a tag itself, calls `put` in the same transaction.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import BindParameter, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from pinakes.core.actor import Kind
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import image_tags, images, machine_texts, tags
from pinakes.core.text import fold

_AT_ONCE: Final = 500
_IDS: BindParameter[int] = bindparam("image_ids", expanding=True)

# On PostgreSQL the rows are held, so that of two who change an image and one of its tags at once the later sees both.
_OWN_TEXTS = (
    select(images.c.id, images.c.name, images.c.description)
    .where(images.c.id.in_(_IDS), images.c.kind == Kind.MACHINE.value)
    .order_by(images.c.id)
    .with_for_update(of=images)
)
_TAG_TEXTS = (
    select(image_tags.c.image_id, tags.c.name, tags.c.description)
    .join(tags, tags.c.id == image_tags.c.tag_id)
    .where(image_tags.c.image_id.in_(_IDS))
    .order_by(tags.c.id)
    .with_for_update(read=True, of=tags)
)
_LOCAL = sqlite.insert(machine_texts)
_REMOTE = postgresql.insert(machine_texts)
_PUT = {
    True: _LOCAL.on_conflict_do_update(index_elements=["image_id"], set_={"text": _LOCAL.excluded.text}),
    False: _REMOTE.on_conflict_do_update(index_elements=["image_id"], set_={"text": _REMOTE.excluded.text}),
}
_CARRYING = select(image_tags.c.image_id).where(image_tags.c.tag_id == bindparam("tag_id")).order_by("image_id")


def put(transaction: Transaction, image_ids: Sequence[int]) -> None:
    """Write down afresh what these images say of themselves; those of other kinds are passed over."""
    for start in range(0, len(image_ids), _AT_ONCE):
        _put(transaction, image_ids[start : start + _AT_ONCE])


def carrying(connection: Executor, tag_id: int) -> list[int]:
    """The images that have a tag."""
    return list(connection.execute(_CARRYING, {"tag_id": tag_id}).scalars())


def _put(transaction: Transaction, image_ids: Sequence[int]) -> None:
    parameters = {"image_ids": list(image_ids)}
    texts = {row[0]: [row[1], row[2] or ""] for row in transaction.execute(_OWN_TEXTS, parameters)}
    for image_id, name, description in transaction.execute(_TAG_TEXTS, parameters).all():
        if image_id in texts:
            texts[image_id] += [name, description]
    if texts:
        rows = [{"image_id": image_id, "text": _whole(parts)} for image_id, parts in texts.items()]
        transaction.execute(_PUT[transaction.is_local], rows)


def _whole(parts: Sequence[str]) -> str:
    """No term of a search holds white space, so it is found within one part or not at all.

    The two line ends let every character begin a piece of three, by which SQLite finds terms of two.
    """
    return fold("\n".join(parts)) + "\n\n"
