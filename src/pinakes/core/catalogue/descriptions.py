"""The SQL of what was read from the contents of versions (`catalogue.reading`)."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, bindparam, or_, select, update

from pinakes.core.catalogue.reading import Reading
from pinakes.core.catalogue.records import VERSION_COLUMNS, Version
from pinakes.core.clock import Instant, from_datetime, to_datetime
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.query import Query, Row
from pinakes.core.db.schema import descriptions, versions
from pinakes.core.errors import ContentPending
from pinakes.core.jobs.records import kept_text
from pinakes.imaging.source import Description, Level, Size

_MOST_FORMAT: Final = 32
_MOST_CAPTURED: Final = 64
_MOST_JSON_BYTES: Final = 256 * 1024
_UNKNOWN_FORMAT: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of the content of a version.

    description: once it is READY.   error: why reading it FAILED, for people.
    """

    version: Version
    state: Reading
    error: str | None
    read_at: Instant | None
    description: Description | None


_COLUMNS = (
    *VERSION_COLUMNS,
    descriptions.c.state,
    descriptions.c.error,
    descriptions.c.read_at,
    descriptions.c.format,
    descriptions.c.width,
    descriptions.c.height,
    descriptions.c.mpp_x,
    descriptions.c.mpp_y,
    descriptions.c.frames,
    descriptions.c.captured,
    descriptions.c.levels,
    descriptions.c.associated,
    descriptions.c.facts,
    descriptions.c.warnings,
    descriptions.c.identity,
)
_OWN = len(VERSION_COLUMNS)
_READ = _OWN + 3

_SHOWN = or_(
    versions.c.end_at.is_(None),
    versions.c.end_at > bindparam("now"),
    bindparam("oversees", type_=versions.c.id.type) == 1,
)


def _of_image(condition: ColumnElement[bool]) -> Query:
    return Query(
        select(*_COLUMNS)
        .select_from(versions.outerjoin(descriptions, descriptions.c.version_id == versions.c.id))
        .where(versions.c.image_id == bindparam("image_id"), _SHOWN, condition)
        .order_by(versions.c.id.desc())
        .limit(1)
    )


_NEWEST = _of_image(versions.c.digest.is_not(None))
_NAMED = _of_image(versions.c.name == bindparam("name"))
_WAITING = Query(
    select(*VERSION_COLUMNS)
    .join(descriptions, descriptions.c.version_id == versions.c.id)
    .where(descriptions.c.state == Reading.WAITING.value, versions.c.digest.is_not(None))
    .order_by(versions.c.id)
    .limit(bindparam("most"))
)
_VERSION = Query(select(versions.c.id).where(versions.c.id == bindparam("version_id")))
_SET = update(descriptions).where(descriptions.c.version_id == bindparam("of_version"))

# -- Looking ------------------------------------------------------------------------------------------------------


def of_image(
    connection: Executor, image_id: int, name: str | None, now: Instant, *, oversees: bool
) -> Described | None:
    """Of the version of that name, or of the newest that has content; None if the image has none.

    oversees: whether versions past their own end count. Raises ContentPending for a named one without content.
    """
    parameters = {"image_id": image_id, "now": now, "oversees": int(oversees)}
    if name is None:
        row = _NEWEST.first(connection, parameters)
    else:
        row = _NAMED.first(connection, parameters | {"name": name})
    return None if row is None else _described(row)


def exists(connection: Executor, version_id: int) -> bool:
    """Whether there is a version of that id."""
    return _VERSION.first(connection, {"version_id": version_id}) is not None


def waiting(connection: Executor, most: int) -> list[Version]:
    """The next versions whose content is to be read, the oldest first."""
    return [Version(*row) for row in _WAITING.all(connection, {"most": most})]


def _described(row: Row) -> Described:
    version = Version(*row[:_OWN])
    if version.digest is None:
        raise ContentPending
    state, error, read_at = row[_OWN:_READ]
    reading = Reading.WAITING if state is None else Reading(state)
    description = _description(row[_READ:]) if reading is Reading.READY else None
    return Described(version, reading, error, read_at, description)


def _description(columns: Row) -> Description:
    format_name, width, height, mpp_x, mpp_y, frames, captured, levels, associated, facts, warnings, identity = columns
    return Description(
        format=format_name,
        size=None if width is None else Size(width, height),
        levels=_LEVELS.decode(levels),
        mpp=None if mpp_x is None else (mpp_x, mpp_y),
        frames=frames,
        associated=_TEXTS.decode(associated),
        captured_at=captured,
        facts=_FACTS.decode(facts),
        warnings=_TEXTS.decode(warnings),
        identity=_TEXTS.decode(identity),
    )


_LEVELS = msgspec.json.Decoder(tuple[Level, ...])
_TEXTS = msgspec.json.Decoder(tuple[str, ...])
_FACTS = msgspec.json.Decoder(dict[str, Any])

# -- Noting what was read -----------------------------------------------------------------------------------------


def set_ready(transaction: Transaction, version_id: int, read: Description, now: Instant) -> None:
    """Note what was read. Does nothing for a version that is gone."""
    _set(
        transaction,
        version_id,
        state=Reading.READY.value,
        error=None,
        read_at=now,
        format=kept_text(read.format)[:_MOST_FORMAT] or _UNKNOWN_FORMAT,
        width=read.size and read.size.width,
        height=read.size and read.size.height,
        **_scale(read.mpp),
        frames=read.frames,
        **_capture(read.captured_at),
        levels=_json(read.levels, "[]"),
        associated=_json(read.associated, "[]"),
        facts=_json(read.facts, "{}"),
        warnings=_json(read.warnings, "[]"),
        identity=_json(read.identity, "[]"),
    )


def set_failed(transaction: Transaction, version_id: int, error: str, now: Instant) -> None:
    """Note why nothing could be read. Does nothing for a version that is gone."""
    _set(transaction, version_id, state=Reading.FAILED.value, error=kept_text(error), read_at=now)


def _set(transaction: Transaction, version_id: int, **values: Any) -> None:
    transaction.execute(_SET.values(values), {"of_version": version_id})


def _scale(mpp: tuple[float, float] | None) -> dict[str, float | None]:
    """A scale that is no positive number tells nothing."""
    if mpp is None or not all(math.isfinite(value) and value > 0 for value in mpp):
        return {"mpp_x": None, "mpp_y": None}
    return {"mpp_x": mpp[0], "mpp_y": mpp[1]}


def _capture(told: str | None) -> dict[str, Any]:
    """The instant beside the text; neither where the text is no time."""
    try:
        captured_at = from_datetime(datetime.fromisoformat(told)) if told and len(told) <= _MOST_CAPTURED else None
        to_datetime(captured_at or 0)  # in UTC it may be of a year that has no date
    except (ValueError, OverflowError):
        captured_at = None
    return {"captured": None if captured_at is None else told, "captured_at": captured_at}


def _json(value: Any, otherwise: str) -> str:
    """otherwise: what is kept instead of more than a row should hold."""
    text = msgspec.json.encode(value)
    return text.decode() if len(text) <= _MOST_JSON_BYTES else otherwise
