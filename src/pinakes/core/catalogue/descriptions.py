"""The SQL of what was read from the contents of versions (`catalogue.reading`)."""

import math
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, bindparam, or_, select, update

from pinakes.core.access import policy
from pinakes.core.access.policy import ImageFacts
from pinakes.core.actor import Actor
from pinakes.core.catalogue.reading import Reading
from pinakes.core.catalogue.records import FACT_COLUMNS, IMAGES, VERSION_COLUMNS, Version, facts_of, version_of
from pinakes.core.clock import Instant, from_datetime, to_datetime
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.query import Query, Row
from pinakes.core.db.schema import descriptions, images, versions
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

    description: once it is READY, or somebody has looked before that.   error: why reading it FAILED, for people.
    has_ended: whether the version is past its own end, and so for the author and staff alone.
    """

    version: Version
    state: Reading
    error: str | None
    read_at: Instant | None
    description: Description | None
    has_ended: bool


_COLUMNS = (
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
    descriptions.c.pixel_digest,
    descriptions.c.study,
)
_FACTS, _VERSION = len(FACT_COLUMNS), len(VERSION_COLUMNS)
_STATE = 3
"""How many of the columns tell of the reading itself."""

_JSON = slice(7, 12)
"""Those of the rest that are JSON."""

_MOST_KEPT: Final = 256
_MOST_KEPT_CHARACTERS: Final = 8 * 1024

_SHOWN = or_(
    versions.c.end_at.is_(None),
    versions.c.end_at > bindparam("now"),
    bindparam("oversees", type_=versions.c.id.type) == 1,
)


def _of_image(condition: ColumnElement[bool]) -> Query:
    return Query(
        select(*VERSION_COLUMNS, *_COLUMNS, versions.c.end_at)
        .select_from(versions.outerjoin(descriptions, descriptions.c.version_id == versions.c.id))
        .where(versions.c.image_id == bindparam("image_id"), _SHOWN, condition)
        .order_by(versions.c.id.desc())
        .limit(1)
    )


_FIND = Query(
    select(*FACT_COLUMNS, *VERSION_COLUMNS, *_COLUMNS, versions.c.end_at)
    .select_from(IMAGES.outerjoin(descriptions, descriptions.c.version_id == versions.c.id))
    .where(images.c.id == bindparam("image_id"))
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
_EXISTS = Query(select(versions.c.id).where(versions.c.id == bindparam("version_id")))
_SET = update(descriptions).where(descriptions.c.version_id == bindparam("of_version"))

# -- Looking ------------------------------------------------------------------------------------------------------


def find(connection: Executor, actor: Actor, image_id: int, now: Instant) -> tuple[ImageFacts, Described | None] | None:
    """An image's facts, and what is known of its newest version with content; None if that has ended, or there is none.

    None if there is no such image. Whether the actor may see it is not asked.
    """
    row = _FIND.first(connection, policy.parameters(actor, now) | {"image_id": image_id})
    if row is None:
        return None
    facts, version = facts_of(row[:_FACTS]), version_of(row[_FACTS : _FACTS + _VERSION])
    if version is None:
        return facts, None
    found = _described(version, row[_FACTS + _VERSION :], now)
    return facts, None if found.has_ended else found


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
    if row is None:
        return None
    version = Version(*row[:_VERSION])
    if version.digest is None:
        raise ContentPending
    return _described(version, row[_VERSION:], now)


def exists(connection: Executor, version_id: int) -> bool:
    """Whether there is a version of that id."""
    return _EXISTS.first(connection, {"version_id": version_id}) is not None


def waiting(connection: Executor, most: int) -> list[Version]:
    """The next versions whose content is to be read, the oldest first."""
    return [Version(*row) for row in _WAITING.all(connection, {"most": most})]


def _described(version: Version, row: Row, now: Instant) -> Described:
    """row: `_COLUMNS`, and when the version ends."""
    state, error, read_at = row[:_STATE]
    reading = Reading.WAITING if state is None else Reading(state)
    columns, end_at = row[_STATE:-1], row[-1]
    is_known = columns[0] is not None and reading is not Reading.FAILED
    description = _description(columns) if is_known else None
    return Described(version, reading, error, read_at, description, end_at is not None and end_at <= now)


def _description(columns: Row) -> Description:
    """Asked for with every tile, so those of usual size are decoded once."""
    is_usual = sum(map(len, columns[_JSON])) <= _MOST_KEPT_CHARACTERS
    return _kept_description(columns) if is_usual else _decoded(columns)


def _decoded(columns: Row) -> Description:
    format_name, width, height, mpp_x, mpp_y, frames, captured, *told, pixel_digest, study = columns
    levels, associated, facts, warnings, identity = told
    return Description(
        format=format_name,
        size=None if width is None else Size(width, height),
        levels=_LEVELS.decode(levels),
        mpp=None if mpp_x is None else (mpp_x, mpp_y),
        frames=frames,
        associated=_TEXTS.decode(associated),
        captured_at=captured,
        facts=_TOLD.decode(facts),
        warnings=_TEXTS.decode(warnings),
        identity=_TEXTS.decode(identity),
        pixel_digest=pixel_digest,
        study=study,
    )


_kept_description = lru_cache(_MOST_KEPT)(_decoded)
_LEVELS = msgspec.json.Decoder(tuple[Level, ...])
_TEXTS = msgspec.json.Decoder(tuple[str, ...])
_TOLD = msgspec.json.Decoder(dict[str, Any])

# -- Noting what was read -----------------------------------------------------------------------------------------


def set_ready(transaction: Transaction, version_id: int, read: Description, now: Instant) -> None:
    """Note what was read. Does nothing for a version that is gone."""
    state = {"state": Reading.READY.value, "error": None, "read_at": now, "pixel_digest": read.pixel_digest}
    _set(transaction, version_id, **state, **_known(read))


def set_seen(transaction: Transaction, version_id: int, read: Description) -> None:
    """Note what one who looks before the job comes by needs to know; it stays waiting for the rest."""
    _set(transaction, version_id, **_known(read))


def _known(read: Description) -> dict[str, Any]:
    return {
        "format": kept_text(read.format)[:_MOST_FORMAT] or _UNKNOWN_FORMAT,
        "width": read.size and read.size.width,
        "height": read.size and read.size.height,
        **_scale(read.mpp),
        "frames": read.frames,
        **_capture(read.captured_at),
        "levels": _json(read.levels, "[]"),
        "associated": _json(read.associated, "[]"),
        "facts": _json(read.facts, "{}"),
        "warnings": _json(read.warnings, "[]"),
        "identity": _json(read.identity, "[]"),
        "study": read.study,
    }


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
