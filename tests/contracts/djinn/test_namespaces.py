"""Djinn contract, section 6: namespaces, collaborators and invites over the wire."""

from typing import Any

import pytest

from pinakes.core.actor import Kind
from tests.contracts.djinn.conftest import BASE, MAX_JSON_BYTES, QCOW2, Client, World, share
from tests.contracts.djinn.test_create import errors

JSON = {"Content-Type": "application/json"}
UNMODELLED = ("builds", "objects", "variables", "keys", "webhooks")
CHARACTERS = "Name can only have letters, and numbers"
LENGTH = "Name must be between 3 and 32 characters in length"


def make(client: Client, name: str, **more: str) -> dict[str, Any]:
    answer = client.post("/namespaces", json={"name": name, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def paths(client: Client, path: str = "/namespaces") -> list[str]:
    return [one["path"] for one in client.get(path).json()]


# -- Making and changing ------------------------------------------------------------------------------------------


def test_a_namespace_is_made_as_asked_and_found_again(ana: Client) -> None:
    made = make(ana, "djinn", description="the CI's", visibility="internal", parent="")
    assert (made["path"], made["description"], made["visibility"]) == ("djinn", "the CI's", "internal")
    assert ana.get("/n/ana/djinn").json() == made
    assert ana.get("/n/ANA/djinn").json() == made
    assert make(ana, "abc")["visibility"] == "private"
    child = make(ana, "sub", parent="djinn", visibility="public")
    assert (child["path"], child["visibility"], child["parent"]) == ("djinn/sub", "internal", made)
    assert child["url"] == f"{BASE}/n/ana/djinn/sub"


WRONG_MEMBERS: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
    ({}, {"name": ["Name field required"]}),
    ({"name": "ab"}, {"name": [LENGTH]}),
    ({"name": "a" * 33}, {"name": [LENGTH]}),
    ({"name": "a-c"}, {"name": [CHARACTERS]}),
    ({"name": "a\n"}, {"name": [CHARACTERS, LENGTH]}),
    ({"name": "taken"}, {"name": ["Name already exists"]}),
    ({"name": "abc", "description": "x" * 256}, {"description": ["Description must have at most 255 characters"]}),
    ({"name": "abc", "description": "\0"}, {"description": ["Description must not contain NUL characters"]}),
    ({"name": "abc", "visibility": "x"}, {"visibility": ["Visibility must be private, internal or public"]}),
    ({"name": "abc", "parent": "none"}, {"parent": ["Parent is not a namespace of yours"]}),
    ({"name": "abc", "parent": "bens@ben"}, {"parent": ["Parent is not a namespace of yours"]}),
    ({"name": "abc", "parent": "/".join(["l"] * 20)}, {"parent": ["Parent can have at most 20 levels"]}),
    ({"name": 5, "parent": []}, {"name": ["Name must be a string"], "parent": ["Parent must be a string"]}),
]


def test_each_wrong_member_is_told(ana: Client, ben: Client) -> None:
    make(ana, "taken")
    make(ben, "bens", visibility="public")
    ana.upload("deep", "/".join(["l"] * 20))
    for body, expected in WRONG_MEMBERS:
        assert errors(ana.post("/namespaces", json=body)) == expected


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/namespaces"), ("PATCH", "/n/ana/abc"), ("POST", "/n/ana/abc/-/invites")]
)
def test_a_broken_body_is_told_in_the_same_shape(ana: Client, method: str, path: str) -> None:
    make(ana, "abc")
    for body in (b"{", b"[]", b"\xff", b'{"name": "\\ud800"}', b"[" * 5000, b"name=abc"):
        assert set(errors(ana.request(method, path, content=body, headers=JSON))) == {"body"}
    answer = ana.request(method, path, content=b" " * (MAX_JSON_BYTES + 1), headers=JSON)
    assert (answer.status_code, set(answer.json())) == (413, {"body"})


def test_patching_changes_what_is_given_and_nothing_else(ana: Client) -> None:
    made = make(ana, "abc", description="old", visibility="internal")
    ana.upload("alpine", "abc/sub")
    for body in ({}, {"parent": "", "name": "", "description": "", "visibility": ""}, {"name": None}):
        assert ana.patch("/n/ana/abc", json=body).json() == made
    assert ana.patch("/n/ana/abc", content=b"").json() == made
    changed = ana.patch("/n/ana/abc", json={"description": "new", "visibility": "public"}).json()
    assert changed == {**made, "description": "new", "visibility": "public"}
    assert ana.get("/n/ana/abc/sub").json()["visibility"] == "public"
    assert ana.get("/images").json()[0]["namespace"]["visibility"] == "public"


def test_patching_a_name_moves_what_is_below(ana: Client) -> None:
    image = ana.upload("alpine", "abc/sub")
    make(ana, "other")
    assert ana.patch("/n/ana/abc", json={"name": "new"}).json()["path"] == "new"
    assert paths(ana) == ["new", "new/sub", "other"]
    assert ana.get("/n/ana/abc").status_code == 404
    assert ana.get(f"/images/{image['id']}").json()["namespace"]["path"] == "new/sub"
    assert errors(ana.patch("/n/ana/new", json={"name": "other"})) == {"name": ["Name already exists"]}
    assert errors(ana.patch("/n/ana/new", json={"name": "x"})) == {"name": [LENGTH]}
    assert errors(ana.patch("/n/ana/new", json={"parent": "other"})) == {"parent": ["Parent cannot be changed"]}
    assert set(errors(ana.patch("/n/ana/new", json={"visibility": "x"}))) == {"visibility"}


def test_deleting_takes_what_is_below_and_leaves_the_images(ana: Client) -> None:
    outside = ana.upload("alpine")
    inside = ana.upload("alpine", "abc/sub")
    low = ana.upload("debian", "abc/sub/low")
    answer = ana.delete("/n/ana/abc")
    assert (answer.status_code, answer.content) == (204, b"")
    assert paths(ana) == []
    listed = ana.get("/images").json()
    assert [(one["id"], one["name"], one["namespace_id"]) for one in listed] == [
        (outside["id"], "alpine", None),
        (inside["id"], "alpine", None),
        (low["id"], "debian", None),
    ]
    assert ana.get(f"/images/{inside['id']}", headers={"Accept": "application/octet-stream"}).content == QCOW2
    assert ana.delete("/n/ana/abc").status_code == 404


def test_only_the_owner_changes_and_deletes(world: World, ana: Client, ben: Client, nobody: Client) -> None:
    make(ana, "abc", visibility="public")
    share(ana, "/n/ana/abc", ben, "ben")
    for client in (ben, world.user("eve"), world.user("boss", is_staff=True), nobody):
        for method in ("PATCH", "DELETE"):
            answer = client.request(method, "/n/ana/abc", json={"description": "mine"})
            assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})
    assert ana.get("/n/ana/abc").json()["description"] == ""


# -- Looking ------------------------------------------------------------------------------------------------------


def test_the_list_is_of_own_and_shared_ones(world: World, ana: Client, ben: Client) -> None:
    make(ana, "shared")
    make(ana, "sub", parent="shared")
    make(ana, "hidden")
    make(world.user("eve"), "open", visibility="public")
    make(ben, "own")
    share(ana, "/n/ana/shared", ben, "ben")
    assert paths(ben) == ["own", "shared", "shared/sub"]
    assert paths(ben, "/namespaces?search=D/S") == ["shared/sub"]
    assert paths(ana) == ["hidden", "shared", "shared/sub"]


@pytest.mark.parametrize("visibility", ["private", "internal", "public"])
def test_visibility_decides_who_looks(world: World, ana: Client, ben: Client, nobody: Client, visibility: str) -> None:
    make(ana, "abc", visibility=visibility)
    make(ana, "sub", parent="abc")
    share(ana, "/n/ana/abc", ben, "ben")
    eve = world.user("eve")
    for place in ("/n/ana/abc", "/n/ana/abc/sub"):
        for part in ("", "/-/namespaces", "/-/images", *(f"/-/{word}" for word in UNMODELLED)):
            statuses = [client.get(place + part).status_code for client in (ana, ben, eve, nobody)]
            internal, public = visibility != "private", visibility == "public"
            assert statuses == [200, 200, 200 if internal else 404, 200 if public else 404]
    for word in UNMODELLED:
        assert ana.get(f"/n/ana/abc/-/{word}").content == b"[]"


def test_children_and_images_are_those_directly_there(ana: Client) -> None:
    for name, namespace in (("b", "abc"), ("a", "abc"), ("c", "abc/two"), ("d", "abc/one/low")):
        ana.upload(name, namespace)
    assert paths(ana, "/n/ana/abc/-/namespaces") == ["abc/one", "abc/two"]
    assert [image["name"] for image in ana.get("/n/ana/abc/-/images").json()] == ["a", "b"]
    assert [image["name"] for image in ana.get("/n/ana/abc/-/images?search=B").json()] == ["b"]


# -- Collaborators and invites ------------------------------------------------------------------------------------


def test_an_invite_goes_its_way(ana: Client, ben: Client) -> None:
    root = make(ana, "abc")
    make(ana, "sub", parent="abc")
    sent = ana.post("/n/ana/abc/sub/-/invites", json={"handle": "ben@example.org"})
    assert sent.status_code == 201
    invite = sent.json()
    me, them = ana.get("/user").json(), ben.get("/user").json()
    assert invite == {
        "id": invite["id"],
        "namespace_id": root["id"],
        "invitee_id": them["id"],
        "inviter_id": me["id"],
        "url": f"{BASE}/invites/{invite['id']}",
        "invitee": them,
        "inviter": me,
        "namespace": root,
    }
    assert ana.get("/n/ana/abc/-/invites").json() == ana.get("/n/ana/abc/sub/-/invites").json() == [invite]
    (got,) = ben.get("/invites").json()
    hidden = {**me, "email": ""}  # who is invited is not yet one of the people (2.7)
    assert got == {**invite, "inviter": hidden, "namespace": {**root, "user": hidden}}
    assert ana.get("/invites").json() == []
    accepted = ben.patch(invite["url"])
    assert (accepted.status_code, accepted.json()) == (200, {"namespace": root, "inviter": me, "invitee": them})
    assert ben.get("/invites").json() == ana.get("/n/ana/abc/-/invites").json() == []
    assert ben.patch(invite["url"]).status_code == 404
    assert ana.get("/n/ana/abc/sub/-/collaborators").json() == [
        {**them, "url": f"{BASE}/n/ana/abc/sub/-/collaborators/ben"}
    ]


def test_a_collaborator_is_removed_by_the_owner(ana: Client, ben: Client) -> None:
    make(ana, "abc")
    share(ana, "/n/ana/abc", ben, "ben")
    (found,) = ana.get("/n/ana/abc/-/collaborators").json()
    assert ben.get("/n/ana/abc/-/collaborators").status_code == ben.delete(found["url"]).status_code == 404
    answer = ana.delete(found["url"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert ben.get("/n/ana/abc").status_code == 404
    for name in ("ben", "nobody", "%00", "%FF", "x" * 5000):
        assert ana.delete(f"/n/ana/abc/-/collaborators/{name}").status_code == 404
    assert ana.get("/n/ana/abc/-/collaborators").content == b"[]"


NOT_INVITED: list[tuple[dict[str, Any], str]] = [
    ({}, "Handle field required"),
    ({"handle": ""}, "Handle field required"),
    ({"handle": ["ben"]}, "Handle must be a string"),
    ({"handle": "nobody"}, "No such user"),
    ({"handle": "nul\0"}, "No such user"),
    ({"handle": "doctor"}, "No such user"),
    ({"handle": "ANA"}, "Cannot invite self"),
    ({"handle": "invited"}, "Invite already sent"),
    ({"handle": "ben"}, "Already a collaborator"),
]


def test_who_cannot_be_invited(world: World, ana: Client, ben: Client) -> None:
    world.user("doctor", Kind.CLINICAL)
    world.user("invited")
    for name in ("abc", "other"):
        make(ana, name)
    share(ana, "/n/ana/abc", ben, "ben")
    ana.post("/n/ana/abc/-/invites", json={"handle": "invited"})
    for body, text in NOT_INVITED:
        assert errors(ana.post("/n/ana/abc/-/invites", json=body)) == {"handle": [text]}


def test_roots_are_judged_one_by_one(ana: Client, ben: Client) -> None:
    for name in ("abc", "other"):
        make(ana, name)
        share(ana, f"/n/ana/{name}", ben, "ben")


def test_an_invite_is_nobody_elses(world: World, ana: Client, ben: Client, nobody: Client) -> None:
    make(ana, "abc", visibility="public")
    url = ana.post("/n/ana/abc/-/invites", json={"handle": "ben"}).json()["url"]
    eve = world.user("eve")
    assert {client.patch(url).status_code for client in (ana, eve, nobody)} == {404}
    assert {client.delete(url).status_code for client in (eve, nobody)} == {404}
    for client in (ben, eve, nobody):
        assert client.get("/n/ana/abc/-/invites").status_code == 404
        assert client.post("/n/ana/abc/-/invites", json={"handle": "eve"}).status_code == 404
    assert ana.delete(url).status_code == 204
    again = ana.post("/n/ana/abc/-/invites", json={"handle": "ben"}).json()["url"]
    assert ben.delete(again).status_code == 204
    assert ben.delete(again).status_code == ben.patch(again).status_code == 404


def test_levels_are_made_once_under_concurrent_uploads(ana: Client) -> None:
    requests = [("POST", f"/images?name=image{number}&namespace=a/b/c", {"content": QCOW2}) for number in range(16)]
    answers = ana.at_once(requests)
    assert {answer.status_code for answer in answers} == {201}
    assert paths(ana) == ["a", "a/b", "a/b/c"]
