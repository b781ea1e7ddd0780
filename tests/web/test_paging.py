import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.web.paging import MAX_ID, link_header, parse_id, parse_page


@given(st.integers(1, MAX_ID), st.integers(0, 30))
def test_an_id_is_read_back_also_with_leading_zeros(number: int, zeros: int) -> None:
    assert parse_id("0" * zeros + str(number)) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "00",
        "-1",
        "+1",
        "1.5",
        "abc",
        "None",
        " 1",
        "1\n",
        "١",
        "１",
        "1_000",
        str(MAX_ID + 1),
        "9" * 5000,
        "1\0",
    ],
)
def test_what_is_no_id_is_none(text: str) -> None:
    assert parse_id(text) is None


@given(st.text())
def test_no_text_makes_an_id_or_a_page_raise(text: str) -> None:
    number = parse_id(text)
    assert number is None or 1 <= number <= MAX_ID
    assert 1 <= parse_page(text) <= MAX_ID


@pytest.mark.parametrize(
    ("text", "page"),
    [(None, 1), ("", 1), ("abc", 1), ("0", 1), ("-3", 1), ("1.5", 1), ("2", 2), ("007", 7), ("9" * 5000, MAX_ID)],
)
def test_a_page_that_is_none_is_the_first(text: str | None, page: int) -> None:
    assert parse_page(text) == page


def test_a_list_of_one_page_has_no_link() -> None:
    assert link_header("http://h/images", [], 1, False) is None


def test_only_existing_neighbours_are_linked() -> None:
    assert link_header("http://h/images", [], 1, True) == '<http://h/images?page=2>; rel="next"'
    assert link_header("http://h/images", [], 3, False) == '<http://h/images?page=2>; rel="prev"'
    assert (
        link_header("http://h/images", [], 2, True)
        == '<http://h/images?page=1>; rel="prev", <http://h/images?page=3>; rel="next"'
    )


def test_other_parameters_are_kept_and_encoded_and_only_the_page_changes() -> None:
    params = [("search", 'a&b=">;'), ("page", "2"), ("x", "é"), ("x", ""), ("page", "9")]
    assert link_header("http://h/i", params, 2, True) == (
        '<http://h/i?search=a%26b%3D%22%3E%3B&x=%C3%A9&x=&page=1>; rel="prev", '
        '<http://h/i?search=a%26b%3D%22%3E%3B&x=%C3%A9&x=&page=3>; rel="next"'
    )
