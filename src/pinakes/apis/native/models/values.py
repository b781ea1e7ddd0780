"""What every body is made of: times, ids, pages, people. Members that a model does not name are refused.

Times are RFC 3339 in UTC; what comes in may have another offset. Inside they are instants (`core.clock`).
"""

import re
from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from pinakes.core.clock import Instant, from_datetime, to_datetime
from pinakes.web.paging import MAX_ID, parse_id

_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})", re.ASCII)
MOST_LISTED: Final = 200
"""How many items a page can hold."""


class Given(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Shown(BaseModel):
    """What is answered."""

    model_config = ConfigDict(extra="forbid")


class Listed(Shown):
    """An answer that may be long: JSON is made of it in a thread."""


def _instant(value: object) -> Instant:
    """Raises ValueError."""
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        raise ValueError("Must be a date and time with an offset, such as 2030-01-31T12:00:00Z")
    try:
        instant = from_datetime(datetime.fromisoformat(value))
        to_datetime(instant)
    except (ValueError, OverflowError):
        raise ValueError("Is not a date and time of the calendar") from None
    return instant


def timestamp(instant: Instant) -> str:
    """With microseconds where there are any."""
    return to_datetime(instant).isoformat().replace("+00:00", "Z")


_TIME_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time"})

TimeInQuery = Annotated[
    Instant | None,
    BeforeValidator(lambda value: None if value is None else _instant(value)),
    Query(description="A date and time with an offset, such as `2030-01-31T12:00:00Z`."),
    _TIME_SCHEMA,
]
GivenTime = Annotated[Instant, BeforeValidator(_instant), _TIME_SCHEMA]
ShownTime = Annotated[Instant, PlainSerializer(timestamp, return_type=str), _TIME_SCHEMA]


def _id_of(value: object) -> object:
    """An id in a path or query, in digits. Raises ValueError."""
    number = parse_id(value) if isinstance(value, str) else value
    if number is None:
        raise ValueError("Must be a positive number")
    return number


PathId = Annotated[int, BeforeValidator(_id_of), Path(ge=1, le=MAX_ID)]
Cursor = Annotated[
    int | None,
    BeforeValidator(lambda value: None if value is None else _id_of(value)),
    Query(ge=1, le=MAX_ID, description="`next_cursor` of the page before."),
]
Limit = Annotated[int, Query(ge=1, le=MOST_LISTED, description="How many items the page is to hold at most.")]

VersionName = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=256,
        pattern=r"^[^\x00]+$",
        description="A version's name; the newest with content if not given.",
    ),
]

VisibilityName = Literal["private", "internal", "public"]
JobStateName = Literal["queued", "running", "done", "failed", "cancelled"]


class ProblemDetails(Shown):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: dict[str, list[str]] | None = None


class Person(Shown):
    """A user, as others see one."""

    id: int
    uuid: str
    username: str
