"""The SQL of slides: finding and listing them as values. Changing their rows is in `rows`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    bindparam,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
)

from pinakes.core.access import policy
from pinakes.core.access.policy import ImageFacts
from pinakes.core.actor import Actor, Kind, Visibility
from pinakes.core.catalogue.records import VERSION_COLUMNS, Version, hold, version_of
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import annotations, grants, images, runs, slides, versions
from pinakes.core.errors import ImageUnknown
from pinakes.core.slides.states import ACTIVE_RUN, RunState, SlideStatus, Stage, StageStatus

_UID = re.compile(r"[0-9a-f]{32}")
_EVERYTHING = 2**62
"""More rows than any table has, and still a number that both databases can count with."""


@dataclass(frozen=True, slots=True)
class Slide:
    """A slide as one actor sees it (pathomiq contract 2.1).

    uid: 32 hex digits, also the key under which its bytes are sent.   *_ref: the laboratory's own opaque identifiers.
    stages: how each stands.   metric, outcome_prediction: JSON texts.   content, etag: the committed bytes and their
    MD5 in hex; None until then.   shared_with: the others who may see it, in the order in which they were added.
    """

    id: int
    uid: str
    owner_id: int
    filename: str
    description: str | None
    patient_ref: str | None
    entity_ref: str | None
    workarea_ref: str | None
    study_ref: str | None
    location: str | None
    created_at: Instant
    modified_at: Instant
    status: SlideStatus
    stages: Mapping[Stage, StageStatus]
    tissue_area_mm2: float | None
    outcome_prediction: str | None
    metric: str | None
    has_annotation: bool
    shared_with: tuple[int, ...]
    content: Version | None
    etag: str | None
    facts: ImageFacts

    @property
    def is_uploaded(self) -> bool:
        return self.status is SlideStatus.UPLOADED


@dataclass(frozen=True, slots=True)
class NewSlide:
    """What is said of a slide when it is made. owner_id: None for whoever makes it."""

    filename: str
    owner_id: int | None = None
    patient_ref: str | None = None
    entity_ref: str | None = None
    workarea_ref: str | None = None
    study_ref: str | None = None


_newest = versions.alias("newest")
_own = images.alias("own")

_COMMA: Any = literal_column("','")  # its type would have it be a value, which is not written into the statement
_SHARED_WITH = (
    # Which order an aggregate sees its rows in is not promised: the positions come along, and are sorted here.
    select(func.aggregate_strings(cast(grants.c.position, String) + ":" + cast(grants.c.user_id, String), _COMMA))
    .where(
        grants.c.image_id == images.c.id,
        grants.c.user_id != images.c.author_id,
        or_(grants.c.expires_at.is_(None), grants.c.expires_at > policy.NOW),
    )
    .correlate(images)
    .scalar_subquery()
)
_NEWEST_ID = (
    select(func.max(_newest.c.id))
    .where(_newest.c.image_id == images.c.id, _newest.c.digest.is_not(None))
    .correlate(images)
    .scalar_subquery()
)

_COLUMNS = (
    images.c.id,
    images.c.uid,
    images.c.author_id,
    slides.c.filename,
    images.c.description,
    slides.c.patient_ref,
    slides.c.entity_ref,
    slides.c.workarea_ref,
    slides.c.study_ref,
    slides.c.location,
    images.c.created_at,
    images.c.modified_at,
    slides.c.status,
    slides.c.tissuearea_status,
    slides.c.tiling_status,
    slides.c.annotation_status,
    slides.c.tissue_area_mm2,
    slides.c.outcome_prediction,
    slides.c.metric,
    exists().where(annotations.c.image_id == images.c.id),
    _SHARED_WITH,
    images.c.end_at,
    policy.is_granted(),
    versions.c.etag,
    *VERSION_COLUMNS,
)
_ROWS = select(*_COLUMNS).select_from(
    images.join(slides, slides.c.image_id == images.c.id).outerjoin(versions, versions.c.id == _NEWEST_ID)
)

_OF_GRANT = grants.c.image_id == slides.c.image_id
REACHABLE: ColumnElement[bool] = images.c.id.in_(
    select(_own.c.id)
    .where(_own.c.author_id == policy.ACTOR_ID, _own.c.kind == Kind.SLIDE.value)
    .union_all(select(slides.c.image_id).join(grants, _OF_GRANT).where(grants.c.user_id == policy.ACTOR_ID))
)
"""The slides that indexes find for a caller who is not staff; whether they may see them is for the policy to say.

It stands alone, without another condition on the kind: SQLite would rather walk all images of the kind.
"""


def _chosen(condition: ColumnElement[bool]) -> Select[tuple[int]]:
    """The ids of what a list holds."""
    return select(images.c.id).where(condition, policy.IS_ACTIVE, policy.READABLE)


def _list_of(chosen: Select[tuple[int]]) -> Query:
    """The slides of a page; it is cut out before anything else of them is looked up."""
    page = chosen.order_by(images.c.id).limit(bindparam("page_limit")).offset(bindparam("page_offset")).subquery()
    return Query(_ROWS.join(page, page.c.id == images.c.id).order_by(images.c.id))


_BY_UID = Query(_ROWS.where(images.c.uid == bindparam("uid")))
_BY_ID = Query(_ROWS.where(images.c.id == bindparam("image_id")))
_LIST_OF_ALL = _list_of(_chosen(images.c.kind == Kind.SLIDE.value))
_LIST_OF_REACHABLE = _list_of(_chosen(REACHABLE))
_OF_STUDY = images.c.id.in_(select(slides.c.image_id).where(slides.c.study_ref == bindparam("study")).correlate(None))
_ANY_OF_STUDY = Query(_chosen(_OF_STUDY).limit(1))
_LAST_RUN_ID = func.coalesce(
    select(func.max(runs.c.id)).where(runs.c.image_id == images.c.id).correlate(images).scalar_subquery(), 0
)


def _to_predict(*states: str) -> Query:
    """Slides of a study whose last run is in none of these states."""
    is_left_alone = exists().where(runs.c.id == _LAST_RUN_ID, or_(*(runs.c.state == state for state in states)))
    chosen = _chosen(_OF_STUDY).join(slides, slides.c.image_id == images.c.id)
    wanted = chosen.where(slides.c.status == SlideStatus.UPLOADED.value, ~is_left_alone)
    return Query(wanted.order_by(_LAST_RUN_ID, images.c.id).limit(bindparam("most")))


_TO_PREDICT = _to_predict(*ACTIVE_RUN, RunState.DONE.value)
_TO_PREDICT_AGAIN = _to_predict(*ACTIVE_RUN)
_COUNT = Query(select(func.count()).select_from(_chosen(REACHABLE).subquery()))


def find(connection: Executor, actor: Actor, ref: str | int, now: Instant) -> Slide | None:
    """The slide of a uid (text) or an id (number), whether or not the actor may read it; ask the policy."""
    parameters = policy.parameters(actor, now)
    if isinstance(ref, int):
        row = _BY_ID.first(connection, parameters | {"image_id": ref})
    else:
        row = _BY_UID.first(connection, parameters | {"uid": ref}) if _UID.fullmatch(ref) else None
    return slide_of(row) if row else None


def visible(connection: Executor, actor: Actor, ref: str | int, now: Instant) -> Slide:
    """The slide of a uid or an id, if the actor may read it. Raises ImageUnknown."""
    slide = find(connection, actor, ref, now)
    if slide is None or not policy.may_read(actor, slide.facts, now):
        raise ImageUnknown
    return slide


def held(transaction: Transaction, actor: Actor, ref: str | int, now: Instant) -> Slide:
    """The same, and nobody else changes it until the transaction ends. Raises ImageUnknown.

    A job's own row is always held before a slide's, never after: see `runs`.
    """
    lock(transaction, visible(transaction, actor, ref, now).id)
    return visible(transaction, actor, ref, now)


def lock(transaction: Transaction, image_id: int) -> None:
    """Nobody else changes this slide, or what belongs to it, until the transaction ends."""
    hold(transaction, image_id)


def slide_of(row: Sequence[Any]) -> Slide:
    """A slide from a row of its columns."""
    (
        image_id,
        uid,
        owner_id,
        filename,
        description,
        patient_ref,
        entity_ref,
        workarea_ref,
        study_ref,
        location,
        created_at,
        modified_at,
        status,
        tissuearea_status,
        tiling_status,
        annotation_status,
        tissue_area_mm2,
        outcome_prediction,
        metric,
        has_annotation,
        shared_with,
        end_at,
        is_granted,
        etag,
        *version,
    ) = row
    return Slide(
        image_id,
        uid,
        owner_id,
        filename,
        description,
        patient_ref,
        entity_ref,
        workarea_ref,
        study_ref,
        location,
        created_at,
        modified_at,
        SlideStatus(status),
        {
            Stage.TISSUE_AREA: StageStatus(tissuearea_status),
            Stage.TILING: StageStatus(tiling_status),
            Stage.ANNOTATION: StageStatus(annotation_status),
        },
        tissue_area_mm2,
        outcome_prediction,
        metric,
        bool(has_annotation),
        _people(shared_with),
        version_of(version),
        etag,
        ImageFacts(
            kind=Kind.SLIDE,
            author_id=owner_id,
            visibility=Visibility.PRIVATE,
            end_at=end_at,
            root_owner_id=None,
            is_collaborator=False,
            is_granted=bool(is_granted),
        ),
    )


def _people(joined: str | None) -> tuple[int, ...]:
    """User ids by position, from `position:user,...`."""
    if not joined:
        return ()
    pairs = (pair.split(":") for pair in joined.split(","))
    return tuple(user_id for _, user_id in sorted((int(position), int(user_id)) for position, user_id in pairs))


# -- Lists --------------------------------------------------------------------------------------------------------


def listed(
    connection: Executor, actor: Actor, now: Instant, *, most: int | None = None, offset: int = 0
) -> list[Slide]:
    """What the actor may see, ascending by id; ended ones are off the list. Staff see all slides."""
    parameters = policy.parameters(actor, now) | {
        "page_limit": _EVERYTHING if most is None else most,
        "page_offset": offset,
    }
    query = _LIST_OF_ALL if actor.is_staff else _LIST_OF_REACHABLE
    return [slide_of(row) for row in query.all(connection, parameters)]


def has_study(connection: Executor, actor: Actor, study: str, now: Instant) -> bool:
    """Whether one of the laboratory's studies has a slide that the actor may see."""
    return _ANY_OF_STUDY.first(connection, policy.parameters(actor, now) | {"study": study}) is not None


def to_predict(connection: Executor, actor: Actor, study: str, now: Instant, *, most: int, again: bool) -> list[int]:
    """The ids of uploaded slides of a study that the actor may see and that have no active run.

    Those first that never had one, then those whose last is oldest. again: also those whose last run is done.
    """
    query = _TO_PREDICT_AGAIN if again else _TO_PREDICT
    return [
        image_id
        for (image_id,) in query.all(connection, policy.parameters(actor, now) | {"study": study, "most": most})
    ]


def count(connection: Executor, actor: Actor, now: Instant) -> int:
    """How many slides `listed` gives when it gives all, to an actor who is not staff."""
    row = _COUNT.first(connection, policy.parameters(actor, now))
    return int(row[0]) if row else 0
