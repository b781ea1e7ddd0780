"""Pictures beside a picture: a label for those who may see who is shown, and for nobody else (issue 4, item 6)."""

from pathlib import Path

import pytest

from pinakes.core.actor import Kind
from tests.contracts.native.conftest import BASE, Client, World
from tests.contracts.native.test_view_images import share
from tests.contracts.native.test_view_thumbnails import seen
from tests.contracts.native.viewing import keep, read_all
from tests.imaging.making_slides import tissue, write_svs

ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
LABEL, MACRO, THUMBNAIL = "label", "macro", "thumbnail"


@pytest.fixture
def pat(world: World) -> Client:
    return world.user("pat", Kind.SLIDE)


@pytest.fixture
def guest(world: World) -> Client:
    return world.user("gus", Kind.SLIDE)


@pytest.fixture
def image_id(world: World, pat: Client, guest: Client, tmp_path: Path) -> int:
    """A slide of pat's with label, macro and thumbnail, which the guest may look at."""
    write_svs(tmp_path / "slide.svs", tissue(1000, 700))
    image_id = keep(world.archive, "pat", Kind.SLIDE, (tmp_path / "slide.svs").read_bytes())
    share(world, image_id, "gus")
    read_all(world.archive)
    return image_id


def told(client: Client, image_id: int) -> dict[str, str]:
    """Addresses by name, as the image and its description tell them alike."""
    in_viewer = client.get(f"/images/{image_id}").json()["viewer"]["associated"]
    assert client.get(f"/images/{image_id}/description").json()["associated"] == in_viewer
    return {picture["name"]: picture["url"] for picture in in_viewer}


def test_a_label_and_a_macro_are_seen_by_those_who_may_see_identity(pat: Client, image_id: int) -> None:
    addresses = told(pat, image_id)
    assert addresses == {name: f"{BASE}/images/{image_id}/associated/{name}" for name in (LABEL, MACRO, THUMBNAIL)}
    for name in (LABEL, MACRO):
        assert seen(pat.get(addresses[name])) == ("JPEG", (90, 60))
    assert seen(pat.get(addresses[THUMBNAIL])) == ("JPEG", (125, 87))


def test_to_others_they_are_not_there(world: World, guest: Client, nobody: Client, pat: Client, image_id: int) -> None:
    """Nor does any answer tell whether they might be: not by its text, nor by what the client says it has."""
    assert list(told(guest, image_id)) == [THUMBNAIL]
    assert seen(guest.get(f"/images/{image_id}/associated/{THUMBNAIL}.png")) == ("PNG", (125, 87))
    label = f"/images/{image_id}/associated/{LABEL}"
    etag = pat.get(label).headers["etag"]  # it is in the cache now
    for headers in ({}, {"If-None-Match": etag}, {"If-None-Match": "*"}, {"If-Match": '"x"'}):
        for ending in ("", ".png", ".jpg"):
            there = guest.get(f"{label}{ending}", headers=headers)
            not_there = guest.get(f"/images/{image_id}/associated/elbal{ending}", headers=headers)
            assert (there.status_code, there.text) == (404, not_there.text)
    for client in (world.user("oli", Kind.SLIDE), nobody):
        answer = client.get(label)
        assert (answer.status_code, answer.text) == (404, client.get("/images/9999/associated/label").text)


@ONE_BACKEND
def test_the_format_is_chosen_as_for_thumbnails_and_no_cache_between_keeps_it(pat: Client, image_id: int) -> None:
    path = f"/images/{image_id}/associated/{LABEL}"
    for ending, expected in (("jpg", "JPEG"), ("jpeg", "JPEG"), ("webp", "WEBP"), ("avif", "AVIF"), ("png", "PNG")):
        assert seen(pat.get(f"{path}.{ending}", headers={"Accept": "text/html"})) == (expected, (90, 60))
    first = pat.get(path, headers={"Accept": "image/webp"})
    assert seen(first) == ("WEBP", (90, 60))
    assert first.headers["cache-control"] == "private, no-cache"
    again = pat.get(path, headers={"Accept": "image/webp", "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert pat.get(path, headers={"Accept": "text/html"}).status_code == 406
    assert pat.get(f"{path}?version=1.0").status_code == 200


@ONE_BACKEND
@pytest.mark.parametrize(
    "name",
    ["", "LABEL", "label.gif", "label/", "..%2flabel", "%00", "%ff", "label%00.png", "x" * 5000, "label?version=9"],
)
def test_what_is_no_picture_beside_it_is_not_there(pat: Client, image_id: int, name: str) -> None:
    assert pat.get(f"/images/{image_id}/associated/{name}").status_code == 404


@ONE_BACKEND
def test_the_addresses_of_a_named_version_are_of_that_version(pat: Client, image_id: int) -> None:
    (first, *_) = pat.get(f"/images/{image_id}/description?version=1.0").json()["associated"]
    assert first["url"].endswith(f"/associated/{first['name']}?version=1.0")
    assert pat.get(first["url"]).status_code == 200


@ONE_BACKEND
def test_before_a_content_has_been_read_no_picture_beside_it_is_told(world: World, pat: Client, tmp_path: Path) -> None:
    write_svs(tmp_path / "other.svs", tissue(1000, 700))
    waiting = keep(world.archive, "pat", Kind.SLIDE, (tmp_path / "other.svs").read_bytes())
    assert told(pat, waiting) == {}
    assert seen(pat.get(f"/images/{waiting}/associated/{LABEL}")) == ("JPEG", (90, 60))
    assert LABEL in told(pat, waiting)
