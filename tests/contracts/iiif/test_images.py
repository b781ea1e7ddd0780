"""The Image API 3.0 at level 2: info.json and pictures."""

import io
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.contracts.iiif.conftest import BASE, PHOTOGRAPH, Client, World, decoded
from tests.imaging.making_photographs import BLUE, GREEN, RED, WHITE, corners, quarters, saved


def test_info_json_tells_what_can_be_asked_for(ana: Client, photograph: int) -> None:
    """Section 5."""
    answer = ana.get(f"/3/{photograph}/info.json")
    info = answer.json()
    assert info["id"] == f"{BASE}/3/{photograph}"
    assert (info["type"], info["profile"], info["width"], info["height"]) == ("ImageService3", "level2", 300, 200)
    assert info["tiles"] == [{"width": 512, "height": 512, "scaleFactors": [1]}]
    assert info["sizes"] == [{"width": 300, "height": 200}]
    assert next(iter(info)) == "@context"
    assert answer.headers["content-type"] == 'application/ld+json;profile="http://iiif.io/api/image/3/context.json"'


def test_info_json_is_plain_json_for_who_asks_for_that(ana: Client, photograph: int) -> None:
    """Section 5.1."""
    answer = ana.get(f"/3/{photograph}/info.json", headers={"Accept": "application/json"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["vary"] == "Accept"


def test_the_address_of_a_picture_leads_to_its_info_json(ana: Client, photograph: int) -> None:
    """Section 2."""
    answer = ana.get(f"/3/{photograph}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{BASE}/3/{photograph}/info.json")


def test_the_whole_picture_is_given_as_it_is(ana: Client, photograph: int) -> None:
    answer = ana.get(f"/3/{photograph}/full/max/0/default.png")
    assert answer.headers["content-type"] == "image/png"
    assert np.array_equal(decoded(answer.content), PHOTOGRAPH)


@pytest.mark.parametrize(
    ("asked", "shape", "colours"),
    [
        ("0,0,150,100/max/0", (100, 150), [RED] * 4),
        ("pct:50,50,50,50/75,/0", (50, 75), [WHITE] * 4),
        ("full/90,60/90", (90, 60), [BLUE, RED, WHITE, GREEN]),
        ("full/90,60/!0", (60, 90), [GREEN, RED, WHITE, BLUE]),
        ("full/90,60/!90", (90, 60), [WHITE, GREEN, BLUE, RED]),
        ("square/50,/180", (50, 50), [WHITE, BLUE, GREEN, RED]),
        ("250,150,500,500/max/0", (50, 50), [WHITE] * 4),
    ],
)
def test_a_picture_is_cut_then_scaled_then_mirrored_then_turned(
    ana: Client, photograph: int, asked: str, shape: tuple[int, int], colours: list[tuple[int, int, int]]
) -> None:
    """Section 4.6."""
    pixels = ana.pixels(f"/3/{photograph}/{asked}/default.png")
    assert pixels.shape[:2] == shape
    assert corners(pixels) == colours


def test_turning_by_other_than_quarters_shows_all_of_the_picture(ana: Client, photograph: int) -> None:
    """Section 4.3: the box around it is as large as need be, and the picture is not scaled."""
    height, width = ana.pixels(f"/3/{photograph}/full/max/45/default.png").shape[:2]
    assert abs(width - 500 / 2**0.5) <= 3
    assert abs(height - 500 / 2**0.5) <= 3


@pytest.mark.parametrize(("quality", "colours"), [("gray", 4), ("bitonal", 2)])
def test_a_picture_without_colours(ana: Client, photograph: int, quality: str, colours: int) -> None:
    """Section 4.4."""
    pixels = ana.pixels(f"/3/{photograph}/full/max/0/{quality}.png").reshape(-1, 3)
    assert np.ptp(pixels, axis=1).max() == 0
    assert len(np.unique(pixels)) == colours


@pytest.mark.parametrize(("extension", "format"), [("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")])
def test_formats(ana: Client, photograph: int, extension: str, format: str) -> None:
    """Section 4.5, and `extraFormats`."""
    answer = ana.get(f"/3/{photograph}/full/max/0/default.{extension}")
    assert answer.headers["content-type"] == f"image/{format.lower()}"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.format == format
        assert not image.getexif()


def test_links_tell_the_canonical_address_and_the_level(ana: Client, photograph: int) -> None:
    """Sections 4.8 and 6."""
    links = ana.get(f"/3/{photograph}/0,0,300,200/!150,150/360/color.jpg").headers["link"]
    assert f'<{BASE}/3/{photograph}/full/150,100/0/default.jpg>;rel="canonical"' in links
    assert '<http://iiif.io/api/image/3/level2.json>;rel="profile"' in links


def test_a_client_that_has_the_picture_is_told_so(ana: Client, photograph: int) -> None:
    path = f"/3/{photograph}/full/30,/0/default.jpg"
    etag = ana.get(path).headers["etag"]
    again = ana.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert ana.get(f"/3/{photograph}/full/30,20/0/color.jpg").headers["etag"] == etag
    assert ana.get(f"/3/{photograph}/full/31,/0/default.jpg").headers["etag"] != etag
    assert ana.get(path, headers={"If-Match": '"another"'}).status_code == 412


def test_head_tells_what_get_gives(ana: Client, photograph: int) -> None:
    path = f"/3/{photograph}/full/30,/0/default.jpg"
    told, given = ana.head(path), ana.get(path)
    assert told.content == b""
    assert dict(told.headers) == dict(given.headers)


def test_what_is_private_is_asked_about_each_time(ana: Client, photograph: int) -> None:
    for path in (f"/3/{photograph}/info.json", f"/3/{photograph}/full/30,/0/default.jpg"):
        headers = ana.get(path).headers
        assert headers["cache-control"] == "private, no-cache"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("0,0,0,0/max/0/default.jpg", 400),
        ("300,0,5,5/max/0/default.jpg", 400),
        ("full/301,/0/default.jpg", 400),
        ("full/^301,/0/default.jpg", 501),
        ("full/full/0/default.jpg", 400),
        ("full/max/-1/default.jpg", 400),
        ("full/max/0/native.jpg", 400),
        ("full/max/0/default.tif", 400),
        ("full/max/0/default", 400),
        ("%00/max/0/default.jpg", 400),
        ("%ff/max/0/default.jpg", 400),
        ("full/%2F/0/default.jpg", 400),
        ("full/" + "9" * 5000 + ",/0/default.jpg", 400),
        ("full/max/0/default.jpg/more", 404),
        ("full/max/0", 404),
        ("/max/0/default.jpg", 404),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(ana: Client, photograph: int, asked: str, status: int) -> None:
    """Section 7.3."""
    answer = ana.get(f"/3/{photograph}/{asked}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.text.strip()


@pytest.mark.parametrize(
    "identifier",
    ["0", "-1", "x", "%00", "%ff", "a%2Fb", "9" * 5000, "1:0", "1:9999999", "1%40", "1:", "99999", "%5Bfrob%5D"],
)
def test_what_names_nothing_is_not_there(ana: Client, identifier: str) -> None:
    for path in (f"/3/{identifier}/info.json", f"/3/{identifier}/full/max/0/default.jpg", f"/dzi/{identifier}.dzi"):
        assert ana.get(path).status_code == 404


def test_a_version_and_a_frame_can_be_named(lasting_world: World, ana: Client, photograph: int) -> None:
    for identifier in (f"{photograph}%401.0", f"{photograph}:1", f"{photograph}:1@1.0"):
        assert ana.document(f"/3/{identifier}/info.json")["width"] == 300
    assert ana.document(f"/3/{photograph}@1.0/info.json")["id"] == f"{BASE}/3/{photograph}%401.0"
    for identifier in (f"{photograph}:2", f"{photograph}%402.0"):
        assert ana.get(f"/3/{identifier}/info.json").status_code == 404


def test_each_frame_is_a_picture_and_a_canvas_of_its_own(lasting_world: World, ana: Client) -> None:
    first, second = (Image.fromarray(quarters(64, 64)[:, ::step]) for step in (1, -1))
    written = io.BytesIO()
    first.save(written, "TIFF", save_all=True, append_images=[second])
    image_id = lasting_world.clinical("ana", lasting_world.patient("ana", first="Luz"), written.getvalue())
    canvases = ana.document(f"/presentation/images/{image_id}")["items"]
    assert [canvas["label"]["none"][0] for canvas in canvases] == [f"Image {image_id}, {n} of 2" for n in (1, 2)]
    services = [canvas["items"][0]["items"][0]["body"]["service"][0]["id"] for canvas in canvases]
    assert services == [f"{BASE}/3/{image_id}", f"{BASE}/3/{image_id}:2"]
    shown = [corners(ana.pixels(f"{service}/full/max/0/default.png")) for service in services]
    assert shown == [[RED, GREEN, BLUE, WHITE], [GREEN, RED, WHITE, BLUE]]
    assert ana.get(f"/3/{image_id}:3/info.json").status_code == 404


def test_documents_have_an_etag_that_changes_with_the_media_type(ana: Client, photograph: int) -> None:
    for path in (f"/3/{photograph}/info.json", f"/presentation/images/{photograph}", f"/dzi/{photograph}.dzi"):
        etag = ana.get(path).headers["etag"]
        assert ana.get(path, headers={"If-None-Match": etag}).status_code == 304
    plain = {"Accept": "application/json"}
    path = f"/3/{photograph}/info.json"
    assert ana.get(path).headers["etag"] != ana.get(path, headers=plain).headers["etag"]


def test_what_has_no_pixels_says_so(lasting_world: World, ana: Client) -> None:
    patient_id = lasting_world.patient("ana", first="Rosa")
    for content in (b"an audiogram in words", b"\x89PNG\r\n\x1a\n" + bytes(30), saved(PHOTOGRAPH, "PNG")[:200]):
        image_id = lasting_world.clinical("ana", patient_id, content)
        answers = [ana.get(f"/3/{image_id}/{end}") for end in ("info.json", "full/max/0/default.jpg")]
        assert 404 in {answer.status_code for answer in answers}
        assert {answer.status_code for answer in answers} <= {200, 404}
        assert answers[1].text.strip()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["3", "dzi", "presentation", "view", "presentation/images", "view/x/3"]),
    st.lists(st.binary(max_size=12) | st.sampled_from([b"1", b"1.dzi", b"1_files", b"full", b"max", b"0"]), max_size=5),
    st.binary(max_size=8),
)
def test_no_address_is_too_odd_to_be_answered(ana: Client, start: str, parts: list[bytes], query: bytes) -> None:
    path = "/".join(["", start, *(quote(part, safe="") for part in parts)])
    answer = ana.get(f"{path}?token={quote(query)}" if query else path)
    assert answer.status_code in {200, 303, 400, 401, 404, 501}


def test_only_looking_is_possible(ana: Client, photograph: int) -> None:
    answer = ana.post(f"/3/{photograph}/info.json", content=b"x")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_any_page_may_ask_with_a_header_of_its_own(ana: Client, lasting_world: World, photograph: int) -> None:
    """Section 7.1: with a preflight, since a header is sent; and no cookie is ever asked for."""
    asked = {"Origin": "https://viewer.example", "Access-Control-Request-Method": "GET"}
    preflight = lasting_world.stranger().request("OPTIONS", f"/3/{photograph}/info.json", headers=asked)
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    answer = ana.get(f"/3/{photograph}/full/30,/0/default.jpg", headers={"Origin": "https://viewer.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert "Link" in answer.headers["access-control-expose-headers"]
