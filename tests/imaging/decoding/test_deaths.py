"""A picture that has ended two processes is left alone for a while."""

import pytest

from pinakes.imaging.decoding import deaths
from pinakes.imaging.decoding.deaths import Deaths
from pinakes.imaging.decoding.requests import DecodingFailed


def test_the_second_death_is_enough_and_only_for_that_picture() -> None:
    seen = Deaths()
    seen.note("bad")
    seen.check("bad")
    seen.note("bad")
    with pytest.raises(DecodingFailed, match="tried again in 5 minutes"):
        seen.check("bad")
    seen.check("good")


def test_after_some_minutes_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    seen = Deaths()
    for _ in range(2):
        seen.note("bad")
    now += deaths.REMEMBERED_SECONDS - 1
    with pytest.raises(DecodingFailed):
        seen.check("bad")
    now += 1
    seen.check("bad")
    seen.note("bad")
    seen.check("bad")


def test_what_has_no_key_is_not_remembered() -> None:
    seen = Deaths()
    for _ in range(3):
        seen.note("")
    seen.check("")


def test_not_more_are_remembered_than_there_is_room_for() -> None:
    seen = Deaths()
    for _ in range(2):
        seen.note("first")
    for number in range(1000):
        seen.note(str(number))
    seen.check("first")
    assert len(seen._seen) == 1000
