"""Areas, lengths and outlines of regions, and which polygon a hole lies in. Level-0 pixels throughout.

Each outline is judged by itself, by the shoelace formula: where one crosses itself, parts that are walked round in
opposite directions cancel out. The area of a layer is that of its outlines less that of its holes, and never below
zero; what two polygons both cover counts twice, as in ImageScope.
"""

import math
from array import array
from collections.abc import Iterator, Sequence
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
    """The box around an outline. index: of its region.   follows: likewise, of the last before it that is no hole."""

    index: int
    follows: int
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


class Steps:
    """How many comparisons finding the holes of a whole document may take; so many take some seconds."""

    def __init__(self, most: int = 30_000_000) -> None:
        self._left = most

    def take(self, count: int) -> None:
        """Raises TooInvolved when there are no more."""
        self._left -= count
        if self._left < 0:
            raise TooInvolved


def homes(regions: Sequence[Region], steps: Steps | None = None) -> dict[int, list[int]]:
    """Which holes lie in which region: positions in `regions`, the holes of each in order.

    A hole lies in a region whose box encloses its own and whose outline encloses any of its vertices: in the one that
    it follows in the document, else in the smallest. One that lies in none is left out.
    Raises TooInvolved after so many steps.
    """
    steps = steps or Steps()
    found: dict[int, list[int]] = {}
    open_boxes: list[_Box] = []  # those that a line moving to the right has entered and not yet left
    for box in sorted(_boxes(regions), key=lambda box: (box.left, box.is_hole, box.index)):
        if not box.is_hole:
            open_boxes.append(box)
            continue
        steps.take(len(open_boxes))
        open_boxes = [other for other in open_boxes if other.right >= box.left]
        around = [(other.index != box.follows, other.size, other.index) for other in open_boxes if other.holds(box)]
        for is_another, _, index in sorted(around):
            if _lies_in(regions[box.index], regions[index], steps, follows=not is_another):
                found.setdefault(index, []).append(box.index)
                break
    return {index: sorted(holes) for index, holes in found.items()}


def _boxes(regions: Sequence[Region]) -> Iterator[_Box]:
    last = -1
    for index, region in enumerate(regions):
        if has_outline(region) and region.xs:
            xs, ys = region.xs, region.ys
            yield _Box(index, last, min(xs), min(ys), max(xs), max(ys), region.is_hole)
            last = last if region.is_hole else index


def _lies_in(hole: Region, around: Region, steps: Steps, *, follows: bool) -> bool:
    """Whether any vertex of a hole lies inside an outline, and not on it: the hole may be another's, filled by this.

    follows: it stands behind that outline, as all formats are written. Then it may also touch it with every vertex.
    """
    xs, ys = outline(around)
    vertices = list(zip(*outline(hole), strict=True))

    def side(x: float, y: float) -> int:
        steps.take(len(xs))
        return _side(xs, ys, x, y)

    if any(side(x, y) > 0 for x, y in vertices):
        return True
    if not follows:
        return False
    edges = zip(vertices, vertices[1:] + vertices[:1], strict=True)
    return all(side(x, y) == 0 for x, y in vertices) or any(
        side((x + next_x) / 2, (y + next_y) / 2) > 0 for (x, y), (next_x, next_y) in edges
    )


def _side(xs: Numbers, ys: Numbers, x: float, y: float) -> int:
    """1 for a point that lies inside the outline, by the even-odd rule; 0 for one on it, -1 for one outside."""
    side = -1
    before_x, before_y = xs[-1], ys[-1]
    was_below = before_y > y
    for this_x, this_y in zip(xs, ys, strict=True):
        is_below = this_y > y
        if is_below != was_below:
            turn = (before_x - this_x) * (y - this_y) - (x - this_x) * (before_y - this_y)
            if turn == 0:
                return 0
            if (turn > 0) == was_below:
                side = -side
        elif this_y == y and (this_x == x or (before_y == y and (this_x > x) != (before_x > x))):
            return 0
        before_x, before_y, was_below = this_x, this_y, is_below
    return side
