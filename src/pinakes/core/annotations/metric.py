"""The `metric` of a slide: its figures as JSON text (pathomiq contract 8.5). What is not known is null, never 0."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pinakes.core.annotations.summary import LayerSummary

_EMPTY: Mapping[str, Any] = {
    "schema": 1,
    "width": None,
    "height": None,
    "mpp_x": None,
    "mpp_y": None,
    "tissue_area_mm2": None,
    "tissue_area_px": None,
    "tissue_fraction": None,
    "tile_size_px": None,
    "tiles_total": None,
    "tiles_tissue": None,
    "nuclei_per_mm2": None,
    "classes": [],
    "annotations": [],
    "model": None,
}
"""In the contract's order. `classes` is what a model found, `annotations` what people drew."""


def merged(metric: str | None, layers: Sequence[LayerSummary]) -> str:
    """The metric with these layers as its `annotations`; all else as it was. metric: None while there is none."""
    figures = {**_EMPTY, **(msgspec.json.decode(metric, type=dict[str, Any]) if metric else {})}
    figures["annotations"] = [_layer(layer, _mpp(figures)) for layer in layers]
    return msgspec.json.encode(figures).decode()


def area_mm2(layer: LayerSummary, mpp: tuple[float, float] | None) -> float | None:
    """The area of a layer on the slide. mpp: micrometres per level-0 pixel, x and y; None where there is no scale."""
    return None if layer.area_px is None or mpp is None else round(layer.area_px * mpp[0] * mpp[1] / 1e6, 6)


def _layer(layer: LayerSummary, mpp: tuple[float, float] | None) -> dict[str, Any]:
    return {"name": layer.name, "regions": layer.regions, "area_px": layer.area_px, "area_mm2": area_mm2(layer, mpp)}


def _mpp(figures: Mapping[str, Any]) -> tuple[float, float] | None:
    mpp_x, mpp_y = figures["mpp_x"], figures["mpp_y"]
    return None if mpp_x is None or mpp_y is None else (mpp_x, mpp_y)
