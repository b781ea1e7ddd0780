import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.core.errors import Invalid
from pinakes.web.jsonbody import decode_object, respond_json

BAD = [
    b"",
    b" \r\n",
    b"null",
    b"[]",
    b'"text"',
    b"5",
    b"{",
    b"{}x",
    b"{'a':1}",
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":1,}',
    b"\xef\xbb\xbf{}",
    b'{"a":"\xff"}',
    b'{"a":"\\ud800"}',
    b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":' + b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "{}".encode("utf-16"),
]


@pytest.mark.parametrize("body", BAD, ids=lambda body: repr(body[:12]))
def test_what_is_no_json_object_is_invalid(body: bytes) -> None:
    with pytest.raises(Invalid):
        decode_object(body)


@given(st.binary() | st.text(alphabet='{}[]":,\\u0d1 eE.-ntrf\n').map(str.encode))
def test_any_bytes_are_an_object_or_invalid(body: bytes) -> None:
    try:
        value = decode_object(body)
    except Invalid:
        return
    assert value == json.loads(body)


@given(
    st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.floats(0, 1))
)
def test_an_object_is_what_it_says(value: dict[str, Any]) -> None:
    assert decode_object(json.dumps(value).encode()) == value


def test_an_answer_has_its_exact_length_and_the_media_type_of_its_api() -> None:
    response = respond_json({"name": "é"}, 201, {"X-A": "b"}, media_type="application/json; charset=utf-8")
    assert response.status_code == 201
    assert response.body == '{"name":"é"}'.encode()
    assert dict(response.headers) == {
        "x-a": "b",
        "content-length": "13",
        "content-type": "application/json; charset=utf-8",
    }
