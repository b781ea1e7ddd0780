"""From the numbers of an installed model to scores of classes, and from those to findings: the same for every kind."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pinakes.imaging.analysis import cells, outlines
from pinakes.imaging.analysis.manifest import Activation, Manifest, OnnxManifest, OutcomeHead
from pinakes.imaging.analysis.model import Findings, FoundClass, Kind, ModelIdentity
from pinakes.imaging.analysis.outlines import Outline
from pinakes.imaging.analysis.requests import AnalysisFailed
from pinakes.imaging.analysis.tiling import Tile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pinakes.imaging.analysis.tissue import Tissue

_MOST_LOGIT: Final = 80.0
"""Beyond that a sigmoid in float32 is 0 or 1."""


class Manifested:
    """What a `TileModel` is, as far as its manifest says it.

    A row has one score for each class, then the part of the outcome, if there is one, then the scores in the cells of
    the first class, row by row, those of the second, ...
    """

    tiles_at_once = 1

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        kind: Kind = "onnx" if isinstance(manifest, OnnxManifest) else "executable"
        self.identity = ModelIdentity(manifest.name, manifest.version, manifest.sha256, kind)
        self.input_px = manifest.input_px
        self.mpp = manifest.mpp
        self.columns = _columns(manifest)
        names = [each.name for each in manifest.classes]
        self.heat_column = names.index(manifest.heat_class) if manifest.heat_class else 0
        self.heat_range = manifest.heat_range or ((0.0, 1.0) if manifest.activation != "none" else None)

    def class_scores(self, numbers: "NDArray[Any]", count: int) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        """Of what a model gave for `count` tiles: N x classes, and N x what is in their cells, which may be nothing.

        Of maps the activation is applied to each place, then they are averaged. Raises AnalysisFailed.
        """
        classes, side = len(self.manifest.classes), self.manifest.cells
        if numbers.ndim != 4 and side == 1:
            scores = activated(checked(numbers, (count, classes)), self.manifest.activation)
            return scores, np.empty((count, 0), np.float32)
        maps = activated(checked(numbers, (count, classes, None, None)), self.manifest.activation)
        means = np.asarray(maps.mean(axis=(2, 3), dtype=np.float64), np.float32)
        parts = cells.of_maps(maps, side).reshape(count, -1) if side > 1 else np.empty((count, 0), np.float32)
        return means, parts

    def findings(self, tiles: Sequence[Tile], scores: "NDArray[np.float32]", tissue: "Tissue") -> Findings:
        """The tiles of each class, or their cells, joined where they touch; one may be in several classes, or in none.

        The outcome is None for a slide without tissue.
        """
        areas = np.array([tile.width * tile.height * tile.tissue_fraction for tile in tiles], np.float64)
        side = self.manifest.cells
        parts = areas.reshape(-1, 1, 1) if side == 1 else cells.tissue_px(tiles, side, tissue)
        classes: list[FoundClass] = []
        figures: dict[str, float | None] = {}
        for column, each in enumerate(self.manifest.classes):
            inside = self._cells(scores, column) >= np.float32(each.threshold)
            classes.append(FoundClass(each.name, each.colour, _outlined(tiles, inside, tissue)))
            if each.figure:
                figures[each.figure] = _percent(parts[inside].sum(), parts.sum())
        head = _outcome_head(self.manifest)
        outcome = _outcome(self.manifest, head, scores[:, len(classes)], areas) if head else None
        return Findings(tuple(classes), figures, outcome)

    def _cells(self, scores: "NDArray[np.float32]", column: int) -> "NDArray[np.float32]":
        """N x cells x cells: a class's; of a model without maps the tile's own."""
        side = self.manifest.cells
        count = side * side
        first = column if side == 1 else len(self.columns) - (len(self.manifest.classes) - column) * count
        return scores[:, first : first + count].reshape(-1, side, side)


def _outlined(tiles: Sequence[Tile], inside: "NDArray[np.bool_]", tissue: "Tissue") -> tuple[Outline, ...]:
    if inside.shape[1] > 1:
        return cells.outlined(tiles, inside, tissue.size)
    return outlines.merged(tiles[index].rect for index in np.flatnonzero(inside).tolist())


def checked(numbers: "NDArray[Any]", shape: tuple[int | None, ...]) -> "NDArray[np.float32]":
    """What a model gave. shape: as it has to be; None for any length. Raises AnalysisFailed."""
    if numbers.dtype != np.float32:
        raise AnalysisFailed(f"The model returned numbers of type {numbers.dtype}, not float32.")
    is_right = len(shape) == numbers.ndim and all(
        wanted in (None, given) for wanted, given in zip(shape, numbers.shape, strict=True)
    )
    if not is_right or not numbers.size:
        wanted = " x ".join("any" if each is None else str(each) for each in shape)
        given = " x ".join(map(str, numbers.shape)) or "a single number"
        raise AnalysisFailed(f"The model returned the wrong shape: {given}, not {wanted}.")
    if not np.isfinite(numbers).all():
        raise AnalysisFailed("The model returned what is no number (NaN or infinite).")
    return numbers


def activated(numbers: "NDArray[np.float32]", activation: Activation) -> "NDArray[np.float32]":
    """Scores of N x C or N x C x h x w: a softmax goes over the classes, a sigmoid over each number."""
    match activation:
        case "softmax":
            powers = np.exp(numbers - numbers.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
        case "sigmoid":
            return np.asarray(1 / (1 + np.exp(-np.clip(numbers, -_MOST_LOGIT, _MOST_LOGIT))), np.float32)
        case "none":
            return numbers


def _columns(manifest: Manifest) -> tuple[str, ...]:
    unit = "any unit" if manifest.activation == "none" else "0 to 1"
    columns = [f"score of {each.name}, {unit}" for each in manifest.classes]
    head = _outcome_head(manifest)
    if head:
        columns.append(f"part of the outcome {head.endpoint}, {'any unit' if head.activation == 'none' else '0 to 1'}")
    if manifest.cells > 1:
        places = [f"{row}, {column}" for row in range(manifest.cells) for column in range(manifest.cells)]
        columns += [f"score of {each.name} in cell {place}, {unit}" for each in manifest.classes for place in places]
    return tuple(columns)


def _outcome_head(manifest: Manifest) -> OutcomeHead | None:
    return manifest.outcome if isinstance(manifest, OnnxManifest) else None


def _outcome(
    manifest: Manifest, head: OutcomeHead, parts: "NDArray[np.float32]", areas: "NDArray[np.float64]"
) -> dict[str, Any] | None:
    """As pathomiq contract 2.1 has it."""
    if not areas.sum():
        return None
    score = round(float(np.average(parts.astype(np.float64), weights=areas)), 6)
    return {
        "endpoint": head.endpoint,
        "score": score,
        "threshold": head.threshold,
        "label": head.labels[score >= head.threshold],
        "model": manifest.name,
        "version": manifest.version,
    }


def _percent(part: float, whole: float) -> float | None:
    return round(100 * float(part) / float(whole), 3) if whole else None
