"""The GeoJSON twin (pathomiq contract section 7)."""

import json
import math
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings

from pinakes.core.annotations import geojson, geometry
from pinakes.core.annotations.model import Layer, Markup, Region, Shape
from pinakes.core.errors import WrongState
from tests.core.annotations.making import ASAP, HALO, IMAGESCOPE, INNER, MARKUPS, SQUARE, read, region, shifted


def features(markup: Markup) -> list[Any]:
    collection = json.loads(b"".join(geojson.write(markup)))
    assert collection["type"] == "FeatureCollection"
    assert set(collection) == {"type", "features"}
    found: list[Any] = collection["features"]
    return found


def geometries(*regions: Region) -> list[Any]:
    return [feature["geometry"] for feature in features(Markup((Layer("a", regions=regions),)))]


def ring(points: Any) -> list[list[float]]:
    return [list(point) for point in (*points, points[0])]


def test_a_polygon_is_an_annotation_object_with_its_class_its_colour_and_its_holes_as_inner_rings() -> None:
    assert features(read(IMAGESCOPE)) == [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring(SQUARE), ring(INNER)]},
            "properties": {
                "objectType": "annotation",
                "name": "first",
                "classification": {"name": "Tumour", "color": [0, 255, 0]},
            },
        }
    ]


def test_a_hole_goes_to_the_polygon_it_lies_in_and_to_no_other_layer() -> None:
    here, there = region(SQUARE), region(shifted(SQUARE, 50, 50))
    hole = region(shifted(INNER, 50, 50), is_hole=True)
    layers = (Layer("a", regions=(hole, here, there)), Layer("b", regions=(there,)))
    drawn = [feature["geometry"]["coordinates"] for feature in features(Markup(layers))]
    assert [len(rings) for rings in drawn] == [1, 2, 1]


def test_a_hole_in_no_polygon_is_left_out() -> None:
    assert geometries(region(INNER, is_hole=True)) == []


def test_rectangles_and_ellipses_become_polygons() -> None:
    box, oval = geometries(
        region([(5, 5), (15, 25)], Shape.RECTANGLE),
        region([(0, 0), (20, 10)], Shape.ELLIPSE),
    )
    assert box["coordinates"] == [ring([(5.0, 5.0), (15.0, 5.0), (15.0, 25.0), (5.0, 25.0)])]
    (points,) = oval["coordinates"]
    assert points[0] == points[-1]
    assert all(math.isclose(((x - 10) / 10) ** 2 + ((y - 5) / 5) ** 2, 1) for x, y in points)


def test_lines_and_points_stay_what_they_are() -> None:
    assert [drawn["type"] for drawn in geometries(*read(HALO).layers[0].regions)] == ["Polygon", "LineString", "Point"]
    assert geometries(region([(1, 2), (3, 4)], Shape.POINTS)) == [
        {"type": "MultiPoint", "coordinates": [[1.0, 2.0], [3.0, 4.0]]}
    ]


@pytest.mark.parametrize(
    ("points", "kind"),
    [([(1, 1)], "Point"), ([(1, 1), (2, 2)], "LineString"), ([(1, 1), (2, 2), (1, 1)], "LineString")],
)
def test_what_is_too_short_for_a_ring_is_none(points: list[tuple[float, float]], kind: str) -> None:
    assert [drawn["type"] for drawn in geometries(region(points))] == [kind]
    (around,) = geometries(region([(0, 0), (9, 0), (9, 9), (0, 9)]), region(points, is_hole=True))
    assert len(around["coordinates"]) == 1


def test_a_layer_without_a_name_or_colour_says_so_by_silence() -> None:
    nameless, colourless = features(
        Markup((Layer("", (1, 2, 3), regions=(region(SQUARE),)), Layer("a", regions=(region(SQUARE),))))
    )
    assert nameless["properties"] == {"objectType": "annotation"}
    assert colourless["properties"]["classification"] == {"name": "a"}


def test_asap_dots_keep_the_name_that_they_were_given() -> None:
    assert {feature["properties"]["name"] for feature in features(read(ASAP))} == {f"Annotation {n}" for n in range(3)}


@settings(max_examples=40)
@given(MARKUPS)
def test_whatever_can_be_read_becomes_geojson_whose_rings_are_closed(markup: Markup) -> None:
    for feature in features(markup):
        if feature["geometry"]["type"] == "Polygon":
            for outline in feature["geometry"]["coordinates"]:
                assert len(outline) >= 4
                assert outline[0] == outline[-1]


def test_long_outlines_come_in_pieces() -> None:
    points = [(float(n), float(n % 7)) for n in range(50_000)]
    pieces = list(geojson.write(Markup((Layer("a", regions=(region(points),)),))))
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 256 * 1024
    (feature,) = json.loads(b"".join(pieces))["features"]
    assert feature["geometry"]["coordinates"] == [ring(points)]


def test_what_would_take_too_long_is_refused_before_the_first_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(regions: object, steps: object) -> None:
        raise geometry.TooInvolved

    monkeypatch.setattr(geometry, "homes", give_up)
    with pytest.raises(WrongState, match="GeoJSON"):
        geojson.write(read(IMAGESCOPE))


def test_all_layers_together_may_take_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Layer("a", regions=(region(SQUARE), region(INNER, is_hole=True)))
    monkeypatch.setattr(geometry, "Steps", partial(geometry.Steps, 20))
    assert len(list(geojson.write(Markup((layer,) * 3)))) == 1  # a step for the box, four for the outline
    with pytest.raises(WrongState):
        geojson.write(Markup((layer,) * 5))
