"""Summaries of layers, and the metric made of them (pathomiq contract 8.5)."""

import json

import pytest
from hypothesis import given, settings

from pinakes.core.annotations import metric, summary
from pinakes.core.annotations.model import Layer, Markup
from pinakes.core.annotations.summary import LayerSummary
from tests.core.annotations.making import ASAP, IMAGESCOPE, INNER, MARKUPS, SQUARE, read, region

KEYS = [
    "schema",
    "width",
    "height",
    "mpp_x",
    "mpp_y",
    "tissue_area_mm2",
    "tissue_area_px",
    "tissue_fraction",
    "tile_size_px",
    "tiles_total",
    "tiles_tissue",
    "nuclei_per_mm2",
    "classes",
    "annotations",
    "model",
]


def test_the_area_of_a_layer_is_that_of_its_polygons_less_that_of_its_holes() -> None:
    assert summary.summarize(read(IMAGESCOPE).layers) == (LayerSummary("Tumour", 1, 96.0), LayerSummary("", 0, 0.0))


def test_every_group_of_asap_is_a_layer_also_an_empty_one() -> None:
    assert [(layer.name, layer.regions, layer.area_px) for layer in summary.summarize(read(ASAP).layers)] == [
        ("Tumor", 2, 102.0),
        ("", 1, 0.0),
        ("Empty", 0, 0.0),
    ]


def test_holes_alone_cover_nothing() -> None:
    layer = Layer("a", regions=(region(SQUARE, is_hole=True), region(INNER)))
    assert summary.summarize([layer]) == (LayerSummary("a", 1, 0.0),)


def test_an_area_beyond_counting_is_unknown_and_not_zero() -> None:
    layer = Layer("a", regions=(region([(0, 0), (1e300, 0), (1e300, 1e300)]), region(SQUARE)))
    assert summary.summarize([layer]) == (LayerSummary("a", 2, None),)


@settings(max_examples=40)
@given(MARKUPS)
def test_what_is_kept_of_a_summary_is_the_summary(markup: Markup) -> None:
    layers = summary.summarize(markup.layers)
    assert summary.decode(summary.encode(layers)) == layers


def test_without_a_prediction_only_the_drawing_is_known() -> None:
    figures = json.loads(metric.merged(None, [LayerSummary("Tumour", 1, 96.0)]))
    assert list(figures) == KEYS
    assert figures["annotations"] == [{"name": "Tumour", "regions": 1, "area_px": 96.0, "area_mm2": None}]
    known = {"schema": 1, "classes": [], "annotations": figures["annotations"]}
    assert {key: value for key, value in figures.items() if value is not None} == known


def test_with_a_scale_areas_are_known_in_square_millimetres_too() -> None:
    predicted = json.dumps({"schema": 1, "mpp_x": 0.5, "mpp_y": 0.25, "tiles_total": 7, "model": {"name": "m"}})
    figures = json.loads(metric.merged(predicted, [LayerSummary("a", 1, 8e6), LayerSummary("b", 1, None)]))
    assert [layer["area_mm2"] for layer in figures["annotations"]] == [1.0, None]
    assert (figures["tiles_total"], figures["model"]) == (7, {"name": "m"})


def test_a_new_drawing_takes_the_place_of_the_one_before() -> None:
    first = metric.merged(None, [LayerSummary("a", 1, 1.0)])
    assert json.loads(metric.merged(first, []))["annotations"] == []


@pytest.mark.parametrize("area", [0.1 + 0.2, 1e60])
def test_areas_are_numbers_that_json_can_tell(area: float) -> None:
    assert json.loads(metric.merged(None, [LayerSummary("a", 1, area)]))["annotations"][0]["area_px"] == area
