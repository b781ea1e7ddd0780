"""Shares with users and groups, and the groups themselves (atmosphere contract 11.5)."""

import pytest

from pinakes.core.access import groups as limits
from pinakes.core.actor import Kind
from pinakes.core.clock import DAY, to_datetime
from tests.conftest import MovableClock
from tests.contracts.native.conftest import SYSTEM, Client, World, content_path


def test_a_share_opens_an_image_at_once_and_its_end_closes_it(
    world: World, ana: Client, ben: Client, clock: MovableClock
) -> None:
    """Contract V2, V8: until the share ends."""
    path = f"/vm-images/{ana.image()['id']}"
    end = to_datetime(clock.now + DAY).isoformat()
    shares = ana.put(f"{path}/shares", json={"users": [{"username": "BEN", "end_date": end}]}).json()
    assert shares["users"][0]["username"] == "ben"
    assert shares["groups"] == []
    assert ben.get(path).status_code == 200
    assert [image["name"] for image in ben.get("/vm-images").json()["items"]] == ["debian"]
    clock.advance(DAY + 1)
    assert ben.get(path).status_code == 404
    assert ana.get(f"{path}/shares").json() == {"users": [], "groups": []}


def test_a_share_with_a_group_opens_an_image_to_its_members(ana: Client, ben: Client) -> None:
    path = f"/vm-images/{ana.image()['id']}"
    group = ana.post("/groups", json={"name": "Lab", "members": ["ben"]}).json()
    assert ana.put(f"{path}/shares", json={"groups": [{"name": "lab"}]}).status_code == 200
    assert ben.get(path).status_code == 200
    ana.patch(f"/groups/{group['id']}", json={"members": []})
    assert ben.get(path).status_code == 404
    ana.patch(f"/groups/{group['id']}", json={"members": ["ben"]})
    assert ben.get(path).status_code == 200
    assert ana.delete(f"/groups/{group['id']}").status_code == 204
    assert ben.get(path).status_code == 404
    assert ana.get(f"{path}/shares").json()["groups"] == []


def test_shares_are_set_all_at_once_and_what_was_shown_can_be_sent_back(world: World, ana: Client, ben: Client) -> None:
    world.user("cyd")
    path = f"/vm-images/{ana.image()['id']}"
    ana.post("/groups", json={"name": "lab"})
    first = ana.put(
        f"{path}/shares", json={"users": [{"username": "cyd"}, {"username": "ben"}], "groups": [{"name": "lab"}]}
    )
    assert [share["username"] for share in first.json()["users"]] == ["ben", "cyd"]
    assert ana.put(f"{path}/shares", json=first.json()).json() == first.json() == ana.get(f"{path}/shares").json()
    assert ana.put(f"{path}/shares", json={}).json() == {"users": [], "groups": []}
    assert ben.get(path).status_code == 404


def test_who_has_a_share_may_be_named_again_whatever_has_become_of_them(world: World, ana: Client, ben: Client) -> None:
    path = f"/vm-images/{ana.image()['id']}"
    group = ben.post("/groups", json={"name": "lab", "members": ["ana"]}).json()
    shares = ana.put(f"{path}/shares", json={"users": [{"username": "ben"}], "groups": [{"name": "lab"}]}).json()
    ben.patch(f"/groups/{group['id']}", json={"members": []})
    world.archive.users.set_active(SYSTEM, "ben", False)
    assert ana.put(f"{path}/shares", json=shares).json() == shares


@pytest.mark.parametrize("name", ["doc", "who", "x\0y", "", "x" * 5000, "gone"])
def test_who_lacks_the_kind_is_answered_like_nobody(lasting_world: World, lasting_ana: Client, name: str) -> None:
    """DESIGN section 2."""
    lasting_world.user("doc", Kind.CLINICAL)
    lasting_world.user("gone")
    lasting_world.archive.users.set_active(SYSTEM, "gone", False)
    path = f"/vm-images/{lasting_ana.image()['id']}/shares"
    answer = lasting_ana.put(path, json={"users": [{"username": name}]})
    assert (answer.status_code, answer.json()["errors"]) == (400, {"users": [f"there is no user {name}"]})
    assert lasting_ana.get(path).json()["users"] == []


def test_a_group_one_may_not_see_is_answered_like_none(ana: Client, ben: Client) -> None:
    ben.post("/groups", json={"name": "secret"})
    path = f"/vm-images/{ana.image()['id']}/shares"
    answers = [ana.put(path, json={"groups": [{"name": name}]}) for name in ("secret", "nonono")]
    assert [answer.json()["errors"] for answer in answers] == [
        {"groups": ["there is no group secret"]},
        {"groups": ["there is no group nonono"]},
    ]


def test_a_share_may_not_end_in_the_past_nor_name_anyone_twice(ana: Client, ben: Client) -> None:
    path = f"/vm-images/{ana.image()['id']}/shares"
    past = ana.put(path, json={"users": [{"username": "ben", "end_date": "2001-01-01T00:00:00Z"}]})
    twice = ana.put(path, json={"users": [{"username": "ben"}, {"username": "Ben"}]})
    assert (past.json()["errors"], twice.json()["errors"]) == (
        {"users": ["must not end in the past"]},
        {"users": ["must not name anyone twice"]},
    )
    assert ana.get(path).json()["users"] == []


def test_shares_are_for_the_author_and_staff(ana: Client, ben: Client, staff: Client, nobody: Client) -> None:
    path = f"/vm-images/{ana.image(is_public=True)['id']}/shares"
    assert (ben.get(path).status_code, nobody.get(path).status_code) == (403, 401)
    assert ben.put(path, json={"users": [{"username": "ben"}]}).status_code == 403
    assert staff.put(path, json={"users": [{"username": "ben"}]}).status_code == 200
    assert len(ana.get(path).json()["users"]) == 1


def test_shares_are_in_the_trail(world: World, ana: Client, ben: Client) -> None:
    image = ana.image()
    path = f"/vm-images/{image['id']}/shares"
    ana.put(path, json={"users": [{"username": "ben"}]})
    ana.put(path, json={"users": [{"username": "ben"}]})
    ana.put(path, json={})
    events = ana.get(f"/images/{image['id']}/events").json()["items"]
    ben_id = world.archive.users.get("ben").id
    told = [(event["action"], event["subject"]) for event in events if event["action"].startswith("grant")]
    assert told == [("grant:delete", f"user:{ben_id}"), ("grant:create", f"user:{ben_id}")]


# -- Groups -------------------------------------------------------------------------------------------------------


def test_a_group_is_seen_by_its_owner_its_members_and_staff(
    world: World, ana: Client, ben: Client, staff: Client, nobody: Client
) -> None:
    cyd = world.user("cyd")
    made = ana.post("/groups", json={"name": " Lab ", "members": ["ben"]}).json()
    assert (made["name"], made["owner"]["username"]) == ("Lab", "ana")
    assert [member["username"] for member in made["members"]] == ["ben"]
    path = f"/groups/{made['id']}"
    in_short = {name: value for name, value in made.items() if name != "members"}
    for client in (ana, ben, staff):
        assert client.get(path).json() == made
        assert client.get("/groups").json() == {"items": [in_short], "next_cursor": None}
    assert cyd.get(path).status_code == 404
    assert cyd.get("/groups").json()["items"] == []
    assert nobody.get("/groups").status_code == 401


def test_a_group_is_changed_by_its_owner_and_staff_and_left_by_its_members(
    world: World, ana: Client, ben: Client, staff: Client
) -> None:
    world.user("cyd")
    path = f"/groups/{ana.post('/groups', json={'name': 'lab', 'members': ['ben', 'cyd']}).json()['id']}"
    assert ben.patch(path, json={"name": "mine"}).status_code == 403
    assert ben.delete(path).status_code == 403
    assert ben.delete(f"{path}/members/cyd").status_code == 403
    assert ben.delete(f"{path}/members/Ben").status_code == 204
    assert ben.get(path).status_code == 404
    assert ana.delete(f"{path}/members/ben").status_code == 404
    assert staff.patch(path, json={"name": "Lab 2"}).json()["name"] == "Lab 2"
    assert ana.delete(f"{path}/members/cyd").status_code == 204
    assert ana.get(path).json()["members"] == []


def test_a_name_of_a_group_is_given_once_in_any_case(ana: Client, ben: Client) -> None:
    ana.post("/groups", json={"name": "Straße"})
    other = ben.post("/groups", json={"name": "other"}).json()
    for answer in (
        ben.post("/groups", json={"name": "STRASSE"}),
        ben.patch(f"/groups/{other['id']}", json={"name": "strasse"}),
    ):
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "group-exists")


@pytest.mark.parametrize("name", ["", " ", "x" * 129, "a\0b", "a\nb", "\u202eabc"])
def test_a_name_that_cannot_be_shown_is_no_name_of_a_group(lasting_ana: Client, name: str) -> None:
    assert lasting_ana.post("/groups", json={"name": name}).status_code == 400


def test_groups_and_their_members_are_limited(ana: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_OWNED", 1)
    monkeypatch.setattr(limits, "MOST_MEMBERS", 1)
    assert ana.post("/groups", json={"name": "many", "members": ["a", "b"]}).json()["errors"] == {
        "members": ["must be at most 1"]
    }
    assert ana.post("/groups", json={"name": "one"}).status_code == 201
    assert ana.post("/groups", json={"name": "two"}).status_code == 400


def test_groups_are_walked_by_cursors(ana: Client) -> None:
    ids = [ana.post("/groups", json={"name": f"group {number}"}).json()["id"] for number in range(3)]
    first = ana.get("/groups?limit=2").json()
    rest = ana.get(f"/groups?limit=2&cursor={first['next_cursor']}").json()
    assert [group["id"] for group in first["items"] + rest["items"]] == ids
    assert rest["next_cursor"] is None


def test_members_have_a_kind_in_common_with_who_names_them(world: World, ana: Client) -> None:
    world.user("doc", Kind.CLINICAL)
    world.user("both", Kind.CLINICAL, Kind.MACHINE)
    assert ana.post("/groups", json={"name": "a", "members": ["doc"]}).status_code == 400
    assert ana.post("/groups", json={"name": "a", "members": ["both"]}).status_code == 201
    assert world.user("doc").post("/groups", json={"name": "b", "members": ["both"]}).status_code == 201


def test_who_is_a_member_may_be_named_again_whatever_has_become_of_them(world: World, ana: Client, ben: Client) -> None:
    group = ana.post("/groups", json={"name": "lab", "members": ["ben"]}).json()
    world.archive.users.set_active(SYSTEM, "ben", False)
    path = f"/groups/{group['id']}"
    world.user("cyd")
    changed = ana.patch(path, json={"members": ["BEN", "cyd"]}).json()
    assert [member["username"] for member in changed["members"]] == ["ben", "cyd"]
    assert ana.patch(path, json={"members": ["cyd"]}).status_code == 200
    assert ana.patch(path, json={"members": ["ben"]}).json()["errors"] == {"members": ["there is no user ben"]}


def test_staff_without_the_kind_has_no_say_over_groups(world: World, ana: Client) -> None:
    """DESIGN section 2: staff counts only inside their own kinds."""
    doctor = world.user("boss", Kind.CLINICAL, is_staff=True)
    path = f"/groups/{ana.post('/groups', json={'name': 'lab'}).json()['id']}"
    assert doctor.get("/groups").json()["items"] == []
    assert {answer.status_code for answer in (doctor.get(path), doctor.patch(path, json={}), doctor.delete(path))} == {
        404
    }


def test_an_ended_share_with_a_group_gives_nothing_from_that_instant(
    ana: Client, ben: Client, clock: MovableClock
) -> None:
    """Issue 3, item 2: shares with an optional end."""
    version = ana.filled(ana.image()["id"])
    path = f"/vm-images/{version['image_id']}"
    ana.post("/groups", json={"name": "lab", "members": ["ben"]})
    end = to_datetime(clock.now + DAY).isoformat()
    ana.put(f"{path}/shares", json={"groups": [{"name": "lab", "end_date": end}]})
    clock.advance(DAY - 1)
    assert ben.get(content_path(version)).status_code == 200
    clock.advance(1)
    for tried in (path, f"{path}/versions", content_path(version)):
        assert ben.get(tried).status_code == 404
    assert ben.get("/vm-images").json()["items"] == []
