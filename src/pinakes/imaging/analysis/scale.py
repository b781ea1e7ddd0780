"""The scale of a slide: whether what a file says of it can be meant of a microscope."""

from math import isfinite
from typing import Final

FINEST_MPP: Final = 0.05
COARSEST_MPP: Final = 20.0


def accepted(mpp: tuple[float, float] | None) -> tuple[float, float] | None:
    """Micrometres per pixel, x and y, if both lie in 0.05 to 20; else None: the scale is unknown.

    Pathomiq contract 8.1: 72 or 300 pixels per inch (352.8 or 84.7 um) is a printer's default, not a microscope.
    """
    if mpp is None or not all(isfinite(each) and FINEST_MPP <= each <= COARSEST_MPP for each in mpp):
        return None
    return mpp
