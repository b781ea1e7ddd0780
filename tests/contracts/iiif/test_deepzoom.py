"""Deep Zoom, and slides: tiles as they are stored."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from pinakes.core.actor import Kind
from tests.contracts.iiif.conftest import Client, World
from tests.imaging.making_slides import tissue, write_svs

SIDE = 240


@pytest.fixture(scope="module")
def lab(lasting_world: World) -> Client:
    return lasting_world.user("lab", Kind.SLIDE)


@pytest.fixture(scope="module")
def slide(lasting_world: World, lab: Client, tmp_path_factory: pytest.TempPathFactory) -> int:
    path = tmp_path_factory.mktemp("slides") / "slide.svs"
    write_svs(path, tissue(1000, 700), tile=SIDE)
    return lasting_world.slide("lab", path.read_bytes())


def test_the_descriptor_names_the_tiles_that_are_stored(lab: Client, slide: int) -> None:
    answer = lab.get(f"/dzi/{slide}.dzi")
    assert answer.headers["content-type"].startswith("application/xml")
    image = ElementTree.fromstring(answer.content)
    assert (image.get("TileSize"), image.get("Overlap"), image.get("Format")) == (str(SIDE), "0", "jpeg")
    size = image.find("{http://schemas.microsoft.com/deepzoom/2008}Size")
    assert size is not None
    assert (size.get("Width"), size.get("Height")) == ("1000", "700")


def test_the_tiles_of_a_level_are_the_picture(lab: Client, slide: int) -> None:
    whole = lab.pixels(f"/3/{slide}/full/max/0/default.png")
    rows = [
        np.concatenate([lab.pixels(f"/dzi/{slide}_files/10/{column}_{row}.png") for column in range(5)], axis=1)
        for row in range(3)
    ]
    assert np.array_equal(np.concatenate(rows), whole)


def test_levels_go_down_to_one_pixel(lab: Client, slide: int) -> None:
    for level, shape in ((10, (240, 240)), (9, (240, 240)), (8, (175, 240)), (7, (88, 125)), (0, (1, 1))):
        assert lab.pixels(f"/dzi/{slide}_files/{level}/0_0.jpeg").shape[:2] == shape


def test_a_stored_tile_is_the_same_to_both_protocols(lab: Client, slide: int) -> None:
    """And comes as it lies in the file: its bytes are those the scanner wrote, with what viewers need before them."""
    zoomed = lab.get(f"/dzi/{slide}_files/10/1_1.jpeg")
    asked = lab.get(f"/3/{slide}/240,240,240,240/240,240/0/default.jpg")
    assert zoomed.content == asked.content
    assert zoomed.headers["etag"] == asked.headers["etag"]


def test_info_json_offers_the_tiles_that_are_stored(lab: Client, slide: int) -> None:
    tiles = lab.document(f"/3/{slide}/info.json")["tiles"]
    assert tiles == [{"width": SIDE, "height": SIDE, "scaleFactors": [1, 2, 4, 8]}]


@pytest.mark.parametrize(
    "tile",
    [
        "10/5_0.jpeg",
        "10/0_3.jpeg",
        "11/0_0.jpeg",
        "99/0_0.jpeg",
        "10/0_0.tif",
        "10/0_0",
        "10/x_0.jpeg",
        "-1/0_0.jpeg",
        f"10/{'9' * 5000}_0.jpeg",
        "10/999999999_999999999.jpeg",
        "%00/0_0.jpeg",
        "10/%ff.jpeg",
    ],
)
def test_tiles_outside_are_not_there(lab: Client, slide: int, tile: str) -> None:
    answer = lab.get(f"/dzi/{slide}_files/{tile}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_other_names_are_nothing(lab: Client, slide: int) -> None:
    for path in (f"/dzi/{slide}", f"/dzi/{slide}.xml", f"/dzi/{slide}_file/0/0_0.jpeg", "/dzi/.dzi"):
        assert lab.get(path).status_code == 404


def test_no_name_of_the_file_is_told(lab: Client, slide: int, tmp_path: Path) -> None:
    """The name of a slide may tell who is shown."""
    for path in (f"/3/{slide}/info.json", f"/dzi/{slide}.dzi", f"/presentation/images/{slide}"):
        assert "Quintero" not in lab.get(path).text
