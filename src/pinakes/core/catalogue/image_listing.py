"""Images of every kind, listed and found by what is known of them and of their pictures.

What is known of a picture was read from its content (`core.ingest`): an image whose content has not been read yet, or
could not be, is found by none of the conditions about pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, bindparam, func, select, union_all

from pinakes.core.access import policy
from pinakes.core.access.guard import require_scope
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.catalogue import records
from pinakes.core.catalogue.images import Images
from pinakes.core.catalogue.reading import Reading
from pinakes.core.catalogue.records import IMAGE_COLUMNS, IMAGES, Image
from pinakes.core.clock import Clock, Instant
from pinakes.core.db.engine import Database, Executor
from pinakes.core.db.query import Query
from pinakes.core.db.schema import descriptions, grants, images, versions
from pinakes.core.errors import KindMissing


@dataclass(frozen=True, slots=True)
class PictureSummary:
    """What is known of a content in short.

    error: why reading it failed.   format: a name of `imaging.formats`.
    width, height: pixels; None, both, for what has none.   captured: when it was taken, as ISO 8601.
    """

    state: Reading
    error: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    captured: str | None = None

    @property
    def may_have_pixels(self) -> bool:
        """Whether there is something to look at, as far as is known."""
        return self.state is Reading.WAITING or (self.state is Reading.READY and self.width is not None)


UNREAD = PictureSummary(Reading.WAITING)
"""Of a content that nobody has been asked to read."""


@dataclass(frozen=True, slots=True)
class ListedImage:
    """picture: None for an image without content."""

    image: Image
    picture: PictureSummary | None

    @property
    def id(self) -> int:
        return self.image.id


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """What a list is to hold; None where it does not matter. Sizes in pixels, both ends included.

    state: of the reading of the content.   captured_from, captured_before: the latter excluded; a picture that tells
    no offset is taken to be in UTC.   pixel_digest: as in `imaging.pixel_digest`.
    """

    kind: Kind | None = None
    state: Reading | None = None
    format: str | None = None
    min_width: int | None = None
    max_width: int | None = None
    min_height: int | None = None
    max_height: int | None = None
    captured_from: Instant | None = None
    captured_before: Instant | None = None
    pixel_digest: str | None = None


EVERYTHING = ImageFilter()

_SUMMARY_COLUMNS = tuple(descriptions.c[name] for name in PictureSummary.__dataclass_fields__)
_WIDTH = len(_SUMMARY_COLUMNS)
_LIST = (
    select(*_SUMMARY_COLUMNS, *IMAGE_COLUMNS)
    .select_from(IMAGES.outerjoin(descriptions, descriptions.c.version_id == versions.c.id))
    .where(policy.READABLE)
    .order_by(images.c.id.desc())
)
_MOST_NAMED: Final = 5_000
_version = versions.alias("found_version")
_own = images.alias("own")
_OWN_SLIDES = select(
    union_all(
        select(_own.c.id).where(_own.c.author_id == policy.ACTOR_ID, _own.c.kind == Kind.SLIDE.value),
        select(grants.c.image_id.label("id")).where(grants.c.user_id == policy.ACTOR_ID),
    )
    .subquery("own_slides")
    .c.id
)
"""The ids of the slides that a user who is no staff may read, and perhaps of other images; some twice."""
_OF_VERSION = Query(select(*_SUMMARY_COLUMNS).where(descriptions.c.version_id == bindparam("version_id")))


class ImageListing:
    """Operations that show images of every kind with what is known of their pictures."""

    def __init__(self, database: Database, images: Images, clock: Clock) -> None:
        self._database = database
        self._images = images
        self._clock = clock

    def get(self, actor: Actor, image_id: int) -> ListedImage:
        """One image the actor may read. Raises ScopeMissing, ImageUnknown."""
        require_scope(actor, Resource.IMAGE, Permission.READ)
        with self._database.read() as connection:
            image = self._images.get(actor, image_id)
            row = image.version and _OF_VERSION.first(connection, {"version_id": image.version.id})
        if image.version is None:
            return ListedImage(image, None)
        return ListedImage(image, _summary(row or (None,)))

    def list(
        self, actor: Actor, wanted: ImageFilter = EVERYTHING, *, before_id: int | None = None, most: int = 50
    ) -> Sequence[ListedImage]:
        """The images the actor may read, newest first. before_id: where the page before ended.

        Raises ScopeMissing, and KindMissing where the filter names a kind that the user has nothing to do with.
        """
        require_scope(actor, Resource.IMAGE, Permission.READ)
        if wanted.kind is not None and not actor.is_anonymous and not actor.has_kind(wanted.kind):
            raise KindMissing
        kinds = [kind for kind in Kind if kind is Kind.MACHINE or actor.has_kind(kind)]
        if wanted.kind is not None:
            kinds = [kind for kind in kinds if kind is wanted.kind]
        parameters = policy.parameters(actor, self._clock())
        with self._database.read() as connection:
            statement = _found(connection, wanted).limit(most)
            if before_id is not None:
                statement = statement.where(images.c.id < before_id)
            found = [
                _listed(row)
                for kind in kinds
                for row in connection.execute(_of_kind(connection, statement, kind, parameters), parameters)
            ]
        return sorted(found, key=lambda image: -image.id)[:most]


def _of_kind(connection: Executor, statement: Select[Any], kind: Kind, parameters: dict[str, Any]) -> Select[Any]:
    """The same of one kind, for which there is an index to walk. One's own slides are mostly few among all."""
    statement = statement.where(images.c.kind == kind.value)
    if kind is Kind.SLIDE and not parameters["is_staff"] and _is_little(connection, _OWN_SLIDES, parameters):
        statement = statement.where(images.c.id.in_(_OWN_SLIDES))
    return statement


def _found(connection: Executor, wanted: ImageFilter) -> Select[Any]:
    """The list of what the filter finds, of every kind."""
    conditions = _conditions(wanted)
    statement = _LIST.where(*conditions)
    matching = select(descriptions.c.version_id).where(*conditions)
    if conditions and _is_little(connection, matching, {}):
        statement = statement.where(images.c.id.in_(select(_version.c.image_id).where(_version.c.id.in_(matching))))
    return statement


def _is_little(connection: Executor, ids: Select[Any], parameters: dict[str, Any]) -> bool:
    """Whether the images of these ids are better named than met on a walk through all, the newest first."""
    count = select(func.count()).select_from(ids.limit(_MOST_NAMED + 1).subquery())
    return bool(connection.execute(count, parameters).scalar_one() <= _MOST_NAMED)


def _conditions(wanted: ImageFilter) -> list[ColumnElement[bool]]:
    """What is asked of pictures."""
    known = descriptions.c
    asked = (
        (wanted.state, known.state.__eq__),
        (wanted.format, known.format.__eq__),
        (wanted.min_width, known.width.__ge__),
        (wanted.max_width, known.width.__le__),
        (wanted.min_height, known.height.__ge__),
        (wanted.max_height, known.height.__le__),
        (wanted.captured_from, known.captured_at.__ge__),
        (wanted.captured_before, known.captured_at.__lt__),
        (wanted.pixel_digest, known.pixel_digest.__eq__),
    )
    return [compare(value) for value, compare in asked if value is not None]


def _listed(row: Sequence[Any]) -> ListedImage:
    image = records.image_of(row[_WIDTH:])
    if image.version is None:
        return ListedImage(image, None)
    return ListedImage(image, _summary(row[:_WIDTH]))


def _summary(columns: Sequence[Any]) -> PictureSummary:
    """What _SUMMARY_COLUMNS hold; nothing where no row was found."""
    return UNREAD if columns[0] is None else PictureSummary(Reading(columns[0]), *columns[1:])
