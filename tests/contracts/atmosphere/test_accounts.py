"""Atmosphere contract A1, A2, A4 and A5: the caller's tokens, the users one may share with, and the profile."""

import hashlib
from typing import Any

import pytest
from sqlalchemy import select

from pinakes.core.access import own_tokens
from pinakes.core.actor import Kind
from pinakes.core.clock import DAY
from pinakes.core.db import schema
from tests.conftest import MovableClock
from tests.contracts.atmosphere.conftest import BASE, NO_CREDENTIALS, NOT_FOUND, ORIGIN, Client, World, stamp
from tests.contracts.atmosphere.making import WRONG_KEYS, check_refusals, only, rows, statuses
from tests.core.namespaces.making import SYSTEM
from tests.statements import counted_statements

on_one_backend = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)


def make_token(client: Client, name: str = "laptop") -> dict[str, Any]:
    answer = client.post("/access_tokens", json={"name": name})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


# -- Tokens -------------------------------------------------------------------------------------------------------


def test_a2_the_key_of_an_access_token_is_shown_once_and_only_its_hash_is_kept(world: World, ana: Client) -> None:
    made = make_token(ana, "  laptop ")
    key = made["token"]
    assert (set(made), made["name"]) == ({"token", "id", "name", "issued_time"}, "laptop")
    assert world.stranger(key).get("/profile").json()["username"] == "ana"
    shown = {name: value for name, value in made.items() if name != "token"}
    path = f"/access_tokens/{made['id']}"
    assert only(ana, "/access_tokens") == ana.get(path).json() == shown
    assert ana.patch(path, json={"name": "desk"}).json() == shown | {"name": "desk"}
    for client in (ana, world.stranger(key)):
        for place in ("/access_tokens", path, "/tokens", f"/tokens/{made['id']}", "/profile"):
            assert key not in client.get(place).text
    with world.archive.database.read() as connection:
        row = connection.execute(select(schema.tokens).where(schema.tokens.c.id == made["id"])).mappings().one()
        events = [str(event) for event in connection.execute(select(schema.events)).all()]
    assert row["digest"] == hashlib.sha256(key.encode()).hexdigest()
    assert key not in str(dict(row))
    assert key not in "".join(events)


@on_one_backend
def test_a2_a_deleted_access_token_stops_working_at_once(world: World, ana: Client) -> None:
    made = make_token(ana)
    path = f"/access_tokens/{made['id']}"
    holder = world.stranger(made["token"])
    assert holder.get("/profile").status_code == 200
    answer = ana.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert holder.get("/profile").json() == NO_CREDENTIALS
    assert statuses(ana.get(path), ana.delete(path), ana.patch(path, json={"name": "x"})) == [404, 404, 404]
    assert ana.count("/access_tokens") == 0


def test_a2_an_access_token_is_never_worth_more_than_the_one_it_was_made_with(
    world: World, clock: MovableClock, ana: Client
) -> None:
    image_id = world.image(ana, "Ubuntu")
    narrow = world.user("ana", scope="image:read,write", expires_at=clock.now + DAY)
    made = world.stranger(make_token(narrow)["token"])
    for client in (narrow, made):
        assert client.post("/image_bookmarks", json={"image": image_id}).status_code in (201, 400)
        (bookmark,) = rows(client, "/image_bookmarks")
        assert client.delete(f"/image_bookmarks/{bookmark['id']}").status_code == 403
    assert world.user("ana", scope="image:read").post("/access_tokens", json={"name": "x"}).status_code == 403
    grandchild = world.stranger(make_token(made, "of the other")["token"])
    clock.advance(DAY)
    for client in (narrow, made, grandchild):
        assert client.get("/profile").status_code == 403
    assert ana.count("/access_tokens") == 0  # what has lapsed is listed no more


@on_one_backend
def test_a2_tokens_are_the_callers_own(world: World, ana: Client, ben: Client, staff: Client, nobody: Client) -> None:
    made = make_token(ana)
    for collection in ("access_tokens", "tokens"):
        path = f"/{collection}/{made['id']}"
        for client in (ben, staff):
            assert made["id"] not in [row.get("id") for row in rows(client, f"/{collection}")]
            answer = client.get(path)
            assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
        assert nobody.get(path).json() == nobody.get(f"/{collection}").json() == NO_CREDENTIALS
    path = f"/access_tokens/{made['id']}"
    for client in (ben, staff):
        assert statuses(client.delete(path), client.patch(path, json={"name": "x"})) == [404, 404]
    assert only(ana, "/access_tokens")["name"] == "laptop"
    login_token = rows(ana, "/tokens")[0]["url"].rpartition("/")[2]  # made by hand: no access token
    path = f"/access_tokens/{login_token}"
    assert statuses(ana.get(path), ana.delete(path), ana.patch(path, json={"name": "x"})) == [404, 404, 404]


@on_one_backend
def test_a1_all_tokens_that_work_are_listed_without_their_keys(world: World, clock: MovableClock, ana: Client) -> None:
    world.user("ana", expires_at=clock.now + DAY)
    world.user("ana", expires_at=clock.now)  # has lapsed
    make_token(ana)
    by_hand, ending, access = rows(ana, "/tokens")
    number = by_hand["url"].rpartition("/")[2]
    issued = stamp(clock.now).replace("+00:00", "Z")
    assert by_hand == {
        "key": "*" * 40,
        "url": f"{BASE}/tokens/{number}",
        "user": "ana",
        "api_server_url": ORIGIN,
        "remote_ip": None,
        "issuer": "made",
        "issuedTime": issued,
        "expireTime": None,
    }
    assert ana.get(by_hand["url"]).json() == by_hand
    assert ending["expireTime"] == stamp(clock.now + DAY).replace("+00:00", "Z")
    assert access["issuer"] == "access:atmosphere"
    clock.advance(DAY)
    assert rows(ana, "/tokens") == [by_hand, access]
    assert ana.get(ending["url"]).status_code == 404


@on_one_backend
def test_a2_wrong_members_are_named(world: World, ana: Client, nobody: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/access_tokens/{make_token(ana)['id']}"
    wrong: list[Any] = [None, "", "  ", 5, True, [], {}, "x" * 129, "a\0b"]
    for method, place in (("POST", "/access_tokens"), ("PATCH", path)):
        for value in wrong:
            answer = ana.request(method, place, json={"name": value})
            assert (answer.status_code, list(answer.json())) == (400, ["name"]), value
        assert ana.request(method, place, json={}).json() == {"name": ["This field is required."]}
        check_refusals(method, place, ana, nobody)
    for key in WRONG_KEYS:
        found = [ana.get(f"/tokens/{key}"), ana.get(f"/access_tokens/{key}"), ana.delete(f"/access_tokens/{key}")]
        assert [(answer.status_code, answer.json()) for answer in found] == [(404, NOT_FOUND)] * 3, key[:40]
    assert statuses(ana.put(path), ana.post("/tokens"), ana.delete("/tokens/1")) == [405, 405, 405]
    monkeypatch.setattr(own_tokens, "MOST_ACCESS_TOKENS", 1)
    answer = ana.post("/access_tokens", json={"name": "one more"})
    assert (answer.status_code, list(answer.json())) == (400, ["name"])
    assert only(ana, "/access_tokens")["name"] == "laptop"


# -- Users --------------------------------------------------------------------------------------------------------


def test_a4_users_of_the_kind_are_listed_and_more_of_them_for_staff(
    world: World, ana: Client, staff: Client, nobody: Client
) -> None:
    for name, kind in (
        ("Anders", Kind.MACHINE),
        ("anonym", Kind.CLINICAL),
        ("an_dy", Kind.MACHINE),
        ("otto", Kind.MACHINE),
    ):
        world.user(name, kind)
    world.archive.users.set_active(SYSTEM, "otto", False)
    everyone = rows(ana, "/users")
    assert [user["username"] for user in everyone] == ["ana", "sam", "Anders", "an_dy"]
    shown = everyone[0]
    assert shown == {
        "id": shown["id"],
        "uuid": shown["uuid"],
        "url": f"{BASE}/users/{shown['uuid']}",
        "username": "ana",
        "end_date": None,
    }
    more = {"is_active": True, "is_staff": False, "is_superuser": False, "email": "ana@example.org"}
    assert rows(staff, "/users")[0] == shown | more
    for path in (f"/users/{shown['id']}", shown["url"]):
        assert (ana.get(path).json(), staff.get(path).json()) == (shown, shown | more)
    otto = next(user for user in rows(staff, "/users") if user["username"] == "otto")
    assert otto["is_active"] is False
    assert statuses(ana.get(otto["url"]), staff.get(otto["url"])) == [404, 200]
    searches = {"an": 3, "AN": 3, "an_": 1, "a%": 0, "nders": 0, "": 4, "\0": 0, "\ud7ff": 0, "x" * 5000: 0}
    for prefix, count in searches.items():
        assert ana.count("/users", search=prefix) == count, prefix[:20]
    assert nobody.get("/users").json() == nobody.get(shown["url"]).json() == NO_CREDENTIALS
    for key in WRONG_KEYS:
        assert ana.get(f"/users/{key}").status_code == 404, key[:40]


@on_one_backend
def test_lists_of_accounts_take_the_same_statements_however_long(world: World, ana: Client) -> None:
    for path in ("/users", "/tokens", "/access_tokens"):
        taken = []
        for count in (0, 1, 10):
            for number in range(count):
                world.user(f"user-{path[1]}{count}-{number}")
                make_token(ana)
            with counted_statements(world.archive.database.engine) as statements:
                ana.get(path)
            taken.append(len(statements))
        assert len(set(taken)) == 1, (path, taken)
        assert taken[0] <= 4


# -- The profile --------------------------------------------------------------------------------------------------


def test_a5_the_profile_is_the_callers_and_little_of_it_is_theirs_to_write(
    world: World, ana: Client, ben: Client, staff: Client, nobody: Client
) -> None:
    profile = ana.get("/profile").json()
    user = rows(ana, "/users", search="ana")[0]
    expected = {
        "id": user["id"],
        "uuid": user["uuid"],
        "url": user["url"],
        "username": "ana",
        "email": "ana@example.org",
        "is_staff": False,
        "is_superuser": False,
        "send_emails": True,
        "icon_set": "default",
        "is_expired": False,
    }
    assert expected.items() <= profile.items()
    assert staff.get("/profile").json()["is_staff"] is True
    first = f"{ORIGIN}/api/v1/profile"
    assert ana.get(first).json() == profile
    body = profile | {"send_emails": False, "is_staff": True, "username": "root", "email": 5, "id": None}
    changed = profile | {"send_emails": False}
    answer = ana.patch("/profile", json=body)
    assert (answer.status_code, answer.json()) == (200, changed)
    changed |= {"icon_set": "retro"}
    assert ana.patch(first, json={"icon_set": " retro "}).json() == changed
    assert ana.patch("/profile", json={}).json() == ana.get("/profile").json() == changed
    assert ben.get("/profile").json()["send_emails"] is True
    assert nobody.get("/profile").json() == nobody.get(first).json() == NO_CREDENTIALS


@on_one_backend
def test_a5_wrong_members_are_named_and_nothing_changes(world: World, ana: Client, nobody: Client) -> None:
    before = ana.get("/profile").json()
    wrong: dict[str, list[Any]] = {
        "send_emails": [None, "yes", 2, [], {}],
        "icon_set": [None, "", " ", 5, True, [], {}, "x" * 33, "a\0b"],
    }
    for member, values in wrong.items():
        for value in values:
            valid = {"send_emails": False, "icon_set": "retro"}
            answer = ana.patch("/profile", json=valid | {member: value})
            assert (answer.status_code, list(answer.json())) == (400, [member]), value
    check_refusals("PATCH", "/profile", ana, nobody)
    reader = world.user("ana", scope="image:read")
    assert statuses(reader.patch("/profile", json={"icon_set": "x"}), ana.put("/profile")) == [403, 405]
    assert ana.get("/profile").json() == before
