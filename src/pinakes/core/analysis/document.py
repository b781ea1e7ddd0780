"""What a model found as what is shown: an annotation in layers (pathomiq contract 7), and figures (8.5).

The same findings always give the same bytes: no time, no host, coordinates to a hundredth of a pixel.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pinakes.core.analysis.plans import Plan
from pinakes.core.annotations import metric
from pinakes.core.annotations.model import Colour, Layer, Markup, Region, Shape
from pinakes.core.annotations.summary import LayerSummary
from pinakes.imaging.analysis.requests import Begun

if TYPE_CHECKING:
    from pinakes.imaging.analysis.model import Findings
    from pinakes.imaging.analysis.outlines import Outline

TISSUE: Final = "Tissue"
RESEARCH_ONLY: Final = "research use only"

_TISSUE_COLOUR: Final[Colour] = (0, 255, 0)
_DECIMALS: Final = 2


def parameters_of(begun: Begun) -> dict[str, Any]:
    """What was chosen for a run beside its model, with the unit in the name."""
    return {
        "tile_px": begun.model.input_px,
        "tile_um_per_px": begun.model.mpp,
        "least_tissue_fraction": begun.least_tissue,
        "slide_um_per_px": list(begun.mpp) if begun.mpp else None,
    }


def markup_of(begun: Begun, findings: "Findings", plan: Plan) -> Markup:
    """The tissue, then each class of the model, also those that were found nowhere."""
    attributes = tuple(_attributes(begun, plan))
    layers = [_layer(TISSUE, _TISSUE_COLOUR, begun.outlines(), attributes)]
    layers += [_layer(found.name, found.colour, found.outlines, attributes) for found in findings.classes]
    return Markup(tuple(layers), _microns_per_pixel(begun.mpp))


def metric_of(begun: Begun, findings: "Findings", plan: Plan, layers: Sequence[LayerSummary]) -> str:
    """The figures. layers: of the annotation, the tissue first."""
    width, height = begun.size
    mpp_x, mpp_y = begun.mpp or (None, None)
    known: dict[str, Any] = {
        "schema": 1,
        "width": width,
        "height": height,
        "mpp_x": mpp_x,
        "mpp_y": mpp_y,
        "tissue_area_mm2": _rounded(begun.area_mm2, 6),
        "tissue_area_px": _rounded(begun.area_px, 3),
        "tissue_fraction": _rounded(begun.fraction, 6),
        "tile_size_px": begun.model.input_px,
        "tiles_total": begun.tiles_total,
        "tiles_tissue": begun.tiles_count,
        "nuclei_per_mm2": None,
        "classes": [_figures_of(layer, begun.mpp) for layer in layers[1:]],
        "annotations": [],
        "model": {
            "name": plan.model_name,
            "version": plan.model_version,
            "sha256": plan.model_sha256,
            "kind": plan.model_kind,
            "research_use_only": True,
        },
    }
    own = known.keys() - {"nuclei_per_mm2"}  # in which a model has no say
    further = {name: _rounded(value, 6) for name, value in findings.figures.items() if name not in own}
    return msgspec.json.encode(known | further).decode()


def outcome_of(findings: "Findings") -> str | None:
    return None if findings.outcome is None else msgspec.json.encode(findings.outcome).decode()


def _attributes(begun: Begun, plan: Plan) -> Iterator[tuple[str, str]]:
    yield "Model", plan.model_name
    yield "Version", plan.model_version
    yield "Kind", plan.model_kind
    if plan.model_sha256 is not None:
        yield "Weights SHA-256", plan.model_sha256
    if plan.model_digest is not None:
        yield "Model SHA-256", plan.model_digest
    for name, value in parameters_of(begun).items():
        yield name, _text(value)
    yield "Use", RESEARCH_ONLY
    if begun.model.notice:
        yield "Notice", begun.model.notice


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _layer(name: str, colour: Colour, outlines: Iterable["Outline"], attributes: tuple[tuple[str, str], ...]) -> Layer:
    regions = tuple(region for outline in outlines for region in _regions(outline))
    return Layer(name, colour, attributes, regions)


def _regions(outline: "Outline") -> Iterator[Region]:
    yield _region(outline.xs, outline.ys, is_hole=False)
    for hole in outline.holes:
        yield _region(hole.xs, hole.ys, is_hole=True)


def _region(xs: Iterable[float], ys: Iterable[float], *, is_hole: bool) -> Region:
    rounded = [array("d", (round(value, _DECIMALS) for value in values)) for values in (xs, ys)]
    return Region(Shape.POLYGON, rounded[0], rounded[1], is_hole)


def _microns_per_pixel(mpp: tuple[float, float] | None) -> float | None:
    """One scale for both directions, as the format has it: that of a pixel with the same area."""
    if mpp is None:
        return None
    return mpp[0] if mpp[0] == mpp[1] else round((mpp[0] * mpp[1]) ** 0.5, 9)


def _figures_of(layer: LayerSummary, mpp: tuple[float, float] | None) -> Mapping[str, Any]:
    area_mm2 = metric.area_mm2(layer, mpp)
    return {"name": layer.name, "regions": layer.regions, "area_px": layer.area_px, "area_mm2": area_mm2}


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)
