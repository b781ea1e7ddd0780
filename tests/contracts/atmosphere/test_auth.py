"""Atmosphere contract C3 to C5 and A3: who a request is from, and tokens for names and passwords."""

import time
from typing import Any

import httpx
import pytest

from pinakes.core.access import logins
from pinakes.core.actor import Kind
from pinakes.core.clock import DAY, SECOND
from tests.conftest import MovableClock
from tests.contracts.atmosphere.conftest import BASE, NO_CREDENTIALS, ORIGIN, Client, World, stamp
from tests.contracts.atmosphere.making import BROKEN_BODIES
from tests.core.namespaces.making import SYSTEM

on_one_backend = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
PASSWORD = "correct horse, battery"


def log_in(client: Client, username: Any = "ana", password: Any = PASSWORD) -> httpx.Response:
    return client.post(f"{ORIGIN}/auth", json={"username": username, "password": password})


def refusal(answer: httpx.Response) -> str:
    """The text of a refused login."""
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, 400)
    assert list(answer.json()) == ["errors"]
    text: str = error["message"]
    return text


def test_a3_a_login_gives_a_token_that_works_at_once_and_lapses(
    world: World, clock: MovableClock, nobody: Client
) -> None:
    world.user("ana", password=PASSWORD)
    answer = log_in(nobody, "ANA")
    body = answer.json()
    assert (answer.status_code, set(body), body["username"]) == (201, {"token", "username", "expires"}, "ana")
    assert body["expires"] == stamp(clock.now + 30 * DAY).replace("+00:00", "Z")
    client = world.stranger(body["token"])
    assert client.get("/profile").json()["username"] == "ana"
    clock.advance(30 * DAY - SECOND)
    assert client.get("/profile").status_code == 200
    clock.advance(31 * DAY)
    assert client.get("/profile").json() == NO_CREDENTIALS


@on_one_backend
def test_a3_whatever_is_wrong_is_answered_alike(world: World, nobody: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "DELAY_SECONDS", 0.0)
    for name in ("ana", "dora", "otto", "tom"):
        kinds = (Kind.CLINICAL,) if name == "dora" else (Kind.MACHINE,)
        world.user(name, *kinds, password=None if name == "tom" else PASSWORD)
    world.archive.users.set_active(SYSTEM, "otto", False)
    refused = [
        log_in(nobody, "ana", "wrong"),
        log_in(nobody, "nobody-here", PASSWORD),
        log_in(nobody, "ana\0", PASSWORD),
        log_in(nobody, "x" * 5000, PASSWORD),
        log_in(nobody, "ana", PASSWORD + "\0"),
        log_in(nobody, "ana", "x" * 100_000),
        log_in(nobody, "dora", PASSWORD),  # without the kind
        log_in(nobody, "otto", PASSWORD),  # disabled
        log_in(nobody, "tom", PASSWORD),  # has no password
    ]
    assert len({refusal(answer) for answer in refused}) == 1
    assert all(PASSWORD not in answer.text for answer in refused)
    values: list[Any] = [None, "", 5, True, [], {}]
    texts = {refusal(log_in(nobody, "ana", value)) for value in values}
    texts |= {refusal(log_in(nobody, value)) for value in values}
    assert len(texts) == 1
    assert refusal(nobody.post(f"{ORIGIN}/auth", json={})) in texts
    for content, media_type, status in BROKEN_BODIES:
        answer = nobody.post(f"{ORIGIN}/auth", content=content, headers={"Content-Type": media_type})
        assert (answer.status_code, isinstance(answer.json(), dict)) == (status, True), content[:20]
    answer = nobody.get(f"{ORIGIN}/auth")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")


@on_one_backend
def test_a3_credentials_in_the_header_neither_help_nor_hinder(world: World, ana: Client) -> None:
    world.user("ben", password=PASSWORD)
    assert refusal(log_in(ana, "ana"))
    for client in (ana, world.stranger("no such token")):
        assert log_in(client, "ben").json()["username"] == "ben"


@on_one_backend
def test_a3_guessing_is_slowed_down_and_then_stopped(
    world: World, clock: MovableClock, nobody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user("ana", password=PASSWORD)
    for name, value in (("DELAYED_AFTER", 2), ("DELAY_SECONDS", 0.2), ("MOST_PER_NAME", 3)):
        monkeypatch.setattr(logins, name, value)
    for _ in range(2):
        refusal(log_in(nobody, "ana", "wrong"))
    begun = time.monotonic()
    refusal(log_in(nobody, "ana", "wrong"))
    assert time.monotonic() - begun >= 0.2
    answer = log_in(nobody)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (429, 429)
    clock.advance(int(answer.headers["retry-after"]) * SECOND + 1)
    assert log_in(nobody).status_code == 201


@on_one_backend
def test_c3_the_scheme_is_token_in_any_case(world: World, ana: Client) -> None:
    for header in ("TOKEN", "Token", "token", "tOkEn"):
        client = world.stranger()
        answer = client.get("/profile", headers={"Authorization": f"{header} {ana.token}"})
        assert answer.json()["username"] == "ana", header


@on_one_backend
def test_c4_c5_credentials_that_are_no_good_make_the_caller_anonymous(
    world: World, clock: MovableClock, ana: Client
) -> None:
    world.image(ana, "public")
    world.image(ana, "private", is_public=False)
    lapsed = world.user("ana", expires_at=clock.now + DAY)
    disabled = world.user("otto")
    world.archive.users.set_active(SYSTEM, "otto", False)
    clock.advance(DAY)
    headers = [
        "",
        "TOKEN",
        f"TOKEN{ana.token}",
        f"Bearer {ana.token}",
        f"Basic {ana.token}",
        f"TOKEN {lapsed.token}",
        f"TOKEN {disabled.token}",
        f"TOKEN {ana.token} {ana.token}",
        f"TOKEN {'9' * 5000}",
        "TOKEN \xff\xfe",
        f"TOKEN {world.user('dora', Kind.CLINICAL).token}",  # lacks the kind
        f"TOKEN {world.user('ana', scope='namespace:read').token}",  # lacks the scope
    ]
    anonymous = world.stranger()
    for header in headers:
        shown = {"headers": {"Authorization": header}}
        listed = anonymous.get("/images", **shown)
        assert [image["name"] for image in listed.json()["results"]] == ["public"], header
        assert "Authorization" in listed.headers["vary"]
        assert "public" not in listed.headers["cache-control"]
        refused = anonymous.get("/profile", **shown)
        assert (refused.status_code, refused.json()) == (403, NO_CREDENTIALS), header
        assert "www-authenticate" not in refused.headers


PRIVATE = (
    ("GET", "image_bookmarks"),
    ("GET", "pattern_matches"),
    ("GET", "image_version_memberships"),
    ("GET", "image_tags"),
    ("GET", "tokens"),
    ("GET", "access_tokens"),
    ("GET", "users"),
    ("GET", "profile"),
    ("POST", "tags"),
    ("POST", "image_tags"),
    ("POST", "image_bookmarks"),
    ("POST", "pattern_matches"),
    ("POST", "image_version_memberships"),
    ("POST", "access_tokens"),
    ("PATCH", "profile"),
)


@on_one_backend
def test_c5_an_anonymous_caller_is_refused_before_anything_is_looked_up(nobody: Client) -> None:
    details = [
        (method, f"{collection}/{key}")
        for collection in ("image_bookmarks", "pattern_matches", "image_version_memberships", "access_tokens")
        for method in ("GET", "DELETE")
        for key in ("1", "abc", "9" * 5000)
    ]
    for method, path in (*PRIVATE, *details, ("GET", "tokens/1"), ("GET", "users/1"), ("PATCH", "image_versions/1")):
        answer = nobody.request(method, f"{BASE}/{path}")
        assert (answer.status_code, answer.json()) == (403, NO_CREDENTIALS), (method, path[:40])
