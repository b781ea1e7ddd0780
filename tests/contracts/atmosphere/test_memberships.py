"""Atmosphere contract B2, V8: groups as members of versions, and what that opens to the people in them."""

from typing import Any

import pytest

from pinakes.core.catalogue import memberships
from tests.contracts.atmosphere.conftest import BASE, NO_CREDENTIALS, NO_PERMISSION, NOT_FOUND, Client, World
from tests.contracts.atmosphere.making import (
    WRONG_KEYS,
    add_version,
    check_refusals,
    fill,
    make_group,
    only,
    rows,
    statuses,
)
from tests.statements import counted_statements

on_one_backend = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)


def enrol(client: Client, version_id: int, group: int | str) -> int:
    """The id of a new membership."""
    answer = client.post("/image_version_memberships", json={"image_version": version_id, "group": group})
    assert answer.status_code == 201, answer.text
    made: int = answer.json()["id"]
    return made


def sees(client: Client, image_id: int, version_id: int) -> bool:
    """Whether the image and its version are there, the same in every place."""
    counts = {client.count("/images"), client.count("/images", search="secret")}
    counts |= {client.count("/image_versions"), client.count("/provider_machines", version_id=version_id)}
    paths = (f"/images/{image_id}", f"/image_versions/{version_id}", f"/provider_machines/{version_id}")
    found = {count == 1 for count in counts} | {client.get(path).status_code == 200 for path in paths}
    (answer,) = found
    return answer


def test_v8_a_membership_lets_the_people_of_a_group_read_at_once(
    world: World, ana: Client, ben: Client, nobody: Client
) -> None:
    carl = world.user("carl")
    image_id = world.image(ana, "secret", is_public=False)
    version_id = add_version(world, ana, image_id)
    fill(world, ana, image_id, version_id)
    group_id = make_group(world, ana, "lab", ["ben"])
    readers = (ben, carl, nobody)
    assert [sees(client, image_id, version_id) for client in readers] == [False, False, False]
    membership_id = enrol(ana, version_id, group_id)
    assert [sees(client, image_id, version_id) for client in readers] == [True, False, False]
    world.archive.groups.update(world.actor(ana), group_id, members=["carl"])
    assert [sees(client, image_id, version_id) for client in readers] == [False, True, False]
    assert carl.patch(f"/image_versions/{version_id}", json={"name": "x"}).status_code == 403
    assert ana.delete(f"/image_version_memberships/{membership_id}").status_code == 204
    assert [sees(client, image_id, version_id) for client in readers] == [False, False, False]
    enrol(ana, version_id, "LAB")
    assert sees(carl, image_id, version_id)
    world.archive.groups.delete(world.actor(ana), group_id)
    assert not sees(carl, image_id, version_id)
    assert ana.count("/image_version_memberships") == 0


@on_one_backend
def test_b2_memberships_are_for_the_creator_and_staff_to_see(
    world: World, ana: Client, ben: Client, staff: Client, nobody: Client
) -> None:
    image_id = world.image(ana, "Ubuntu")
    first, second = add_version(world, ana, image_id, "1.0"), add_version(world, ana, image_id, "1.1")
    group_id = make_group(world, ana, "lab", ["ben"])
    enrol(ana, first, group_id)
    shown = rows(ana, "/image_version_memberships", version_id=first)[0]
    version = ana.get(f"/image_versions/{first}").json()
    assert shown == {
        "id": shown["id"],
        "uuid": shown["uuid"],
        "url": f"{BASE}/image_version_memberships/{shown['uuid']}",
        "image_version": {name: version[name] for name in ("id", "uuid", "url", "name")},
        "group": {"id": group_id, "uuid": shown["group"]["uuid"], "name": "lab"},
    }
    assert version["membership"] == [shown["group"]]
    path = f"/image_version_memberships/{shown['id']}"
    for client in (ana, staff):
        assert only(client, "/image_version_memberships") == shown
        assert only(client, "/image_version_memberships", version_id=version["uuid"]) == shown
        for wanted in (second, 10**6, "abc", "9" * 5000):
            assert client.count("/image_version_memberships", version_id=wanted) == 0
        assert client.get(path).json() == client.get(shown["url"]).json() == shown
    assert ben.count("/image_version_memberships") == 0
    for answer in (ben.get(path), ben.delete(path)):
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert ben.get(f"/image_versions/{first}").json()["membership"] == []
    for answer in (nobody.get(path), nobody.delete(path), nobody.get("/image_version_memberships")):
        assert (answer.status_code, answer.json()) == (403, NO_CREDENTIALS)


@on_one_backend
def test_only_the_creator_makes_and_removes_memberships(
    world: World, ana: Client, ben: Client, staff: Client, nobody: Client
) -> None:
    public = add_version(world, ana, world.image(ana, "public"))
    hidden = add_version(world, ana, world.image(ana, "hidden", is_public=False))
    bens = make_group(world, ben, "bens", ["ben"])
    path = f"/image_version_memberships/{enrol(ana, public, make_group(world, ana, 'lab'))}"
    for client in (ben, staff):
        answer = client.post("/image_version_memberships", json={"image_version": public, "group": bens})
        assert (answer.status_code, answer.json()) == (403, NO_PERMISSION)
    answer = staff.delete(path)
    assert (answer.status_code, answer.json()) == (403, NO_PERMISSION)
    for version_id in (hidden, 10**6):
        answer = ben.post("/image_version_memberships", json={"image_version": version_id, "group": bens})
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    answer = nobody.post("/image_version_memberships", json={"image_version": public, "group": bens})
    assert (answer.status_code, answer.json()) == (403, NO_CREDENTIALS)
    reader = world.user("ana", scope="image:read")
    assert statuses(reader.get(path), reader.delete(path)) == [200, 403]
    assert ana.count("/image_version_memberships") == 1
    assert ben.count("/images") == 1


def test_a_group_one_does_not_know_of_is_answered_like_none(world: World, ana: Client, ben: Client) -> None:
    version_id = add_version(world, ana, world.image(ana, "Ubuntu"))
    foreign = make_group(world, ben, "bens")
    own = make_group(world, ana, "lab")
    answers = []
    for group in (foreign, "bens", 10**6, "no-such"):
        answer = ana.post("/image_version_memberships", json={"image_version": version_id, "group": group})
        assert (answer.status_code, list(answer.json())) == (400, ["group"])
        answers.append(answer.json())
    assert all(answer == answers[0] for answer in answers)
    enrol(ana, version_id, {"id": own})  # type: ignore[arg-type]  # as answers show it
    again = ana.post("/image_version_memberships", json={"image_version": version_id, "group": "lab"})
    assert (again.status_code, list(again.json())) == (400, ["group"])
    assert ana.count("/image_version_memberships") == 1


@on_one_backend
def test_wrong_members_are_named_and_nothing_is_made(
    world: World, ana: Client, nobody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    version_id, group_id = add_version(world, ana, world.image(ana, "Ubuntu")), make_group(world, ana, "lab")
    wrong: list[Any] = [None, 0, -1, True, 1.5, "", " ", "\0", "9" * 5000, 2**63, [], {}, {"id": []}]
    for member, valid in (("image_version", {"group": group_id}), ("group", {"image_version": version_id})):
        for value in wrong:
            answer = ana.post("/image_version_memberships", json=valid | {member: value})
            assert (answer.status_code, list(answer.json())) == (400, [member]), (member, value)
    answer = ana.post("/image_version_memberships", json={})
    assert (answer.status_code, set(answer.json())) == (400, {"image_version", "group"})
    check_refusals("POST", "/image_version_memberships", ana, nobody)
    for key in WRONG_KEYS:
        path = f"/image_version_memberships/{key}"
        for answer in (ana.get(path), ana.delete(path)):
            assert (answer.status_code, answer.json()) == (404, NOT_FOUND), key[:40]
    path = f"/image_version_memberships/{enrol(ana, version_id, group_id)}"
    assert statuses(ana.put(path), ana.patch(path), ana.post(path)) == [405, 405, 405]
    monkeypatch.setattr(memberships, "MOST_MEMBERSHIPS", 1)
    more = {"image_version": version_id, "group": make_group(world, ana, "more")}
    answer = ana.post("/image_version_memberships", json=more)
    assert (answer.status_code, list(answer.json())) == (400, ["group"])
    assert ana.count("/image_version_memberships") == 1


@on_one_backend
def test_a_list_of_memberships_takes_the_same_statements_however_long(world: World, ana: Client) -> None:
    group_id = make_group(world, ana, "lab")
    image_id = world.image(ana, "Ubuntu")
    taken = []
    for count in (0, 1, 20):
        for number in range(count):
            enrol(ana, add_version(world, ana, image_id, f"{count}-{number}"), group_id)
        with counted_statements(world.archive.database.engine) as statements:
            ana.get("/image_version_memberships")
        taken.append(len(statements))
    assert len(set(taken)) == 1, taken
    assert taken[0] <= 4
    page = ana.get("/image_version_memberships", params={"page_size": 20}).json()
    assert (page["count"], len(page["results"]), len(ana.get(page["next"]).json()["results"])) == (21, 20, 1)
