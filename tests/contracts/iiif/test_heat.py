"""Heat maps over slides: Deep Zoom that lies on the slide's own, a small picture, a legend (issue 5, item 7)."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pinakes.core.actor import Kind
from pinakes.core.analysis.heat import FRESH
from pinakes.imaging.analysis import heat
from pinakes.imaging.source import Size
from tests.conftest import MovableClock
from tests.contracts.iiif.conftest import BASE, Client, World
from tests.core.analysis.making_heat import UNITS, plan_run, score, score_all, tiles_of
from tests.imaging.making_slides import tissue, write_svs

SIZE = Size(1000, 700)
ZOOM_SIDE = 240
"""Of the tiles that the slide is stored in, and the viewer asks for."""
SIDE = 64
"""Of the tiles that are scored, 16 in a row."""
HOT = 2 * 16 + 5
"""The tile whose score is greatest; its place is 64 by 64 pixels from (320, 128) on."""

RGBA = NDArray[np.uint8]


@dataclass(frozen=True)
class Predicted:
    """A slide of which one tile is hot, those of the last rows are not scored yet, and its run."""

    image_id: int
    run_id: int

    @property
    def path(self) -> str:
        return f"/heat/{self.image_id}/{self.run_id}"


@pytest.fixture(scope="module")
def lab(lasting_world: World) -> Client:
    return lasting_world.user("lab", Kind.SLIDE)


@pytest.fixture(scope="module")
def svs(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("slides") / "slide.svs"
    write_svs(path, tissue(SIZE.width, SIZE.height), tile=ZOOM_SIDE)
    return path.read_bytes()


@pytest.fixture(scope="module")
def predicted(lasting_world: World, lab: Client, svs: bytes) -> Predicted:
    assert lab.token
    image_id = lasting_world.slide("lab", svs)
    archive, actor = lasting_world.archive, lasting_world.actor("lab")
    run_id = plan_run(archive, actor, image_id, SIZE, SIDE, batch_tiles=16)
    score_all(archive, run_id, 16 * 8, 16, {HOT: 1.0})
    return Predicted(image_id, run_id)


def picture(client: Client, path: str, **options: Any) -> RGBA:
    answer = client.get(path, **options)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))


def level_of(client: Client, files: str, level: int, shape: tuple[int, int], ending: str = "png") -> RGBA:
    """All tiles of a level, side by side. shape: how many in a column and in a row."""
    rows = [
        np.concatenate(
            [
                np.asarray(
                    Image.open(io.BytesIO(client.get(f"{files}/{level}/{column}_{row}.{ending}").content)).convert(
                        "RGBA"
                    )
                )
                for column in range(shape[1])
            ],
            axis=1,
        )
        for row in range(shape[0])
    ]
    return np.concatenate(rows, axis=0)


def is_hot(pixels: RGBA) -> NDArray[np.bool_]:
    return np.asarray((pixels[..., :3] == heat.ANCHORS[-1]).all(axis=2) & (pixels[..., 3] == 255))


# -- Where it lies ------------------------------------------------------------------------------------------------


def test_the_descriptor_is_that_of_the_slide_but_for_the_format(lab: Client, predicted: Predicted) -> None:
    mine = lab.get(f"{predicted.path}.dzi")
    assert mine.headers["content-type"].startswith("application/xml")
    assert mine.text.replace('Format="png"', 'Format="jpeg"') == lab.get(f"/dzi/{predicted.image_id}.dzi").text
    assert ElementTree.fromstring(mine.content).get("Format") == "png"


@pytest.mark.parametrize(
    ("level", "factor", "shape"), [(10, 1, (3, 5)), (9, 2, (2, 3)), (8, 4, (1, 2)), (7, 8, (1, 1)), (5, 32, (1, 1))]
)
def test_a_hot_tile_colours_exactly_its_place_at_every_level(
    lab: Client, predicted: Predicted, level: int, factor: int, shape: tuple[int, int]
) -> None:
    seen = level_of(lab, f"{predicted.path}_files", level, shape)
    slide = level_of(lab, f"/dzi/{predicted.image_id}_files", level, shape)
    assert seen.shape == slide.shape == (-(-700 // factor), -(-1000 // factor), 4)
    wanted = np.zeros(seen.shape[:2], bool)
    wanted[128 // factor : 192 // factor, 320 // factor : 384 // factor] = True
    assert np.array_equal(is_hot(seen), wanted)
    scored = 512 // factor
    assert (seen[:scored][~wanted[:scored]] == (*heat.ANCHORS[0], 255)).all()
    assert not seen[scored:, :, 3].any()


def test_it_goes_down_to_one_pixel_which_is_the_mean(lab: Client, predicted: Predicted) -> None:
    for level, factor in ((6, 16), (4, 64)):
        pixels = picture(lab, f"{predicted.path}_files/{level}/0_0.png")
        assert pixels.shape == (-(-700 // factor), -(-1000 // factor), 4)
        assert is_hot(pixels).any()
    one = picture(lab, f"{predicted.path}_files/0/0_0.png")
    mean = 1 + round((heat.COLOURS - 1) / (16 * 8))
    assert one.tolist() == [[[*heat.palette()[mean], 255]]]


def test_the_whole_of_it_in_small(lab: Client, predicted: Predicted) -> None:
    pixels = picture(lab, f"{predicted.path}.png?side=500")
    assert pixels.shape == (350, 500, 4)
    rows, columns = np.nonzero(is_hot(pixels))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (64, 95, 160, 191)
    assert picture(lab, f"{predicted.path}.png").shape == (358, 512, 4)


# -- While the run goes on ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)  # tests/core/analysis/test_heat.py runs on both
def test_it_grows_while_the_run_goes_on(world: World, svs: bytes, clock: MovableClock) -> None:
    """What was transparent gets its colours; tiles where nothing was scored since need not be sent again."""
    lab = world.user("lab", Kind.SLIDE)
    image_id = world.slide("lab", svs)
    archive, actor = world.archive, world.actor("lab")
    newest = f"/heat/{image_id}/newest"
    assert lab.get(f"{newest}.dzi").status_code == 404
    run_id = plan_run(archive, actor, image_id, SIZE, SIDE, batch_tiles=16, range=None)
    top, bottom = f"{newest}_files/9/0_0.png", f"{newest}_files/9/0_1.png"
    first = {path: lab.get(path) for path in (top, bottom)}
    assert lab.document(f"{newest}.json")["range"] is None
    for path in first:
        assert not picture(lab, path)[..., 3].any()
    score(archive, run_id, 0, [number / 15 * 8 for number in range(16)])
    clock.advance(FRESH)
    unchanged = {path: lab.get(path, headers={"If-None-Match": first[path].headers["etag"]}) for path in first}
    assert [answer.status_code for answer in unchanged.values()] == [200, 304]
    assert unchanged[bottom].content == b""
    pixels = picture(lab, top)
    assert (pixels[:32, :, 3] == 255).all()
    assert not pixels[32:, :, 3].any()
    legend = lab.document(f"{newest}.json")
    assert (legend["run"], legend["range"]) == (run_id, [0.0, 8.0])
    assert (legend["tiles_total"], legend["tiles_scored"]) == (16 * 11, 16)
    archive.runs.stop(actor, image_id)
    assert lab.get(top).status_code == 404, "what is scored of a run that is stopped is gone"


def test_it_is_asked_about_each_time(lab: Client, predicted: Predicted) -> None:
    for path in (f"{predicted.path}.dzi", f"{predicted.path}.png", f"{predicted.path}.json"):
        answer = lab.get(path)
        assert answer.headers["cache-control"] == "private, no-cache"
        assert lab.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
        assert lab.get(path, headers={"If-Match": '"another"'}).status_code == 412
        head = lab.head(path)
        assert (head.status_code, head.content) == (200, b"")


def test_the_same_scores_give_the_same_bytes(
    lasting_world: World, lab: Client, predicted: Predicted, svs: bytes
) -> None:
    """Also those of another run, kept in other batches."""
    archive, actor = lasting_world.archive, lasting_world.actor("lab")
    image_id = lasting_world.slide("lab", svs)
    run_id = plan_run(archive, actor, image_id, SIZE, SIDE, batch_tiles=7)
    score_all(archive, run_id, 16 * 8, 7, {HOT: 1.0})
    for name in (".png", "_files/10/1_0.png", "_files/3/0_0.png"):
        one, other = lab.get(predicted.path + name), lab.get(f"/heat/{image_id}/{run_id}{name}")
        assert (one.content, one.headers["etag"]) == (other.content, other.headers["etag"])


# -- The legend ---------------------------------------------------------------------------------------------------


def test_the_legend_says_what_the_colours_mean(lab: Client, predicted: Predicted) -> None:
    answer = lab.get(f"{predicted.path}.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "image": predicted.image_id,
        "run": predicted.run_id,
        "model": "pretended@1.0",
        "column": UNITS,
        "range": [0.0, 1.0],
        "colours": ["#042266", "#08426a", "#0d607b", "#1b7f8a", "#1da091", "#29c479", "#a2da67", "#fcea6e"],
        "tiles_total": len(tiles_of(SIZE, SIDE)),
        "tiles_scored": 16 * 8,
        "deep_zoom": f"{BASE}{predicted.path}.dzi",
        "picture": f"{BASE}{predicted.path}.png",
    }


# -- Who may look -------------------------------------------------------------------------------------------------


def paths_of(predicted: Predicted) -> list[str]:
    names = [".dzi", ".png", ".json", "_files/10/0_0.png"]
    return [f"/heat/{predicted.image_id}/{run}{name}" for run in (predicted.run_id, "newest") for name in names]


def test_who_may_see_the_slide_sees_it_and_nobody_else(lasting_world: World, lab: Client, predicted: Predicted) -> None:
    other, clinic = lasting_world.user("otto", Kind.SLIDE), lasting_world.user("cleo", Kind.CLINICAL, is_staff=True)
    limited = lasting_world.user("lab", scope="namespace:read image:write")
    for path in paths_of(predicted):
        assert lab.get(path).status_code == 200
        hidden = [client.get(path) for client in (other, clinic, lasting_world.stranger())]
        assert {answer.status_code for answer in hidden} == {404}
        assert hidden[0].text == other.get(path.replace(f"/{predicted.image_id}/", "/99999/")).text
        assert limited.get(path).status_code == 403
        assert lasting_world.stranger("nonsense").get(path).status_code == 401


def test_a_view_link_shows_it_to_viewers_that_cannot_send_a_header(
    lasting_world: World, lab: Client, predicted: Predicted, svs: bytes
) -> None:
    link, stranger = lasting_world.link("lab", predicted.image_id), lasting_world.stranger()
    for path in paths_of(predicted):
        assert stranger.get(f"/view/{link}{path}").content == lab.get(path).content or path.endswith(".json")
        assert stranger.get(f"{path}?token={link}").status_code == 200
    legend = stranger.document(f"/view/{link}/heat/{predicted.image_id}/newest.json")
    assert legend["deep_zoom"] == f"{BASE}/view/{link}{predicted.path}.dzi"
    assert stranger.get(legend["picture"]).status_code == 200
    another = lasting_world.slide("lab", svs)
    assert stranger.get(f"/view/{link}/heat/{another}/newest.json").status_code == 401


# -- What is not there --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "newest_files/11/0_0.png",
        "newest_files/99/0_0.png",
        "newest_files/10/5_0.png",
        "newest_files/10/0_3.png",
        "newest_files/0/1_0.png",
        "newest_files/10/999999999_999999999.png",
        f"newest_files/10/{'9' * 5000}_0.png",
        f"newest_files/{'1' * 5000}/0_0.png",
        "newest_files/-1/0_0.png",
        "newest_files/10/-1_0.png",
        "newest_files/10/0_0.jpeg",
        "newest_files/10/0_0",
        "newest_files/%00/0_0.png",
        "newest_files/10/%ff.png",
        "newest.dzi/10/0_0.png",
        "newest_files",
        "newest.jpg",
        "newest",
        "oldest.dzi",
        "0.dzi",
        "-1.dzi",
        "999999.dzi",
        f"{2**63}.dzi",
        f"{'9' * 5000}.json",
        "%00.png",
        "\u0661.json",
    ],
)
def test_what_is_not_there_is_a_404(lab: Client, predicted: Predicted, name: str) -> None:
    assert lab.get(f"/heat/{predicted.image_id}/{name}").status_code == 404


@pytest.mark.parametrize("image", ["0", "-1", "999999", "9" * 5000, str(2**63), "x", "%00", "1@1.0", "\u0661"])
def test_an_image_that_is_not_there_is_a_404(lab: Client, predicted: Predicted, image: str) -> None:
    for name in ("newest.json", f"{predicted.run_id}.dzi", "newest_files/0/0_0.png"):
        assert lab.get(f"/heat/{image}/{name}").status_code == 404


@pytest.mark.parametrize("side", ["", "0", "63", "2049", "-5", "1e3", "9" * 5000, "%00", "%ff", "\u0661\u0662\u0668"])
def test_a_side_that_cannot_be_is_a_400(lab: Client, predicted: Predicted, side: str) -> None:
    answer = lab.get(f"{predicted.path}.png?side={side}")
    assert (answer.status_code, answer.text[:6]) == (400, "side: ")


def test_an_image_that_was_never_predicted_has_none(lasting_world: World, lab: Client, svs: bytes) -> None:
    image_id = lasting_world.slide("lab", svs)
    for name in ("newest.dzi", "newest.json", "1.png", "newest_files/0/0_0.png"):
        assert lab.get(f"/heat/{image_id}/{name}").status_code == 404
    assert lab.post(f"/heat/{image_id}/newest.dzi").status_code == 405
