"""Atmosphere contract B1: bookmarks, which never tell of an image that is hidden."""

from typing import Any

import pytest

from pinakes.core.clock import DAY
from tests.conftest import MovableClock
from tests.contracts.atmosphere.conftest import BASE, NO_CREDENTIALS, NOT_FOUND, Client, World
from tests.contracts.atmosphere.making import WRONG_KEYS, add_version, check_refusals, only, rows, statuses
from tests.statements import counted_statements

on_one_backend = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)


def bookmark(client: Client, image_id: int) -> int:
    """The id of a new bookmark."""
    answer = client.post("/image_bookmarks", json={"image": image_id})
    assert answer.status_code == 201, answer.text
    made: int = answer.json()["id"]
    return made


@on_one_backend
def test_b1_a_bookmark_shows_its_image_and_whose_it_is(world: World, ana: Client, ben: Client) -> None:
    image_id = world.image(ana, "Ubuntu", description="for teaching", tags=("Linux",))
    version_id = add_version(world, ana, image_id)
    answer = ben.post("/image_bookmarks", json={"image": image_id})
    made = answer.json()
    image = ben.get(f"/image_versions/{version_id}").json()["image"]
    user = ben.get("/users", params={"search": "ben"}).json()["results"][0]
    assert (answer.status_code, made) == (
        201,
        {
            "id": made["id"],
            "uuid": made["uuid"],
            "url": f"{BASE}/image_bookmarks/{made['uuid']}",
            "image": image,
            "user": {name: user[name] for name in ("id", "uuid", "url", "username")},
        },
    )
    assert (image["name"], image["tags"][0]["name"], user["username"]) == ("Ubuntu", "Linux", "ben")
    assert only(ben, "/image_bookmarks") == made
    for path in (f"/image_bookmarks/{made['id']}", made["url"], f"/image_bookmarks/{made['uuid'].upper()}/"):
        assert ben.get(path).json() == made


def test_b1_an_image_is_bookmarked_once_by_each(world: World, ana: Client, ben: Client) -> None:
    image_id = world.image(ana, "Ubuntu")
    uuid = ana.get(f"/images/{image_id}").json()["uuid"]
    bookmark(ana, image_id)
    bookmark(ben, image_id)
    for image in (image_id, str(image_id), uuid, {"id": image_id}):
        answer = ana.post("/image_bookmarks", json={"image": image})
        assert (answer.status_code, answer.json()) == (400, {"image": ["Image already bookmarked"]})
    assert [ana.count("/image_bookmarks"), ben.count("/image_bookmarks")] == [1, 1]


@on_one_backend
def test_b1_bookmarks_are_the_callers_own(
    world: World, ana: Client, ben: Client, staff: Client, nobody: Client
) -> None:
    image_id = world.image(ana, "Ubuntu")
    path = f"/image_bookmarks/{bookmark(ana, image_id)}"
    for other in (ben, staff):
        assert other.count("/image_bookmarks") == 0
        for answer in (other.get(path), other.delete(path)):
            assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    anonymous = (
        nobody.get(path),
        nobody.delete(path),
        nobody.get("/image_bookmarks"),
        nobody.delete("/image_bookmarks/9"),
    )
    for answer in (*anonymous, nobody.post("/image_bookmarks", json={"image": image_id})):
        assert (answer.status_code, answer.json()) == (403, NO_CREDENTIALS)
    assert ana.names("/images", bookmarked="true") == ["Ubuntu"]
    answer = ana.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert statuses(ana.get(path), ana.delete(path)) == [404, 404]
    assert ana.count("/images", bookmarked="true") == 0
    bookmark(ana, image_id)


def test_b1_a_bookmark_on_an_image_that_was_hidden_is_as_if_it_were_not(
    world: World, clock: MovableClock, ana: Client, ben: Client
) -> None:
    kept, hidden = world.image(ana, "kept"), world.image(ana, "hidden")
    ending = world.image(ana, "ending", end_at=clock.now + DAY)
    own = [bookmark(ben, image_id) for image_id in (kept, hidden, ending)]
    assert ben.count("/image_bookmarks") == 3
    ana.patch(f"/images/{hidden}", json={"is_public": False})
    clock.advance(DAY)
    assert [row["image"]["name"] for row in rows(ben, "/image_bookmarks")] == ["kept"]
    assert ben.count("/image_bookmarks") == 1
    for bookmark_id in own[1:]:
        for answer in (ben.get(f"/image_bookmarks/{bookmark_id}"), ben.delete(f"/image_bookmarks/{bookmark_id}")):
            assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    for image_id in (hidden, ending):  # neither does bookmarking it again tell that it is there
        assert ben.post("/image_bookmarks", json={"image": image_id}).json() == NOT_FOUND
    ana.patch(f"/images/{hidden}", json={"is_public": True})
    assert [row["image"]["name"] for row in rows(ben, "/image_bookmarks")] == ["kept", "hidden"]


@on_one_backend
def test_b1_what_cannot_be_bookmarked_is_refused(world: World, ana: Client, ben: Client, nobody: Client) -> None:
    hidden = world.image(ana, "hidden", is_public=False)
    missing = ben.post("/image_bookmarks", json={"image": 10**6})
    secret = ben.post("/image_bookmarks", json={"image": hidden})
    assert (secret.status_code, secret.json()) == (missing.status_code, missing.json()) == (404, NOT_FOUND)
    wrong: list[Any] = [None, 0, -1, True, 1.5, "x", "", "9" * 5000, 2**63, [], [hidden], {}, {"id": None}, "\0"]
    for image in wrong:
        answer = ben.post("/image_bookmarks", json={"image": image})
        assert (answer.status_code, list(answer.json())) == (400, ["image"]), image
    digits = b'{"image": ' + b"9" * 5000 + b"}"
    answer = ben.post("/image_bookmarks", content=digits, headers={"Content-Type": "application/json"})
    assert (answer.status_code, isinstance(answer.json(), dict)) == (400, True)
    for body in ({}, {"images": hidden}):
        answer = ben.post("/image_bookmarks", json=body)
        assert (answer.status_code, answer.json()) == (400, {"image": ["This field is required."]})
    check_refusals("POST", "/image_bookmarks", ben, nobody)
    for key in WRONG_KEYS:
        for answer in (ben.get(f"/image_bookmarks/{key}"), ben.delete(f"/image_bookmarks/{key}")):
            assert (answer.status_code, answer.json()) == (404, NOT_FOUND), key[:40]
    assert ben.count("/image_bookmarks") == 0


@on_one_backend
def test_b1_a_bookmark_is_not_changed(world: World, ana: Client) -> None:
    path = f"/image_bookmarks/{bookmark(ana, world.image(ana, 'Ubuntu'))}"
    for method in ("PUT", "PATCH", "POST"):
        answer = ana.request(method, path, json={"image": 1})
        assert (answer.status_code, answer.json()) == (405, {"detail": f'Method "{method}" not allowed.'})
        assert answer.headers["allow"] == "GET, DELETE, OPTIONS, HEAD"
    assert ana.request("HEAD", path).content == b""
    assert statuses(ana.request("HEAD", path), ana.request("OPTIONS", path)) == [200, 200]
    reader = world.user("ana", scope="image:read")
    assert statuses(reader.get(path), reader.delete(path)) == [200, 403]


@on_one_backend
def test_a_list_of_bookmarks_is_paged_and_takes_the_same_statements_however_long(world: World, ana: Client) -> None:
    taken = []
    for count in (0, 1, 20):
        for number in range(count):
            bookmark(ana, world.image(ana, f"{count}-{number}", tags=(f"{count}-{number}",)))
        with counted_statements(world.archive.database.engine) as statements:
            ana.get("/image_bookmarks")
        taken.append(len(statements))
    assert taken[2] == taken[1] >= taken[0], taken
    assert taken[2] <= 5
    first = ana.get("/image_bookmarks", params={"page_size": 8}).json()
    second = ana.get(first["next"]).json()
    last = ana.get("/image_bookmarks", params={"page_size": 8, "page": "last"}).json()
    assert [first["count"], len(first["results"]), len(second["results"]), len(last["results"])] == [21, 8, 8, 5]
    assert (first["previous"], last["next"]) == (None, None)
    assert ana.get("/image_bookmarks", params={"page_size": 8, "page": 4}).json() == {"detail": "Invalid page."}
