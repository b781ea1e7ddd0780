"""Policies: what is read is what is judged, and no text makes the reader fail (pathomiq contract 5.3)."""

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.core.clock import DAY, SECOND, Instant, from_datetime, now, to_datetime
from pinakes.core.errors import UploadRefused
from pinakes.core.presigned.forms import PostForm
from pinakes.core.presigned.instants import amz_date_text, expiration_text, parse_amz_date, parse_expiration
from pinakes.core.presigned.policies import Condition, Policy, SizeRange, parse_policy
from pinakes.core.presigned.refusals import Code

BUCKET = "slides"
LATER = "2999-01-01T00:00:00Z"
NAMES = st.sampled_from(["key", "acl", "Content-Type", "x-amz-meta-a"])
VALUES = st.text("ab/$*é", max_size=4)
SIZES = st.integers(0, 50)

CONDITIONS = (
    st.builds(lambda name, value: {name: value}, NAMES, VALUES)
    | st.builds(
        lambda operator, name, value: [operator, f"${name}", value], st.sampled_from(["eq", "EQ"]), NAMES, VALUES
    )
    | st.builds(lambda name, value: ["starts-with", f"${name}", value], NAMES, VALUES)
)
RANGES = st.tuples(SIZES, SIZES).map(sorted).map(lambda ends: ["content-length-range", ends[0], str(ends[1])])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=12,
)


def encoded(document: Any) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def policy_of(*conditions: Any, expiration: str = LATER) -> Policy:
    return parse_policy(encoded({"expiration": expiration, "conditions": [{"bucket": BUCKET}, *conditions]}))


def is_allowed(policy: Policy, fields: dict[str, str], at: Instant | None = None) -> bool:
    form = PostForm.gather(fields.items(), None)
    try:
        policy.check(form, BUCKET, now() if at is None else at)
    except UploadRefused as refusal:
        return (refusal.code, refusal.message[:29]) != (Code.ACCESS_DENIED, "Invalid according to Policy: ")
    return True


def holds(condition: Any, fields: dict[str, str]) -> bool:
    """The rule once more, as simply as it can be said."""
    operator, name, value = ["eq", *next(iter(condition.items()))] if isinstance(condition, dict) else condition
    given = {key.lower(): text for key, text in fields.items()}.get(name.removeprefix("$").lower())
    if given is None:
        return False
    return given == value if operator.lower() == "eq" else given.startswith(value)


@given(st.lists(CONDITIONS, max_size=5), st.dictionaries(NAMES, VALUES, max_size=4))
def test_a_form_is_allowed_when_every_condition_holds_and_every_field_is_covered(
    conditions: list[Any], fields: dict[str, str]
) -> None:
    covered = {(next(iter(one)) if isinstance(one, dict) else one[1].removeprefix("$")).lower() for one in conditions}
    expected = all(holds(one, fields) for one in conditions) and {name.lower() for name in fields} <= covered
    assert is_allowed(policy_of(*conditions), fields) == expected


@given(st.lists(CONDITIONS, max_size=3), CONDITIONS, st.dictionaries(NAMES, VALUES, max_size=4))
def test_another_condition_never_lets_through_what_fails_one(
    conditions: list[Any], more: Any, fields: dict[str, str]
) -> None:
    """Contract 4.6: conditions that a caller appends can only narrow, but for the fields they cover."""
    if is_allowed(policy_of(*conditions, more), fields):
        assert all(holds(one, fields) for one in [*conditions, more])


@given(st.lists(RANGES, max_size=4), SIZES)
def test_several_ranges_allow_what_all_of_them_allow(ranges: list[Any], size: int) -> None:
    found = policy_of(*ranges).size_range
    is_inside = found.least <= size and (found.most is None or size <= found.most)
    assert is_inside == all(least <= size <= int(most) for _, least, most in ranges)


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()) | JSON.map(encoded))
def test_no_text_makes_the_reader_fail_in_any_other_way(text: str) -> None:
    with contextlib.suppress(UploadRefused):
        parse_policy(text)


@given(st.lists(JSON, max_size=4))
def test_no_condition_makes_the_reader_fail_in_any_other_way(conditions: list[Any]) -> None:
    with contextlib.suppress(UploadRefused):
        assert len(policy_of(*conditions).conditions) <= len(conditions) + 1


@given(st.integers(0, 4_000 * 365 * DAY))
def test_an_expiration_that_was_written_is_read_back_to_the_second(instant: Instant) -> None:
    assert parse_expiration(expiration_text(instant)) == instant // SECOND * SECOND
    date = parse_amz_date(amz_date_text(instant))
    assert date is not None
    assert from_datetime(date) == instant // SECOND * SECOND


@pytest.mark.parametrize(("fraction", "microseconds"), [(".5", 500_000), (".000001", 1), (".123456789", 123_456)])
def test_an_expiration_may_have_a_fraction(fraction: str, microseconds: int) -> None:
    """Contract 5.3."""
    whole = parse_expiration("2026-01-01T00:00:00Z")
    assert whole is not None
    assert parse_expiration(f"2026-01-01T00:00:00{fraction}Z") == whole + microseconds


def test_a_policy_is_over_in_the_microsecond_it_names() -> None:
    policy = policy_of(expiration="2026-01-01T00:00:00.500Z")
    assert is_allowed(policy, {}, policy.expiration - 1)
    assert not is_allowed(policy, {}, policy.expiration)
    assert to_datetime(policy.expiration).microsecond == 500_000


def test_a_field_named_bucket_must_name_this_one() -> None:
    assert is_allowed(policy_of(), {"Bucket": BUCKET})
    assert not is_allowed(policy_of(), {"bucket": "another"})


def test_what_needs_no_condition() -> None:
    """Contract 5.3, D12."""
    exempt = ["file", "policy", "AWSAccessKeyId", "signature", "x-amz-signature", "upload_file", "Content-MD5"]
    exempt += ["x-ignore-anything", "x-amz-checksum-sha256"]
    assert is_allowed(policy_of(), dict.fromkeys(exempt, "a"))
    for name in ("x-amz-date", "x-amz-security-token", "ignore", "x-amz-meta-a"):
        assert not is_allowed(policy_of(), {name: "a"})


def test_values_of_conditions_are_not_told_to_who_fails_them() -> None:
    with pytest.raises(UploadRefused) as caught:
        policy_of(["eq", "$key", "a secret name"]).check(PostForm({"key": "other"}), BUCKET, now())
    assert "a secret name" not in caught.value.message


def test_the_parts_of_a_policy() -> None:
    assert policy_of({"Acl": "private"}, ["STARTS-WITH", "$Key", "a"], ["content-length-range", 1, "5"]) == Policy(
        parse_expiration(LATER) or 0,
        (
            Condition("eq", "bucket", BUCKET),
            Condition("eq", "acl", "private"),
            Condition("starts-with", "key", "a"),
        ),
        SizeRange(1, 5),
    )
