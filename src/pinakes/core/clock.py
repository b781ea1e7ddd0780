"""Instants: microseconds since 1970-01-01T00:00:00 UTC, as plain integers.

One integer type compares and sorts alike on SQLite and PostgreSQL and needs no conversion on the way. The APIs turn
instants into their own texts. Operations are given a `Clock`, so that tests can move time.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Instant = int
Clock = Callable[[], Instant]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> Instant:
    """The present instant."""
    return time.time_ns() // 1_000


def to_datetime(instant: Instant) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=instant)


def from_datetime(moment: datetime) -> Instant:
    """The instant of an aware datetime; a naive one is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)
