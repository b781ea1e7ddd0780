"""Tags, and the rows that say what is tagged (atmosphere contract 8.1, 8.2)."""

from typing import Any

import pytest

from tests.conftest import MovableClock
from tests.contracts.atmosphere.conftest import BASE, NO_CREDENTIALS, NO_PERMISSION, NOT_FOUND, Client, World

LOCAL = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
TAG = {"name": "genomics", "description": "for sequencing"}


def test_anyone_reads_tags(world: World, ana: Client, nobody: Client) -> None:
    """T1: by name, in the envelope."""
    for name in ("zeta", "Beta", "alpha"):
        world.tag(name)
    shown = nobody.get("/tags?page_size=1000").json()
    assert [tag["name"] for tag in shown["results"]] == ["Beta", "alpha", "zeta"]
    assert (shown["count"], shown["next"]) == (3, None)
    for tag in shown["results"]:
        assert set(tag) == {"id", "uuid", "url", "name", "description", "allow_access"}
        assert tag["url"] == f"{BASE}/tags/{tag['uuid']}"
        assert nobody.get(tag["url"]).json() == nobody.get(f"/tags/{tag['id']}").json() == tag
    assert nobody.get("/tags?page_size=2").json()["next"] == f"{BASE}/tags?page_size=2&page=2"


def test_any_user_makes_a_tag(world: World, ana: Client, nobody: Client) -> None:
    """T2, T6."""
    assert (nobody.post("/tags", json=TAG).status_code, nobody.post("/tags", json=TAG).json()) == (403, NO_CREDENTIALS)
    answer = ana.post("/tags", json=TAG)
    assert answer.status_code == 201
    assert {name: answer.json()[name] for name in TAG} == TAG
    assert nobody.get(answer.json()["url"]).json() == answer.json()
    reader = world.user("ana", scope="image:read")
    assert (reader.post("/tags", json=TAG).status_code, reader.post("/tags", json=TAG).json()) == (403, NO_PERMISSION)


@LOCAL
def test_what_a_tag_may_be_called(world: World, ana: Client) -> None:
    """T2."""
    for name in ("a", "x" * 128, "two words", "日本語", " trimmed ", "C++", "100%", "𝒳" * 128):
        answer = ana.post("/tags", json=TAG | {"name": name})
        assert (answer.status_code, answer.json()["name"]) == (201, name.strip())
    bad: Any
    for bad in (None, "", " ", "x" * 129, "a,b", "a\nb", "a\0b", "a\x7fb", "a\u2028b", 5, True, [], {}):
        answer = ana.post("/tags", json=TAG | {"name": bad})
        assert (answer.status_code, list(answer.json())) == (400, ["name"]), bad
    for bad in (None, "", " ", "x" * 1025, "a\0b", 5, []):
        answer = ana.post("/tags", json={"name": "fresh", "description": bad})
        assert (answer.status_code, list(answer.json())) == (400, ["description"]), bad
    answer = ana.post("/tags", json={"name": "long", "description": "x" * 1024})
    assert answer.status_code == 201
    required = {"name": ["This field is required."], "description": ["This field is required."]}
    assert ana.post("/tags").json() == required


def test_a_name_is_taken_in_any_case(world: World, ana: Client, staff: Client) -> None:
    """T3: beyond ASCII too, and by renaming."""
    ana.post("/tags", json=TAG | {"name": "Straße"})
    for name in ("Straße", "STRASSE", "strasse"):
        answer = ana.post("/tags", json=TAG | {"name": name})
        assert (answer.status_code, list(answer.json())) == (400, ["name"])
    other = ana.post("/tags", json=TAG).json()
    answer = staff.patch(f"/tags/{other['id']}", json={"name": "STRASSE"})
    assert (answer.status_code, list(answer.json())) == (400, ["name"])
    assert staff.patch(f"/tags/{other['id']}", json={"name": "GENOMICS"}).json()["name"] == "GENOMICS"


def test_only_staff_changes_and_deletes_tags(world: World, ana: Client, staff: Client, nobody: Client) -> None:
    """T4."""
    path = f"/tags/{world.tag('one')}"
    for method in ("PUT", "PATCH", "DELETE"):
        for client, refusal in ((ana, NO_PERMISSION), (nobody, NO_CREDENTIALS)):
            answer = client.request(method, path, json=TAG)
            assert (answer.status_code, answer.json()) == (403, refusal)
    assert staff.patch(path, json={"description": "new"}).json()["description"] == "new"
    assert staff.patch(path, json={}).json()["name"] == "one"
    assert staff.put(path, json={"name": "two"}).json() == {"description": ["This field is required."]}
    assert staff.put(path, json=TAG).json()["name"] == "genomics"
    image_id = world.image(ana, "alpine", tags=("genomics", "other"))
    answer = staff.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    for method in ("GET", "PATCH", "DELETE"):
        assert staff.request(method, path, json={}).json() == NOT_FOUND
    assert [tag["name"] for tag in ana.get(f"/images/{image_id}").json()["tags"]] == ["other"]


def test_reserved_tags_say_so_except_to_staff(world: World, ana: Client, staff: Client, nobody: Client) -> None:
    """T5."""
    path = f"/tags/{world.tag('featured')}"
    plain = f"/tags/{world.tag('plain')}"
    for client, allowed in ((ana, False), (nobody, False), (staff, True)):
        assert client.get(path).json()["allow_access"] is allowed
        assert client.get(plain).json()["allow_access"] is True
    image_id = world.image(ana, "star", tags=("featured",))
    assert ana.get(f"/images/{image_id}").json()["tags"][0]["allow_access"] is False


# -- Image tags ---------------------------------------------------------------------------------------------------


def test_rows_of_visible_active_images(
    world: World, ana: Client, ben: Client, staff: Client, nobody: Client, clock: MovableClock
) -> None:
    """T7."""
    public = world.image(ana, "public", tags=("one", "two"))
    private = world.image(ana, "private", is_public=False, tags=("one",))
    ended = world.image(ana, "ended", end_at=clock.now, tags=("one",))
    assert (nobody.get("/image_tags").status_code, nobody.get("/image_tags?page=x").json()) == (403, NO_CREDENTIALS)
    assert (ben.count("/image_tags"), ana.count("/image_tags"), staff.count("/image_tags")) == (2, 3, 3)
    rows = ana.get("/image_tags").json()["results"]
    assert [(row["image"]["id"], row["tag"]["name"]) for row in rows] == [
        (public, "one"),
        (public, "two"),
        (private, "one"),
    ]
    assert set(rows[0]) == {"id", "url", "image", "tag"}
    assert {"id", "uuid", "url", "name"} <= set(rows[0]["image"])
    assert ana.get(rows[0]["url"]).json() == ana.get(f"/image_tags/{rows[0]['id']}").json() == rows[0]
    assert rows[0]["tag"] == ana.get(f"/tags/{rows[0]['tag']['id']}").json()
    assert [ben.get(f"/image_tags/{row['id']}").status_code for row in rows] == [200, 200, 404]
    for parameter in ("application__id", "image_id"):
        for image in (public, rows[0]["image"]["uuid"]):
            assert ben.count("/image_tags", **{parameter: image}) == 2
        for image in (private, ended, 999, "abc", "9" * 5000, "\0"):
            assert ben.count("/image_tags", **{parameter: image}) == 0
    assert ana.count("/image_tags", image_id=ended) == 0


def test_the_creator_tags_an_image(world: World, ana: Client, ben: Client, staff: Client, nobody: Client) -> None:
    """T8."""
    image_id, tag_id = world.image(ana, "alpine"), world.tag("one")
    body = {"image": image_id, "tag": tag_id}
    assert (nobody.post("/image_tags", json=body).status_code, nobody.post("/image_tags").json()) == (
        403,
        NO_CREDENTIALS,
    )
    for client in (ben, staff):
        answer = client.post("/image_tags", json=body)
        assert (answer.status_code, answer.json()) == (403, NO_PERMISSION)
    answer = ana.post("/image_tags", json=body)
    assert answer.status_code == 201
    assert ana.get(answer.json()["url"]).json() == answer.json()
    assert [tag["id"] for tag in nobody.get(f"/images/{image_id}").json()["tags"]] == [tag_id]
    answer = ana.post("/image_tags", json=body)
    assert (answer.status_code, list(answer.json())) == (400, ["tag"])
    two = ana.get(f"/tags/{world.tag('two')}").json()
    answer = ana.post("/image_tags", json={"image": answer_image(ana, image_id), "tag": two["uuid"]})
    assert answer.status_code == 201


def answer_image(client: Client, image_id: int) -> dict[str, object]:
    shown: dict[str, object] = client.get(f"/images/{image_id}").json()
    return shown


@LOCAL
def test_image_tags_that_cannot_be(world: World, ana: Client, ben: Client, clock: MovableClock) -> None:
    """T8, E13, V6: what is hidden and what is not there are refused alike."""
    image_id, tag_id = world.image(ana, "alpine"), world.tag("one")
    hidden = world.image(ana, "hidden", is_public=False)
    ended = world.image(ana, "ended", end_at=clock.now)
    answers = [ben.post("/image_tags", json={"image": image, "tag": tag_id}) for image in (hidden, ended, 99999)]
    assert {(answer.status_code, answer.content) for answer in answers} == {(400, answers[0].content)}
    image: Any
    for image in (None, "x", 0, -1, 10**30, True, [], {}, 1.5, "9" * 5000, "\0"):
        answer = ana.post("/image_tags", json={"image": image, "tag": tag_id})
        assert (answer.status_code, list(answer.json())) == (400, ["image"]), image
        answer = ana.post("/image_tags", json={"image": image_id, "tag": image})
        assert (answer.status_code, list(answer.json())) == (400, ["tag"]), image
    assert ana.post("/image_tags", json={"image": image_id, "tag": 99999}).status_code == 400
    featured = world.tag("Featured")
    answer = ana.post("/image_tags", json={"image": image_id, "tag": featured})
    assert (answer.status_code, list(answer.json())) == (400, ["tag"])
    assert set(ana.post("/image_tags", json={}).json()) == {"image", "tag"}
    assert ana.get(f"/images/{image_id}").json()["tags"] == []


def test_the_creator_takes_a_tag_off(world: World, ana: Client, ben: Client, staff: Client, nobody: Client) -> None:
    """T9."""
    image_id = world.image(ana, "alpine", tags=("one", "two"))
    hidden = world.image(ana, "hidden", is_public=False, tags=("one",))
    row = ana.get("/image_tags", params={"image_id": image_id}).json()["results"][0]
    hidden_row = ana.get("/image_tags", params={"image_id": hidden}).json()["results"][0]
    for client in (ben, staff):
        answer = client.delete(f"/image_tags/{row['id']}")
        assert (answer.status_code, answer.json()) == (403, NO_PERMISSION)
    assert nobody.delete(f"/image_tags/{row['id']}").json() == NO_CREDENTIALS
    assert ben.delete(f"/image_tags/{hidden_row['id']}").json() == ben.delete("/image_tags/99999").json() == NOT_FOUND
    assert ana.delete(f"/image_tags/{row['id']}").status_code == 204
    assert ana.get(f"/image_tags/{row['id']}").status_code == ana.delete(f"/image_tags/{row['id']}").status_code == 404
    assert [tag["name"] for tag in ana.get(f"/images/{image_id}").json()["tags"]] == ["two"]


def test_rows_of_tags_that_stay_keep_their_ids(world: World, ana: Client) -> None:
    """The web interface sends the complete list with every edit (E12)."""
    image_id = world.image(ana, "alpine", tags=("one",))
    row = ana.get("/image_tags").json()["results"][0]
    two = world.tag("two")
    ana.patch(f"/images/{image_id}", json={"tags": [row["tag"]["id"], two]})
    assert ana.get("/image_tags").json()["results"][0]["id"] == row["id"]
