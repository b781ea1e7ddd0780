"""The text form of namespaces (djinn contract, section 6)."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.core.errors import InvalidFields
from pinakes.core.namespaces.paths import MOST_CHARACTERS, MOST_LEVELS, NamespacePath, PathReason

SEGMENTS = st.text(string.ascii_letters + string.digits, min_size=1, max_size=40)
OWNERS = st.text(string.ascii_letters + string.digits + "._-", min_size=3, max_size=30)
PATHS = st.builds(NamespacePath, st.lists(SEGMENTS, min_size=1, max_size=MOST_LEVELS).map(tuple), st.none() | OWNERS)


def reason(text: str) -> str:
    with pytest.raises(InvalidFields) as caught:
        NamespacePath.parse(text)
    ((found,),) = caught.value.problems.values()
    return found


@given(PATHS)
def test_a_path_reads_back_as_it_was_written(path: NamespacePath) -> None:
    assert NamespacePath.parse(str(path)) == path


@given(st.text() | st.text("aZ09/@.-_ \n\0"))
def test_any_text_is_a_path_or_is_refused_with_a_reason(text: str) -> None:
    try:
        path = NamespacePath.parse(text)
    except InvalidFields:
        assert reason(text) in set(PathReason)
    else:
        assert str(path) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "a b",
        "a-b",
        "a_b",
        "é",
        "٣",
        "a\n",
        "a@",
        "@ana",
        "a@an",
        "a@ana@ben",
        "a@an a",
        "a\0",
    ],
)
def test_what_is_no_path_is_malformed(text: str) -> None:
    assert reason(text) is PathReason.MALFORMED


def test_digits_are_accepted() -> None:
    assert NamespacePath.parse("42/a1@b.e-n_").segments == ("42", "a1")


def test_twenty_levels_are_the_most() -> None:
    assert len(NamespacePath.parse("/".join("a" * MOST_LEVELS)).segments) == MOST_LEVELS
    assert reason("/".join("a" * (MOST_LEVELS + 1))) is PathReason.TOO_DEEP


def test_a_path_is_limited_in_length() -> None:
    assert reason("a" * 256) is PathReason.MALFORMED
    longest = "/".join(["a" * 255] * 8)
    assert len(longest) < MOST_CHARACTERS
    assert NamespacePath.parse(longest).path == longest
    assert reason(longest + "/aa") is PathReason.TOO_LONG


def test_the_paths_of_all_levels_begin_with_the_root() -> None:
    assert NamespacePath.parse("a/b/c").prefixes == ("a", "a/b", "a/b/c")
