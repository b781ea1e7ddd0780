"""Sessions: a browser logs in, and its cookie counts here and in the IIIF API, but for no page of another origin."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pinakes.apis.atmosphere import API as ATMOSPHERE
from pinakes.apis.djinn import API as DJINN
from pinakes.apis.iiif import API as IIIF
from pinakes.apis.native import API
from pinakes.apis.native.models.values import timestamp
from pinakes.apis.pathomiq import API as PATHOMIQ
from pinakes.apis.tscharts import API as TSCHARTS
from pinakes.core.access import logins
from pinakes.core.actor import Kind
from pinakes.core.archive import Archive
from pinakes.core.clock import SECOND
from pinakes.core.db.schema import events, tokens
from tests.conftest import MovableClock
from tests.contracts.native.conftest import BASE, MAX_JSON_BYTES, ORIGIN, SYSTEM, Client, World, make_world
from tests.contracts.native.viewing import keep, photograph
from tests.contracts.serving import serving

pytestmark = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)  # tests/core/access runs on both

PASSWORD = "an invented password"
OURS = {"Sec-Fetch-Site": "same-origin"}
HOURS_12 = 12 * 3600
EVERY_KIND = tuple(Kind)


@pytest.fixture
def world(archive: Archive, tmp_path: Path) -> Iterator[World]:
    yield from make_world(archive, tmp_path, IIIF, TSCHARTS, DJINN, ATMOSPHERE, PATHOMIQ)


@pytest.fixture
def pat(world: World) -> Client:
    """Shows a token; may log in too."""
    return world.user("pat", *EVERY_KIND, password=PASSWORD)


@pytest.fixture
def browser(pat: Client, nobody: Client) -> Client:
    """Logged in as pat: sends the cookie, and nothing else."""
    return with_cookie(nobody, log_in(nobody))


def log_in(client: Client, **members: Any) -> str:
    """The cookie, as it is sent back."""
    answer = client.post("/session", json={"username": "pat", "password": PASSWORD, **members})
    assert answer.status_code == 201, answer.text
    return answer.headers["set-cookie"].partition(";")[0]


def with_cookie(client: Client, cookie: str) -> Client:
    return Client(client.app, client.loop, None, {"Cookie": cookie})


def operations(client: Client) -> list[tuple[str, str]]:
    """Method and path of every operation there is, with numbers and words where things are named."""
    paths: Mapping[str, Mapping[str, Any]] = client.get("/openapi.json").json()["paths"]
    named = {"{username}": "pat", "{ending}": "png", "{name}": "label"}
    filled = {path: re.sub(r"\{\w+\}", lambda part: named.get(part[0], "1"), path) for path in paths}
    return [(method.upper(), filled[path]) for path, methods in paths.items() for method in methods]


# -- Logging in and out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "name", "flags"),
    [
        (ORIGIN, "pinakes-session", set()),
        ("https://archive.example", "__Host-pinakes-session", {"Secure"}),
    ],
)
def test_the_cookie_is_for_this_host_and_out_of_reach_of_scripts(
    pat: Client, nobody: Client, origin: str, name: str, flags: set[str]
) -> None:
    login = {"username": "PAT", "password": PASSWORD}
    answer = nobody.post(f"{origin}/pinakes/v1/session", json=login)
    pair, *attributes = answer.headers["set-cookie"].split("; ")
    assert re.fullmatch(f"{name}=[0-9a-f]{{40}}", pair)
    assert set(attributes) == {"HttpOnly", f"Max-Age={HOURS_12}", "Path=/", "SameSite=strict", *flags}
    token = pair.partition("=")[2]
    assert token not in answer.text
    shown = nobody.get(f"{origin}/pinakes/v1/session", headers={"Cookie": pair})
    assert (shown.status_code, shown.json()) == (200, answer.json())


def test_one_is_told_who_one_is_and_until_when(
    world: World, pat: Client, browser: Client, nobody: Client, clock: MovableClock
) -> None:
    user = world.archive.users.get("pat")
    shown = browser.get("/session").json()
    assert shown == {
        "user": {"id": user.id, "uuid": shown["user"]["uuid"], "username": "pat"},
        "email": "pat@example.org",
        "kinds": ["clinical", "machine", "slide"],
        "is_staff": False,
        "scope": None,
        "end_date": timestamp(clock.now + HOURS_12 * SECOND),
    }
    limited = world.user("pat", scope="build:read")
    assert limited.get("/session").json() == shown | {"scope": "build:read", "end_date": None}
    assert nobody.get("/session").status_code == 401


def test_a_session_is_a_token_like_any_other(world: World, browser: Client, clock: MovableClock) -> None:
    """Kept as a hash, listed, ended by whoever may revoke tokens."""
    made = [token for token in world.archive.credentials.list("pat") if token.origin == "login:native"]
    assert [(token.scope, token.expires_at) for token in made] == [(None, clock.now + HOURS_12 * SECOND)]
    text = browser.headers["Cookie"].partition("=")[2]
    with world.archive.database.read() as connection:
        assert text not in repr(connection.execute(select(tokens)).all())
    world.archive.credentials.revoke(SYSTEM, made[0].id)
    assert browser.get("/session").status_code == 401


def test_a_session_ends_to_the_microsecond_however_much_it_is_used(browser: Client, clock: MovableClock) -> None:
    clock.advance(HOURS_12 * SECOND - 1)
    assert browser.get("/session").status_code == 200
    clock.advance(1)
    assert browser.get("/session").status_code == 401
    assert browser.get("/vm-images").status_code == 200  # one that has ended is none: who asks is a stranger


def test_logging_out_ends_this_session_and_no_other(pat: Client, nobody: Client) -> None:
    first, second = (with_cookie(nobody, log_in(nobody)) for _ in range(2))
    answer = first.delete("/session", headers=OURS)
    assert answer.status_code == 204
    assert answer.headers["set-cookie"].startswith('pinakes-session=""; HttpOnly; Max-Age=0; Path=/; ')
    assert [client.get("/session").status_code for client in (first, second, pat)] == [401, 200, 200]
    assert first.delete("/session", headers=OURS).status_code == 204
    assert pat.delete("/session").status_code == 204
    assert pat.get("/session").status_code == 200  # made by hand, not by a login here


def test_logins_and_refusals_are_in_the_trail_without_what_was_said(world: World, pat: Client, nobody: Client) -> None:
    log_in(nobody)
    nobody.post("/session", json={"username": "pat", "password": "hunter2"})
    with world.archive.database.read() as connection:
        rows = connection.execute(select(events).where(events.c.action.startswith("user:login"))).all()
    assert [(row.action, row.api) for row in rows] == [("user:login", "native"), ("user:login-fail", "native")]
    assert "hunter2" not in repr(rows)


@pytest.mark.parametrize("name", ["pat", "nobody-of-that-name", "", "\0", "x" * 5000])
def test_a_refused_login_tells_nothing_and_sets_nothing(pat: Client, nobody: Client, name: str) -> None:
    answer = nobody.post("/session", json={"username": name, "password": "hunter2"})
    assert (answer.status_code, answer.json()["detail"]) == (401, "The user name or the password is wrong.")
    assert "set-cookie" not in answer.headers


def test_guesses_count_with_those_of_every_other_api(
    pat: Client, nobody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "MOST_PER_NAME", 2)
    guess = {"username": "pat", "password": "hunter2"}
    assert nobody.post(f"{ORIGIN}/tscharts/v1/login/", json=guess).status_code == 403
    assert nobody.post("/session", json=guess).status_code == 401
    refused = nobody.post("/session", json=guess | {"password": PASSWORD})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert "set-cookie" not in refused.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b'{"username": "pat", "password": 1}', 400),
        (b'{"username": null, "password": "x"}', 400),
        (b'{"username": "pat", "password": "\\ud800"}', 400),
        (b'{"username": "pat", "password": "x", "admin": true}', 400),
        (b"[" * 10_000, 400),
        (b'{"username": "pat", "password": "%s"}' % (b"x" * 16_384), 413),
    ],
)
def test_what_is_no_login_is_refused_and_not_quoted(pat: Client, nobody: Client, body: bytes, status: int) -> None:
    answer = nobody.post("/session", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert "pat" not in answer.text.replace("pattern", "")


def test_a_form_of_another_site_cannot_log_one_in(pat: Client, nobody: Client) -> None:
    """Nor a page: who is made to work in another's account tells that one what they do."""
    login = {"username": "pat", "password": PASSWORD}
    assert nobody.post("/session", data=login).status_code == 415
    for headers in ({"Sec-Fetch-Site": "same-site"}, {"Origin": "https://lab.example"}, {"Origin": "null"}):
        answer = nobody.post("/session", json=login, headers=headers)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    for headers in (OURS, {"Origin": ORIGIN}):
        assert nobody.post("/session", json=login, headers=headers).status_code == 201


def test_one_who_has_no_kind_of_image_logs_in_too(world: World, nobody: Client) -> None:
    world.archive.users.add(SYSTEM, "neu", "neu@example.org", PASSWORD, [])
    cookie = log_in(nobody, username="neu")
    assert with_cookie(nobody, cookie).get("/session").json()["kinds"] == []


# -- What a session counts for ------------------------------------------------------------------------------------


def test_every_change_refuses_a_session_without_a_proof_of_our_own_origin(
    world: World, pat: Client, browser: Client, nobody: Client
) -> None:
    """Walks the whole table of operations, so a new one is asked too."""
    image_id = pat.filled(pat.image()["id"])["image_id"]
    changes = [pair for pair in operations(nobody) if pair[0] not in ("GET", "HEAD") and pair != ("POST", "/session")]
    assert image_id == 1
    assert len(changes) > 20
    foreign: list[dict[str, str]] = [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": ORIGIN},
        {"Origin": "http://lab.archive.example:8000"},
    ]
    for method, path in changes:
        for headers in foreign:
            answer = browser.request(method, path, json={}, headers=headers)
            assert answer.status_code == 401, (method, path, headers)
            assert "Sec-Fetch-Site" in answer.json()["detail"], (method, path, headers)
    assert pat.get("/vm-images/1").status_code == browser.get("/session").status_code == 200
    for method, path in changes:  # with the proof all of them know who asks
        counted = with_cookie(nobody, log_in(nobody)) if path == "/session" else browser
        for headers in ({"Origin": ORIGIN}, OURS):
            assert counted.request(method, path, json={}, headers=headers).status_code != 401, (method, path)


def test_a_session_changes_something_from_a_page_of_our_own(browser: Client) -> None:
    made = browser.post("/vm-images", json={"name": "debian"}, headers=OURS)
    assert made.status_code == 201
    assert made.json()["created_by"]["username"] == "pat"


def test_a_header_counts_before_a_cookie(world: World, pat: Client, browser: Client, ben: Client) -> None:
    both = Client(browser.app, browser.loop, ben.token, browser.headers)
    assert both.get("/session").json()["user"]["username"] == "ben"
    assert both.post("/vm-images", json={"name": "bens"}).status_code == 201  # no proof is asked of a token
    assert browser.get("/session", headers={"Authorization": "Bearer nonsense"}).status_code == 401
    image = f"{ORIGIN}/iiif/3/{keep(world.archive, 'pat', Kind.SLIDE, photograph())}/info.json"
    assert (browser.get(image).status_code, both.get(image).status_code) == (200, 404)


def test_a_session_looks_at_pictures_and_a_link_counts_before_it(world: World, pat: Client, browser: Client) -> None:
    image_id = keep(world.archive, "pat", Kind.SLIDE, photograph())
    for path in (f"3/{image_id}/info.json", f"3/{image_id}/full/64,/0/default.jpg", f"dzi/{image_id}.dzi"):
        answer = browser.get(f"{ORIGIN}/iiif/{path}")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-cache"), path
        assert browser.head(f"{ORIGIN}/iiif/{path}").status_code == 200
        assert browser.get(f"{ORIGIN}/iiif/{path}?token=nonsense").status_code == 401
    etag = browser.get(f"{ORIGIN}/iiif/3/{image_id}/full/64,/0/default.jpg").headers["etag"]
    browser.delete("/session", headers=OURS)
    kept = browser.get(f"{ORIGIN}/iiif/3/{image_id}/full/64,/0/default.jpg", headers={"If-None-Match": etag})
    assert kept.status_code == 404  # who is asked finds nothing, also where the browser still has it


@pytest.mark.parametrize("path", ["/tscharts/v1/clinic/", "/djinn/user", "/api/v2/profile", "/Users/imagelist"])
def test_the_other_apis_look_at_no_cookie(pat: Client, browser: Client, nobody: Client, path: str) -> None:
    """Several of their GETs change something."""
    token = {"Authorization": f"{'Bearer' if path == '/djinn/user' else 'Token'} {pat.token}"}
    known, stranger = nobody.get(ORIGIN + path, headers=token), nobody.get(ORIGIN + path)
    assert known.status_code != stranger.status_code
    for headers in ({}, OURS):
        assert browser.get(ORIGIN + path, headers=headers).status_code == stranger.status_code


@pytest.mark.parametrize(
    "cookie", ["pinakes-session=", "pinakes-session=nonsense", "pinakes-session=\xff", "=;=", "\xe4"]
)
def test_what_is_no_session_makes_one_a_stranger(pat: Client, nobody: Client, cookie: str) -> None:
    client = with_cookie(nobody, cookie)
    assert client.get("/vm-images").status_code == 200
    assert client.get("/session").status_code == 401
    assert client.get(f"{ORIGIN}/iiif/3/1/info.json").status_code == 404
    assert client.post("/session", json={"username": "pat", "password": PASSWORD}).status_code == 201


# -- Who else could read it ---------------------------------------------------------------------------------------


def test_no_answer_lets_a_page_of_another_origin_send_cookies_and_read(
    archive: Archive, world: World, tmp_path: Path, browser: Client
) -> None:
    page = {"Origin": "https://lab.example"}
    preflight = {**page, "Access-Control-Request-Method": "GET"}
    served = serving(
        API,
        archive,
        tmp_path,
        max_json_bytes=MAX_JSON_BYTES,
        allowed_origins=("https://lab.example",),
        neighbours=[IIIF],
    )
    with served as (app, loop):
        allowing = Client(app, loop, None, browser.headers)
        for path in ("/session", "/vm-images", f"{ORIGIN}/iiif/3/1/info.json"):
            for answer in (allowing.get(path, headers=page), allowing.request("OPTIONS", path, headers=preflight)):
                assert answer.headers["access-control-allow-origin"] in ("*", "https://lab.example")
                assert "access-control-allow-credentials" not in answer.headers


def test_nothing_that_a_session_is_told_is_kept_for_others(pat: Client, browser: Client, nobody: Client) -> None:
    """Of answers to an Authorization header caches know it (RFC 9111 section 3.5), to a cookie they do not."""
    pat.filled(pat.image()["id"])
    looked = [path for method, path in operations(nobody) if method == "GET"]
    assert len(looked) > 15
    for path in looked:
        answer = browser.get(path)
        kept = answer.headers.get("cache-control", "")
        assert kept in ("no-store", "private, no-cache"), (path, answer.status_code, kept)
    assert browser.post("/session", json={}).headers["cache-control"] == "no-store"


def test_the_document_names_the_cookie(nobody: Client) -> None:
    document = nobody.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["session"]["name"] == "pinakes-session"
    secure = nobody.get("https://archive.example/pinakes/v1/openapi.json").json()
    assert secure["components"]["securitySchemes"]["session"]["name"] == "__Host-pinakes-session"
    assert BASE.endswith(document["servers"][0]["url"].partition("//")[2].partition("/")[2])
