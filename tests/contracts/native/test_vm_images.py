"""Machine images: made, shown, edited, ended, given away and judged (atmosphere contract, sections 3 and 11)."""

from datetime import UTC, datetime, timedelta

import pytest

from pinakes.core.actor import Kind
from pinakes.core.catalogue import machine_catalogue, registration
from pinakes.core.catalogue.records import NewImage
from pinakes.core.clock import DAY, to_datetime
from tests.conftest import MovableClock
from tests.contracts.native.conftest import QCOW2, SYSTEM, Client, World


def test_an_image_is_made_private_and_shown_to_its_author_only(ana: Client, ben: Client, nobody: Client) -> None:
    """Contract 11.1."""
    made = ana.image("  debian 12 ", description="A *base*.")
    assert made["name"] == "debian 12"
    assert made["visibility"] == "private"
    assert made["is_public"] is False
    assert made["created_by"]["username"] == "ana"
    assert made["versions"] == made["tags"] == []
    assert ana.get(f"/vm-images/{made['id']}").json() == made
    assert ben.get(f"/vm-images/{made['id']}").status_code == 404
    assert nobody.get(f"/vm-images/{made['id']}").status_code == 404


def test_an_image_is_made_with_everything_that_can_be_said_of_it(ana: Client, nobody: Client) -> None:
    ana.post("/tags", json={"name": "Linux", "description": "Penguins."})
    made = ana.image("one", is_public=True, tags=["linux"], end_date="2999-01-31T12:00:00+02:00")
    assert (made["tags"], made["end_date"], made["visibility"]) == (["Linux"], "2999-01-31T10:00:00Z", "public")
    assert nobody.get(f"/vm-images/{made['id']}").json() == made


def test_a_description_is_as_long_when_an_image_is_made_as_when_it_is_edited(
    ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (machine_catalogue, registration):
        monkeypatch.setattr(module, "MOST_DESCRIPTION", 3)
    image = ana.image(description="abc")
    for answer in (
        ana.post("/vm-images", json={"name": "x", "description": "abcd"}),
        ana.patch(f"/vm-images/{image['id']}", json={"description": "abcd"}),
    ):
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["description"])


def test_two_words_for_visibility_must_agree(ana: Client) -> None:
    answer = ana.post("/vm-images", json={"name": "x", "visibility": "internal", "is_public": True})
    assert answer.status_code == 400
    assert answer.json()["errors"] == {"is_public": ["contradicts visibility"]}


def test_a_djinn_name_is_given_only_when_asked_for_and_is_taken_from_then_on(ana: Client) -> None:
    """DESIGN section 2: a native image gets a Djinn name only when asked."""
    assert ana.image("plain")["ci_name"] is None
    made = ana.image("named", ci_name="base", namespace="infra")
    assert (made["ci_name"], made["namespace"]) == ("base", "infra@ana")
    again = ana.post("/vm-images", json={"name": "other", "ci_name": "base", "namespace": "infra"})
    assert (again.status_code, again.json()["type"].rpartition("/")[2]) == (409, "name-taken")


def test_the_list_is_walked_by_cursors_newest_first_without_repeating_or_skipping(ana: Client, nobody: Client) -> None:
    made = [ana.image(f"image {number}", is_public=number % 2 == 0)["id"] for number in range(5)]
    first = ana.get("/vm-images?limit=2").json()
    assert [image["id"] for image in first["items"]] == made[:2:-1]
    newer = ana.image("newer")
    walked, cursor = list(first["items"]), first["next_cursor"]
    while cursor:
        page = ana.get(f"/vm-images?limit=2&cursor={cursor}").json()
        walked += page["items"]
        cursor = page["next_cursor"]
    assert [image["id"] for image in walked] == made[::-1]
    assert ana.get("/vm-images?limit=1").json()["items"][0]["id"] == newer["id"]
    assert [image["id"] for image in nobody.get("/vm-images").json()["items"]] == made[4::-2]


def test_the_list_can_be_narrowed_down(ana: Client, ben: Client, staff: Client, nobody: Client) -> None:
    ana.post("/tags", json={"name": "gpu", "description": "With drivers."})
    cuda = ana.image("cuda", is_public=True, tags=["gpu"])
    ana.image("other", is_public=True)
    bens = ben.image("ben's", is_public=True)
    staff.patch(f"/vm-images/{bens['id']}/moderation", json={"is_featured": True})

    def names(client: Client, query: str) -> list[str]:
        return [image["name"] for image in client.get(f"/vm-images?{query}").json()["items"]]

    assert names(ben, "mine=true") == ["ben's"]
    assert names(nobody, "author=ben") == ["ben's"]
    assert names(nobody, "featured=true") == ["ben's"]
    assert names(nobody, "tag=gpu") == ["cuda"]
    assert names(nobody, "search=DRIVERS") == ["cuda"]
    assert nobody.get("/vm-images?mine=true").status_code == 401
    assert cuda["versions"] == []


def test_a_change_keeps_what_is_not_named_and_null_where_something_must_be_is_refused(ana: Client) -> None:
    made = ana.image("one", description="text")
    path = f"/vm-images/{made['id']}"
    assert ana.patch(path, json={}).json() == made
    changed = ana.patch(path, json={"name": "two", "description": None, "visibility": "internal"}).json()
    assert (changed["name"], changed["description"], changed["visibility"]) == ("two", None, "internal")
    refused = ana.patch(path, json={"name": None})
    assert (refused.status_code, refused.json()["errors"]) == (400, {"name": ["may not be null"]})
    assert ana.get(path).json()["name"] == "two"


def test_only_the_creator_edits(ana: Client, ben: Client, staff: Client, nobody: Client) -> None:
    """Contract E2; staff moderate instead."""
    path = f"/vm-images/{ana.image(is_public=True)['id']}"
    for client, status in ((ben, 403), (staff, 403), (nobody, 401)):
        assert client.patch(path, json={"name": "mine now"}).status_code == status
    assert ana.get(path).json()["name"] == "debian"


def test_tags_are_named_and_must_exist_and_the_reserved_one_is_for_staff(ana: Client, staff: Client) -> None:
    """Contract E13, T5."""
    ana.post("/tags", json={"name": "a", "description": "A."})
    made = ana.image()
    staff.patch(f"/vm-images/{ana.image('other')['id']}/moderation", json={"is_featured": True})
    path = f"/vm-images/{made['id']}"
    assert ana.patch(path, json={"tags": ["A"]}).json()["tags"] == ["a"]
    assert ana.patch(path, json={"tags": ["b"]}).json()["errors"] == {"tags": ["there is no tag b"]}
    assert ana.patch(path, json={"tags": ["Featured"]}).status_code == 400
    assert ana.post("/vm-images", json={"name": "x", "tags": ["featured"]}).status_code == 400
    assert ana.get(path).json()["tags"] == ["a"]
    assert staff.image("chosen", tags=["Featured"])["tags"] == ["Featured"]


def test_an_ended_image_is_there_for_its_author_and_staff_until_it_is_restored(
    ana: Client, ben: Client, staff: Client, nobody: Client
) -> None:
    """Contract 11.6, V1 to V5."""
    path = f"/vm-images/{ana.image(is_public=True)['id']}"
    assert ben.delete(path).status_code == 403
    assert ana.delete(path).status_code == 204
    assert (ben.get(path).status_code, nobody.get(path).status_code) == (404, 404)
    assert (ana.get(path).status_code, staff.get(path).status_code) == (200, 200)
    assert ana.get("/vm-images").json()["items"] == []
    assert len(ana.get("/vm-images?ended=true").json()["items"]) == 1
    assert ben.get("/vm-images?ended=true").json()["items"] == []
    assert ana.post(f"{path}/restore").json()["end_date"] is None
    assert nobody.get(path).status_code == 200


def test_an_end_that_has_come_stays_when_it_was(ana: Client, staff: Client, clock: MovableClock) -> None:
    image = ana.image()
    path = f"/vm-images/{image['id']}"
    ana.delete(path)
    ended = ana.get(path).json()["end_date"]
    clock.advance(DAY)
    ana.delete(path)
    staff.patch(f"{path}/moderation", json={"is_ended": True})
    assert ana.get(path).json()["end_date"] == ended
    ana.post(f"{path}/restore")
    ana.post(f"{path}/restore")
    events = [event["action"] for event in ana.get(f"/images/{image['id']}/events").json()["items"]]
    assert events == ["image:update", "image:update", "image:create"]


def test_a_scheduled_end_comes_by_itself(ana: Client, nobody: Client, clock: MovableClock) -> None:
    end = to_datetime(clock.now + DAY)
    path = f"/vm-images/{ana.image(is_public=True, end_date=end.isoformat())['id']}"
    assert nobody.get(path).status_code == 200
    clock.advance(DAY + 1)
    assert nobody.get(path).status_code == 404
    assert datetime.fromisoformat(ana.get(path).json()["end_date"]) - datetime.now(UTC) < timedelta(days=2)


def test_purging_removes_the_image_and_its_bytes_for_good(world: World, ana: Client, ben: Client) -> None:
    made = ana.image(is_public=True)
    ana.filled(made["id"])
    path = f"/vm-images/{made['id']}"
    assert ben.post(f"{path}/purge").status_code == 403
    assert world.user("ana", scope="image:read,write").post(f"{path}/purge").status_code == 403
    assert world.stored_keys()
    assert ana.post(f"{path}/purge").status_code == 204
    assert world.stored_keys() == set()
    assert ana.get(path).status_code == 404
    assert ana.post(f"{path}/purge").status_code == 404
    assert ana.image()["id"] > made["id"]


def test_an_image_is_given_to_another_user_and_loses_its_name_and_patterns_but_not_its_shares(
    world: World, ana: Client, ben: Client
) -> None:
    """The one it is given to has not asked for it: it must not come between the names their builds use."""
    world.user("cyd")
    made = ana.image("gift", ci_name="base")
    path = f"/vm-images/{made['id']}"
    ana.put(f"{path}/shares", json={"users": [{"username": "ben"}, {"username": "cyd"}]})
    assert ben.post(f"{path}/transfer", json={"username": "ben"}).status_code == 403
    assert ana.post(f"{path}/transfer", json={"username": "ben"}).status_code == 204
    given = ben.get(path).json()
    assert (given["created_by"]["username"], given["ci_name"]) == ("ben", None)
    assert [share["username"] for share in ben.get(f"{path}/shares").json()["users"]] == ["cyd"]
    assert ana.get(path).status_code == 404
    assert ana.image("again", ci_name="base")["ci_name"] == "base"


def test_an_image_cannot_be_given_to_who_lacks_the_kind_nor_out_of_a_namespace(world: World, ana: Client) -> None:
    """DESIGN section 2: such a user is answered like an unknown one."""
    world.user("doc", Kind.CLINICAL)
    path = f"/vm-images/{ana.image()['id']}"
    lacking = ana.post(f"{path}/transfer", json={"username": "doc"})
    unknown = ana.post(f"{path}/transfer", json={"username": "who"})
    assert (lacking.status_code, unknown.status_code) == (400, 400)
    assert lacking.text.replace("doc", "who") == unknown.text
    world.user("ben")
    inside = ana.image("inside", ci_name="base", namespace="infra")
    assert ana.post(f"/vm-images/{inside['id']}/transfer", json={"username": "ben"}).status_code == 409


def test_staff_hide_feature_and_end(ana: Client, ben: Client, staff: Client, nobody: Client) -> None:
    """Contract 11.7."""
    path = f"/vm-images/{ana.image(is_public=True)['id']}"
    assert ben.patch(f"{path}/moderation", json={"is_featured": True}).status_code == 403
    assert ana.patch(f"{path}/moderation", json={"is_featured": True}).status_code == 403
    assert nobody.patch(f"{path}/moderation", json={"is_featured": True}).status_code == 401
    assert staff.patch(f"{path}/moderation", json={"is_featured": True}).json()["tags"] == ["Featured"]
    assert staff.patch(f"{path}/moderation", json={"is_featured": True}).json()["tags"] == ["Featured"]
    assert staff.patch(f"{path}/moderation", json={"is_featured": False}).json()["tags"] == []
    assert staff.patch(f"{path}/moderation", json={"is_hidden": True}).json()["visibility"] == "private"
    assert nobody.get(path).status_code == 404
    assert staff.patch(f"{path}/moderation", json={"is_ended": True}).json()["end_date"] is not None


def test_a_hidden_image_is_unknown_to_who_may_not_see_it_whatever_they_try(ana: Client, ben: Client) -> None:
    path = f"/vm-images/{ana.image()['id']}"
    tries = [
        ben.patch(path, json={"name": "x"}),
        ben.delete(path),
        ben.post(f"{path}/restore"),
        ben.post(f"{path}/purge"),
        ben.post(f"{path}/transfer", json={"username": "ben"}),
        ben.get(f"{path}/shares"),
        ben.put(f"{path}/shares", json={}),
        ben.get(f"{path}/versions"),
        ben.post(f"{path}/versions", json={}),
        ben.put(f"{path}/icon", content=b"x"),
        ben.delete(f"{path}/icon"),
        ben.get(path.replace("vm-images", "images") + "/events"),
        ben.patch(f"{path}/moderation", json={"is_hidden": True}),
    ]
    assert {answer.status_code for answer in tries} == {404}


def test_what_another_api_has_made_is_no_vm_image(world: World, ana: Client) -> None:
    """A machine token opens no clinical image, and purging one is not possible here."""
    from pinakes.core.actor import Kind

    both = world.user("both", Kind.CLINICAL, Kind.MACHINE)
    user_id = world.archive.users.get("both").id
    with world.archive.database.write() as transaction:
        image_id = world.archive.images.announce(transaction, SYSTEM, NewImage(Kind.CLINICAL, "x-ray", user_id))
    assert both.get(f"/images/{image_id}").json()["kind"] == "clinical"
    assert ana.get(f"/images/{image_id}").status_code == 404
    path = f"/vm-images/{image_id}"
    answers = [both.get(path), both.post(f"{path}/purge"), both.delete(path), both.get(f"{path}/shares")]
    answers += [both.put(f"{path}/icon", content=QCOW2), both.post(f"{path}/versions", json={})]
    assert {answer.status_code for answer in answers} == {404}


def test_the_events_of_an_image_are_for_its_author_and_staff(ana: Client, ben: Client, staff: Client) -> None:
    made = ana.image(is_public=True)
    ana.filled(made["id"])
    path = f"/images/{made['id']}/events"
    events = ana.get(path).json()["items"]
    assert [event["action"] for event in events] == ["version:update", "version:create", "image:create"]
    page = staff.get(f"{path}?limit=2").json()
    rest = staff.get(f"{path}?limit=2&cursor={page['next_cursor']}").json()
    assert page["items"] + rest["items"] == events
    assert ben.get(path).status_code == 403
