"""What is told of a slide, by the archive and by clients: lines that are only ever added (pathomiq contract 2.2).

They outlive the slide, for staff. What the archive writes names states, ids and changed members; never what those
hold, and no names of people, tokens, signatures or paths.
"""

import enum
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select

from pinakes.core.access import policy
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.clock import Clock, Instant
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import images, slide_logs
from pinakes.core.errors import ImageUnknown, InvalidFields
from pinakes.core.slides import records
from pinakes.core.text import check_text

MOST_LISTED = 1000
"""How many of the latest lines the list of all slides holds unless a number is asked for (contract 4.4)."""

_MOST_TYPE = 64
_MOST_MESSAGE = 2000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and newline


class LogType(enum.StrEnum):
    """What the archive's own lines are about."""

    IMAGE = "Image"
    UPLOAD = "Upload"
    PREDICTION = "Prediction"
    TISSUE_AREA = "TissueArea"
    TILING = "Tiling"
    ANNOTATION = "Annotation"
    SHARE = "Share"
    DELETE = "Delete"


class LogSource(enum.StrEnum):
    """Who wrote a line: the archive itself, or a client. A client cannot write one that looks like the archive's."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. user_id: who caused it; None for the archive itself."""

    id: int
    image_uid: str
    type: str
    message: str
    user_id: int | None
    source: LogSource
    created_at: Instant


_INSERT = insert(slide_logs)
_COLUMNS = (
    slide_logs.c.id,
    slide_logs.c.image_uid,
    slide_logs.c.type,
    slide_logs.c.message,
    slide_logs.c.user_id,
    slide_logs.c.source,
    slide_logs.c.created_at,
)
_LATEST = select(*_COLUMNS).order_by(slide_logs.c.id.desc()).limit(bindparam("most"))
_VISIBLE = select(images.c.id).where(records.REACHABLE, policy.READABLE)
_LATEST_OF_ALL = Query(_LATEST)
_LATEST_OF_VISIBLE = Query(_LATEST.where(slide_logs.c.image_id.in_(_VISIBLE)))
_OF_SLIDE = Query(select(*_COLUMNS).where(slide_logs.c.image_uid == bindparam("uid")).order_by(slide_logs.c.id))


def append(
    transaction: Transaction,
    image_id: int,
    uid: str,
    kind: LogType | str,
    message: str,
    *,
    user_id: int | None,
    now: Instant,
    source: LogSource = LogSource.SERVER,
) -> None:
    """Add a line to what is told of a slide, in the transaction of what it tells. user_id: None for the archive."""
    row = {
        "image_id": image_id,
        "image_uid": uid,
        "type": str(kind),
        "message": message[:_MOST_MESSAGE],
        "user_id": user_id,
        "source": source.value,
        "created_at": now,
    }
    transaction.execute(_INSERT, row)


class SlideLogs:
    """Operations on the lines. Each raises Unauthenticated, KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def latest(self, actor: Actor, most: int = MOST_LISTED) -> list[LogLine]:
        """The latest lines of every slide the actor may see, ascending; for staff also of deleted ones."""
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.READ)
        query = _LATEST_OF_ALL if actor.is_staff else _LATEST_OF_VISIBLE
        parameters = policy.parameters(actor, self._clock()) | {"most": most}
        with self._database.read() as connection:
            rows = query.all(connection, parameters if not actor.is_staff else {"most": most})
        return [_line(row) for row in reversed(rows)]

    def of_slide(self, actor: Actor, uid: str) -> list[LogLine]:
        """All lines of a slide, ascending; for staff also of one that was deleted. Raises ImageUnknown."""
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.READ)
        with self._database.read() as connection:
            slide = records.find(connection, actor, uid, self._clock())
            if not actor.is_staff and (slide is None or not policy.may_read(actor, slide.facts, self._clock())):
                raise ImageUnknown
            lines = [_line(row) for row in _OF_SLIDE.all(connection, {"uid": uid})]
        if slide is None and not lines:
            raise ImageUnknown
        return lines

    def post(self, actor: Actor, ref: str | int, kind: str, message: str) -> None:
        """Add a line of a client's own. kind: 1 to 64 characters; message: 1 to 2,000, kept to the letter.

        Raises ImageUnknown, InvalidFields.
        """
        user_id = require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.WRITE)
        _check("type", kind, _MOST_TYPE)
        _check("message", message, _MOST_MESSAGE)
        with self._database.write() as transaction:
            slide = records.visible(transaction, actor, ref, self._clock())
            append(
                transaction,
                slide.id,
                slide.uid,
                kind,
                message,
                user_id=user_id,
                now=self._clock(),
                source=LogSource.CLIENT,
            )


def _check(field: str, text: str, most: int) -> None:
    """Raises InvalidFields (contract 4.5)."""
    if not text:
        raise InvalidFields.one(field, "must not be empty")
    check_text(field, text, most=most)
    if _CONTROL.search(text):
        raise InvalidFields.one(field, "must not contain control characters")


def _line(row: Any) -> LogLine:
    line_id, image_uid, kind, message, user_id, source, created_at = row
    return LogLine(line_id, image_uid, kind, message, user_id, LogSource(source), created_at)
