"""The audit trail: who did what to which image, and who saw it.

Changes are recorded in the transaction that makes them (`record`). Reads of content are many and must stay fast, so
they are batched (`core.readtrail`). An event holds ids, counts and words of ours: no content, no names, no secrets.
Actions are named `subject:verb`.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import insert, select

from pinakes.core.actor import Actor
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import events


class Action(enum.StrEnum):
    """Everything the trail can tell of, alphabetically."""

    ANNOTATION_CREATE = "annotation:create"
    BOOKMARK_CREATE = "bookmark:create"
    BOOKMARK_DELETE = "bookmark:delete"
    CLINIC_CREATE = "clinic:create"
    CLINIC_DELETE = "clinic:delete"
    CLINICSTATION_CREATE = "clinicstation:create"
    CLINICSTATION_DELETE = "clinicstation:delete"
    CLINICSTATION_UPDATE = "clinicstation:update"
    COLLABORATOR_ADD = "collaborator:add"
    COLLABORATOR_REMOVE = "collaborator:remove"
    CONTENT_READ = "content:read"
    GRANT_CREATE = "grant:create"
    GRANT_DELETE = "grant:delete"
    GROUP_CREATE = "group:create"
    GROUP_DELETE = "group:delete"
    GROUP_UPDATE = "group:update"
    ICON_UPDATE = "icon:update"
    IMAGE_CREATE = "image:create"
    IMAGE_DELETE = "image:delete"
    IMAGE_TRANSFER = "image:transfer"
    IMAGE_UPDATE = "image:update"
    IMAGE_VIEW = "image:view"
    INVITE_CREATE = "invite:create"
    INVITE_DELETE = "invite:delete"
    JOB_CANCEL = "job:cancel"
    JOB_CREATE = "job:create"
    MEMBERSHIP_CREATE = "membership:create"
    MEMBERSHIP_DELETE = "membership:delete"
    MODEL_ADD = "model:add"
    MODEL_REMOVE = "model:remove"
    MODEL_USE = "model:use"
    NAMESPACE_CREATE = "namespace:create"
    NAMESPACE_DELETE = "namespace:delete"
    NAMESPACE_UPDATE = "namespace:update"
    PATIENT_CREATE = "patient:create"
    PATIENT_DELETE = "patient:delete"
    PATIENT_UPDATE = "patient:update"
    PATTERN_CREATE = "pattern:create"
    PATTERN_DELETE = "pattern:delete"
    PATTERN_UPDATE = "pattern:update"
    REGISTRATION_CREATE = "registration:create"
    REGISTRATION_DELETE = "registration:delete"
    REGISTRATION_UPDATE = "registration:update"
    RUN_START = "run:start"
    RUN_STOP = "run:stop"
    STATION_CREATE = "station:create"
    STATION_DELETE = "station:delete"
    STATION_UPDATE = "station:update"
    TAG_CREATE = "tag:create"
    TAG_DELETE = "tag:delete"
    TAG_UPDATE = "tag:update"
    TOKEN_CREATE = "token:create"  # noqa: S105
    TOKEN_REVOKE = "token:revoke"  # noqa: S105
    TOKEN_UPDATE = "token:update"  # noqa: S105
    UPLOAD_STAGE = "upload:stage"
    USER_CREATE = "user:create"
    USER_LOGIN = "user:login"
    USER_LOGIN_FAIL = "user:login-fail"
    USER_UPDATE = "user:update"
    VERSION_CREATE = "version:create"
    VERSION_UPDATE = "version:update"
    VIEW_LINK_CREATE = "view-link:create"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the trail.

    subject: what it is about beside an image or a patient, as "clinic:5".
    detail: ids and counts, to be kept as JSON.
    """

    action: Action
    image_id: int | None = None
    patient_id: int | None = None
    subject: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as it is read back."""

    id: int
    at: Instant
    action: str
    api: str
    actor_id: int | None
    token_id: int | None
    image_id: int | None
    patient_id: int | None
    subject: str | None
    detail: str | None


_INSERT = insert(events)
_COLUMNS = [events.c[name] for name in Recorded.__dataclass_fields__]


def row_of(actor: Actor, event: Event, now: Instant) -> dict[str, Any]:
    """The row that keeps an event."""
    return {
        "at": now,
        "action": event.action.value,
        "api": actor.api,
        "actor_id": actor.user_id,
        "token_id": actor.token_id,
        "image_id": event.image_id,
        "patient_id": event.patient_id,
        "subject": event.subject,
        "detail": msgspec.json.encode(event.detail).decode() if event.detail else None,
    }


def record(transaction: Transaction, actor: Actor, now: Instant, *happened: Event) -> None:
    """Record changes in the transaction that makes them."""
    rows = [row_of(actor, event, now) for event in happened]
    if rows:
        transaction.execute(_INSERT, rows)


def of_image(connection: Executor, image_id: int) -> list[Recorded]:
    """Everything that happened to an image, oldest first."""
    return _read(connection.execute(select(*_COLUMNS).where(events.c.image_id == image_id).order_by(events.c.id)))


def latest_of_image(connection: Executor, image_id: int, *, before_id: int | None, most: int) -> list[Recorded]:
    """The same a page at a time, newest first. before_id: where the page before ended."""
    statement = select(*_COLUMNS).where(events.c.image_id == image_id)
    if before_id is not None:
        statement = statement.where(events.c.id < before_id)
    return _read(connection.execute(statement.order_by(events.c.id.desc()).limit(most)))


def of_patient(connection: Executor, patient_id: int) -> list[Recorded]:
    """Everything that happened to a patient and to images of them, oldest first."""
    return _read(connection.execute(select(*_COLUMNS).where(events.c.patient_id == patient_id).order_by(events.c.id)))


def _read(rows: Iterable[Any]) -> list[Recorded]:
    return [Recorded(*row) for row in rows]
