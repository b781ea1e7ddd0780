"""Atmosphere contract 8.3: image versions, and S3: the machines they live on."""

from typing import Any

import pytest

from pinakes.core.clock import DAY, SECOND
from tests.conftest import MovableClock
from tests.contracts.atmosphere.conftest import (
    BASE,
    NO_CREDENTIALS,
    NO_PERMISSION,
    NOT_FOUND,
    Client,
    World,
    stamp,
)
from tests.contracts.atmosphere.making import (
    QCOW2,
    WRONG_KEYS,
    add_version,
    check_refusals,
    fill,
    make_group,
    only,
    rows,
    statuses,
)
from tests.core.namespaces.making import make_user, put
from tests.statements import counted_statements

on_one_backend = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)


def detail(client: Client, version_id: int) -> Any:
    answer = client.get(f"/image_versions/{version_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- Showing ------------------------------------------------------------------------------------------------------


@on_one_backend
def test_n2_n4_a_version_is_shown_with_all_its_members(world: World, ana: Client, nobody: Client) -> None:
    image_id = world.image(ana, "Ubuntu", description="for teaching", tags=("Linux",))
    parent_id = add_version(world, ana, image_id, "1.0")
    version_id = add_version(world, ana, image_id, "1.1", parent_id=parent_id, change_log="newer", min_cpu=2)
    fill(world, ana, image_id, version_id)
    shown = detail(nobody, version_id)
    image = nobody.get(f"/images/{image_id}").json()
    parent = detail(nobody, parent_id)
    user = image["created_by"]
    assert user["username"] == "ana"
    assert shown == {
        "id": version_id,
        "uuid": shown["uuid"],
        "url": f"{BASE}/image_versions/{shown['uuid']}",
        "name": "1.1",
        "change_log": "newer",
        "image": {
            "id": image_id,
            "uuid": image["uuid"],
            "url": image["url"],
            "name": "Ubuntu",
            "description": "for teaching",
            "icon": None,
            "tags": image["tags"],
            "start_date": image["start_date"],
            "end_date": None,
            "user": user,
        },
        "parent": {"id": parent_id, "uuid": parent["uuid"], "url": parent["url"], "name": "1.0"},
        "machines": shown["machines"],
        "allow_imaging": True,
        "doc_object_id": None,
        "licenses": [],
        "membership": [],
        "scripts": [],
        "min_mem": None,
        "min_cpu": 2,
        "user": user,
        "identity": None,
        "start_date": shown["start_date"],
        "end_date": None,
    }
    (machine,) = shown["machines"]
    assert (machine["version"], machine["owner"], machine["size_gb"]) == ("1.1", "ana", 1)
    assert set(machine["provider"]) >= {"id", "uuid", "url", "name", "description", "public", "active"}
    assert parent["machines"] == []
    assert [version["id"] for version in image["versions"]] == [parent_id, version_id]
    for url in (shown["url"], shown["image"]["url"], parent["url"], machine["url"], machine["provider"]["url"]):
        assert nobody.get(url).status_code == 200, url


@on_one_backend
def test_n3_a_version_is_found_by_id_and_by_uuid(world: World, ana: Client, nobody: Client) -> None:
    version_id = add_version(world, ana, world.image(ana, "Ubuntu"))
    shown = detail(nobody, version_id)
    assert nobody.get(f"/image_versions/{shown['uuid'].upper()}").json() == shown
    assert nobody.get(f"/image_versions/{version_id}/").json() == shown


@on_one_backend
def test_c8_what_names_no_version_is_404(world: World, ana: Client, nobody: Client) -> None:
    add_version(world, ana, world.image(ana, "Ubuntu"))
    for key in WRONG_KEYS:
        for path in ("image_versions", "provider_machines", "providers"):
            answer = nobody.get(f"/{path}/{key}")
            assert (answer.status_code, answer.json()) == (404, NOT_FOUND), (path, key[:40])
        answer = ana.patch(f"/image_versions/{key}", json={"name": "x"})
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND), key[:40]


# -- Lists --------------------------------------------------------------------------------------------------------


def test_n1_versions_are_listed_oldest_first_and_filtered(
    world: World, clock: MovableClock, ana: Client, ben: Client, nobody: Client
) -> None:
    ubuntu, arch = world.image(ana, "Ubuntu"), world.image(ben, "Arch")
    for image_id, author, name in ((ubuntu, ana, "u1"), (arch, ben, "a1"), (ubuntu, ana, "u2")):
        clock.advance(SECOND)
        add_version(world, author, image_id, name)
    uuid = nobody.get(f"/images/{ubuntu}").json()["uuid"]
    assert nobody.names("/image_versions") == ["u1", "a1", "u2"]
    assert nobody.names("/image_versions", image_id=ubuntu) == ["u1", "u2"]
    assert nobody.names("/image_versions", image_id=uuid) == ["u1", "u2"]
    assert nobody.names("/image_versions", created_by="ben") == ["a1"]
    assert nobody.names("/image_versions", created_by="ben", image_id=ubuntu) == []
    assert nobody.names("/image_versions", created_by="Ben") == []
    assert nobody.names("/image_versions", image_id="", created_by="", unknown="%") == ["u1", "a1", "u2"]
    for wrong in ("abc", "-1", "0", "\0", "9" * 5000, 10**6):
        assert nobody.names("/image_versions", image_id=wrong) == []
    assert nobody.names("/image_versions", created_by="a\0b") == []
    assert nobody.names("/image_versions", page_size=2) == ["u1", "a1"]
    assert nobody.names("/image_versions", page_size=2, page="last") == ["u2"]
    assert nobody.get("/image_versions?page=2").status_code == 404


def test_v7_versions_of_hidden_images_are_nowhere(
    world: World, clock: MovableClock, ana: Client, ben: Client, nobody: Client, staff: Client
) -> None:
    private = add_version(world, ana, world.image(ana, "private", is_public=False), "private")
    ended_image = world.image(ana, "ended", end_at=clock.now + DAY)
    ended = add_version(world, ana, ended_image, "ended")
    clock.advance(DAY)
    for client in (nobody, ben):
        assert client.count("/image_versions") == 0
        assert client.count("/provider_machines") == 0
        assert client.count("/image_versions", image_id=ended_image, archived="true") == 0
        for version_id in (private, ended):
            for answer in (
                client.get(f"/image_versions/{version_id}"),
                client.get(f"/provider_machines/{version_id}"),
            ):
                assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert ben.patch(f"/image_versions/{private}", json={"name": "x"}).status_code == 404
    for client in (ana, staff):
        assert client.names("/image_versions") == ["private"]  # V5: the ended image is off the list for everyone
        assert sorted(client.names("/image_versions", archived="true")) == ["ended", "private"]
        assert client.names("/image_versions", image_id=ended_image) == ["ended"]
        assert detail(client, ended)["name"] == "ended"


def test_n1_an_ended_version_is_for_creator_and_staff(
    world: World, clock: MovableClock, ana: Client, ben: Client, nobody: Client, staff: Client
) -> None:
    image_id = world.image(ana, "Ubuntu")
    version_id = add_version(world, ana, image_id)
    later = ana.patch(f"/image_versions/{version_id}", json={"end_date": stamp(clock.now + DAY)})
    assert later.json()["end_date"] == stamp(clock.now + DAY).replace("+00:00", "Z")
    assert ben.count("/image_versions", image_id=image_id) == 1
    clock.advance(DAY)
    for client, count in ((nobody, 0), (ben, 0), (ana, 1), (staff, 1)):
        assert client.count("/image_versions", image_id=image_id) == count
        assert client.get(f"/image_versions/{version_id}").status_code == (200 if count else 404)
        assert len(client.get(f"/images/{image_id}").json()["versions"]) == count
    assert ana.patch(f"/image_versions/{version_id}", json={"end_date": None}).status_code == 200
    assert nobody.count("/image_versions", image_id=image_id) == 1


@on_one_backend
def test_a_page_takes_as_many_statements_for_one_version_as_for_many(world: World, ana: Client, nobody: Client) -> None:
    image_id = world.image(ana, "Ubuntu", tags=("Linux",))
    first = add_version(world, ana, image_id, "0")
    group = make_group(world, ana, "lab")
    ana.post("/image_version_memberships", json={"image_version": first, "group": group})
    add_version(world, ana, image_id, "child", parent_id=first)
    taken = []
    for count in (0, 1, 30):
        for number in range(count):
            name = f"{count}-{number}"
            made = add_version(world, ana, world.image(ana, name, tags=(name,)), name, parent_id=None)
            ana.post("/image_version_memberships", json={"image_version": made, "group": group})
        with counted_statements(world.archive.database.engine) as statements:
            ana.get("/image_versions")
        taken.append(len(statements))
    assert len(set(taken)) == 1, taken
    assert taken[0] <= 6


# -- Machines -----------------------------------------------------------------------------------------------------


def test_s3_machines_are_the_contents_of_visible_versions(
    world: World, ana: Client, ben: Client, nobody: Client
) -> None:
    image_id = world.image(ana, "Ubuntu")
    filled, empty = add_version(world, ana, image_id, "1.0"), add_version(world, ana, image_id, "1.1")
    fill(world, ana, image_id, filled)
    hidden_image = world.image(ben, "hidden", is_public=False)
    hidden = add_version(world, ben, hidden_image, "2.0")
    fill(world, ben, hidden_image, hidden)
    machine = only(nobody, "/provider_machines", version_id=filled)
    assert machine == only(nobody, "/provider_machines", image_id=image_id)
    assert machine == only(nobody, "/provider_machines")
    assert machine == nobody.get(machine["url"]).json()
    assert machine["uuid"] == detail(nobody, filled)["machines"][0]["uuid"]
    assert (machine["image"]["id"], machine["version"]["id"]) == (image_id, filled)
    assert (machine["licenses"], machine["members"]) == ([], [])
    for wanted in (empty, hidden, "abc", 10**6):
        assert nobody.count("/provider_machines", version_id=wanted) == 0
    assert nobody.get(f"/provider_machines/{empty}").status_code == 404
    assert ben.count("/provider_machines", version_id=hidden) == 1


# -- Changing -----------------------------------------------------------------------------------------------------


def test_n5_the_creator_changes_what_may_be_written_and_nothing_else(world: World, ana: Client) -> None:
    image_id = world.image(ana, "Ubuntu")
    version_id = add_version(world, ana, image_id)
    before = detail(ana, version_id)
    body = {
        "name": "  2.0 ",
        "change_log": "all new\n",
        "end_date": "2100-01-01T02:00:00+02:00",
        "allow_imaging": False,
        "doc_object_id": "10.5555/12345678",
        "min_cpu": 16,
        "min_mem": 32768,
        "image": image_id,
        "membership": [17],
        "user": {"id": 99},
        "start_date": "2001-01-01T00:00:00Z",
        "id": 77,
        "machines": "nonsense",
    }
    answer = ana.patch(f"/image_versions/{version_id}", json=body)
    expected = before | {
        "name": "2.0",
        "change_log": "all new\n",
        "end_date": "2100-01-01T00:00:00Z",
        "allow_imaging": False,
        "doc_object_id": "10.5555/12345678",
        "min_cpu": 16,
        "min_mem": 32768,
    }
    assert (answer.status_code, answer.json()) == (200, expected)
    assert detail(ana, version_id) == expected
    nulls = {"end_date": None, "doc_object_id": None, "min_cpu": None, "min_mem": None, "change_log": ""}
    assert ana.patch(f"/image_versions/{version_id}", json=nulls).json() == expected | nulls
    assert ana.patch(f"/image_versions/{version_id}", json={}).json() == expected | nulls
    assert ana.patch(f"/image_versions/{version_id}", json=expected).json() == expected  # a GET body sent back


WRONG_MEMBERS: list[tuple[str, list[Any]]] = [
    ("name", [None, "", "  ", "x" * 257, 5, True, [], {}, "a\0b"]),
    ("change_log", [5, True, [], {}, "a\0b"]),
    ("end_date", ["", "2015-03-30", "tomorrow", 5, True, [], {}, "2015-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00"]),
    ("allow_imaging", [None, "yes", 1, [], {}]),
    ("doc_object_id", [5, [], {}, "x" * 257, "a\0b"]),
    ("min_cpu", [-1, 17, 1.5, "4", True, [], {}, 10**30]),
    ("min_mem", [-1, 32769, 0.5, "512", True, [], {}, 10**18]),
    ("image", [None, 0, -1, 10**6, 10**30, True, "abc", [], {}, {"id": None}]),
]


@on_one_backend
@pytest.mark.parametrize(("member", "values"), WRONG_MEMBERS, ids=[member for member, _ in WRONG_MEMBERS])
def test_n5_a_wrong_member_is_400_and_changes_nothing(
    world: World, ana: Client, member: str, values: list[Any]
) -> None:
    version_id = add_version(world, ana, world.image(ana, "Ubuntu"))
    before = detail(ana, version_id)
    for value in values:
        answer = ana.patch(f"/image_versions/{version_id}", json={"change_log": "x", "name": "new", member: value})
        assert answer.status_code == 400, (value, answer.text)
        assert list(answer.json()) == [member], value
        assert all(isinstance(text, str) for text in answer.json()[member])
    assert detail(ana, version_id) == before


@on_one_backend
def test_x1_every_member_at_fault_is_named_at_once(world: World, ana: Client) -> None:
    version_id = add_version(world, ana, world.image(ana, "Ubuntu"))
    body = {"name": "", "min_cpu": 99, "min_mem": -5, "end_date": "never", "allow_imaging": "x", "change_log": "ok"}
    answer = ana.patch(f"/image_versions/{version_id}", json=body)
    assert (answer.status_code, set(answer.json())) == (400, set(body) - {"change_log"})


def test_n5_a_name_is_unique_within_its_image(world: World, ana: Client) -> None:
    image_id = world.image(ana, "Ubuntu")
    first, second = add_version(world, ana, image_id, "1.0"), add_version(world, ana, image_id, "1.1")
    elsewhere = add_version(world, ana, world.image(ana, "Arch"), "2.0")
    answer = ana.patch(f"/image_versions/{second}", json={"name": "1.0", "change_log": "lost"})
    assert (answer.status_code, list(answer.json())) == (400, ["name"])
    assert (detail(ana, second)["name"], detail(ana, second)["change_log"]) == ("1.1", "")
    assert ana.patch(f"/image_versions/{first}", json={"name": "1.0"}).status_code == 200
    assert ana.patch(f"/image_versions/{elsewhere}", json={"name": "1.0"}).status_code == 200


def test_n5_a_version_moves_to_another_image_of_the_same_creator(
    world: World, ana: Client, ben: Client, nobody: Client
) -> None:
    here, there = world.image(ana, "here"), world.image(ana, "there", is_public=False)
    bens = world.image(ben, "bens")
    first = add_version(world, ana, here, "1.0")
    moving = add_version(world, ana, here, "1.1", parent_id=first)
    fill(world, ana, here, moving)
    for target in (bens, 10**6):
        answer = ana.patch(f"/image_versions/{moving}", json={"image": target, "change_log": "lost"})
        assert (answer.status_code, list(answer.json())) == (400, ["image"])
    assert detail(ana, moving)["change_log"] == ""
    answer = ana.patch(f"/image_versions/{moving}", json={"image": {"id": there}})
    assert (answer.status_code, answer.json()["image"]["id"]) == (200, there)
    assert nobody.get(f"/image_versions/{moving}").status_code == 404
    assert nobody.names("/image_versions", image_id=here) == ["1.0"]
    # What is left behind in a private image is not named by what moves out of it.
    assert ana.patch(f"/image_versions/{first}", json={"image": there}).status_code == 200
    uuid = nobody.get(f"/images/{here}").json()["uuid"]
    assert ana.patch(f"/image_versions/{moving}", json={"image": uuid}).status_code == 200
    assert detail(nobody, moving)["parent"] is None
    assert detail(ana, moving)["parent"]["id"] == first
    taken = add_version(world, ana, here, "1.0")
    answer = ana.patch(f"/image_versions/{first}", json={"image": here})
    assert (answer.status_code, list(answer.json())) == (400, ["name"])
    assert [row["id"] for row in rows(ana, "/image_versions", image_id=here)] == [moving, taken]


def test_a_version_that_djinn_shows_does_not_leave_its_image(world: World, ana: Client) -> None:
    image = put(world.archive, world.actor(ana), "ci-image")
    other = world.image(ana, "other")
    assert image.version is not None
    answer = ana.patch(f"/image_versions/{image.version.id}", json={"image": other})
    assert (answer.status_code, list(answer.json())) == (400, ["image"])
    assert detail(ana, image.version.id)["image"]["id"] == image.id


def test_n5_others_are_refused(world: World, ana: Client, ben: Client, nobody: Client, staff: Client) -> None:
    version_id = add_version(world, ana, world.image(ana, "Ubuntu"))
    path = f"/image_versions/{version_id}"
    for body in ({"name": "mine"}, {"name": None}):
        for client in (ben, staff):
            answer = client.patch(path, json=body)
            assert (answer.status_code, answer.json()) == (403, NO_PERMISSION)
        answer = nobody.patch(path, json=body)
        assert (answer.status_code, answer.json()) == (403, NO_CREDENTIALS)
    reader = world.user("ana", scope="image:read")
    assert reader.patch(path, json={"name": "x"}).status_code == 403
    assert reader.get(path).status_code == 200
    assert detail(ana, version_id)["name"] == "1.0"
    assert statuses(*(ana.request(method, path) for method in ("POST", "PUT", "DELETE"))) == [405, 405, 405]
    assert statuses(ana.post("/image_versions"), ana.delete("/image_versions")) == [405, 405]


def test_n5_in_a_namespace_a_versions_own_author_edits_it_and_a_former_collaborator_does_not(
    world: World, ana: Client, ben: Client
) -> None:
    make_user(world.archive, "carl")
    image_id = world.image(ana, "Ubuntu", namespace="lab")
    invite = world.archive.membership.invite(world.actor(ana), "ana", "lab", "ben")
    world.archive.membership.accept(world.actor(ben), invite.id)
    bens, anas = add_version(world, ben, image_id, "1.0"), add_version(world, ana, image_id, "1.1")
    assert ben.patch(f"/image_versions/{bens}", json={"change_log": "mine"}).status_code == 200
    assert ben.patch(f"/image_versions/{anas}", json={"change_log": "mine"}).status_code == 403
    assert ana.patch(f"/image_versions/{bens}", json={"change_log": "ours"}).status_code == 200
    world.archive.membership.remove(world.actor(ana), "ana", "lab", "ben")
    assert ben.patch(f"/image_versions/{bens}", json={"change_log": "still"}).status_code == 404


@on_one_backend
def test_bodies_that_cannot_be_read_are_refused(world: World, ana: Client, nobody: Client) -> None:
    version_id = add_version(world, ana, world.image(ana, "Ubuntu"))
    check_refusals("PATCH", f"/image_versions/{version_id}", ana, nobody)


@on_one_backend
def test_n4_the_size_is_rounded_up_to_whole_gigabytes(world: World, ana: Client) -> None:
    image_id = world.image(ana, "Ubuntu")
    version_id = add_version(world, ana, image_id)
    fill(world, ana, image_id, version_id, QCOW2)
    assert detail(ana, version_id)["machines"][0]["size_gb"] == 1
