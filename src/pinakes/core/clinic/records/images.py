"""The SQL of what only the clinic knows of an image."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, insert, select

from pinakes.core.access import policy
from pinakes.core.access.policy import ImageFacts
from pinakes.core.actor import Actor, Kind, Visibility
from pinakes.core.catalogue.records import VERSION_COLUMNS, Version
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import clinical_images, images, versions


class ClinicalType(enum.StrEnum):
    """What a clinical image shows."""

    XRAY = "Xray"
    HEADSHOT = "Headshot"
    AUDIOGRAM = "Audiogram"
    SURGERY = "Surgery"


@dataclass(frozen=True, slots=True)
class NewClinicalImage:
    """What is said of a clinical image when it is made.

    is_verbatim: the content is the client's text itself, not the picture that the text stands for.
    """

    patient_id: int
    type: ClinicalType
    clinic_id: int | None = None
    station_id: int | None = None
    is_verbatim: bool = False


@dataclass(frozen=True, slots=True)
class ClinicalImage:
    """A clinical image with its one version."""

    id: int
    patient_id: int
    clinic_id: int | None
    station_id: int | None
    type: ClinicalType
    is_verbatim: bool
    created_at: Instant
    facts: ImageFacts
    version: Version


@dataclass(frozen=True, slots=True)
class Filter:
    """Which images are looked for: all that is given must fit."""

    patient_id: int | None = None
    clinic_id: int | None = None
    station_id: int | None = None
    type: ClinicalType | None = None


class Order(enum.Enum):
    """In which order images are listed."""

    OLDEST_FIRST = "by id, ascending"
    NEWEST_FIRST = "by time of creation, descending; equal times by id, descending"


_ORDERS = {
    Order.OLDEST_FIRST: (clinical_images.c.image_id,),
    Order.NEWEST_FIRST: (clinical_images.c.created_at.desc(), clinical_images.c.image_id.desc()),
}

_OBJECTS = select(
    clinical_images.c.image_id,
    clinical_images.c.patient_id,
    clinical_images.c.clinic_id,
    clinical_images.c.station_id,
    clinical_images.c.type,
    clinical_images.c.is_verbatim,
    clinical_images.c.created_at,
    images.c.author_id,
    images.c.end_at,
    *VERSION_COLUMNS,
).select_from(clinical_images.join(images).join(versions, versions.c.image_id == images.c.id))
_IDS = select(clinical_images.c.image_id).select_from(clinical_images.join(images))

_FIND = Query(_OBJECTS.where(clinical_images.c.image_id == bindparam("image_id")))
_INSERT = insert(clinical_images)


def find(connection: Executor, image_id: int) -> ClinicalImage | None:
    """The image, whether or not somebody may read it; ask the policy."""
    row = _FIND.first(connection, {"image_id": image_id})
    return _image(row) if row else None


def search(connection: Executor, actor: Actor, now: Instant, found_by: Filter, order: Order) -> list[int]:
    """The ids of the images that match and that the actor may read."""
    given = _given(found_by)
    rows = _readable(frozenset(given), order).all(connection, policy.parameters(actor, now) | given)
    return [row[0] for row in rows]


def newest(connection: Executor, actor: Actor, now: Instant, found_by: Filter) -> ClinicalImage | None:
    """The first of those in the order NEWEST_FIRST."""
    given = _given(found_by)
    row = _newest(frozenset(given)).first(connection, policy.parameters(actor, now) | given)
    return _image(row) if row else None


def matching(connection: Executor, found_by: Filter) -> Sequence[tuple[int, int]]:
    """The ids of every image that matches and of its patient, whoever may read it; by id."""
    given = _given(found_by)
    return [(row[0], row[1]) for row in connection.execute(_matching(frozenset(given)), given)]


def add(transaction: Transaction, image_id: int, new: NewClinicalImage, now: Instant) -> None:
    row = {
        "image_id": image_id,
        "patient_id": new.patient_id,
        "clinic_id": new.clinic_id,
        "station_id": new.station_id,
        "type": new.type.value,
        "is_verbatim": new.is_verbatim,
        "created_at": now,
    }
    transaction.execute(_INSERT, row)


def _given(found_by: Filter) -> dict[str, Any]:
    """The parts of a filter that are given, by the name of their column."""
    values = {field.name: getattr(found_by, field.name) for field in fields(Filter)}
    return {name: str(value) if name == "type" else value for name, value in values.items() if value is not None}


def _filtered(statement: Select[Any], names: frozenset[str]) -> Select[Any]:
    return statement.where(*(clinical_images.c[name] == bindparam(name) for name in sorted(names)))


# Built once for each set of filters: there are sixteen.
@cache
def _readable(names: frozenset[str], order: Order) -> Query:
    return Query(_filtered(_IDS, names).where(policy.READABLE).order_by(*_ORDERS[order]))


@cache
def _newest(names: frozenset[str]) -> Query:
    statement = _filtered(_OBJECTS, names).where(policy.READABLE)
    return Query(statement.order_by(*_ORDERS[Order.NEWEST_FIRST]).limit(1))


@cache
def _matching(names: frozenset[str]) -> Select[Any]:
    statement = select(clinical_images.c.image_id, clinical_images.c.patient_id)
    return _filtered(statement, names).order_by(clinical_images.c.image_id)


def _image(row: Any) -> ClinicalImage:
    facts = ImageFacts(Kind.CLINICAL, row[7], Visibility.PRIVATE, row[8], None, False, False)
    version = Version(*row[9:])
    return ClinicalImage(row[0], row[1], row[2], row[3], ClinicalType(row[4]), bool(row[5]), row[6], facts, version)
