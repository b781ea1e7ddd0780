"""Djinn contract, section 3: the shape of images and namespaces; and the seed's own examples."""

import re
from typing import Any

from tests.contracts.djinn.conftest import BASE, QCOW2, Client, World, share

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
USER_KEYS = {"id", "email", "username", "created_at"}
IMAGE_KEYS = {
    *("id", "user_id", "namespace_id", "name", "created_at", "url", "user"),
    *("author_id", "author", "driver", "download"),
}
LINKS = {"builds", "namespaces", "images", "objects", "variables", "keys", "collaborators", "invites", "webhooks"}
NAMESPACE_KEYS = {
    *("id", "user_id", "root_id", "parent_id", "name", "path", "description", "visibility", "created_at", "url"),
    *("user", "parent", "build"),
    *(f"{word}_url" for word in LINKS),
}


def check_user(user: dict[str, Any], name: str, user_id: int) -> None:
    assert user.keys() == USER_KEYS
    assert (user["id"], user["username"]) == (user_id, name)
    assert TIME.fullmatch(user["created_at"])


def test_an_image_outside_namespaces(ana: Client) -> None:
    image = ana.upload("alpine")
    assert image.keys() == IMAGE_KEYS  # no `namespace`, as the seed shows it
    assert (image["name"], image["namespace_id"], image["driver"], image["download"]) == ("alpine", None, "qemu", None)
    assert (image["user_id"], image["author_id"]) == (1, 1)
    assert image["url"] == f"{BASE}/images/{image['id']}"
    assert TIME.fullmatch(image["created_at"])
    check_user(image["user"], "ana", 1)
    check_user(image["author"], "ana", 1)


def test_an_image_of_a_collaborator_belongs_to_the_namespaces_owner(ana: Client, ben: Client) -> None:
    ana.post("/namespaces", json={"name": "djinn"})
    share(ana, "/n/ana/djinn", ben, "ben")
    image = ben.upload("alpine", "djinn@ana")
    assert image.keys() == IMAGE_KEYS | {"namespace"}
    assert (image["user_id"], image["author_id"]) == (1, 2)
    check_user(image["user"], "ana", 1)
    check_user(image["author"], "ben", 2)


def test_a_root_namespace(ana: Client) -> None:
    namespace = ana.upload("go-dev", "djinn")["namespace"]
    check_namespace(namespace, "djinn")
    assert (namespace["root_id"], namespace["parent_id"], namespace["parent"]) == (namespace["id"], None, None)
    assert (namespace["description"], namespace["visibility"], namespace["build"]) == ("", "private", None)


def test_a_namespace_below_another_has_its_parents_filled_in(ana: Client) -> None:
    namespace = ana.upload("go-dev", "a/b/c")["namespace"]
    root = namespace["parent"]["parent"]
    for path in ("a/b/c", "a/b", "a"):
        check_namespace(namespace, path)
        assert namespace["root_id"] == root["id"]
        assert namespace["parent_id"] == (namespace["parent"]["id"] if namespace["parent"] else None)
        namespace = namespace["parent"]
    assert namespace is None


def check_namespace(namespace: dict[str, Any], path: str) -> None:
    assert namespace.keys() == NAMESPACE_KEYS
    assert (namespace["path"], namespace["name"], namespace["user_id"]) == (path, path.rpartition("/")[2], 1)
    assert namespace["url"] == f"{BASE}/n/ana/{path}"
    for word in LINKS:
        assert namespace[f"{word}_url"] == f"{BASE}/n/ana/{path}/-/{word}"
    assert TIME.fullmatch(namespace["created_at"])
    check_user(namespace["user"], "ana", 1)


def test_the_same_object_is_given_everywhere(ana: Client) -> None:
    made = ana.upload("alpine", "a/b")
    assert ana.get(f"/images/{made['id']}").json() == made
    assert ana.get("/images").json() == [made]
    assert ana.get("/n/ana/a/b/-/images").json() == [made]
    child = ana.get("/n/ana/a/b").json()
    assert child == made["namespace"]
    assert ana.get("/n/ana/a/-/namespaces").json() == [child]
    assert ana.get("/namespaces").json() == [child["parent"], child]


def test_every_advertised_url_answers(ana: Client) -> None:
    namespace = ana.upload("alpine", "a/b")["namespace"]
    for word in LINKS:
        answer = ana.get(namespace[f"{word}_url"])
        assert answer.status_code == 200, word
        assert isinstance(answer.json(), list)


def test_the_seeds_walk_through_the_api(world: World) -> None:
    """List, create, get and delete, with the seed's own headers and parameters."""
    me = world.user("me1", scope="image:read,write,delete")
    json = {"Content-Type": "application/json"}
    first = me.upload("go-dev")
    second = me.upload("go-dev", "djinn")
    listed = me.get("/images", headers=json).json()
    assert [(one["id"], one["name"], one["namespace_id"]) for one in listed] == [
        (first["id"], "go-dev", None),
        (second["id"], "go-dev", second["namespace"]["id"]),
    ]
    assert me.get("/images?search=go-dev", headers=json).json() == listed
    curl = {"Content-Type": "application/x-www-form-urlencoded"}
    made = me.post("/images?name=alpine", content=QCOW2 + b"disk", headers=curl)
    assert (made.status_code, made.json()["name"]) == (201, "alpine")
    inside = me.post("/images?name=alpine&namespace=djinn", content=QCOW2 + b"disk", headers=curl)
    assert inside.json()["namespace"]["path"] == "djinn"
    again = me.post("/images?name=alpine", content=QCOW2, headers=curl)
    assert (again.status_code, again.content) == (400, b'{"name":["Name already exists"]}')
    path = f"/images/{made.json()['id']}"
    assert me.get(path, headers=json).json() == made.json()
    content = me.get(path, headers={**json, "Accept": "application/octet-stream"})
    assert (content.status_code, content.content) == (200, QCOW2 + b"disk")
    gone = me.delete(path, headers=json)
    assert (gone.status_code, gone.content) == (204, b"")
    assert me.get(path, headers=json).status_code == 404
