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
    figures["annotations"] = [_layer(layer, _pixel_mm2(figures)) for layer in layers]
    return msgspec.json.encode(figures).decode()


def _layer(layer: LayerSummary, pixel_mm2: float | None) -> dict[str, Any]:
    area_mm2 = None if layer.area_px is None or pixel_mm2 is None else round(layer.area_px * pixel_mm2, 6)
    return {"name": layer.name, "regions": layer.regions, "area_px": layer.area_px, "area_mm2": area_mm2}


def _pixel_mm2(figures: Mapping[str, Any]) -> float | None:
    """The area of one level-0 pixel in mm², None where the slide carries no scale."""
    mpp_x, mpp_y = figures["mpp_x"], figures["mpp_y"]
    return None if mpp_x is None or mpp_y is None else mpp_x * mpp_y / 1e6
