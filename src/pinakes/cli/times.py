"""Times as they are given on the command line."""

import re
from datetime import datetime, tzinfo

from pinakes.core.clock import DAY, HOUR, MINUTE, SECOND, Instant, from_datetime
from pinakes.failures import Failed

_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_LATEST = 253_402_300_800 * SECOND  # the year 10000, which no date can be written for


def after(now: Instant, duration: str) -> Instant:
    """The instant that lies `30d`, `12h`, `90s`, ... after now. Raises Failed."""
    match = _DURATION.fullmatch(duration.strip())
    if match is None or int(match[1]) == 0:
        raise Failed(f"{duration!r} is not a duration such as 90s, 45m, 12h, 30d or 8w")
    instant = now + int(match[1]) * _UNITS[match[2]]
    if instant >= _LATEST:
        raise Failed(f"{duration!r} is too long")
    return instant


def at(text: str, zone: tzinfo) -> Instant:
    """The instant of an ISO 8601 time; one without an offset is in the zone. Raises Failed."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise Failed(f"{text!r} is not a time such as 2027-01-31T18:00:00Z") from None
