"""Annotations of slides in the native API: versions, formats, and what is to be seen in a box (issue 5, item 6)."""

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pinakes.apis.pathomiq import API as PATHOMIQ
from pinakes.core.access.users import User
from pinakes.core.actor import Kind
from pinakes.core.annotations import geometry, reading, region_indexing, region_search
from pinakes.core.annotations.records import Source
from pinakes.core.annotations.region_index import RegionIndex
from pinakes.core.archive import Archive
from pinakes.core.audit import of_image
from pinakes.core.slides import records, rows
from pinakes.core.slides.records import NewSlide
from tests.contracts.native.conftest import Client, World, make_world
from tests.contracts.serving import ORIGIN
from tests.core.annotations.making import ASAP, IMAGESCOPE, INNER, SQUARE, read
from tests.core.annotations.test_geojson_reading import DOCUMENT, collection, feature, polygon
from tests.core.annotations.vector_tile import read_tile

ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)

XML = {"Content-Type": "application/xml"}
GEOJSON = {"Content-Type": "application/geo+json"}


@pytest.fixture
def world(archive: Archive, tmp_path: Path) -> Iterator[World]:
    yield from make_world(archive, tmp_path, PATHOMIQ)


@pytest.fixture
def pat(world: World) -> Client:
    return world.user("pat", Kind.SLIDE)


@pytest.fixture
def slide(world: World, pat: Client) -> int:
    """The id of an uploaded slide of pat's."""
    return make_slide(world, pat)


def make_slide(world: World, client: Client, *, is_uploaded: bool = True) -> int:
    actor = world.archive.credentials.actor("native", client.token or "")
    slide = world.archive.slides.create(actor, NewSlide("a.svs"))
    if is_uploaded:
        with world.archive.database.write() as transaction:
            rows.change(transaction, slide.id, {"status": "Uploaded"}, world.archive.clock())
    return slide.id


def user_of(world: World, name: str) -> User:
    return world.archive.users.get(name)


def predict(world: World, slide: int, document: bytes) -> None:
    """Publish what a machine drew."""
    archive = world.archive
    with archive.annotations.receive() as upload:
        upload.write(document)
        upload.finish()
        with archive.database.write() as transaction:
            records.lock(transaction, slide)
            archive.annotations.add(transaction, slide, Source.PREDICTION, None, upload)


def path(slide: int, rest: str = "") -> str:
    return f"/images/{slide}/annotations{rest}"


def send(client: Client, slide: int, document: bytes = DOCUMENT, headers: Any = GEOJSON) -> Any:
    answer = client.post(path(slide), content=document, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


def refused(answer: Any, status: int) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    return body


def reads(world: World, slide: int, action: str) -> int:
    world.archive.trail.flush()
    with world.archive.database.read() as connection:
        return len([event for event in of_image(connection, slide) if event.action == action])


# -- Versions -----------------------------------------------------------------------------------------------------


def test_a_version_is_told_with_its_areas_and_who_drew_it(world: World, pat: Client, slide: int) -> None:
    assert pat.get(path(slide)).json() == {"items": [], "next_cursor": None}
    predict(world, slide, IMAGESCOPE)
    sent = send(pat, slide)
    assert sent == {
        "number": 2,
        "source": "person",
        "author": {"id": user_of(world, "pat").id, "uuid": sent["author"]["uuid"], "username": "pat"},
        "run": None,
        "created_at": sent["created_at"],
        "media_type": "application/geo+json",
        "size_bytes": len(DOCUMENT),
        "sha256": hashlib.sha256(DOCUMENT).hexdigest(),
        "layers": [
            {"name": "Tumour", "regions": 2, "area_px": 96.0, "area_mm2": None},
            {"name": "", "regions": 1, "area_px": 0.0, "area_mm2": None},
        ],
    }
    newest, machine = pat.get(path(slide)).json()["items"]
    assert newest == sent
    assert (machine["number"], machine["source"], machine["author"]) == (1, "machine", None)
    assert machine["media_type"] == "application/xml"


def test_areas_are_told_in_square_millimetres_where_the_scale_is_known(world: World, pat: Client, slide: int) -> None:
    with world.archive.database.write() as transaction:
        metric = json.dumps({"schema": 1, "mpp_x": 0.5, "mpp_y": 0.25})
        rows.change(transaction, slide, {"metric": metric}, world.archive.clock())
    assert send(pat, slide)["layers"][0]["area_mm2"] == 0.000012
    shown = world.archive.slides.get(world.archive.credentials.actor("native", pat.token or ""), slide)
    assert json.loads(shown.metric or "")["annotations"][0]["area_mm2"] == 0.000012


def test_versions_are_listed_page_by_page(pat: Client, slide: int) -> None:
    for _ in range(3):
        send(pat, slide)
    first = pat.get(path(slide, "?limit=2")).json()
    assert [item["number"] for item in first["items"]] == [3, 2]
    rest = pat.get(path(slide, f"?limit=2&cursor={first['next_cursor']}")).json()
    assert ([item["number"] for item in rest["items"]], rest["next_cursor"]) == ([1], None)


@pytest.mark.parametrize("document", [IMAGESCOPE, ASAP, DOCUMENT])
def test_what_was_sent_comes_back_as_it_was(world: World, pat: Client, slide: int, document: bytes) -> None:
    send(pat, slide, document, XML)  # the bytes tell what they are
    answer = pat.get(path(slide, "/1"))
    assert (answer.status_code, answer.content) == (200, document)
    assert answer.headers["etag"] == f'"{hashlib.sha256(document).hexdigest()}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    part = pat.get(path(slide, "/1"), headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, document[2:6])
    assert reads(world, slide, "content:read") == 2
    unchanged = pat.get(path(slide, "/1"), headers={"If-None-Match": answer.headers["etag"]})
    assert (unchanged.status_code, pat.head(path(slide, "/1")).content) == (304, b"")
    assert reads(world, slide, "content:read") == 2


@pytest.mark.parametrize("format", ["aperio", "asap", "geojson"])
@pytest.mark.parametrize("document", [IMAGESCOPE, DOCUMENT])
def test_every_version_can_be_had_in_every_format(pat: Client, slide: int, document: bytes, format: str) -> None:
    send(pat, slide, document)
    answer = pat.get(path(slide, f"/1?format={format}"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == ("application/geo+json" if format == "geojson" else "application/xml")
    assert reading.format_of([answer.content]) == format
    if reading.format_of([document]) == format:
        assert answer.content == document
    (drawn, *_) = read(answer.content).layers
    assert [each.is_hole for each in drawn.regions][:2] == [False, True]
    head = pat.head(path(slide, f"/1?format={format}"))
    assert head.headers["etag"] == answer.headers["etag"]
    assert pat.get(path(slide, f"/1?format={format}"), headers={"If-None-Match": "*"}).status_code == 304


def test_the_accept_header_counts_where_no_format_is_asked_for(pat: Client, slide: int) -> None:
    send(pat, slide)
    for accept, media_type in (
        ("*/*", "application/geo+json"),
        ("application/xml", "application/xml"),
        ("application/xml;q=0.5, application/geo+json", "application/geo+json"),
    ):
        answer = pat.get(path(slide, "/1"), headers={"Accept": accept})
        assert answer.headers["content-type"] == media_type
        assert "Accept" in answer.headers["vary"]
    assert "application/geo+json" in refused(pat.get(path(slide, "/1"), headers={"Accept": "image/png"}), 406)["detail"]


def test_pathomiq_clients_get_xml_of_what_was_sent_as_geojson(world: World, pat: Client, slide: int) -> None:
    """Pathomiq contract 4.13: the file is application/xml in ImageScope's dialect (section 7), whoever drew last."""
    predict(world, slide, ASAP)
    send(pat, slide)
    uid = world.archive.slides.get(world.archive.credentials.actor("native", pat.token or ""), slide).uid
    raw = f"{ORIGIN}/S3/raw/{uid}_complete_net_prediction"
    answer = pat.get(f"{raw}.xml")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/xml")
    assert (answer.headers["x-annotation-version"], answer.headers["x-annotation-source"]) == ("2", "user")
    converted, sent = read(answer.content), read(DOCUMENT)
    assert [layer.regions for layer in converted.layers] == [layer.regions for layer in sent.layers]
    assert b'Name="Tumour" LineColor="655560"' in answer.content
    assert answer.content.count(b"<Annotations") == 1
    assert pat.head(f"{raw}.xml").headers["etag"] == answer.headers["etag"]
    assert pat.get(f"{raw}.xml", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert pat.get(f"{raw}.geojson").content == DOCUMENT
    assert pat.get(f"{raw}.xml?version=1").content == ASAP


# -- Who ----------------------------------------------------------------------------------------------------------


def test_who_may_not_see_the_slide_sees_no_annotation(world: World, pat: Client, slide: int) -> None:
    send(pat, slide)
    asked = ("", "/1", "/1/features?bbox=0,0,9,9")
    for rest in asked:
        refused(world.user("sam", Kind.SLIDE).get(path(slide, rest)), 404)
        refused(world.user("cleo", Kind.CLINICAL).get(path(slide, rest)), 403)
        refused(world.user("pat", scope="image:write").get(path(slide, rest)), 403)
        refused(world.stranger().get(path(slide, rest)), 401)
        assert world.user("boss", Kind.SLIDE, is_staff=True).get(path(slide, rest)).status_code == 200
    refused(world.user("sam", Kind.SLIDE).post(path(slide), content=DOCUMENT, headers=GEOJSON), 404)
    refused(world.user("pat", scope="image:read").post(path(slide), content=DOCUMENT, headers=GEOJSON), 403)
    refused(world.stranger().post(path(slide), content=DOCUMENT, headers=GEOJSON), 401)


def test_an_image_that_is_no_slide_or_not_uploaded_has_none(world: World, pat: Client) -> None:
    both = world.user("both", Kind.SLIDE, Kind.MACHINE)
    machine = both.image()["id"]
    refused(both.get(path(machine)), 404)
    refused(both.post(path(machine), content=DOCUMENT, headers=GEOJSON), 404)
    bare = make_slide(world, pat, is_uploaded=False)
    refused(pat.post(path(bare), content=DOCUMENT, headers=GEOJSON), 409)
    assert pat.get(path(bare)).json()["items"] == []


# -- What is refused ----------------------------------------------------------------------------------------------


@ONE_BACKEND
@pytest.mark.parametrize(
    "document",
    [
        b"\x89PNG",
        b"{}",
        b"[1]",
        DOCUMENT[:-2],
        b"{" * 5000,
        b'{"type":"Point","coordinates":[NaN,1]}',
        b'{"type":"Point","coordinates":["1","2"]}',
        b'{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}',
        b'{"type":"Feature","geometry":null,"properties":{"name":"\\ud800"}}',
        b"\xff\xfe{}",
        b"<!DOCTYPE Annotations><Annotations/>",
        IMAGESCOPE[:-9],
    ],
)
def test_what_is_no_annotation_is_400_and_leaves_nothing(
    world: World, pat: Client, slide: int, document: bytes
) -> None:
    before = world.stored_keys()
    body = refused(pat.post(path(slide), content=document, headers=GEOJSON), 400)
    assert list(body["errors"]) == ["annotation"]
    assert world.stored_keys() == before
    assert pat.get(path(slide)).json()["items"] == []


@ONE_BACKEND
def test_bodies_that_are_not_taken(world: World, pat: Client, slide: int) -> None:
    refused(pat.post(path(slide), content=b"", headers=GEOJSON), 400)
    refused(pat.post(path(slide), content=DOCUMENT, headers={"Content-Type": "text/plain"}), 415)
    refused(pat.post(path(slide), content=DOCUMENT), 415)
    refused(pat.post(path(slide), content=DOCUMENT, headers={**GEOJSON, "Content-Encoding": "gzip"}), 415)
    refused(pat.post(path(slide), content=DOCUMENT, headers={**GEOJSON, "Content-Range": "bytes 0-1/2"}), 400)
    refused(pat.post(path(slide), content=DOCUMENT, headers={**GEOJSON, "Content-Length": str(2**40)}), 413)


@ONE_BACKEND
@pytest.mark.parametrize(
    "rest",
    [
        *(f"/{number}" for number in ("0", "-1", "2", "9" * 5000, str(2**63 - 1), "1.0", "x", "%00", "%ff")),
        *(f"/{number}/features?bbox=0,0,1,1" for number in ("0", "2", "9" * 5000)),
    ],
)
def test_a_version_that_is_not_there_is_404(pat: Client, slide: int, rest: str) -> None:
    send(pat, slide)
    refused(pat.get(path(slide, rest)), 404)


@ONE_BACKEND
@pytest.mark.parametrize(
    "query",
    [
        "",
        "bbox=",
        "bbox=1,2,3",
        "bbox=1,2,3,4,5",
        "bbox=3,0,1,1",
        "bbox=0,3,1,1",
        "bbox=nan,0,1,1",
        "bbox=0,0,1e9,1",
        "bbox=0,0,1," + "9" * 5000,
        "bbox=0,0,1,%00",
        "bbox=0,0,1,%D9%A1",
        "bbox=0,0,1,1%0A",
        "bbox=0,0,1,1&zoom=-1",
        "bbox=0,0,1,1&zoom=25",
        "bbox=0,0,1,1&zoom=1.5",
        "bbox=0,0,1,1&zoom=" + "9" * 5000,
        "bbox=0,0,1,1&format=png",
        "bbox=0,0,1,1&format=",
    ],
)
def test_a_box_a_zoom_or_a_format_that_is_none_is_400(pat: Client, slide: int, query: str) -> None:
    send(pat, slide)
    refused(pat.get(path(slide, f"/1/features?{query}")), 400)
    refused(pat.get(path(slide, "/1?format=png")), 400)


# -- What is to be seen -------------------------------------------------------------------------------------------


def test_a_box_shows_what_reaches_into_it(world: World, pat: Client, slide: int) -> None:
    send(pat, slide)
    answer = pat.get(path(slide, "/1/features?bbox=1,1,2,2"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/geo+json")
    shown = answer.json()
    assert shown["bbox"] == [1, 1, 2, 2]
    assert [each["id"] for each in shown["features"]] == [0, 1, 2]
    assert shown["features"][0]["geometry"]["coordinates"] == [
        [list(point) for point in (*ring, ring[0])] for ring in (SQUARE, INNER)
    ]
    assert shown["features"][0]["properties"]["classification"] == {"name": "Tumour", "color": [200, 0, 10]}
    assert pat.get(path(slide, "/1/features?bbox=100,100,200,200")).json()["features"] == []
    assert reads(world, slide, "image:view") == 1  # one a minute, however often somebody looks


def test_a_box_as_a_vector_tile(pat: Client, slide: int) -> None:
    send(pat, slide)
    answer = pat.get(path(slide, "/1/features?bbox=0.3,1,20,20&zoom=1&format=mvt"))
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    told = [float(answer.headers[f"x-tile-{name}"]) for name in ("left", "top", "unit")]
    assert told == [0.0, 1.0, 0.5]
    layers = {layer.name: layer for layer in read_tile(answer.content)}
    first = layers["regions"].features[0]
    assert first.properties == {"class": "Tumour", "color": "#c8000a", "name": "first"}
    assert {(x / 2, 1 + y / 2) for x, y in first.lines[0]} == set(SQUARE)


@ONE_BACKEND
@pytest.mark.parametrize(("left", "told"), [("123456.75", "123456.75"), ("1234567", "1234567"), ("-0.2", "-0.25")])
def test_the_corner_of_a_tile_is_told_to_the_last_digit(pat: Client, slide: int, left: str, told: str) -> None:
    send(pat, slide)
    answer = pat.get(path(slide, f"/1/features?bbox={left},{left},2000000,2000000&format=mvt"))
    assert (answer.headers["x-tile-left"], answer.headers["x-tile-top"]) == (told, told)
    far = pat.get(path(slide, "/1/features?bbox=0,0,1,1&zoom=24&format=mvt"))
    assert far.headers["x-tile-unit"] == "4194304"


@ONE_BACKEND
def test_a_colour_that_only_looks_like_one_does_no_harm(pat: Client, slide: int) -> None:
    odd = {"name": "a", "color": [True, True, True]}
    send(pat, slide, collection(feature(polygon(SQUARE), classification=odd)))
    (shown,) = pat.get(path(slide, "/1/features?bbox=0,0,9,9")).json()["features"]
    assert shown["properties"]["classification"] == {"name": "a"}


@ONE_BACKEND
def test_what_cannot_be_indexed_is_409(pat: Client, slide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "Steps", partial(geometry.Steps, 0))
    send(pat, slide, IMAGESCOPE)
    for _ in range(2):
        refused(pat.get(path(slide, "/1/features?bbox=0,0,9,9")), 409)


@ONE_BACKEND
def test_who_waits_for_an_index_keeps_nobody_from_searching_others(
    world: World, pat: Client, slide: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(pat, slide)
    other = make_slide(world, pat)
    send(pat, other, IMAGESCOPE)
    looked = path(other, "/1/features?bbox=0,0,9,{}")
    pat.get(looked.format(1))
    real_index, real_search = region_indexing.index, region_search.search
    is_searched, in_time = threading.Event(), []

    def slow(*args: Any) -> None:
        in_time.append(is_searched.wait(20))
        real_index(*args)

    def searched(index: RegionIndex, *args: Any) -> Any:
        if index.layers[0][1] == (0, 255, 0):  # the other's
            is_searched.set()
        return real_search(index, *args)

    monkeypatch.setattr(region_indexing, "index", slow)
    monkeypatch.setattr(region_search, "search", searched)
    waiting: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", path(slide, f"/1/features?bbox=0,0,9,{number}"), {}) for number in range(6)
    ]
    answers = pat.at_once([*waiting, ("GET", looked.format(2), {})])
    assert {answer.status_code for answer in answers} == {200}
    assert in_time == [True]


def test_what_the_client_has_is_not_searched_again(pat: Client, slide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    send(pat, slide)
    asked = path(slide, "/1/features?bbox=0,0,9,9&zoom=2")
    tag = pat.get(asked).headers["etag"]
    monkeypatch.setattr(region_indexing, "index", None)
    unchanged = pat.get(asked, headers={"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert pat.get(asked.replace("zoom=2", "zoom=3"), headers={"If-None-Match": tag}).status_code == 200
    assert pat.head(asked).headers["etag"] == tag
    refused(pat.get(asked, headers={"If-Match": '"another"'}), 412)


def test_an_index_is_made_once_whoever_asks_and_again_if_it_was_removed(
    world: World, pat: Client, slide: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = region_indexing.index

    def counted(*args: Any) -> None:
        made.append(1)
        real(*args)

    monkeypatch.setattr(region_indexing, "index", counted)
    document = collection(*[feature(polygon(SQUARE))] * 2000)
    send(pat, slide, document)
    asked: tuple[str, str, dict[str, Any]] = ("GET", path(slide, "/1/features?bbox=0,0,9,9"), {})
    answers = pat.at_once([asked] * 6)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(made) == 1
    world.archive.annotations.sweep()
    assert pat.get(asked[1]).status_code == 200
    assert len(made) == 1
    found = [each for each in tmp_path.rglob("regions/*/*") if len(each.name) == 64]
    assert [each.name for each in found] == [hashlib.sha256(document).hexdigest()]
    found[0].write_bytes(bytes(100))  # torn by a crash
    assert pat.get(asked[1]).content == answers[0].content
    assert len(made) == 2
    found[0].unlink()
    assert pat.get(asked[1]).content == answers[0].content
    assert len(made) == 3


def test_the_index_of_an_annotation_goes_with_its_image(world: World, pat: Client, slide: int, tmp_path: Path) -> None:
    send(pat, slide)
    pat.get(path(slide, "/1/features?bbox=0,0,9,9"))
    actor = world.archive.credentials.actor("native", pat.token or "")
    world.archive.slides.delete(actor, world.archive.slides.get(actor, slide).uid)
    world.archive.annotations.sweep()
    assert [each for each in tmp_path.rglob("regions/*/*") if len(each.name) == 64] == []
    refused(pat.get(path(slide, "/1/features?bbox=0,0,9,9")), 404)
