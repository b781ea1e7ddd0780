"""Areas, lengths and outlines of regions, and which polygon a hole lies in. Level-0 pixels throughout.

Each outline is judged by itself, by the shoelace formula: where one crosses itself, parts that are walked round in
opposite directions cancel out. The area of a layer is that of its outlines less that of its holes, and never below
zero; what two polygons both cover counts twice, as in ImageScope.
"""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from pinakes.core.annotations.model import Numbers, Region, Shape

ELLIPSE_VERTICES = 72
"""With how many vertices an ellipse is drawn where only polygons can be (0.4 % of its area is lost)."""

_OUTLINED = {Shape.POLYGON, Shape.RECTANGLE, Shape.ELLIPSE}


def has_outline(region: Region) -> bool:
    """Whether the region encloses anything."""
    return region.shape in _OUTLINED


def area(region: Region) -> float:
    """The area enclosed by the region's outline; 0 for lines and points. Infinite or NaN if doubles cannot tell."""
    if not has_outline(region):
        return 0.0
    if _is_true_ellipse(region):
        half_width, half_height = _half_axes(region)
        return math.pi * half_width * half_height
    return _shoelace(*outline(region))


def length(region: Region) -> float:
    """The length of the region's outline, or of its line; 0 for points."""
    if region.shape is Shape.POINTS:
        return 0.0
    if _is_true_ellipse(region):
        return _ellipse_length(*_half_axes(region))
    xs, ys = outline(region)
    walked = sum(math.hypot(xs[i] - xs[i - 1], ys[i] - ys[i - 1]) for i in range(1, len(xs)))
    if has_outline(region) and xs:
        walked += math.hypot(xs[0] - xs[-1], ys[0] - ys[-1])
    return walked


def outline(region: Region) -> tuple[Numbers, Numbers]:
    """The vertices of the region as a polygon, closed without being told so: for what is given by two corners, more."""
    if region.shape is Shape.RECTANGLE and len(region.xs) == 2:
        (left, right), (top, bottom) = region.xs, region.ys
        return array("d", (left, right, right, left)), array("d", (top, top, bottom, bottom))
    if _is_true_ellipse(region):
        return _ellipse_outline(region)
    return region.xs, region.ys


def _is_true_ellipse(region: Region) -> bool:
    return region.shape is Shape.ELLIPSE and len(region.xs) == 2


def _half_axes(ellipse: Region) -> tuple[float, float]:
    return abs(ellipse.xs[1] - ellipse.xs[0]) / 2, abs(ellipse.ys[1] - ellipse.ys[0]) / 2


def _ellipse_length(a: float, b: float) -> float:
    """Ramanujan's second approximation, exact for circles."""
    if a + b == 0.0:
        return 0.0
    h = ((a - b) / (a + b)) * ((a - b) / (a + b))
    return math.pi * (a + b) * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))


def _ellipse_outline(ellipse: Region) -> tuple[Numbers, Numbers]:
    half_width, half_height = _half_axes(ellipse)
    centre_x, centre_y = sum(ellipse.xs) / 2, sum(ellipse.ys) / 2
    angles = [2 * math.pi * step / ELLIPSE_VERTICES for step in range(ELLIPSE_VERTICES)]
    return (
        array("d", (centre_x + half_width * math.cos(angle) for angle in angles)),
        array("d", (centre_y + half_height * math.sin(angle) for angle in angles)),
    )


def _shoelace(xs: Numbers, ys: Numbers) -> float:
    """Relative to the first vertex: far from the origin the products would swallow the area."""
    if len(xs) < 3:
        return 0.0
    first_x, first_y = xs[0], ys[0]
    doubled = before_x = before_y = 0.0
    for x, y in zip(xs, ys, strict=True):
        x -= first_x
        y -= first_y
        doubled += before_x * y - x * before_y
        before_x, before_y = x, y
    return abs(doubled) / 2


# -- Holes --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Box:
    """The box around an outline, and which region it belongs to."""

    index: int
    left: float
    top: float
    right: float
    bottom: float
    is_hole: bool

    def holds(self, other: "_Box") -> bool:
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.right >= other.right
            and self.bottom >= other.bottom
        )

    @property
    def size(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)


class TooInvolved(Exception):
    """Finding the polygons that the holes lie in would take too long."""


def homes(regions: Sequence[Region], *, most_steps: int = 30_000_000) -> dict[int, list[int]]:
    """Which holes lie in which region: positions in `regions`, the holes of each in order.

    A hole lies in the smallest of those whose box encloses its own and whose outline encloses its first vertex. One
    that lies in none is left out. Raises TooInvolved after most_steps comparisons (some seconds).
    """
    boxes = sorted(_boxes(regions), key=lambda box: (box.left, box.is_hole, box.index))
    found: dict[int, list[int]] = {}
    open_boxes: list[_Box] = []  # those that a line moving to the right has entered and not yet left
    steps = 0
    for box in boxes:
        if not box.is_hole:
            open_boxes.append(box)
            continue
        steps += len(open_boxes)
        open_boxes = [other for other in open_boxes if other.right >= box.left]
        for other in sorted((other for other in open_boxes if other.holds(box)), key=lambda other: other.size):
            steps += len(regions[other.index].xs)
            if steps > most_steps:
                raise TooInvolved
            if _encloses(regions[other.index], regions[box.index].xs[0], regions[box.index].ys[0]):
                found.setdefault(other.index, []).append(box.index)
                break
        if steps > most_steps:
            raise TooInvolved
    return {index: sorted(holes) for index, holes in found.items()}


def _boxes(regions: Sequence[Region]) -> list[_Box]:
    return [
        _Box(index, min(region.xs), min(region.ys), max(region.xs), max(region.ys), region.is_hole)
        for index, region in enumerate(regions)
        if has_outline(region) and region.xs
    ]


def _encloses(region: Region, x: float, y: float) -> bool:
    """Whether a point lies inside the outline, by the even-odd rule."""
    xs, ys = outline(region)
    is_inside = False
    before_x, before_y = xs[-1], ys[-1]
    for this_x, this_y in zip(xs, ys, strict=True):
        if (this_y > y) != (before_y > y) and x < this_x + (y - this_y) * (before_x - this_x) / (before_y - this_y):
            is_inside = not is_inside
        before_x, before_y = this_x, this_y
    return is_inside
