"""What a stranger may try: ways around the question who may look, and texts that are meant to break something."""

import pytest

from pinakes.core.actor import Kind, Visibility
from pinakes.core.catalogue.machine_catalogue import ImageChanges
from pinakes.core.catalogue.versions import VersionChanges
from tests.contracts.iiif.conftest import BASE, PHOTOGRAPH, Client, World
from tests.contracts.iiif.test_access import paths_of
from tests.imaging.making_photographs import saved

PNG = saved(PHOTOGRAPH, "PNG")


def etags(client: Client, paths: list[str]) -> list[str]:
    return [client.get(path).headers["etag"] for path in paths]


def test_who_may_no_longer_look_is_not_told_that_they_have_it(lasting_world: World) -> None:
    """Access is judged before conditions: a 304 would tell that the picture is there, and unchanged."""
    lasting_world.user("olga", Kind.SLIDE)
    guest = lasting_world.user("gus", Kind.SLIDE)
    image_id = lasting_world.slide("olga", PNG)
    owner, guest_id = lasting_world.actor("olga"), lasting_world.archive.users.get("gus").id
    uid = lasting_world.archive.slides.find(owner, image_id).uid
    lasting_world.archive.slide_sharing.add(owner, uid, [guest_id])
    paths = paths_of(image_id)
    for path, etag in zip(paths, etags(guest, paths), strict=True):
        assert guest.get(path, headers={"If-None-Match": etag}).status_code == 304
    held = etags(guest, paths)
    lasting_world.archive.slide_sharing.remove(owner, uid, [guest_id])
    for path, etag in zip(paths, held, strict=True):
        for condition in ({"If-None-Match": etag}, {"If-None-Match": "*"}, {"If-Match": etag}, {"If-Match": '"x"'}):
            for method in ("GET", "HEAD"):
                answer = guest.request(method, path, headers=condition)
                assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")
                assert "etag" not in answer.headers


def test_what_is_public_no_more_is_at_once_nobody_s(lasting_world: World) -> None:
    lasting_world.user("mia", Kind.MACHINE)
    image_id = lasting_world.machine("mia", PNG, Visibility.PUBLIC)
    stranger, path = lasting_world.stranger(), f"/3/{image_id}/full/30,/0/default.jpg"
    etag = stranger.get(path).headers["etag"]
    hidden = ImageChanges(visibility=Visibility.PRIVATE)
    lasting_world.archive.machine_catalogue.update(lasting_world.actor("mia"), image_id, hidden)
    for headers in ({}, {"If-None-Match": etag}):
        assert stranger.get(path, headers=headers).status_code == 404
    private = lasting_world.user("mia").get(path)
    assert (private.status_code, private.headers["cache-control"]) == (200, "private, no-cache")


def test_a_range_is_not_obeyed_and_opens_nothing(lasting_world: World, ana: Client, photograph: int) -> None:
    path, part = f"/3/{photograph}/full/30,/0/default.jpg", {"Range": "bytes=0-0"}
    assert lasting_world.stranger().get(path, headers=part).status_code == 404
    assert ana.get(path, headers=part).content == ana.get(path).content


def test_a_link_given_twice_is_refused_wherever_it_is(lasting_world: World, photograph: int) -> None:
    link, other = lasting_world.link("ana", photograph), lasting_world.link("ana", photograph, 61)
    stranger, path = lasting_world.stranger(), f"/3/{photograph}/info.json"
    for asked in (
        f"{path}?token={link}&token={other}",
        f"{path}?token={link}&token=",
        f"{path}?token=&token={link}",
        f"/view/{link}{path}?token={link}",
        f"/view/{link}{path}?token={other}",
        f"/view/{link}{path}?token=",
        f"/view/{link}/view/{link}{path}",
    ):
        assert stranger.get(asked).status_code in (401, 404), asked
    for asked in (f"{path}?Token={link}", f"{path}?token%00={link}", f"{path};token={link}", f"{path}#token={link}"):
        assert stranger.get(asked).status_code == 404, asked


@pytest.mark.parametrize(
    "odd",
    [
        "%00",
        "%ff",
        "%ed%a0%80",
        "%EF%BC%A1" * 76,
        "A" * 5000,
        "%F0%9F%92%A9",
        "..",
        "%2e%2e%2f",
        "%0d%0aX-Evil:%201",
        "١",
    ],
)
def test_odd_texts_are_refused_in_words(lasting_world: World, photograph: int, odd: str) -> None:
    """In the place of a link, an identifier, a version, a parameter of an image."""
    stranger = lasting_world.stranger()
    for path in (
        f"/view/{odd}/3/{photograph}/info.json",
        f"/3/{photograph}/info.json?token={odd}",
        f"/3/{odd}/info.json",
        f"/3/{photograph}@{odd}/info.json",
        f"/3/{photograph}/{odd}/max/0/default.jpg",
        f"/3/{photograph}/full/{odd}/0/default.jpg",
        f"/3/{photograph}/full/max/{odd}/default.jpg",
        f"/3/{photograph}/full/max/0/{odd}",
        f"/dzi/{odd}.dzi",
        f"/dzi/{photograph}_files/{odd}/0_0.jpeg",
        f"/presentation/patients/{odd}",
        f"/presentation/studies/{odd}",
    ):
        for method in ("GET", "HEAD"):
            answer = stranger.request(method, path)
            assert 300 <= answer.status_code < 500, path
            assert "x-evil" not in answer.headers


def test_nobody_tells_where_answers_lead_but_a_trusted_proxy(
    lasting_world: World, ana: Client, photograph: int
) -> None:
    """Or a cache in between could be made to hold addresses of somebody else's."""
    forged = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example;proto=https",
        "X-Original-URL": "/evil",
        "X-Rewrite-URL": "/evil",
        "X-HTTP-Method-Override": "DELETE",
    }
    information = ana.get(f"/3/{photograph}/info.json", headers=forged)
    assert information.json()["id"] == f"{BASE}/3/{photograph}"
    assert ana.get(f"/3/{photograph}", headers=forged).headers["location"] == f"{BASE}/3/{photograph}/info.json"
    picture = ana.get(f"/3/{photograph}/full/30,/0/default.jpg", headers=forged)
    assert "evil" not in picture.headers["link"]
    assert "evil" not in ana.get(f"/presentation/images/{photograph}", headers=forged).text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "MADEUP"])
def test_nothing_can_be_changed_here(ana: Client, photograph: int, method: str) -> None:
    for path in paths_of(photograph):
        answer = ana.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_an_ended_version_of_a_public_image_is_not_for_caches_between(lasting_world: World) -> None:
    """It is there for its author alone, at the same address at which everybody sees an older one."""
    lasting_world.user("mia", Kind.MACHINE)
    image_id = lasting_world.machine("mia", PNG, Visibility.PUBLIC)
    author, archive = lasting_world.actor("mia"), lasting_world.archive
    image = archive.images.get(author, image_id)
    assert image.version is not None
    archive.versions.update(author, image.version.id, VersionChanges(end_at=archive.clock() - 1))
    for path in (f"/3/{image_id}/info.json", f"/3/{image_id}@1.0/full/30,/0/default.jpg"):
        assert lasting_world.stranger().get(path).status_code == 404
        answer = lasting_world.user("mia").get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-cache"), path
