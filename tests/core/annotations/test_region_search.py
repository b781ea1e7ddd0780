"""What of an annotation is to be seen in a box: the index, the search beside a naive one, and both encodings."""

import io
import json
import random
import tracemalloc
import zlib
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinakes.core.annotations import formats, found_geojson, geometry, region_index, region_indexing, region_search
from pinakes.core.annotations import vector_tiles as tiles
from pinakes.core.annotations.formats import Format
from pinakes.core.annotations.model import Box, Layer, Markup, Region, Shape
from pinakes.core.annotations.region_index import IndexDamaged, RegionIndex
from pinakes.core.annotations.region_search import Found
from pinakes.core.errors import WrongState
from tests.core.annotations.making import INNER, SQUARE, region, shifted
from tests.core.annotations.vector_tile import Feature, read_tile

EVERYWHERE = Box(-1e9, -1e9, 1e9, 1e9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def indexed(folder: Path, markup: Markup, format: Format = Format.GEOJSON) -> RegionIndex:
    path = folder / "index"
    with path.open("wb") as file:
        region_indexing.index(formats.write(format, markup), file, _any_size)
    index = region_index.open_index(path)
    path.unlink()
    return index


def _any_size(size_bytes: int) -> None:
    """For an index that may be of any size."""


def drawn(*regions: Region) -> Markup:
    return Markup((Layer("a", (1, 2, 3), regions=regions),))


def squares(count: int, side: float, *, seed: int = 1, extent: float = 10_000) -> list[Region]:
    chance = random.Random(seed)
    places = [(chance.uniform(0, extent), chance.uniform(0, extent)) for _ in range(count)]
    return [region([(x, y), (x + side, y), (x + side, y + side), (x, y + side)]) for x, y in places]


def geojson(found: Found) -> Any:
    return json.loads(b"".join(found_geojson.write(found)))


def tile(found: Found) -> dict[str, list[Feature]]:
    return {layer.name: layer.features for layer in read_tile(tiles.write(found))}


def total(found: Found) -> int:
    return len(found.drawn.regions) + len(found.small) + int(found.clusters.counts.sum())


# -- The index ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", Format)
def test_holes_stand_with_the_outline_that_they_are_cut_out_of(folder: Path, format: Format) -> None:
    far = shifted(SQUARE, 50, 50)
    markup = drawn(
        region(SQUARE, text="with a hole"),
        region(INNER, is_hole=True),
        region(far),
        region(shifted(INNER, 50, 50), is_hole=True),
        region([(1, 1), (2, 2)], Shape.LINE),
        region([(3, 3)], Shape.POINTS, text="ein Pünktchen"),
    )
    index = indexed(folder, markup, format)
    assert index.layers == [("a", (1, 2, 3))]
    assert np.diff(index.first_ring).tolist() == [2, 2, 1, 1]
    assert index.left.tolist() == [0, 50, 1, 3]
    assert index.bottom.tolist() == [10, 60, 2, 3]
    assert index.texts_of(np.arange(4)) == ["with a hole", "", "", "ein Pünktchen"]


def test_a_hole_may_stand_before_its_outline_in_xml_and_one_in_nothing_is_left_out(folder: Path) -> None:
    markup = drawn(region(INNER, is_hole=True), region(shifted(INNER, 90, 0), is_hole=True), region(SQUARE))
    index = indexed(folder, markup, Format.APERIO)
    assert np.diff(index.first_ring).tolist() == [2]
    (feature,) = geojson(region_search.search(index, EVERYWHERE, 0))["features"]
    assert [len(ring) for ring in feature["geometry"]["coordinates"]] == [5, 5]


@pytest.mark.parametrize("format", Format)
def test_an_annotation_with_nothing_in_it_has_an_index(folder: Path, format: Format) -> None:
    index = indexed(folder, Markup(()), format)
    found = region_search.search(index, EVERYWHERE, 3)
    assert (index.count, geojson(found)["features"], tile(found)) == (0, [], {})


def test_holes_too_intertwined_to_be_found_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Layer("a", regions=(region(SQUARE), region(INNER, is_hole=True)))
    monkeypatch.setattr(geometry, "Steps", partial(geometry.Steps, 20))
    assert indexed(folder, Markup((layer,) * 3), Format.APERIO).count == 3
    with pytest.raises(WrongState):
        indexed(folder, Markup((layer,) * 5), Format.APERIO)  # no layer takes long, all together do


def test_texts_take_no_more_memory_than_their_bytes_and_those_of_holes_are_not_told(folder: Path) -> None:
    text = "ü" * 10_000
    regions = [region(SQUARE, text=text), region(INNER, is_hole=True, text="hole"), region(SQUARE), region(SQUARE)]
    pieces = list(formats.write(Format.APERIO, drawn(*regions * 100, region(SQUARE, text="last"))))
    path = folder / "index"
    tracemalloc.start()
    with path.open("wb") as file:
        region_indexing.index(pieces, file, _any_size)
    assert tracemalloc.get_traced_memory()[1] < 2 * sum(map(len, pieces))
    tracemalloc.stop()
    index = region_index.open_index(path)
    assert index.texts_of(np.arange(301)) == [text, "", ""] * 100 + ["last"]


def test_an_index_whose_head_says_something_else_is_not_believed(folder: Path) -> None:
    """As one that an older version wrote, of a class whose colour was `[true, true, true]`."""
    path = folder / "index"
    with path.open("wb") as file:
        region_indexing.index(formats.write(Format.GEOJSON, drawn(region(SQUARE))), file, _any_size)
    whole = path.read_bytes()
    for told, other in ((b"[1,2,3]", b"[1,2,{]"), (b"[1,2,3]", b"[1,2,t]"), (b'"left"', b'"lift"')):
        head = whole[24 : 24 + int.from_bytes(whole[16:20], "little")].replace(told, other)
        path.write_bytes(whole[:20] + zlib.crc32(head).to_bytes(4, "little") + head + whole[24 + len(head) :])
        with pytest.raises(IndexDamaged):
            region_index.open_index(path)


@pytest.mark.parametrize("damage", [b"", b"x", bytes(400), b"PINAKES REGIONS\n" + bytes(400)])
def test_a_file_torn_by_a_crash_is_not_believed(folder: Path, damage: bytes) -> None:
    path = folder / "index"
    path.write_bytes(damage)
    with pytest.raises(IndexDamaged):
        region_index.open_index(path)
    with path.open("wb") as file:
        region_indexing.index(formats.write(Format.GEOJSON, drawn(region(SQUARE))), file, _any_size)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(IndexDamaged):
        region_index.open_index(path)


def test_coordinates_far_beyond_any_slide_are_drawn_in(folder: Path) -> None:
    index = indexed(folder, drawn(region([(-1e15, 0), (1e15, 0), (0, 1e15)])))
    found = region_search.search(index, Box(0, 0, 1, 1), 0)
    (feature,) = geojson(found)["features"]
    assert max(abs(number) for point in feature["geometry"]["coordinates"][0] for number in point) == 2.0**26
    assert len(tile(found)["regions"]) == 1


# -- The search ---------------------------------------------------------------------------------------------------

_PLACE = st.integers(-200, 1200).map(float)


@settings(max_examples=60, deadline=None)
@given(_PLACE, _PLACE, st.integers(0, 900), st.integers(0, 900), st.integers(0, 6))
def test_exactly_what_reaches_into_the_box_is_found(
    tmp_path_factory: pytest.TempPathFactory, left: float, top: float, width: int, height: int, zoom: int
) -> None:
    regions = squares(300, 16, extent=1000)
    index = indexed(tmp_path_factory.mktemp("index"), drawn(*regions))
    found = region_search.search(index, Box(left, top, left + width, top + height), zoom)
    expected = [
        number
        for number, each in enumerate(regions)
        if np.float32(max(each.xs)) >= left
        and np.float32(min(each.xs)) <= left + width
        and np.float32(max(each.ys)) >= top
        and np.float32(min(each.ys)) <= top + height
    ]
    assert sorted([*found.drawn.regions.tolist(), *found.small.tolist()]) == expected


def test_at_full_size_outlines_are_exact_to_a_quarter_of_a_pixel(folder: Path) -> None:
    outline = [(0.1, 0.2), (90_000.37, 0.2), (90_000.37, 80_000.9), (0.1, 80_000.9)]
    found = region_search.search(indexed(folder, drawn(region(outline, text="t"))), EVERYWHERE, 0)
    (feature,) = geojson(found)["features"]
    assert feature == {
        "type": "Feature",
        "id": 0,
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[0.0, 0.25], [90000.25, 0.25], [90000.25, 81000.0 - 999], [0.0, 80001.0], [0.0, 0.25]]],
        },
        "properties": {
            "objectType": "annotation",
            "classification": {"name": "a", "color": [1, 2, 3]},
            "name": "t",
        },
    }


def test_farther_out_outlines_have_fewer_vertices_and_small_regions_are_points(folder: Path) -> None:
    steps = [(float(x), float(x % 2)) for x in range(4000)] + [(4000.0, 3000.0), (0.0, 3000.0)]
    markup = drawn(region(steps), region(shifted(SQUARE, 100, 100), text="small"))
    index = indexed(folder, markup)
    counts = []
    for zoom in (0, 4, 8):
        found = region_search.search(index, EVERYWHERE, zoom)
        features = geojson(found)["features"]
        assert len(features) == 2
        counts.append(len(features[0]["geometry"]["coordinates"][0]))
        if zoom == 8:
            assert found.unit == 64
            assert features[1]["geometry"] == {"type": "Point", "coordinates": [128, 128]}
            assert features[1]["properties"]["reduced"] is True
            assert features[1]["properties"]["name"] == "small"
    assert counts[0] > 4000
    assert counts[0] > 3 * counts[1] > 6 * counts[2]


@pytest.mark.parametrize("zoom", [0, 1, 3, 5, 8, 24])
def test_nothing_in_the_box_is_left_out_however_much_it_is(folder: Path, zoom: int) -> None:
    layers = tuple(Layer(name, regions=tuple(squares(4000, 12, seed=seed))) for seed, name in enumerate("abc"))
    index = indexed(folder, Markup(layers))
    found = region_search.search(index, EVERYWHERE, zoom)
    assert total(found) == 12_000
    assert len(found.drawn.regions) <= region_search.MOST_REGIONS
    assert len(found.clusters.counts) <= 3 * 4096
    clusters = [each for each in geojson(found)["features"] if each["properties"]["objectType"] == "cluster"]
    by_class = dict.fromkeys("abc", 0)
    for cluster in clusters:
        by_class[cluster["properties"]["classification"]["name"]] += cluster["properties"]["count"]
        assert all(0 - found.unit <= number <= 10_012 + found.unit for number in cluster["geometry"]["coordinates"])
    assert set(by_class.values()) <= {4000} if zoom in (0, 24) else True
    assert sum(each.properties["count"] for each in tile(found).get("clusters", [])) == sum(by_class.values())


def test_the_larger_ones_are_outlined_where_not_all_can_be(folder: Path) -> None:
    index = indexed(folder, drawn(*squares(region_search.MOST_REGIONS, 10), *squares(10, 200, seed=2)))
    found = region_search.search(index, EVERYWHERE, 0)
    assert found.drawn.regions.tolist() == list(range(region_search.MOST_REGIONS, region_search.MOST_REGIONS + 10))
    assert found.smallest == 16
    assert found.clusters.counts.sum() == region_search.MOST_REGIONS


def test_an_outline_of_any_length_is_told_in_bounded_vertices(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region_search, "MOST_VERTICES", 1000)
    monkeypatch.setattr(region_search, "_MOST_READ", 8000)
    points = [(10_000 + 9000 * np.cos(angle), 10_000 + 9000 * np.sin(angle)) for angle in np.linspace(0, 6.28, 30_000)]
    found = region_search.search(indexed(folder, drawn(region(points))), EVERYWHERE, 0)
    assert 100 < len(found.drawn.points) <= 1000
    assert found.unit > 0.25
    radii = np.hypot(*(found.drawn.points * found.unit - 10_000).T)
    assert abs(radii - 9000).max() < 2 * found.unit


def test_what_becomes_flat_is_a_line_and_loses_its_holes(folder: Path) -> None:
    thin = region([(0, 0), (1000, 0), (1000, 1), (0, 1)])
    hole = region([(10, 0.2), (20, 0.2), (20, 0.8), (10, 0.8)], is_hole=True)
    index = indexed(folder, drawn(thin, hole, region(shifted(SQUARE, 0, 500))))
    found = region_search.search(index, Box(0, 0, 1000, 9), 5)
    (feature,) = geojson(found)["features"]
    assert feature["geometry"] == {"type": "LineString", "coordinates": [[0, 0], [1000, 0]]}
    (shown,) = tile(found)["regions"]
    assert (shown.kind, len(shown.lines)) == ("line", 1)


def test_a_line_has_no_holes_whatever_was_cut_out_of_the_region(folder: Path) -> None:
    """A stranger's GeoJSON may cut anything out of anything."""
    thin, hole = region([(0, 0), (1000, 0), (1000, 1), (0, 1)]), region(shifted(SQUARE, 0, 0), is_hole=True)
    rings = [
        [[*point] for point in (*zip(each.xs, each.ys, strict=True), (each.xs[0], each.ys[0]))] for each in (thin, hole)
    ]
    document = json.dumps({"type": "Polygon", "coordinates": rings}).encode()
    path = folder / "index"
    with path.open("wb") as file:
        region_indexing.index([document], file, _any_size)
    found = region_search.search(region_index.open_index(path), EVERYWHERE, 3)
    (shown,) = tile(found)["regions"]
    assert (shown.kind, len(shown.lines)) == ("line", 1)


def test_a_hole_that_cannot_be_seen_is_left_out(folder: Path) -> None:
    index = indexed(folder, drawn(region([(0, 0), (1000, 0), (1000, 1000), (0, 1000)]), region(INNER, is_hole=True)))
    for zoom, rings in ((0, 2), (5, 1)):
        (feature,) = geojson(region_search.search(index, EVERYWHERE, zoom))["features"]
        assert len(feature["geometry"]["coordinates"]) == rings


# -- The tile -----------------------------------------------------------------------------------------------------


def _signed_area(points: Sequence[tuple[int, int]]) -> float:
    following = [*points[1:], points[0]]
    return sum(x * after_y - after_x * y for (x, y), (after_x, after_y) in zip(points, following, strict=True)) / 2


def _turned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same ring, begun with its smallest vertex and walked round one way."""
    first = points.index(min(points))
    turned = [*points[first:], *points[:first]]
    return min(turned, [turned[0], *turned[:0:-1]])


def test_vertices_that_fall_together_where_a_ring_closes_are_one(folder: Path) -> None:
    outline = [(0, 0), (100, 0), (100, 100), (0, 100), (0.3, 0.3), (0.2, 0.2), (0, 0)]
    found = region_search.search(indexed(folder, drawn(region(outline), region(SQUARE))), EVERYWHERE, 2)
    assert found.drawn.points.tolist() == [[0, 0], [100, 0], [100, 100], [0, 100], [0, 0], [10, 0], [10, 10], [0, 10]]
    points = region_search.search(indexed(folder, drawn(region([(0, 0), (9, 0), (0, 9)]))), EVERYWHERE, 0).drawn.points
    assert len(points) == 3


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 7), st.floats(-100, 900), st.floats(-100, 900))
def test_a_tile_tells_the_same_as_geojson(
    tmp_path_factory: pytest.TempPathFactory, seed: int, zoom: int, left: float, top: float
) -> None:
    chance = random.Random(seed)
    regions: list[Region] = []
    for number, square in enumerate(squares(60, 40, seed=seed, extent=1000)):
        outline = list(zip(square.xs, square.ys, strict=True))
        regions.append(region(outline[:: chance.choice([1, -1])], text=chance.choice(["", "name"])))
        if number % 3 == 0:
            regions.append(region(shifted(INNER, *outline[0])[:: chance.choice([1, -1])], is_hole=True))
        if number % 5 == 0:
            regions.append(region(outline, chance.choice([Shape.LINE, Shape.POINTS])))
    index = indexed(tmp_path_factory.mktemp("index"), drawn(*regions))
    found = region_search.search(index, Box(left, top, left + 300.5, top + 200), zoom)
    corner_x, corner_y = tiles.corner(found)
    assert corner_x <= left < corner_x + found.unit
    shown = {feature["id"]: feature for feature in geojson(found)["features"]}
    read = tile(found)
    features = [*read.get("regions", []), *read.get("points", [])]
    assert {feature.id for feature in features} == set(shown)
    for feature in features:
        expected = shown[feature.id]
        lines = [[(corner_x + x * found.unit, corner_y + y * found.unit) for x, y in line] for line in feature.lines]
        told = expected["geometry"]["coordinates"]
        match expected["geometry"]["type"]:
            case "Polygon":
                assert feature.kind == "polygon"
                rings = [[tuple(point) for point in ring] for ring in told]
                assert all(ring[0] == ring[-1] for ring in rings)
                assert [_turned(line) for line in lines] == [_turned(ring[:-1]) for ring in rings]
                assert all(before != after for ring in rings for before, after in pairwise(ring))
                assert [_signed_area(line) > 0 for line in feature.lines] == [True] + [False] * (len(told) - 1)
            case "Point":
                assert lines == [[tuple(told)]]
            case _:
                assert lines == [[tuple(point) for point in told]]
        assert feature.properties["class"] == "a"
        assert feature.properties["color"] == "#010203"
        assert feature.properties.get("name") == expected["properties"].get("name")


def test_every_layer_has_the_box_as_its_extent(folder: Path) -> None:
    index = indexed(folder, drawn(*squares(100, 40), *squares(100, 1)))
    found = region_search.search(index, Box(10, 20, 5010, 2020), 4)
    tile = tiles.write(found)
    assert tile.index(b"\x78\x02\x0a\x07regions") < 6  # the version is the first field
    layers = read_tile(tile)
    assert [(layer.name, layer.version, layer.extent) for layer in layers] == [
        ("regions", 2, 1250),
        ("points", 2, 1250),
    ]


def test_long_answers_come_in_pieces(folder: Path) -> None:
    index = indexed(folder, drawn(*squares(4000, 40)))
    pieces = list(found_geojson.write(region_search.search(index, EVERYWHERE, 0)))
    assert len(pieces) > 4
    assert io.BytesIO(b"".join(pieces)).getbuffer().nbytes > 400_000
