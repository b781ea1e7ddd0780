"""The two forms in which the protocol writes instants. Neither knows a zone but UTC."""

import re
from datetime import UTC, datetime

from pinakes.core.clock import Instant, from_datetime, to_datetime

_EXPIRATION = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?Z",
)
_AMZ_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")


def expiration_text(instant: Instant) -> str:
    """As in a policy: `YYYY-MM-DDTHH:MM:SSZ`, the second it lies in."""
    return to_datetime(instant).strftime("%Y-%m-%dT%H:%M:%SZ")


def amz_date_text(instant: Instant) -> str:
    """As in `x-amz-date`: `yyyymmddThhmmssZ`; its first eight characters are the day of the credential."""
    return to_datetime(instant).strftime("%Y%m%dT%H%M%SZ")


def parse_expiration(text: str) -> Instant | None:
    """The instant of a policy's expiration, to the microsecond; None for anything but ISO 8601 with `Z`."""
    match = _EXPIRATION.fullmatch(text)
    moment = None if match is None else _moment(match)
    if match is None or moment is None:
        return None
    return from_datetime(moment) + int((match[7] or "0").ljust(6, "0")[:6])


def parse_amz_date(text: str) -> datetime | None:
    """The moment of an `x-amz-date`; None for anything else."""
    match = _AMZ_DATE.fullmatch(text)
    return None if match is None else _moment(match)


def _moment(match: re.Match[str]) -> datetime | None:
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
