"""Regions as a viewer asks for them: mirrored, then turned, then without colour."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinakes.imaging.opening import WithoutPixels
from pinakes.imaging.photographs import open_photograph
from pinakes.imaging.rendering import Quality, render
from pinakes.imaging.source import Description, ImageSource, LimitExceeded, Limits, Pixels, Rect, Size, Unreadable
from tests.imaging.making_photographs import BLUE, GREEN, RED, WHITE, corners, quarters, save

WHOLE = Rect(0, 0, 96, 64)
SIZE = Size(96, 64)


@pytest.fixture
def source(tmp_path: Path) -> ImageSource:
    return open_photograph(save(tmp_path / "quarters", quarters(), "PNG"), "png")


def test_nothing_asked_is_the_picture_itself(source: ImageSource) -> None:
    assert (render(source, WHOLE, SIZE) == quarters()).all()


@pytest.mark.parametrize(
    ("rotation", "mirrored", "expected"),
    [
        (90, False, [BLUE, RED, WHITE, GREEN]),
        (180, False, [WHITE, BLUE, GREEN, RED]),
        (270.0, False, [GREEN, WHITE, RED, BLUE]),
        (360, False, [RED, GREEN, BLUE, WHITE]),
        (0, True, [GREEN, RED, WHITE, BLUE]),
        (90, True, [WHITE, GREEN, BLUE, RED]),
    ],
)
def test_it_is_mirrored_first_and_then_turned_clockwise(
    source: ImageSource, rotation: float, mirrored: bool, expected: list[tuple[int, ...]]
) -> None:
    turned = render(source, WHOLE, SIZE, rotation=rotation, mirrored=mirrored)
    assert corners(turned) == expected
    assert turned.shape == ((96, 64, 3) if rotation % 180 else (64, 96, 3))
    assert turned.flags.c_contiguous


def test_any_angle_shows_all_of_it_on_white(source: ImageSource) -> None:
    turned = render(source, WHOLE, SIZE, rotation=30)
    height, width = turned.shape[:2]
    assert abs(width - (96 * np.cos(np.pi / 6) + 64 * np.sin(np.pi / 6))) <= 2
    assert abs(height - (96 * np.sin(np.pi / 6) + 64 * np.cos(np.pi / 6))) <= 2
    assert corners(turned[:4, :4]) == corners(turned[-4:, :4]) == [WHITE] * 4
    red_y, red_x = np.argwhere((turned == RED).all(axis=2)).mean(axis=0)
    green_y, green_x = np.argwhere((turned == GREEN).all(axis=2)).mean(axis=0)
    assert green_x > red_x
    assert green_y > red_y  # clockwise: what was on the right goes down


@given(rotation=st.floats(0, 360, allow_nan=False), quality=st.sampled_from(["color", "gray", "bitonal"]))
def test_every_angle_and_quality_gives_pixels(rotation: float, quality: Quality) -> None:
    pixels = render(
        _Red(Description("png", Size(9, 5))), Rect(0, 0, 9, 5), Size(9, 5), rotation=rotation, quality=quality
    )
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    assert 5 <= pixels.shape[0] <= 13
    assert 5 <= pixels.shape[1] <= 13


class _Red(WithoutPixels):
    def read_region(self, rect: Rect, size: Size, *, frame: int = 0) -> Pixels:  # noqa: ARG002
        return np.full((size.height, size.width, 3), RED, np.uint8)


def test_gray_is_how_light_a_colour_is(source: ImageSource) -> None:
    gray = render(source, WHOLE, SIZE, quality="gray")
    assert [int(gray[y, x, 0]) for y in (8, 56) for x in (8, 88)] == [76, 150, 29, 255]
    assert (gray[:, :, 0] == gray[:, :, 1]).all()
    assert (gray[:, :, 0] == gray[:, :, 2]).all()


def test_bitonal_is_black_or_white(source: ImageSource) -> None:
    black, white = (0, 0, 0), WHITE
    assert corners(render(source, WHOLE, SIZE, quality="bitonal")) == [black, white, black, white]
    assert set(np.unique(render(source, WHOLE, Size(31, 17), rotation=11, quality="bitonal"))) == {0, 255}


@pytest.mark.parametrize("rect", [Rect(-1, 0, 5, 5), Rect(90, 0, 7, 5), Rect(0, 60, 5, 5), Rect(0, 0, 0, 1)])
def test_a_region_outside_is_unreadable(source: ImageSource, rect: Rect) -> None:
    with pytest.raises(Unreadable):
        render(source, rect, Size(5, 5))


def test_what_has_no_pixels_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        render(WithoutPixels(Description("qcow2", None)), Rect(0, 0, 1, 1), Size(1, 1))


def test_more_pixels_than_allowed_are_refused_also_when_turning_adds_them(source: ImageSource) -> None:
    limits = Limits(output_pixels=7000)
    render(source, WHOLE, SIZE, rotation=90, limits=limits)
    with pytest.raises(LimitExceeded):
        render(source, WHOLE, SIZE, rotation=45, limits=limits)
    with pytest.raises(LimitExceeded):
        render(source, WHOLE, Size(100, 71), limits=limits)
