import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.web.accept import preferred

OFFERED = ("image/jpeg", "image/webp", "image/avif", "image/png")
CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        (None, "image/jpeg"),
        ("", "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/png", "image/png"),
        ("IMAGE/PNG", "image/png"),
        (CHROME, "image/webp"),
        (PAGE, "image/webp"),
        ("image/avif, */*", "image/avif"),
        ("image/webp;q=0.5, image/avif;q=0.6", "image/avif"),
        ("image/avif;q=0.5, image/*;q=0.9", "image/jpeg"),
        ("image/*, image/jpeg;q=0", "image/webp"),
        ("image/png; q=0.001", "image/png"),
        ("image/png;q=nonsense", "image/png"),
        ("text/html", None),
        ("application/json, text/*", None),
        ("image/jpeg;q=0", None),
        ("*/*;q=0", None),
    ],
)
def test_the_media_type_that_the_client_likes_best_is_taken(header: str | None, chosen: str | None) -> None:
    assert preferred(header, OFFERED) == chosen


def test_without_a_wish_the_order_of_the_offer_counts() -> None:
    assert preferred("image/webp, image/jpeg", OFFERED) == "image/jpeg"
    assert preferred("image/webp, image/jpeg", OFFERED[::-1]) == "image/webp"


@given(st.text(st.sampled_from('image/jpegpng*,;q=.01 \t\0"é'), max_size=60))
def test_any_header_gives_one_of_the_offer_or_none(header: str) -> None:
    assert preferred(header, OFFERED) in {*OFFERED, None}


@given(st.permutations(["image/jpeg;q=0.4", "image/webp;q=0.3", "image/png;q=0.9", "*/*;q=0.1"]))
def test_the_order_in_which_the_client_names_them_does_not_matter(ranges: list[str]) -> None:
    assert preferred(", ".join(ranges), OFFERED) == "image/png"
