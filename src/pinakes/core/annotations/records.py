"""The SQL of annotations: one row for each version, numbered within its image, never changed."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, insert, select

from pinakes.core.annotations import summary
from pinakes.core.annotations.summary import LayerSummary
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import annotations


class Source(enum.StrEnum):
    """Where an annotation comes from."""

    PREDICTION = "prediction"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One version of the annotation of a slide.

    number: 1, 2, ... within the image.   author_id: None for the archive itself.   digest: SHA-256 of the bytes, hex.
    media_type: of the bytes, as they were sent.
    """

    id: int
    image_id: int
    number: int
    source: Source
    author_id: int | None
    digest: str
    size_bytes: int
    media_type: str
    layers: tuple[LayerSummary, ...]
    created_at: Instant


_COLUMNS = [annotations.c[name] for name in Annotation.__dataclass_fields__]
_OF_IMAGE = select(*_COLUMNS).where(annotations.c.image_id == bindparam("image_id"))
_NEWEST = Query(_OF_IMAGE.order_by(annotations.c.number.desc()).limit(1))
# As wide as an id: what is asked for may be larger than any number there is.
_NUMBERED = Query(_OF_IMAGE.where(annotations.c.number == bindparam("number", type_=annotations.c.id.type)))
_ALL = Query(_OF_IMAGE.order_by(annotations.c.number))
_BEFORE = Query(
    _OF_IMAGE.where(annotations.c.number < bindparam("before", type_=annotations.c.id.type))
    .order_by(annotations.c.number.desc())
    .limit(bindparam("most"))
)
_NO_NUMBER = 2**31
_LAST_NUMBER = select(func.coalesce(func.max(annotations.c.number), 0)).where(
    annotations.c.image_id == bindparam("image_id")
)
_INSERT = insert(annotations).returning(annotations.c.id)


def newest(connection: Executor, image_id: int) -> Annotation | None:
    row = _NEWEST.first(connection, {"image_id": image_id})
    return _annotation(row) if row else None


def numbered(connection: Executor, image_id: int, number: int) -> Annotation | None:
    row = _NUMBERED.first(connection, {"image_id": image_id, "number": number})
    return _annotation(row) if row else None


def all_of(connection: Executor, image_id: int) -> list[Annotation]:
    """Every version, the oldest first."""
    return [_annotation(row) for row in _ALL.all(connection, {"image_id": image_id})]


def before(connection: Executor, image_id: int, number: int | None, most: int) -> list[Annotation]:
    """The versions before that number, or the last ones, the newest first."""
    wanted = {"image_id": image_id, "before": number or _NO_NUMBER, "most": most}
    return [_annotation(row) for row in _BEFORE.all(connection, wanted)]


def add(
    transaction: Transaction,
    image_id: int,
    source: Source,
    author_id: int | None,
    digest: str,
    size_bytes: int,
    media_type: str,
    layers: tuple[LayerSummary, ...],
    now: Instant,
) -> Annotation:
    """The next version. The caller holds the slide's lock, or two could be given one number."""
    number = transaction.execute(_LAST_NUMBER, {"image_id": image_id}).scalar_one() + 1
    row = {
        "image_id": image_id,
        "number": number,
        "source": source.value,
        "author_id": author_id,
        "digest": digest,
        "size_bytes": size_bytes,
        "media_type": media_type,
        "layers": summary.encode(layers),
        "created_at": now,
    }
    annotation_id = transaction.execute(_INSERT, row).scalar_one()
    return Annotation(annotation_id, image_id, number, source, author_id, digest, size_bytes, media_type, layers, now)


def _annotation(row: Sequence[Any]) -> Annotation:
    annotation_id, image_id, number, source, author_id, digest, size_bytes, media_type, layers, created_at = row
    return Annotation(
        annotation_id,
        image_id,
        number,
        Source(source),
        author_id,
        digest,
        size_bytes,
        media_type,
        summary.decode(layers),
        created_at,
    )
