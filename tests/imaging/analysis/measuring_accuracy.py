"""How right the analysis is on slides of which everything is known: for tests, and for the benchmark's table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import KDTree
from skimage import data

from pinakes.imaging.analysis import cellularity, tissue
from pinakes.imaging.analysis.tiling import TilingOptions, read, tiles_of
from pinakes.imaging.source import Size
from tests.imaging.analysis.making_tissue import ArraySource, Nuclei, Specimen, Stain, blob, specimen

SIDE_PX: Final = 1024
SLIDE: Final = Size(2048, 1536)
MPP: Final = 0.5
SEEDS: Final = (11, 12)

STAINS: Final[Mapping[str, Stain]] = {
    "usual": Stain(),
    "few nuclei": Stain(per_mm2=500),
    "crowded, touching": Stain(per_mm2=6000, spacing=0.75),
    "small and crowded": Stain(per_mm2=9000, radius_um=2.8),
    "large": Stain(per_mm2=2000, radius_um=5.5),
    "large, pale in the middle": Stain(per_mm2=2000, radius_um=5.5, pale=0.8),
    "pale stain": Stain(strength=0.45),
    "strong stain": Stain(strength=1.2, eosin=0.6),
    "out of focus": Stain(blur_um=1.0),
    "noisy, JPEG 60": Stain(noise=8, quality=60),
}

CLEAR_NUCLEI: Final = [
    (357, 188), (380, 194), (355, 223), (379, 226), (392, 228), (396, 219), (388, 237), (393, 181), (407, 179),
    (416, 187), (425, 173), (427, 217), (427, 211), (445, 204), (451, 196), (445, 180), (463, 181), (468, 217),
    (474, 209), (449, 241), (476, 245), (490, 241), (501, 243), (494, 212),
]  # fmt: skip
"""Rows and columns of the nuclei that an eye finds in the stroma of skimage's immunohistochemistry picture, within
STROMA, counted once; pale spindles of which one cannot be sure are left out."""

STROMA: Final = (slice(345, 512), slice(170, 252))

REACH_PX: Final = 6.0
"""How far from where the eye put it a nucleus may be found."""


@dataclass(frozen=True)
class Counted:
    """true, found, matched: numbers of nuclei.   area: mean area of those found, per mean area of the true ones."""

    true: int
    found: int
    matched: int
    area: float

    @property
    def precision(self) -> float:
        return self.matched / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.matched / self.true if self.true else 1.0


def matched(truth: Nuclei, found: cellularity.Nuclei, mpp: float) -> int:
    """How many pairs, each of one true and one found nucleus, lie within half the true one's radius; nearest first."""
    if not len(truth) or not len(found):
        return 0
    reach = np.sqrt(truth.areas_um2 / np.pi) / mpp / 2
    true, seen = (KDTree(np.column_stack([each.ys, each.xs])) for each in (truth, found))
    pairs = true.sparse_distance_matrix(seen, reach.max(), output_type="ndarray")
    near = pairs[pairs["v"] <= reach[pairs["i"]]]
    taken_true, taken_seen = np.zeros(len(truth), np.bool_), np.zeros(len(found), np.bool_)
    for first, second, _ in near[np.lexsort((near["j"], near["i"], near["v"]))]:
        if not taken_true[first] and not taken_seen[second]:
            taken_true[first] = taken_seen[second] = True
    return int(taken_true.sum())


def counted(slide: Specimen) -> Counted:
    """What is counted in a picture as a whole."""
    found = cellularity.count_nuclei(slide.pixels, slide.mpp)
    area = float(found.areas_um2.mean() / slide.nuclei.areas_um2.mean()) if len(found) and len(slide.nuclei) else 1.0
    return Counted(len(slide.nuclei), len(found), matched(slide.nuclei, found, slide.mpp), area)


def counted_in(stain: Stain) -> Counted:
    """The same of pictures of a stain, one for each of SEEDS, together."""
    each = [counted(specimen(SIDE_PX, SIDE_PX, mpp=MPP, seed=seed, stain=stain)) for seed in SEEDS]
    true, found, both = (sum(column) for column in zip(*((c.true, c.found, c.matched) for c in each), strict=True))
    return Counted(true, found, both, float(np.mean([c.area for c in each])))


def counted_by_eye() -> Counted:
    """The same of the stroma of skimage's immunohistochemistry picture, whose areas nobody knows.

    The picture has no scale of its own; half a micrometre is taken for granted.
    """
    found = cellularity.count_nuclei(data.immunohistochemistry(), MPP)
    rows, columns = STROMA
    inside = (found.ys > rows.start) & (found.xs > columns.start) & (found.xs < columns.stop)
    seen = np.column_stack([found.ys, found.xs])[inside]
    away = np.linalg.norm(np.array(CLEAR_NUCLEI)[:, np.newaxis] - seen, axis=2)
    eye, machine = linear_sum_assignment(np.minimum(away, REACH_PX))
    return Counted(len(CLEAR_NUCLEI), len(seen), int((away[eye, machine] < REACH_PX).sum()), float("nan"))


def tissue_area_error(covered: float, *, seed: int, size: Size = SLIDE, mpp: float = 2.0) -> float:
    """(area found - true area) / true area, of a ragged piece of tissue on a slide."""
    truth = blob(size.width, size.height, seed=seed, covered=covered)
    slide = specimen(size.width, size.height, mpp=mpp, seed=seed, stain=Stain(per_mm2=600), tissue=truth)
    found = tissue.find(ArraySource(slide.pixels, (mpp, mpp)))
    return found.area_px / float(truth.sum()) - 1


def counted_in_tiles(slide: Specimen) -> float:
    """Nuclei of all tiles of a slide, per nuclei that are true: what parting it costs is in it."""
    source = ArraySource(slide.pixels, (slide.mpp, slide.mpp))
    tiles = tiles_of(tissue.find(source), TilingOptions(least_tissue=0))
    model = cellularity.Cellularity()
    batch = np.stack([read(source, tile, model.input_px) for tile in tiles])
    return float(model.score(batch, model.mpp)[:, 2].sum()) / len(slide.nuclei)


def table() -> str:
    """What the benchmark prints, in Markdown."""
    lines = ["| stain | nuclei | found | precision | recall | mean area, found / true |", "|---|---|---|---|---|---|"]
    for name, stain in STAINS.items():
        c = counted_in(stain)
        lines.append(f"| {name} | {c.true} | {c.found} | {c.precision:.3f} | {c.recall:.3f} | {c.area:.2f} |")
    c = counted_by_eye()
    what = "a real one, immunohistochemistry (scikit-image's), blue nuclei in its stroma, by eye"
    lines.append(f"| {what} | {c.true} | {c.found} | {c.precision:.3f} | {c.recall:.3f} | not known |")
    lines += ["", "| part of the slide that is tissue | error of its area |", "|---|---|"]
    for covered in (0.05, 0.2, 0.4, 0.6):
        errors = [tissue_area_error(covered, seed=seed) for seed in (1, 2, 3)]
        worst = max(errors, key=abs)
        lines.append(f"| {covered:.0%} | {np.mean(errors):+.2%}, at most {worst:+.2%} |")
    return "\n".join(lines)
