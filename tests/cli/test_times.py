"""Durations and times as they are given on the command line."""

from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.cli import times
from pinakes.core.clock import DAY, HOUR, MINUTE, SECOND, from_datetime, to_datetime
from pinakes.failures import Failed


@pytest.mark.parametrize(
    ("text", "length"),
    [("90s", 90 * SECOND), ("45m", 45 * MINUTE), ("12h", 12 * HOUR), ("30d", 30 * DAY), ("8w", 56 * DAY)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, length: int) -> None:
    assert times.after(1_000, text) == 1_000 + length


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-31T18:00:00Z", datetime(2027, 1, 31, 18, tzinfo=UTC)),
        ("2027-01-31T18:00:00-08:00", datetime(2027, 2, 1, 2, tzinfo=UTC)),
        ("2027-01-31T18:00", datetime(2027, 2, 1, 2, tzinfo=UTC)),
        ("2027-01-31", datetime(2027, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_a_time_without_an_offset_is_in_the_zone_of_the_settings(text: str, moment: datetime) -> None:
    assert times.at(text, ZoneInfo("America/Tijuana")) == from_datetime(moment)


@given(st.text(max_size=30))
def test_any_other_text_is_refused_and_nothing_else_goes_wrong(text: str) -> None:
    with suppress(Failed):
        to_datetime(times.after(0, text))
    with suppress(Failed):
        to_datetime(times.at(text, UTC))


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_time_that_can_be_written_is_read_back(moment: datetime) -> None:
    assert times.at(moment.isoformat(), UTC) == from_datetime(moment)
