"""Byte ranges and conditional requests (RFC 9110 sections 13 and 14): headers in, a decision out."""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate, parsedate_tz
from enum import Enum
from typing import Final

from starlette.datastructures import Headers

from pinakes.core.clock import SECOND, Instant
from pinakes.core.errors import PinakesError

_RANGE: Final = re.compile(r"[ \t]*bytes[ \t]*=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
_TAG: Final = re.compile(r'[ \t,]*((?:W/)?"[^"]*")[ \t]*')
_LONGEST_DATE: Final = 64


class PreconditionFailed(PinakesError):
    """A condition of the request does not hold."""


class RangeUnsatisfiable(PinakesError):
    """Nothing of the content lies in the range that was asked for."""

    def __init__(self, content_range: str) -> None:
        self.content_range = content_range
        super().__init__()


@dataclass(frozen=True, slots=True)
class Range:
    """`length` bytes from `start` on, inside the content."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """A well-formed range with nothing of the content in it."""


class Condition(Enum):
    """What the conditions of a request come to."""

    HOLDS = 200
    NOT_MODIFIED = 304
    FAILED = 412


@dataclass(frozen=True, slots=True)
class Selection:
    """What to answer to a request for content.

    status: 200, 206, 304, 412 or 416. The bytes are `length` from `offset` on; none for the last three.
    headers: Accept-Ranges, Content-Range, ETag and Last-Modified as they apply.
    """

    status: int
    offset: int
    length: int
    headers: dict[str, str]


def select(
    method: str, headers: Headers, size: int, etag: str | None = None, last_modified: Instant | None = None
) -> Selection:
    """Evaluate conditions, then the range, in the order of RFC 9110 section 13.2.2. A range counts for GET only.

    etag: with its quotes, strong.
    """
    fields = {"Accept-Ranges": "bytes"}
    if etag is not None:
        fields["ETag"] = etag
    if last_modified is not None:
        fields["Last-Modified"] = http_date(last_modified)
    condition = conditional(method, headers, etag, last_modified)
    if condition is not Condition.HOLDS:
        return Selection(condition.value, 0, 0, fields)
    wanted = parse_range(headers.get("range"), size) if method == "GET" else None
    if wanted is None or not if_range_holds(headers, etag, last_modified):
        return Selection(200, 0, size, fields)
    if isinstance(wanted, Unsatisfiable):
        return Selection(416, 0, 0, {**fields, "Content-Range": f"bytes */{size}"})
    return Selection(206, wanted.start, wanted.length, {**fields, "Content-Range": wanted.content_range(size)})


def parse_range(header: str | None, size: int) -> Range | Unsatisfiable | None:
    """One range of a content of `size` bytes; None where the whole is to be served.

    That is: no header, bad syntax, another unit, or several ranges. Numbers may have any length.
    """
    match = _RANGE.fullmatch(header) if header is not None else None
    if match is None:
        return None
    first, last = (text and (text.lstrip("0") or "0") for text in match.groups())
    if not first:
        return _suffix(last, size) if last else None
    if last and (len(last), last) < (len(first), first):
        return None
    start = _bounded(first, size)
    if start >= size:
        return Unsatisfiable()
    end = min(_bounded(last, size), size - 1) if last else size - 1
    return Range(start, end - start + 1)


def conditional(method: str, headers: Headers, etag: str | None, last_modified: Instant | None) -> Condition:
    """Evaluate If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since. If-Range is `if_range_holds`.

    A date that cannot be read counts as absent.
    """
    is_read = method in ("GET", "HEAD")
    seconds = last_modified // SECOND if last_modified is not None else None
    match = headers.getlist("if-match")
    if match:
        if not _matches(match, etag, weakly=False):
            return Condition.FAILED
    elif _is_after(seconds, headers.get("if-unmodified-since")):
        return Condition.FAILED
    none_match = headers.getlist("if-none-match")
    if none_match:
        if _matches(none_match, etag, weakly=True):
            return Condition.NOT_MODIFIED if is_read else Condition.FAILED
    elif is_read and _is_after(seconds, headers.get("if-modified-since")) is False:
        return Condition.NOT_MODIFIED
    return Condition.HOLDS


def is_unchanged(method: str, headers: Headers, etag: str) -> bool:
    """Whether the client has what it asks for, which has no other validator. Raises PreconditionFailed."""
    condition = conditional(method, headers, etag, None)
    if condition is Condition.FAILED:
        raise PreconditionFailed
    return condition is Condition.NOT_MODIFIED


def if_range_holds(headers: Headers, etag: str | None, last_modified: Instant | None) -> bool:
    """Whether a Range header may be obeyed: no If-Range, or its validator is exactly the content's (strong)."""
    value = headers.get("if-range")
    if value is None:
        return True
    value = value.strip()
    if value.endswith('"'):
        return value == etag and not value.startswith("W/")
    return last_modified is not None and parse_http_date(value) == last_modified // SECOND


def http_date(instant: Instant) -> str:
    """An instant as in Last-Modified, in whole seconds."""
    return formatdate(instant // SECOND, usegmt=True)


def parse_http_date(text: str | None) -> int | None:
    """The seconds since 1970 of an HTTP date in any of its three forms; None for anything else."""
    if text is None or len(text) > _LONGEST_DATE:
        return None
    try:
        fields = parsedate_tz(text)
        return calendar.timegm(fields[:9]) if fields is not None and not fields[9] else None  # always GMT
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _suffix(length: str, size: int) -> Range | Unsatisfiable | None:
    if length == "0":
        return Unsatisfiable()
    if size == 0:
        return None  # all of nothing: there is no Content-Range for it
    taken = min(_bounded(length, size), size)
    return Range(size - taken, taken)


def _bounded(digits: str, size: int) -> int:
    """The number, or something beyond `size` if it is longer than any size."""
    return int(digits) if len(digits) <= 20 else size + 1


def _matches(values: Sequence[str], etag: str | None, *, weakly: bool) -> bool:
    joined = ",".join(values).strip()
    if joined == "*":
        return True
    if etag is None:
        return False
    if weakly:
        return any(tag.removeprefix("W/") == etag.removeprefix("W/") for tag in _tags(joined))
    return not etag.startswith("W/") and any(tag == etag for tag in _tags(joined))


def _tags(text: str) -> list[str]:
    """The entity tags at the beginning of a list, up to the first thing that is none."""
    tags = []
    position = 0
    while (match := _TAG.match(text, position)) is not None:
        tags.append(match[1])
        position = match.end()
    return tags


def _is_after(seconds: int | None, date: str | None) -> bool | None:
    """Whether the content changed after the date; None if either is missing."""
    since = parse_http_date(date)
    return None if seconds is None or since is None else seconds > since
