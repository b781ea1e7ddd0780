"""The parameters of image requests (Image API 3.0, section 4): pure functions."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pinakes.apis.iiif.parameters import (
    MAX_AREA,
    MAX_SIDE,
    ParameterInvalid,
    UpscalingUnsupported,
    file_of,
    image_request,
    largest,
    region_of,
    rotation_of,
    size_of,
)
from pinakes.core.errors import PinakesError
from pinakes.core.renditions.wanted import PictureFormat
from pinakes.imaging.source import Rect, Size

FULL = Size(300, 200)
HUGE = Size(200_000, 200_000)

sizes = st.builds(Size, st.integers(1, 100_000), st.integers(1, 100_000))
texts = st.text(max_size=24) | st.text("0123456789,.:!^pctmaxfulsqr", max_size=24)


@pytest.mark.parametrize(
    ("text", "rect"),
    [
        ("full", Rect(0, 0, 300, 200)),
        ("square", Rect(50, 0, 200, 200)),
        ("125,15,120,140", Rect(125, 15, 120, 140)),
        ("125,15,200,200", Rect(125, 15, 175, 185)),
        ("pct:41.6,7.5,40,70", Rect(125, 15, 120, 140)),
        ("pct:41.6,7.5,66.6,100", Rect(125, 15, 175, 185)),
        ("pct:.5,0,100,100.0", Rect(2, 0, 298, 200)),
        ("0,0," + "9" * 5000 + ",1", Rect(0, 0, 300, 1)),
        ("000000000000000000001,0,1,1", Rect(1, 0, 1, 1)),
    ],
)
def test_a_region_is_cut_off_at_the_edges_of_the_picture(text: str, rect: Rect) -> None:
    """The examples of section 4.1 among them."""
    assert region_of(text, FULL) == rect


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Full",
        "0,0,0,5",
        "0,0,5,0",
        "300,0,5,5",
        "0,200,5,5",
        "9" * 5000 + ",0,1,1",
        "-1,0,5,5",
        "0,0,5",
        "0,0,5,5,5",
        "1.5,0,5,5",
        "0, 0,5,5",
        "pct:0,0,0,5",
        "pct:100,0,5,5",
        "pct:+1,0,5,5",
        "pct:1e1,0,5,5",
        "pct:,,,",
        "\u0663,0,5,5",
    ],
)
def test_an_empty_or_unreadable_region_is_refused(text: str) -> None:
    with pytest.raises(ParameterInvalid):
        region_of(text, FULL)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("max", FULL),
        ("150,", Size(150, 100)),
        (",150", Size(225, 150)),
        ("pct:50", Size(150, 100)),
        ("225,100", Size(225, 100)),
        ("!225,100", Size(150, 100)),
        ("!2000,3000", FULL),
        ("!1,1", Size(1, 1)),
        ("^150,", Size(150, 100)),
        ("^!60,400", Size(60, 40)),
        ("1,", Size(1, 1)),
    ],
)
def test_a_size_keeps_the_shape_unless_both_sides_are_given(text: str, size: Size) -> None:
    """The examples of section 4.2 among them. A `!w,h` larger than the region does not ask for more than it."""
    assert size_of(text, FULL) == size


@pytest.mark.parametrize("text", ["301,", ",201", "pct:101", "301,200", "300,201", "9" * 5000 + ","])
def test_a_size_larger_than_the_region_is_refused(text: str) -> None:
    with pytest.raises(ParameterInvalid):
        size_of(text, FULL)


@pytest.mark.parametrize("text", ["^301,", "^,201", "^pct:120", "^360,360", "^!360,360", "^max"])
def test_making_a_picture_larger_is_not_implemented(text: str) -> None:
    with pytest.raises(UpscalingUnsupported):
        size_of(text, FULL)


@pytest.mark.parametrize(
    "text", ["", "full", "0,5", "5,0", "pct:0", ",", "!5,", "!,5", "^", "^^5,", "!^5,5", "5", "5,5,"]
)
def test_an_empty_or_unreadable_size_is_refused(text: str) -> None:
    with pytest.raises(ParameterInvalid):
        size_of(text, FULL)


def test_the_limits_of_info_json_hold_for_every_form() -> None:
    limit = largest(HUGE)
    assert limit.width * limit.height <= MAX_AREA < (limit.width + 1) * (limit.height + 1)
    for text in ("max", "^max", "!100000,100000", "^!100000,100000"):
        assert size_of(text, HUGE) == limit
    for text in (f"{MAX_SIDE + 1},1", f",{MAX_SIDE}", "pct:50", "^pct:50"):
        with pytest.raises(ParameterInvalid):
            size_of(text, HUGE)


@pytest.mark.parametrize(
    ("text", "turn"),
    [("0", (False, 0)), ("360", (False, 0)), ("!90", (True, 90)), ("22.5", (False, 22.5)), ("!.5", (True, 0.5))],
)
def test_a_rotation_may_mirror_first(text: str, turn: tuple[bool, float]) -> None:
    assert rotation_of(text) == turn


@pytest.mark.parametrize("text", ["", "!", "-90", "361", "360.1", "90!", "1e1", "nan", "inf", "9" * 5000])
def test_an_unreadable_rotation_is_refused(text: str) -> None:
    with pytest.raises(ParameterInvalid):
        rotation_of(text)


@pytest.mark.parametrize("text", ["default", "default.", ".jpg", "default.tif", "colour.jpg", "default.JPG", "a.b.jpg"])
def test_an_unknown_quality_or_format_is_refused(text: str) -> None:
    with pytest.raises(ParameterInvalid):
        file_of(text)


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("full/max/0/default.jpg", "full/max/0/default.jpg"),
        ("0,0,300,200/300,/360/color.png", "full/max/0/default.png"),
        ("pct:0,0,50,50/75,/90.0/gray.webp", "0,0,150,100/75,50/90/gray.webp"),
        ("square/!100,100/!22.50/bitonal.jpg", "50,0,200,200/100,100/!22.5/bitonal.jpg"),
        ("full/pct:10/0.000001/default.jpg", "full/30,20/0.000001/default.jpg"),
    ],
)
def test_the_canonical_form_is_that_of_section_4_8(asked: str, canonical: str) -> None:
    region, size, rotation, file = asked.split("/")
    assert image_request(region, size, rotation, file, FULL).canonical == canonical


def test_a_request_says_all_that_a_rendition_depends_on() -> None:
    wanted = image_request("10,20,100,50", "50,", "!90", "gray.png", FULL, frame=3).wanted
    assert (wanted.rect, wanted.size) == (Rect(10, 20, 100, 50), Size(50, 25))
    assert (wanted.rotation, wanted.mirrored, wanted.quality) == (90, True, "gray")
    assert (wanted.format, wanted.frame) == (PictureFormat.PNG, 3)


@given(sizes, texts, texts, texts, texts)
def test_no_text_does_anything_but_name_a_picture_or_be_refused(
    full: Size, region: str, size: str, rotation: str, file: str
) -> None:
    for read in (
        lambda: region_of(region, full),
        lambda: size_of(size, full),
        lambda: rotation_of(rotation),
        lambda: file_of(file),
    ):
        try:
            read()
        except PinakesError as error:
            assert isinstance(error, ParameterInvalid | UpscalingUnsupported)  # noqa: PT017 - nothing else may be raised


@given(
    sizes,
    st.sampled_from(["full", "square", "{},{},{},{}", "pct:{},{},{},{}"]),
    st.sampled_from(["max", "{},", ",{}", "{},{}", "!{},{}", "pct:{}", "^{},", "^!{},{}", "^max"]),
    st.lists(st.integers(0, 150_000), min_size=6, max_size=6),
)
@example(Size(1, 100_000), "full", "max", [0] * 6)
@example(Size(100_000, 1), "full", "!{},{}", [0, 0, 0, 0, 50_000, 1])
def test_what_is_read_lies_in_the_picture_within_the_limits_and_is_canonical(
    full: Size, region: str, size: str, numbers: list[int]
) -> None:
    """The canonical form is read as what it was made from, and is its own canonical form."""
    try:
        asked = image_request(region.format(*numbers[:4]), size.format(*numbers[4:]), "0", "default.jpg", full)
    except (ParameterInvalid, UpscalingUnsupported):
        return
    rect, scaled = asked.wanted.rect, asked.wanted.size
    assert 0 <= rect.x < rect.x + rect.width <= full.width
    assert 0 <= rect.y < rect.y + rect.height <= full.height
    assert 1 <= scaled.width <= min(rect.width, MAX_SIDE)
    assert 1 <= scaled.height <= min(rect.height, MAX_SIDE)
    assert scaled.width * scaled.height <= MAX_AREA
    kept_region, kept_size, rotation, file = asked.canonical.split("/")
    assert image_request(kept_region, kept_size, rotation, file, full) == asked


@given(sizes, st.integers(1, 20_000), st.integers(1, 20_000))
def test_a_confined_size_is_the_largest_of_its_shape(full: Size, width: int, height: int) -> None:
    """Section 4.2, `!w,h`: it touches the box, the picture or the limits on one side, and keeps its shape."""
    size = size_of(f"!{width},{height}", full)
    assert size.width <= width
    assert size.height <= height
    if size != largest(full):
        assert size.width == min(width, full.width) or size.height == min(height, full.height)
    assert abs(size.width * full.height - size.height * full.width) <= max(full.width, full.height)
