import calendar
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from pinakes.core.clock import SECOND
from pinakes.web.ranges import (
    Condition,
    Range,
    Unsatisfiable,
    conditional,
    http_date,
    if_range_holds,
    parse_http_date,
    parse_range,
    select,
)

CREATED = calendar.timegm((2021, 3, 4, 5, 6, 7)) * SECOND + 890_000
SAME, EARLIER, LATER = (http_date(CREATED + offset * SECOND) for offset in (0, -1, 1))
TAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 10, None),
        ("bytes=0-0", 10, Range(0, 1)),
        ("bytes=2-5", 10, Range(2, 4)),
        ("bytes=2-", 10, Range(2, 8)),
        ("bytes=-3", 10, Range(7, 3)),
        ("bytes=-30", 10, Range(0, 10)),
        ("bytes=5-99", 10, Range(5, 5)),
        (" Bytes = 5-6 ", 10, Range(5, 2)),
        ("bytes=0005-000006", 10, Range(5, 2)),
        ("bytes=9-", 10, Range(9, 1)),
        ("bytes=10-", 10, Unsatisfiable()),
        ("bytes=10-12", 10, Unsatisfiable()),
        ("bytes=-0", 10, Unsatisfiable()),
        ("bytes=0-", 0, Unsatisfiable()),
        ("bytes=-5", 0, None),
        ("bytes=5-2", 10, None),
        ("bytes=0-1,3-4", 10, None),
        ("bytes=0-1,", 10, None),
        ("bytes=", 10, None),
        ("bytes=-", 10, None),
        ("bytes=a-b", 10, None),
        ("bytes=+1-2", 10, None),
        ("bytes=1 - 2", 10, None),
        ("bytes=١-٢", 10, None),
        ("items=0-1", 10, None),
        ("bytes 0-1", 10, None),
        ("bytes=0-1\n", 10, None),
        ("bytes=" + "9" * 5000 + "-", 10, Unsatisfiable()),
        ("bytes=0-" + "9" * 5000, 10, Range(0, 10)),
        ("bytes=-" + "9" * 5000, 10, Range(0, 10)),
        ("bytes=" + "9" * 5000 + "-" + "9" * 4999, 10, None),
        ("bytes=" + "0" * 5000 + "1-2", 10, Range(1, 2)),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_range_selects_what_rfc_9110_says(header: str | None, size: int, expected: object) -> None:
    assert parse_range(header, size) == expected


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 2**40))
def test_a_closed_range_lies_within_the_content_and_where_it_was_asked(first: int, last: int, size: int) -> None:
    found = parse_range(f"bytes={first}-{last}", size)
    if last < first:
        assert found is None
    elif first >= size:
        assert found == Unsatisfiable()
    else:
        assert found == Range(first, min(last, size - 1) - first + 1)


@given(st.text() | st.text(alphabet="bytes=0123456789-, ").map("bytes={}".format), st.integers(0, 100))
def test_no_header_makes_it_raise_or_leave_the_content(header: str, size: int) -> None:
    found = parse_range(header, size)
    if isinstance(found, Range):
        assert 0 <= found.start < found.start + found.length <= size


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("GET", {}, Condition.HOLDS),
        ("GET", {"If-None-Match": TAG}, Condition.NOT_MODIFIED),
        ("HEAD", {"If-None-Match": TAG}, Condition.NOT_MODIFIED),
        ("DELETE", {"If-None-Match": TAG}, Condition.FAILED),
        ("GET", {"If-None-Match": f"W/{TAG}"}, Condition.NOT_MODIFIED),
        ("GET", {"If-None-Match": f'"x" , W/"y",{TAG}'}, Condition.NOT_MODIFIED),
        ("GET", {"If-None-Match": "*"}, Condition.NOT_MODIFIED),
        ("GET", {"If-None-Match": '"x,abc"'}, Condition.HOLDS),
        ("GET", {"If-None-Match": "abc"}, Condition.HOLDS),
        ("GET", {"If-Match": TAG}, Condition.HOLDS),
        ("GET", {"If-Match": "*"}, Condition.HOLDS),
        ("GET", {"If-Match": f'"x", {TAG}'}, Condition.HOLDS),
        ("GET", {"If-Match": f"W/{TAG}"}, Condition.FAILED),
        ("GET", {"If-Match": '"x"'}, Condition.FAILED),
        ("GET", {"If-Modified-Since": SAME}, Condition.NOT_MODIFIED),
        ("GET", {"If-Modified-Since": LATER}, Condition.NOT_MODIFIED),
        ("GET", {"If-Modified-Since": EARLIER}, Condition.HOLDS),
        ("DELETE", {"If-Modified-Since": SAME}, Condition.HOLDS),
        ("GET", {"If-Modified-Since": "yesterday"}, Condition.HOLDS),
        ("GET", {"If-Unmodified-Since": SAME}, Condition.HOLDS),
        ("GET", {"If-Unmodified-Since": EARLIER}, Condition.FAILED),
        ("GET", {"If-Match": TAG, "If-Unmodified-Since": EARLIER}, Condition.HOLDS),
        ("GET", {"If-None-Match": '"x"', "If-Modified-Since": LATER}, Condition.HOLDS),
        ("GET", {"If-Match": '"x"', "If-None-Match": TAG}, Condition.FAILED),
    ],
    ids=str,
)
def test_conditions_are_evaluated_in_the_order_of_rfc_9110(
    method: str, headers: dict[str, str], expected: Condition
) -> None:
    assert conditional(method, Headers(headers), TAG, CREATED) is expected


def test_conditions_about_validators_the_content_does_not_have() -> None:
    assert conditional("GET", Headers({"If-Match": TAG}), None, None) is Condition.FAILED
    assert conditional("GET", Headers({"If-None-Match": TAG}), None, None) is Condition.HOLDS
    assert conditional("GET", Headers({"If-Modified-Since": SAME}), None, None) is Condition.HOLDS


@pytest.mark.parametrize(
    ("value", "holds"),
    [(TAG, True), ('"x"', False), (f"W/{TAG}", False), (SAME, True), (EARLIER, False), (LATER, False), ("x", False)],
)
def test_if_range_compares_strongly(value: str, holds: bool) -> None:
    assert if_range_holds(Headers({"If-Range": value}), TAG, CREATED) is holds


def test_a_range_is_obeyed_only_where_if_range_holds_and_only_for_get() -> None:
    wanted = {"Range": "bytes=1-2"}
    part = select("GET", Headers(wanted), 10, TAG, CREATED)
    assert (part.status, part.offset, part.length) == (206, 1, 2)
    assert part.headers == {
        "Accept-Ranges": "bytes",
        "ETag": TAG,
        "Last-Modified": "Thu, 04 Mar 2021 05:06:07 GMT",
        "Content-Range": "bytes 1-2/10",
    }
    for method, headers in (("GET", {**wanted, "If-Range": '"x"'}), ("HEAD", wanted)):
        whole = select(method, Headers(headers), 10, TAG, CREATED)
        assert (whole.status, whole.offset, whole.length) == (200, 0, 10)
        assert "Content-Range" not in whole.headers


def test_no_bytes_are_selected_where_none_are_sent() -> None:
    refused = select("GET", Headers({"Range": "bytes=10-"}), 10, TAG)
    assert (refused.status, refused.length, refused.headers["Content-Range"]) == (416, 0, "bytes */10")
    assert select("GET", Headers({"If-None-Match": TAG, "Range": "bytes=10-"}), 10, TAG).status == 304
    assert select("GET", Headers({"If-Match": '"x"', "Range": "bytes=0-1"}), 10, TAG).status == 412


@pytest.mark.parametrize(
    "text", ["Thu, 04 Mar 2021 05:06:07 GMT", "Thursday, 04-Mar-21 05:06:07 GMT", "Thu Mar  4 05:06:07 2021"]
)
def test_all_three_forms_of_a_date_are_read_whatever_the_time_zone_of_the_server(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert parse_http_date(text) == CREATED // SECOND
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text() | st.text(alphabet="ThuMar 0123456789:,-+GMT"))
def test_no_date_makes_it_raise(text: str) -> None:
    found = parse_http_date(text)
    assert found is None or isinstance(found, int)


@pytest.mark.parametrize(
    "text", ["Thu, 04 Mar 99999999999999999999 05:06:07 GMT", "Thu, 04 Mar 2021 05:06:07 +" + "9" * 30]
)
def test_absurd_dates_are_none(text: str) -> None:
    assert parse_http_date(text) is None
