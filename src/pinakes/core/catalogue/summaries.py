"""What is shown of a machine image beside the things that hang on it: its versions and bookmarks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, FromClause

from pinakes.core.access.people import PERSON_WIDTH, Person, person_columns
from pinakes.core.catalogue import tag_records
from pinakes.core.catalogue.tag_records import Tag
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor
from pinakes.core.db.schema import icons, images, users


@dataclass(frozen=True, slots=True)
class ImageSummary:
    """A machine image in short. icon: the name of its icon's file; None if it has none."""

    id: int
    uid: str
    name: str
    description: str | None
    created_at: Instant
    end_at: Instant | None
    icon: str | None
    author: Person
    tags: tuple[Tag, ...] = ()


_author = users.alias("image_author")

SUMMARY_COLUMNS: Sequence[ColumnElement[Any]] = (
    images.c.id,
    images.c.uid,
    images.c.name,
    images.c.description,
    images.c.created_at,
    images.c.end_at,
    icons.c.name,
    *person_columns(_author),
)
"""The columns that make an ImageSummary, in order, in a statement over `with_summary`."""

SUMMARY_WIDTH = 7 + PERSON_WIDTH


def with_summary(tables: FromClause) -> FromClause:
    """The tables, `images` among them, joined with what a summary needs besides."""
    return tables.join(_author, _author.c.id == images.c.author_id).outerjoin(icons, icons.c.image_id == images.c.id)


def summary_of(row: Sequence[Any]) -> ImageSummary:
    """A summary, without tags, from the first columns of a row."""
    image_id, uid, name, description, created_at, end_at, icon = row[:7]
    return ImageSummary(image_id, uid, name, description, created_at, end_at, icon, Person(*row[7:SUMMARY_WIDTH]))


def with_tags(connection: Executor, summaries: Sequence[ImageSummary]) -> list[ImageSummary]:
    """The same with their tags, by name."""
    found = tag_records.of_images(connection, sorted({summary.id for summary in summaries}))
    return [replace(summary, tags=found.get(summary.id, ())) for summary in summaries]
