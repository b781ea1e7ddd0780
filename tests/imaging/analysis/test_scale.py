"""The scale of a slide (pathomiq contract 8.1)."""

import math

import pytest

from pinakes.imaging.analysis import scale


@pytest.mark.parametrize("mpp", [(0.05, 0.05), (0.25, 0.2501), (20.0, 20.0)])
def test_what_a_microscope_can_have_is_taken(mpp: tuple[float, float]) -> None:
    assert scale.accepted(mpp) == mpp


@pytest.mark.parametrize(
    "mpp",
    [None, (352.8, 352.8), (84.7, 84.7), (0.049, 0.25), (0.25, 20.1), (0.0, 0.0), (-0.5, -0.5), (math.nan, 0.5),
     (0.5, math.inf)],
)  # fmt: skip
def test_a_printers_default_and_nonsense_are_no_scale(mpp: tuple[float, float] | None) -> None:
    assert scale.accepted(mpp) is None
