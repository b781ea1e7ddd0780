"""GeoJSON as it is read: what QuPath and others write, and everything that is refused (issue 5, item 6)."""

import json
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinakes.core.annotations import dialect, geojson_reading, reading
from pinakes.core.annotations.dialect import Limits
from pinakes.core.annotations.model import Layer, Region, Shape
from pinakes.core.errors import InvalidFields
from tests.core.annotations.making import INNER, SQUARE, read, region, shifted

MIB = 1024 * 1024


def ring(points: Any) -> list[list[float]]:
    return [list(point) for point in (*points, points[0])]


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def collection(*features: Any, **members: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": list(features), **members}).encode()


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring(points) for points in rings]}


def layers(document: bytes) -> tuple[Layer, ...]:
    return read(document).layers


def refusal(document: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(InvalidFields) as caught:
        reading.read([document], limits)
    (reason,) = caught.value.problems[dialect.FIELD]
    return reason


TUMOUR = {"name": "Tumour", "color": [200, 0, 10]}
DOCUMENT = collection(
    feature(polygon(SQUARE, INNER), objectType="annotation", name="first", classification=TUMOUR),
    feature({"type": "Point", "coordinates": [1.5, 2]}, classification=TUMOUR),
    feature({"type": "LineString", "coordinates": [[0, 0], [3, 4]]}, objectType="detection"),
)


# -- What is read -------------------------------------------------------------------------------------------------


def test_features_are_layered_by_class_with_holes_behind_their_polygon() -> None:
    assert layers(DOCUMENT) == (
        Layer(
            "Tumour",
            (200, 0, 10),
            regions=(
                region(SQUARE, text="first"),
                region(INNER, is_hole=True),
                region([(1.5, 2)], Shape.POINTS),
            ),
        ),
        Layer("", regions=(region([(0, 0), (3, 4)], Shape.LINE),)),
    )


@pytest.mark.parametrize(
    ("geometry", "regions"),
    [
        ({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}, [region([(1, 2), (3, 4)], Shape.POINTS)]),
        (
            {"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]},
            [region([(1, 2), (3, 4)], Shape.LINE), region([(5, 6), (7, 8)], Shape.LINE)],
        ),
        (
            {"type": "MultiPolygon", "coordinates": [[ring(SQUARE), ring(INNER)], [ring(shifted(SQUARE, 50, 0))]]},
            [region(SQUARE), region(INNER, is_hole=True), region(shifted(SQUARE, 50, 0))],
        ),
        (
            {"type": "GeometryCollection", "geometries": [polygon(SQUARE), {"type": "Point", "coordinates": [1, 2]}]},
            [region(SQUARE), region([(1, 2)], Shape.POINTS)],
        ),
        ({"type": "Point", "coordinates": [1, 2, 3]}, [region([(1, 2)], Shape.POINTS)]),
        ({"type": "Polygon", "coordinates": []}, []),
        ({"type": "MultiPoint", "coordinates": []}, []),
        (None, []),
    ],
)
def test_every_geometry_becomes_regions_whatever_it_stands_in(geometry: Any, regions: Any) -> None:
    for document in (
        collection(feature(geometry)),
        json.dumps([feature(geometry)]).encode(),
        json.dumps(feature(geometry)).encode(),
        *([json.dumps(geometry).encode()] if geometry else []),
    ):
        found = layers(document)
        assert [drawn for layer in found for drawn in layer.regions] == regions


def test_members_may_stand_in_any_order_and_others_are_passed_over() -> None:
    tricky = {"features": [{"type": "Feature"}], "type": "}]", 'a"\\': ["{[", {"b": [1, {}]}], "n": -1.5e3, "t": True}
    text = json.dumps({"crs": tricky, "features": [feature(polygon(SQUARE), x=']}{["\\')], "type": "FeatureCollection"})
    assert layers(text.encode()) == layers(collection(feature(polygon(SQUARE))))
    assert layers(b"\xef\xbb\xbf" + text.encode()) == layers(json.dumps(json.loads(text), indent=3).encode())


@pytest.mark.parametrize(
    ("classification", "layer"),
    [
        ({"name": "a", "colorRGB": -3670016}, Layer("a", (200, 0, 0))),
        ({"names": ["Immune", "CD3"], "color": [1, 2, 3]}, Layer("Immune: CD3", (1, 2, 3))),
        ({"name": "a", "color": [1, 2]}, Layer("a")),
        ({"name": "a", "color": [1, 2, 256]}, Layer("a")),
        ({"name": "a", "color": "red"}, Layer("a")),
        ({"name": "a", "color": [True, True, True]}, Layer("a")),
        ({"name": "a", "colorRGB": True}, Layer("a")),
        ({"name": 5}, Layer("")),
        ("Tumour", Layer("")),
        (None, Layer("")),
    ],
)
def test_a_class_is_read_as_qupath_has_written_it_and_nonsense_is_no_class(classification: Any, layer: Layer) -> None:
    (found,) = layers(collection(feature({"type": "Point", "coordinates": [1, 2]}, classification=classification)))
    assert (found.name, found.colour) == (layer.name, layer.colour)


def test_the_first_colour_of_a_class_counts() -> None:
    point = {"type": "Point", "coordinates": [1, 2]}
    classes = [{"name": "a"}, {"name": "a", "color": [1, 1, 1]}, {"name": "a", "color": [2, 2, 2]}]
    (found,) = layers(collection(*(feature(point, classification=each) for each in classes)))
    assert (found.colour, len(found.regions)) == ((1, 1, 1), 3)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]},
        {"type": "MultiPolygon", "coordinates": [[ring(SQUARE), ring(INNER)], [ring(shifted(SQUARE, 50, 0))]]},
        {"type": "GeometryCollection", "geometries": [polygon(SQUARE), {"type": "Point", "coordinates": [1, 2]}]},
    ],
)
def test_the_first_of_several_parts_has_the_name(geometry: Any) -> None:
    """So that what is made of a document is no larger than it is: a name may have 16 KiB, and a feature many parts."""
    (layer,) = layers(collection(feature(geometry, name="long"), feature(geometry, name="other")))
    half = len(layer.regions) // 2
    assert [each.text for each in layer.regions] == ["long", *[""] * (half - 1), "other", *[""] * (half - 1)]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400))
def test_where_the_pieces_end_makes_no_difference(piece_bytes: int) -> None:
    text = json.dumps(json.loads(DOCUMENT), indent=1).encode()
    assert read(text, piece_bytes) == read(DOCUMENT)


@settings(deadline=None)
@given(st.floats(-1e15, 1e15) | st.integers(-(10**15), 10**15))
def test_coordinates_are_exact(number: float) -> None:
    (layer,) = layers(json.dumps({"type": "Point", "coordinates": [number, 0]}).encode())
    assert layer.regions[0].xs[0] == float(number)


# -- What is refused ----------------------------------------------------------------------------------------------


def _points(coordinates: str) -> bytes:
    return b'{"type":"LineString","coordinates":%b}' % coordinates.encode()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"{", "ends in the middle"),
        (b"[", "ends in the middle"),
        (DOCUMENT[:-1], "ends in the middle"),
        (DOCUMENT[:100], "ends in the middle"),
        (DOCUMENT + b"x", "follows its end"),
        (b"{}", "member is not as GeoJSON"),
        (b"{,}", "missing"),
        (b'{"type":"Feature",}', "missing"),
        (b'{"type" "Feature"}', "missing"),
        (b'{"type":"FeatureCollection"}', "no FeatureCollection"),
        (b'{"features":[]}', "member is not as GeoJSON"),
        (b'{"type":"Feature","features":[]}', "no FeatureCollection"),
        (b'{"type":"FeatureCollection","features":[],"features":[]}', "twice"),
        (b'{"type":"FeatureCollection","features":{}}', "no FeatureCollection"),
        (b'{"type":"FeatureCollection","features":[1]}', "no object"),
        (b'{"type":"FeatureCollection","features":[{}]}', "member is not as GeoJSON"),
        (b'{"type":"FeatureCollection","features":[{"type":"Point"}]}', "no Feature"),
        (b'{"type":"FeatureCollection","features":[{"type":"Feature"},]}', "no object"),
        (b'{"type":"FeatureCollection","features":[{"type":"Feature"} {"type":"Feature"}]}', "missing"),
        (b'{"type":"FeatureCollection","features":[{"type":"Feature"]}', "not valid JSON"),
        (b'{"type":"FeatureCollection","features":[{"type":"Feature","x":01}]}', "not valid JSON"),
        (b'{"type":"Circle","coordinates":[1,2]}', "no type that is known"),
        (b'{"type":"Point"}', "member is not as GeoJSON"),
        (b'{"type":"Point","coordinates":[1]}', "member is not as GeoJSON"),
        (b'{"type":"Point","coordinates":[1,2,3,4]}', "member is not as GeoJSON"),
        (_points('[["1",2],[3,4]]'), "got `str`"),
        (_points("[[null,2],[3,4]]"), "got `null`"),
        (_points("[[true,2],[3,4]]"), "got `bool`"),
        (_points("[[NaN,2],[3,4]]"), "not valid JSON"),
        (_points("[[Infinity,2],[3,4]]"), "not valid JSON"),
        (_points("[[1e999,2],[3,4]]"), "out of range"),
        (_points("[[1.1e15,2],[3,4]]"), "farther away"),
        (_points("[[1,2],[3,-1e300]]"), "farther away"),
        (_points("[[1,2],[3,4,5]]"), "member is not as GeoJSON"),
        (_points("[[1,2],[3,4]}"), "ends in the middle"),
        (_points("[" * 5000 + "]" * 5000), "nested too deeply"),
        (b'{"type":"Feature","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}', "does not end where it begins"),
        (b'{"type":"Polygon","coordinates":[[[0,0],[1,0],[0,0]]]}', "fewer than 4"),
        (
            b'{"type":"GeometryCollection","geometries":[{"type":"GeometryCollection","geometries":[]}]}',
            "is in another",
        ),
        (collection(feature({"type": "Point", "coordinates": [1, 2]}, name="a\0b")), "no place for"),
        (b'{"type":"FeatureCollection","x":"\xff","features":[]}', "not UTF-8"),
        (b'{"type":"FeatureCollection","x":"\xc3', "not UTF-8"),
        (
            collection(feature({"type": "Point", "coordinates": [1, 2]}, name="@")).replace(b"@", b"\\ud800"),
            "not valid JSON",
        ),
        (collection(feature(None, classification={"name": "n" * 256})), ""),
    ],
)
def test_what_is_no_geojson_is_refused(document: bytes, reason: str) -> None:
    if reason:
        assert reason in refusal(document)
    else:
        assert layers(document) == ()


def test_a_refusal_tells_after_how_many_features() -> None:
    bad = feature({"type": "Point", "coordinates": ["a", 2]})
    assert refusal(collection(feature(None), feature(None), bad)).startswith("after 2 features: ")


def test_names_regions_positions_and_classes_are_bounded() -> None:
    point = {"type": "Point", "coordinates": [1, 2]}
    assert "longer than 255" in refusal(collection(feature(point, classification={"name": "n" * 256})))
    assert "longer than 16384" in refusal(collection(feature(point, name="n" * 16_385)))
    assert "more than 3 features" in refusal(collection(*[feature(None)] * 4), Limits(regions=3))
    assert "more than 3 regions" in refusal(collection(*[feature(point)] * 4), Limits(regions=3))
    assert "more than 9 positions" in refusal(collection(*[feature(polygon(SQUARE))] * 3), Limits(elements=9))
    many = [feature(point, classification={"name": str(number)}) for number in range(1001)]
    assert "more than 1000 classes" in refusal(collection(*many))


def test_one_feature_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geojson_reading, "MAX_FEATURE_POSITIONS", 5)
    assert "more than 5 positions" in refusal(collection(feature(polygon(SQUARE))))
    parts = [{"type": "Point", "coordinates": [1, 2]}] * 3
    assert "more than 5 positions" in refusal(json.dumps({"type": "GeometryCollection", "geometries": parts}).encode())


def test_a_name_and_a_class_are_measured_before_they_are_read() -> None:
    """Small objects take thirty times their bytes when they are."""
    point = {"type": "Point", "coordinates": [1, 2]}
    for name in ("name", "classification"):
        document = collection(feature(point, **{name: [{"": 0}] * 100_000}))
        assert "longer than 262144 bytes" in refusal(document)
        assert _peak(document) < 8 * MIB
    layers(collection(feature(point, measurements=[{"": 0}] * 100_000)))
    (layer,) = layers(collection(feature(point, name="\U0001f52c" * dialect.MAX_TEXT)))  # escaped to twelve bytes each
    assert len(layer.regions[0].text) == dialect.MAX_TEXT


def _peak(document: bytes) -> int:
    tracemalloc.start()
    try:
        refusal(document)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_members_of_the_root_are_bounded() -> None:
    members = {str(number): 0 for number in range(999)}
    assert layers(collection(**members)) == ()
    assert "more than 1000 members" in refusal(collection(**members, more=0))


def test_large_features_are_read_by_two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geojson_reading, "_LARGE_BYTES", 100)
    reading_now, most = [], []
    is_third = threading.Event()

    def look(layer: int, drawn: Region) -> None:
        reading_now.append(1)
        most.append(len(reading_now))
        if len(most) > 2:
            is_third.set()
        is_third.wait(0.05 if len(most) < 3 else 0)
        reading_now.pop()

    def upload() -> None:
        reader = reading.Reader(look)
        reader.feed(collection(feature(polygon(SQUARE), name="n" * 200)))
        reader.close()

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(upload) for _ in range(6)]:
            done.result()
    assert (len(most), max(most)) == (6, 2)


@pytest.mark.parametrize("cuts", [(1,), (2,), (1, 2)])
def test_a_byte_order_mark_may_come_in_pieces(cuts: tuple[int, ...]) -> None:
    document = b"\xef\xbb\xbf" + DOCUMENT
    pieces = [document[start:end] for start, end in zip((0, *cuts), (*cuts, len(document)), strict=True)]
    assert reading.read(pieces) == read(DOCUMENT)
    with pytest.raises(InvalidFields):
        reading.read([b"\xef"])


def _endless(begin: bytes, more: bytes) -> Iterator[bytes]:
    yield begin
    for _ in range(64):
        yield more * (MIB // len(more))


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b'{"type":"', b"x"),
        (b'{"', b"x"),
        (b'{"a":', b"1"),
        (b'{"a":', b"[1,2],"),
        (b'{"a":', b"["),
        (b'{"features":[', b"{"),
        (b'{"features":[{"type":"Feature","x":', b"[1,2],"),
        (b'{"features":[{"type":"Feature","x":"', b'\\"'),
    ],
)
def test_what_does_not_end_is_refused_before_it_fills_the_memory(begin: bytes, more: bytes) -> None:
    reader = reading.Reader(lambda layer, drawn: None)  # noqa: ARG005
    tracemalloc.start()
    try:
        with pytest.raises(InvalidFields):
            for piece in _endless(begin, more):
                reader.feed(piece)
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_features() -> None:
    one = json.dumps(feature(polygon(SQUARE), classification=TUMOUR)).encode() + b","
    reader = reading.Reader(lambda layer, drawn: None)  # noqa: ARG005
    tracemalloc.start()
    try:
        reader.feed(b'{"type":"FeatureCollection","features":[')
        for _ in range(10):
            reader.feed(one * 500)
        reader.feed(one[:-1] + b"]}")
        assert len(reader.close().layers) == 1
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    finally:
        tracemalloc.stop()


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tail: bytes) -> None:
    for document in (b"{" + tail, b"[" + tail, b'{"type":"FeatureCollection","features":[' + tail):
        _is_read_or_refused(document)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, len(DOCUMENT)), st.binary(max_size=8), st.integers(0, 8))
def test_a_damaged_document_is_read_or_refused(position: int, patch: bytes, dropped: int) -> None:
    damaged = DOCUMENT[:position] + patch + DOCUMENT[position + dropped :]
    _is_read_or_refused(damaged)


def _is_read_or_refused(document: bytes) -> None:
    """Nothing else happens; what is read is JSON to others too."""
    try:
        read(document)
    except InvalidFields:
        return
    if document.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        json.loads(document.removeprefix(b"\xef\xbb\xbf"))
