"""Atmosphere contract B2, E14 and V8: patterns, and what they open to whom they match."""

from contextlib import closing
from typing import Any

import pytest

from pinakes.core.archive import Archive
from pinakes.core.catalogue import patterns
from pinakes.core.catalogue.patterns import Subject
from pinakes.core.errors import ImageUnknown, InvalidFields
from tests.contracts.atmosphere.conftest import BASE, NO_CREDENTIALS, NOT_FOUND, Client, World
from tests.contracts.atmosphere.making import (
    QCOW2,
    WRONG_KEYS,
    add_version,
    check_refusals,
    fill,
    only,
    rows,
    statuses,
)
from tests.core.namespaces.making import share
from tests.statements import counted_statements

on_one_backend = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)


def make(client: Client, pattern: str, kind: str = "Username", **members: Any) -> int:
    """The id of a new pattern."""
    answer = client.post("/pattern_matches", json={"pattern": pattern, "type": kind, **members})
    assert answer.status_code == 201, answer.text
    made: int = answer.json()["id"]
    return made


def attach(client: Client, image_id: int, *pattern_ids: int) -> None:
    answer = client.patch(f"/images/{image_id}", json={"access_list": list(pattern_ids)})
    assert answer.status_code == 200, answer.text


def reads(client: Client, image_id: int) -> bool:
    status = client.get(f"/images/{image_id}").status_code
    assert status in (200, 404)
    return status == 200


def shown(world: World, client: Client, image_id: int, version_id: int) -> set[bool]:
    """Whether the image `secret` is there: one answer from every place where it might be."""
    collections = [
        client.count("/images"),
        len(client.names("/images")),
        client.count("/images", search="secret"),
        client.count("/images", search="hidden words"),
        client.count("/images", tags__name="Rare"),
        client.count("/images", created_by="ana"),
        client.count("/image_versions"),
        client.count("/image_versions", image_id=image_id),
        client.count("/image_versions", created_by="ana"),
        client.count("/provider_machines", version_id=version_id),
    ]
    paths = (f"/images/{image_id}", f"/image_versions/{version_id}", f"/provider_machines/{version_id}")
    found = {count == 1 for count in collections} | {client.get(path).status_code == 200 for path in paths}
    if client.token:
        found |= {client.count("/image_tags", image_id=image_id) == 1, content_of(world, client, image_id, version_id)}
    return found


def content_of(world: World, client: Client, image_id: int, version_id: int) -> bool:
    """Whether the native operation gives the bytes."""
    registration, actor = world.archive.registration, world.actor(client)
    try:
        version = registration.content(actor, image_id, version_id)
    except ImageUnknown:
        return False
    with closing(registration.open(actor, image_id, version)) as reader:
        return reader.read_at(0, len(QCOW2)) == QCOW2


def test_v8_whom_a_pattern_matches_sees_the_image_at_once_everywhere_and_no_longer_without_it(
    world: World, ana: Client, ben: Client, nobody: Client
) -> None:
    carl = world.user("carl")
    image_id = world.image(ana, "secret", is_public=False, description="hidden words", tags=("Rare",))
    version_id = add_version(world, ana, image_id)
    fill(world, ana, image_id, version_id)

    def check(is_open: bool) -> None:
        assert shown(world, ben, image_id, version_id) == {is_open}

    check(False)
    pattern_id = make(ana, "BE*")
    check(False)
    attach(ana, image_id, pattern_id)
    check(True)
    for other in (carl, nobody):
        assert shown(world, other, image_id, version_id) == {False}
    attach(ana, image_id)
    check(False)
    attach(ana, image_id, pattern_id)
    assert ana.patch(f"/pattern_matches/{pattern_id}", json={"pattern": "dora"}).status_code == 200
    check(False)
    again = {"pattern": "ben@EXAMPLE.org", "type": "Email"}
    assert ana.put(f"/pattern_matches/{pattern_id}", json=again).status_code == 200
    check(True)
    assert ana.delete(f"/pattern_matches/{pattern_id}").status_code == 204
    check(False)
    assert ana.get(f"/images/{image_id}").json()["access_list"] == []


@on_one_backend
def test_v8_a_pattern_lets_read_and_nothing_more(world: World, ana: Client, ben: Client, nobody: Client) -> None:
    image_id = world.image(ana, "secret", is_public=False)
    version_id = add_version(world, ana, image_id)
    attach(ana, image_id, make(ana, "*"))
    assert reads(ben, image_id)
    assert not reads(nobody, image_id)  # nobody has no name that could match
    refused = (
        ben.patch(f"/images/{image_id}", json={"access_list": []}),
        ben.patch(f"/image_versions/{version_id}", json={"name": "x"}),
    )
    assert statuses(*refused) == [403, 403]
    ended = ana.patch(f"/images/{image_id}", json={"end_date": "2001-01-01T00:00:00Z"})
    assert ended.status_code == 200
    assert not reads(ben, image_id)


MATCHES = [
    ("Username", "ben", True),
    ("Username", "Ben", True),
    ("Username", "be", False),
    ("Username", "en", False),
    ("Username", "*e*", True),
    ("Username", "b*n*", True),
    ("Username", "*", True),
    ("Username", "b_n", False),
    ("Username", "b%", False),
    ("Username", "b?n", False),
    ("Username", "[b]en", False),
    ("Username", "ben\\", False),
    ("Username", "ben@example.org", False),
    ("Email", "ben", False),
    ("Email", "*@example.org", True),
    ("Email", "*@EXAMPLE.*", True),
    ("Email", "*@example.or", False),
    ("Email", "*example*org*", True),
]


def test_b2_an_asterisk_is_any_text_and_all_else_stands_for_itself_in_any_case(
    world: World, ana: Client, ben: Client
) -> None:
    image_id = world.image(ana, "secret", is_public=False)
    pattern_id = make(ana, "nobody-yet")
    attach(ana, image_id, pattern_id)
    for kind, text, is_match in MATCHES:
        assert ana.patch(f"/pattern_matches/{pattern_id}", json={"pattern": text, "type": kind}).status_code == 200
        assert reads(ben, image_id) is is_match, (kind, text)


def test_b2_denying_takes_back_what_patterns_give_and_nothing_else(
    world: World, ana: Client, ben: Client, staff: Client
) -> None:
    carl = world.user("carl")
    image_id = world.image(ana, "secret", is_public=False)
    everyone, not_ben = make(ana, "*"), make(ana, "ben*", "Email", allow_access=False)
    attach(ana, image_id, not_ben)
    assert [reads(client, image_id) for client in (ben, carl)] == [False, False]
    attach(ana, image_id, everyone, not_ben)
    assert [reads(client, image_id) for client in (ben, carl)] == [False, True]
    assert (ben.count(), carl.count()) == (0, 1)
    assert ana.patch(f"/pattern_matches/{not_ben}", json={"pattern": "*"}).status_code == 200
    assert [reads(client, image_id) for client in (ben, carl, ana, staff)] == [False, False, True, True]
    assert ana.patch(f"/images/{image_id}", json={"is_public": True}).status_code == 200
    assert [reads(client, image_id) for client in (ben, carl)] == [True, True]


@on_one_backend
def test_b2_patterns_are_the_callers_own(world: World, ana: Client, ben: Client, staff: Client, nobody: Client) -> None:
    pattern_id = make(ana, " te*am*** ", "Email")
    row = only(ana, "/pattern_matches")
    user = ana.get("/users", params={"search": "ana"}).json()["results"][0]
    assert row == {
        "id": pattern_id,
        "uuid": row["uuid"],
        "url": f"{BASE}/pattern_matches/{row['uuid']}",
        "pattern": "te*am*",
        "type": "Email",
        "created_by": {name: user[name] for name in ("id", "uuid", "url", "username")},
        "allow_access": True,
    }
    path = f"/pattern_matches/{pattern_id}"
    for wanted in (path, f"/pattern_matches/{row['uuid'].upper()}", row["url"], f"{path}/"):
        assert ana.get(wanted).json() == row
    for other in (ben, staff):
        assert other.count("/pattern_matches") == 0
        body = {"pattern": "*", "type": "Email"}
        for answer in (other.get(path), other.patch(path, json=body), other.put(path, json=body), other.delete(path)):
            assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    for answer in (nobody.get("/pattern_matches"), nobody.get(path), nobody.delete(path)):
        assert (answer.status_code, answer.json()) == (403, NO_CREDENTIALS)
    assert only(ana, "/pattern_matches") == row


@on_one_backend
def test_b2_a_pattern_is_changed_in_part_or_replaced(world: World, ana: Client) -> None:
    path = f"/pattern_matches/{make(ana, 'ben', allow_access=False)}"
    before = ana.get(path).json()
    assert ana.patch(path, json={}).json() == before
    assert ana.patch(path, json={"allow_access": True}).json() == before | {"allow_access": True}
    assert ana.put(path, json=before | {"pattern": "carl"}).json() == before | {"pattern": "carl"}
    answer = ana.put(path, json={"allow_access": True})
    assert (answer.status_code, set(answer.json())) == (400, {"pattern", "type"})
    answer = ana.patch(path, json={"pattern": "dora", "type": "Group"})
    assert (answer.status_code, set(answer.json())) == (400, {"type"})
    assert ana.get(path).json()["pattern"] == "carl"
    assert ana.delete(path).status_code == 204
    assert statuses(ana.get(path), ana.delete(path)) == [404, 404]


WRONG_MEMBERS: list[tuple[str, list[Any]]] = [
    ("pattern", [None, "", "  ", 5, True, [], {}, "x" * 257, "a\0b", "*a*b*c*d*e*f*g*h*i"]),
    ("type", [None, "", "username", "EMAIL", "Group", 5, True, [], {}]),
    ("allow_access", [None, "", "yes", 2, [], {}]),
]


@on_one_backend
def test_b2_wrong_members_are_named_and_nothing_is_made(world: World, ana: Client, nobody: Client) -> None:
    valid = {"pattern": "ben", "type": "Username", "allow_access": True}
    for member, values in WRONG_MEMBERS:
        for value in values:
            answer = ana.post("/pattern_matches", json=valid | {member: value})
            assert (answer.status_code, list(answer.json())) == (400, [member]), value
    answer = ana.post("/pattern_matches", json={"allow_access": "x"})
    assert (answer.status_code, set(answer.json())) == (400, {"pattern", "type", "allow_access"})
    check_refusals("POST", "/pattern_matches", ana, nobody)
    assert ana.count("/pattern_matches") == 0
    pattern_id = make(ana, "*" * 200 + "ß" * 56)  # as long as it may be, and longer folded
    assert ana.get(f"/pattern_matches/{pattern_id}").json()["pattern"] == "*" + "ß" * 56
    check_refusals("PATCH", f"/pattern_matches/{pattern_id}", ana, nobody)
    for key in WRONG_KEYS:
        for answer in (ana.get(f"/pattern_matches/{key}"), ana.delete(f"/pattern_matches/{key}")):
            assert (answer.status_code, answer.json()) == (404, NOT_FOUND), key[:40]


def test_e14_only_own_patterns_are_attached(world: World, ana: Client, ben: Client) -> None:
    image_id = world.image(ana, "secret", is_public=False)
    own, foreign = make(ana, "carl"), make(ben, "ben")
    attach(ana, image_id, own)
    wrong: list[Any] = [foreign, 10**6, 10**30, 0, -1, True, None, "x", 1.5, [], {"id": foreign}, {"id": None}]
    for item in wrong:
        answer = ana.patch(f"/images/{image_id}", json={"access_list": [own, item], "name": "lost"})
        assert (answer.status_code, list(answer.json())) == (400, ["access_list"]), item
    image = ana.get(f"/images/{image_id}").json()
    assert (image["name"], [pattern["id"] for pattern in image["access_list"]]) == ("secret", [own])
    assert not reads(ben, image_id)


@on_one_backend
def test_who_is_told_of_patterns(world: World, ana: Client, ben: Client, staff: Client) -> None:
    """Contract D12: those who read an image because of a pattern are not told who else does."""
    image_id = world.image(ana, "secret", is_public=False)
    attach(ana, image_id, make(ana, "ben"), make(ana, "carl"))
    seen = [client.get(f"/images/{image_id}").json()["access_list"] for client in (ana, staff, ben)]
    assert [len(patterns) for patterns in seen] == [2, 2, 0]
    assert [len(rows(client, "/images")[0]["access_list"]) for client in (ana, staff, ben)] == [2, 2, 0]


def test_an_author_who_left_the_namespace_cannot_open_it_by_patterns(world: World, ana: Client, ben: Client) -> None:
    """Nobody else could take the pattern away, and its owner could make it match anyone."""
    archive = world.archive
    carl = world.user("carl")
    world.image(ana, "first", namespace="lab")
    share(archive, world.actor(ana), "lab", world.actor(ben))
    image_id = world.image(ben, "second", namespace="lab@ana")
    pattern_id = make(ben, "carl")
    attach(ben, image_id, pattern_id)
    assert [reads(client, image_id) for client in (ana, ben, carl)] == [True, True, True]
    archive.membership.remove(world.actor(ana), "ana", "lab", "ben")
    assert ben.patch(f"/pattern_matches/{pattern_id}", json={"pattern": "*"}).status_code == 200
    assert [reads(client, image_id) for client in (ana, ben, carl)] == [True, False, False]
    assert (ben.count(), carl.count()) == (0, 0)


@on_one_backend
def test_there_are_only_so_many_patterns(
    world: World, archive: Archive, ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "MOST_PATTERNS", 3)
    monkeypatch.setattr(patterns, "MOST_ATTACHED", 2)
    made = [make(ana, f"user{number}") for number in range(3)]
    answer = ana.post("/pattern_matches", json={"pattern": "one more", "type": "Email"})
    assert (answer.status_code, list(answer.json())) == (400, ["pattern"])
    image_id = world.image(ana, "secret")
    answer = ana.patch(f"/images/{image_id}", json={"access_list": made})
    assert (answer.status_code, list(answer.json())) == (400, ["access_list"])
    attach(ana, image_id, *made[:2])
    with pytest.raises(InvalidFields):
        archive.patterns.create(world.actor(ana), Subject.NAME, "x")


@on_one_backend
def test_a_list_of_patterns_takes_the_same_statements_however_long(world: World, ana: Client) -> None:
    taken = []
    for count in (0, 1, 20):
        for number in range(count):
            make(ana, f"{count}-{number}")
        with counted_statements(world.archive.database.engine) as statements:
            ana.get("/pattern_matches")
        taken.append(len(statements))
    assert len(set(taken)) == 1, taken
    assert taken[0] <= 4


@on_one_backend
def test_a_token_that_only_reads_makes_no_patterns(world: World, ana: Client) -> None:
    path = f"/pattern_matches/{make(ana, 'ben')}"
    reader = world.user("ana", scope="image:read")
    assert reader.get(path).status_code == 200
    body = {"pattern": "x", "type": "Email"}
    refused = reader.post("/pattern_matches", json=body), reader.put(path, json=body), reader.delete(path)
    assert statuses(*refused) == [403, 403, 403]
