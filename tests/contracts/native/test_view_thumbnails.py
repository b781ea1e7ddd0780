"""Thumbnails: for whom, of what size, in which format, and what a client may keep of them (issue 4, item 3)."""

import io
from typing import Any

import pytest
from PIL import Image

from pinakes.core import audit
from pinakes.core.actor import Kind
from tests.contracts.native.conftest import QCOW2, Client, World
from tests.contracts.native.viewing import keep, photograph

ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


@pytest.fixture
def pat(world: World) -> Client:
    return world.user("pat", Kind.SLIDE)


@pytest.fixture
def image_id(world: World, pat: Client) -> int:
    return keep(world.archive, "pat", Kind.SLIDE, photograph())


def seen(answer: Any) -> tuple[str | None, tuple[int, int]]:
    """The format of the picture that was answered, and its size."""
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(answer.content)) as picture:
        picture.load()
        assert answer.headers["content-type"] == f"image/{str(picture.format).lower()}"
        assert not picture.getexif()
        return picture.format, picture.size


def test_a_thumbnail_is_the_whole_picture_in_small(pat: Client, image_id: int) -> None:
    path = f"/images/{image_id}/thumbnail"
    assert seen(pat.get(path)) == ("JPEG", (256, 192))
    assert seen(pat.get(f"{path}?side=64")) == ("JPEG", (64, 48))
    assert seen(pat.get(f"{path}?side=2048")) == ("JPEG", (640, 480))
    with Image.open(io.BytesIO(pat.get(path).content)) as picture:
        above, below = picture.getpixel((128, 5)), picture.getpixel((128, 186))
    assert isinstance(above, tuple)
    assert isinstance(below, tuple)
    assert above[0] > 200 > 60 > above[2]
    assert below[2] > 200 > 60 > below[0]


@ONE_BACKEND
def test_the_format_is_the_one_the_client_likes_best(pat: Client, image_id: int) -> None:
    path = f"/images/{image_id}/thumbnail"
    for accept, expected in (
        ("*/*", "JPEG"),
        (CHROME, "WEBP"),
        ("image/png", "PNG"),
        ("image/avif", "AVIF"),
        ("image/webp;q=0.4, image/png;q=0.5", "PNG"),
    ):
        answer = pat.get(path, headers={"Accept": accept})
        assert seen(answer) == (expected, (256, 192)), accept
        assert "Accept" in answer.headers["vary"]
    refused = pat.get(path, headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (406, "not-acceptable")


@ONE_BACKEND
def test_the_format_is_that_of_the_ending_whatever_is_accepted(pat: Client, image_id: int) -> None:
    for ending, expected in (("jpg", "JPEG"), ("jpeg", "JPEG"), ("webp", "WEBP"), ("avif", "AVIF"), ("png", "PNG")):
        answer = pat.get(f"/images/{image_id}/thumbnail.{ending}?side=100", headers={"Accept": "text/html"})
        assert seen(answer) == (expected, (100, 75))
    for path in ("thumbnail.gif", "thumbnail.", "thumbnail.JPG", "thumbnail.jpg/", f"thumbnail.{'x' * 5000}"):
        assert pat.get(f"/images/{image_id}/{path}").status_code == 404


@ONE_BACKEND
@pytest.mark.parametrize(
    "query", ["side=63", "side=2049", "side=0", "side=-1", "side=x", f"side={'9' * 5000}", "side="]
)
def test_a_side_that_is_not_made_is_refused(pat: Client, image_id: int, query: str) -> None:
    answer = pat.get(f"/images/{image_id}/thumbnail?{query}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["side"])


def test_a_version_is_named_or_not_there(pat: Client, image_id: int) -> None:
    path = f"/images/{image_id}/thumbnail"
    assert seen(pat.get(f"{path}?version=1.0")) == ("JPEG", (256, 192))
    assert pat.get(f"{path}?version=1.1").status_code == 404
    for version in ("%00", "", "v" * 257):
        assert pat.get(f"{path}?version={version}").status_code == 400
    assert pat.get(f"{path}?version=%ff%27%3B--").status_code == 404


@ONE_BACKEND
def test_what_a_client_has_is_not_sent_again(pat: Client, image_id: int) -> None:
    path = f"/images/{image_id}/thumbnail"
    first = pat.get(path)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    again = pat.get(path, headers={"If-None-Match": f'"x", {etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert pat.get(f"{path}?side=100", headers={"If-None-Match": etag}).status_code == 200
    assert pat.get(path, headers={"If-None-Match": etag, "Accept": "image/png"}).status_code == 200
    assert pat.get(path, headers={"If-Match": '"x"'}).status_code == 412
    headed = pat.head(path)
    assert (headed.status_code, headed.content, headed.headers["etag"]) == (200, b"", etag)
    assert headed.headers["content-length"] == first.headers["content-length"]


@ONE_BACKEND
def test_only_what_anyone_may_see_is_kept_by_caches_between(world: World, ana: Client, nobody: Client) -> None:
    image = ana.image(is_public=True)
    ana.filled(image["id"], photograph())
    path = f"/images/{image['id']}/thumbnail"
    answer = nobody.get(path)
    assert seen(answer) == ("JPEG", (256, 192))
    assert answer.headers["cache-control"] == "public, max-age=300"
    ana.patch(f"/vm-images/{image['id']}", json={"is_public": False})
    assert nobody.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 404
    assert ana.get(path).headers["cache-control"] == "private, no-cache"


def test_nobody_sees_a_pixel_they_may_not_see(world: World, pat: Client, nobody: Client, image_id: int) -> None:
    """Issue 4, the first sentence; and no answer tells whether there is such an image."""
    other, nurse = world.user("oli", Kind.SLIDE), world.user("nur", Kind.CLINICAL)
    assert pat.get(f"/images/{image_id}/thumbnail").status_code == 200  # it is in the cache now
    for client in (other, nurse, nobody):
        for path in ("thumbnail", "thumbnail.png", "thumbnail?version=1.0", "thumbnail?version=9"):
            there, not_there = client.get(f"/images/{image_id}/{path}"), client.get(f"/images/9999/{path}")
            assert (there.status_code, there.text) == (404, not_there.text)
    narrow = world.user("pat", scope="build:read")
    assert narrow.get(f"/images/{image_id}/thumbnail").status_code == 403


def test_who_looked_is_in_the_trail(world: World, pat: Client, image_id: int) -> None:
    """Rule 11 of DESIGN.md section 3."""
    for _ in range(3):
        pat.get(f"/images/{image_id}/thumbnail")
    world.archive.trail.flush()
    with world.archive.database.read() as connection:
        reads = [event for event in audit.of_image(connection, image_id) if event.action == "image:view"]
    assert [(event.api, event.actor_id) for event in reads] == [("native", world.archive.users.get("pat").id)]


@ONE_BACKEND
def test_what_has_no_pixels_or_no_content_says_so(world: World, ana: Client, pat: Client) -> None:
    empty, disk = ana.image(), ana.image()
    ana.filled(disk["id"], QCOW2)
    cut = keep(world.archive, "pat", Kind.SLIDE, photograph()[:300])
    noise = keep(world.archive, "pat", Kind.SLIDE, bytes(range(256)) * 20)
    for client, image_id, problem in (
        (ana, empty["id"], "content-pending"),
        (ana, disk["id"], "not-an-image"),
        (pat, cut, "not-an-image"),
        (pat, noise, "not-an-image"),
    ):
        answer = client.get(f"/images/{image_id}/thumbnail")
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (404, problem)
        assert answer.json()["detail"].endswith(".")
