import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pinakes.core.errors import Invalid
from pinakes.web.json_stream import Member, ObjectReader

Json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("data"), inner, max_size=4),
    max_leaves=12,
)
Cuts = st.lists(st.integers(1, 9), max_size=300)


class Gathered:
    """A sink that keeps everything and counts how often it was told to forget."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.resets = 0

    def write(self, text: str) -> None:
        self.pieces.append(text)

    def reset(self) -> None:
        self.pieces.clear()
        self.resets += 1

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def read(body: bytes, cuts: Sequence[int] = (), **options: Any) -> tuple[dict[str, Any], Member, Gathered]:
    """Feed a body in pieces of these sizes, and the rest at once."""
    sink = Gathered()
    reader = ObjectReader("data", sink, **options)
    position = 0
    for size in cuts:
        reader.feed(body[position : position + size])
        position += size
    reader.feed(body[position:])
    return reader.close(), reader.kind, sink


def joined(body: bytes, cuts: Sequence[int] = ()) -> dict[str, Any]:
    """The object with the streamed member put back in its place."""
    members, kind, sink = read(body, cuts)
    assert "data" not in members
    if kind is Member.STRING:
        members["data"] = sink.text
    return members


def agrees(body: bytes, cuts: Sequence[int] = ()) -> bool:
    """Whether the body is invalid, or what the standard library makes of it."""
    try:
        members, kind, sink = read(body, cuts)
    except Invalid:
        return True
    expected = json.loads(body.decode("utf-8"))
    data = expected.pop("data", None)
    if kind is Member.STRING:
        return bool(members == expected and data == sink.text)
    return members == expected and not isinstance(data, str)


@given(st.dictionaries(st.text() | st.just("data"), Json, max_size=6), st.text(), st.booleans(), Cuts)
def test_an_object_reads_as_the_standard_library_reads_it_however_it_is_cut(
    value: dict[str, Any], data: str, is_ascii: bool, cuts: list[int]
) -> None:
    value["data"] = data
    body = json.dumps(value, ensure_ascii=is_ascii).replace("/", "\\/").encode("utf-8")
    assert joined(body, cuts) == value


@given(
    st.lists(
        st.sampled_from(["\\/", "\\\\", '\\"', "\\u00e9", "\\ud83d\\ude00", "\\n", "a", "é", "漢", "😀", "\\\\u"])
    ),
    Cuts,
)
@example(["\\ud83d\\ude00"], [15])
@example(["\\\\", "\\ud83d\\ude00"], [17, 1])
def test_escapes_and_characters_survive_every_cut(parts: list[str], cuts: list[int]) -> None:
    body = ('{"data":"' + "".join(parts) + '"}').encode()
    assert joined(body, [9, *cuts]) == json.loads(body)


Garbage = st.binary(max_size=60) | st.text(alphabet='{}[]":,\\u0d8c9 eE.-+truefalsnd\n\x00é', max_size=60).map(
    lambda text: text.encode("utf-8")
)


@given(Garbage, Cuts)
@example(b'{"a":1 "data":"x"}', [])
@example(b'["data":"x"]', [])
@example(b'{"data""x"}', [])
@example(b'{"data":"x" "y"}', [])
@example(b'{"data":{"data":"x"}}', [])
@example(b'{:"data":"x"}', [])
def test_garbage_is_invalid_or_reads_as_the_standard_library_reads_it(garbage: bytes, cuts: list[int]) -> None:
    for body in (garbage, b'{"data":"' + garbage + b'"}', b'{"data":' + garbage + b"}", b'{"data":"x",' + garbage):
        assert agrees(body, cuts)


@given(st.text(alphabet='{}[]":, dat\\', max_size=40), st.integers(0, 40), st.integers(0, 40))
def test_a_valid_object_with_something_put_in_is_never_misread(junk: str, at: int, upto: int) -> None:
    whole = '{"a":{"data":"no"},"data":"yes","b":[1]}'
    body = (whole[:at] + junk + whole[max(at, upto) :]).encode()
    assert agrees(body)


def test_only_the_member_at_the_top_counts_however_its_key_is_written() -> None:
    members, kind, sink = read(b'{"a":{"data":"no"},"b":[{"data":"no"}],"d\\u0061ta":"yes"}')
    assert (members, kind, sink.text) == ({"a": {"data": "no"}, "b": [{"data": "no"}]}, Member.STRING, "yes")


@pytest.mark.parametrize("value", ["null", "5", "true", "[]", '["x"]', "{}", '{"data":"x"}'])
def test_a_member_that_is_no_string_is_told_apart_from_one_that_is_absent(value: str) -> None:
    assert read(b'{"data":' + value.encode() + b',"a":1}')[:2] == ({"a": 1}, Member.OTHER)
    assert read(b'{"a":1}')[:2] == ({"a": 1}, Member.ABSENT)


def test_an_empty_string_is_a_string() -> None:
    _, kind, sink = read(b'{"data":""}')
    assert (kind, sink.text) == (Member.STRING, "")


def test_of_a_repeated_member_the_last_counts_and_the_sink_is_told() -> None:
    _, kind, sink = read(b'{"data":"first","data":"second"}')
    assert (kind, sink.text, sink.resets) == (Member.STRING, "second", 1)
    _, kind, sink = read(b'{"data":"first","data":5}')
    assert (kind, sink.text, sink.resets) == (Member.OTHER, "", 1)
    _, kind, sink = read(b'{"data":5,"data":"second"}')
    assert (kind, sink.text, sink.resets) == (Member.STRING, "second", 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"null",
        b'"data"',
        b"[1]",
        b"\x89PNG\r\n",
        b'{"data":"x"',
        b'{"data":"x',
        b'{"data":"x\\',
        b'{"data":"x\\u12',
        b'{"data":"x"}{}',
        b'{"data":"x"}}',
        b'{"data":"x"},',
        b'{"data":"\\ud800"}',
        b'{"data":"\\ude00\\ud83d"}',
        b'{"data":"\\ud83dx"}',
        b'{"data":"\\x41"}',
        b'{"data":"\\u12g4"}',
        b'{"data":"\n"}',
        b'{"data":"\x00"}',
        b'{"data":"\xff"}',
        b'{"data":"\xc3"}',
        b'{"data":"\xed\xa0\x80"}',
        b'{"data":"x","a":NaN}',
        b'{"data":"x","a":' + b"9" * 5000 + b"}",
        b'{"data":"x","a":' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"data":"x","a":' + b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda body: repr(body[:24]),
)
@pytest.mark.parametrize("cuts", [(), (1,) * 40], ids=["whole", "cut"])
def test_what_is_no_json_object_is_invalid(body: bytes, cuts: tuple[int, ...]) -> None:
    with pytest.raises(Invalid):
        read(body, cuts)


def test_a_body_that_is_no_object_is_refused_at_its_first_byte() -> None:
    with pytest.raises(Invalid):
        ObjectReader("data", Gathered()).feed(b"  \n\x89PNG")


def test_a_huge_string_is_handed_on_piece_by_piece_and_not_kept() -> None:
    class Sizes(Gathered):
        def write(self, text: str) -> None:
            self.pieces.append(str(len(text)))

    sink = Sizes()
    reader = ObjectReader("data", sink)
    reader.feed(b'{"data":"')
    for _ in range(40):
        reader.feed(b"QUJD" * (256 * 1024))
    reader.feed(b'"}')
    assert reader.close() == {}
    assert sum(map(int, sink.pieces)) == 40 * 1024 * 1024
    assert max(map(int, sink.pieces)) <= 1024 * 1024
    assert len(reader._other) + len(reader._buffer) < 100


@pytest.mark.parametrize("body", [b'{"a":"' + b"x" * 2000, b"{" + b" " * 2000, b'{"data":"x"' + b",1" * 2000])
def test_everything_else_together_is_limited(body: bytes) -> None:
    with pytest.raises(Invalid, match="more than 1000 bytes"):
        read(body, max_other_bytes=1000)


def test_a_long_run_of_escaped_quotes_and_backslashes_is_read() -> None:
    text = '"' * 300_000 + "\\" * 300_001 + '"/'
    body = json.dumps({"data": text}).encode()
    assert joined(body, [100_000, 99_999, 1]) == {"data": text}
