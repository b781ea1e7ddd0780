"""Djinn contract, section 1: what all answers have in common, and section 10's discovery."""

from itertools import product

import pytest

from tests.contracts.djinn.conftest import BASE, ORIGIN, Client, World

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
ROUTES = {
    "/": {"GET", "HEAD"},
    "/user": {"GET", "HEAD"},
    "/images": {"GET", "HEAD", "POST"},
    "/images/1": {"GET", "HEAD", "DELETE"},
    "/namespaces": {"GET", "HEAD", "POST"},
    "/invites": {"GET", "HEAD"},
    "/invites/1": {"PATCH", "DELETE"},
    "/n/ana/abc": {"GET", "HEAD", "PATCH", "DELETE"},
    "/n/ana/abc/sub/-/namespaces": {"GET", "HEAD"},
    "/n/ana/abc/-/images": {"GET", "HEAD"},
    "/n/ana/abc/-/collaborators": {"GET", "HEAD"},
    "/n/ana/abc/-/collaborators/ben": {"DELETE"},
    "/n/ana/abc/-/invites": {"GET", "HEAD", "POST"},
    "/n/ana/abc/-/builds": {"GET", "HEAD"},
}


def test_1_1_answers_are_json_of_an_exact_length(ana: Client) -> None:
    for answer in (ana.get("/images"), ana.get("/nowhere"), ana.post("/images"), ana.request("PUT", "/images")):
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("headers", [{"Accept": "text/html"}, {"Content-Type": "text/html"}, {"Accept": "*/*"}])
def test_1_3_errors_are_json_whatever_is_asked_for(ana: Client, headers: dict[str, str]) -> None:
    answer = ana.get("/images/77", headers={**headers, "Referer": ORIGIN})
    assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})
    answer = ana.post("/images", headers={**headers, "Referer": ORIGIN})
    assert answer.status_code == 400
    assert all(isinstance(texts, list) and texts for texts in answer.json().values())


def test_1_4_a_wrong_method_is_told_before_anything_else(nobody: Client) -> None:
    for path, method in product(ROUTES, METHODS):
        answer = nobody.request(method, path)
        if method in ROUTES[path]:
            assert answer.status_code != 405
            continue
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == ROUTES[path]
        if method != "HEAD":
            assert answer.json() == {"message": "Method Not Allowed"}


UNKNOWN_PATHS: list[str] = [
    "/nowhere",
    "/images/",
    "/images/1/",
    "//images",
    "/Images",
    "/images/%FF",
    "/djinn/djinn/images",
    "/n/ana",
    "/n/ana/",
    "/n/ana/a-b",
    "/n/ana/abc/-",
    "/n/ana/abc/-/cron",
    "/n/ana/abc/-/images/1",
    "/n/ana/abc%2Fsub",
    "/n/%FF/abc",
]


def test_1_4_an_unknown_path_is_not_found(ana: Client) -> None:
    for path in UNKNOWN_PATHS:
        for method in ("GET", "DELETE"):
            answer = ana.request(method, path)
            assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})


NO_IDS: list[str] = ["0", "-1", "abc", "1.0", "+1", "0x1", "1" * 5000, str(2**63), "٣", "%00", "1%0A", "1e3"]


def test_1_5_what_is_no_id_is_not_found(ana: Client) -> None:
    ana.upload("alpine")
    for image_id in NO_IDS:
        for method in ("GET", "HEAD", "DELETE"):
            assert ana.request(method, f"/images/{image_id}").status_code == 404
            assert ana.request("DELETE", f"/invites/{image_id}").status_code == 404


def test_1_6_a_form_cannot_change_the_method(ana: Client) -> None:
    image = ana.upload("alpine")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ana.post(f"/images/{image['id']}", content=b"_method=DELETE", headers=form).status_code == 405
    assert ana.post("/images?name=x&_method=DELETE", content=b"QFI\xfb&_method=DELETE", headers=form).status_code == 201
    assert ana.get(f"/images/{image['id']}").status_code == 200


def test_1_7_requests_without_a_body_may_say_they_are_json(ana: Client) -> None:
    image = ana.upload("alpine")
    json = {"Content-Type": "application/json"}
    assert ana.get(f"/images/{image['id']}", headers=json).status_code == 200
    assert ana.get("/images", headers=json).status_code == 200
    assert ana.delete(f"/images/{image['id']}", headers=json).status_code == 204


def test_1_8_urls_begin_with_the_base_the_client_sees(world: World, ana: Client) -> None:
    image = ana.upload("alpine", "abc")
    assert image["url"] == f"{BASE}/images/{image['id']}"
    assert image["namespace"]["url"] == f"{BASE}/n/ana/abc"
    other = ana.get(f"http://other.example/djinn/images/{image['id']}").json()
    assert other["url"] == f"http://other.example/djinn/images/{image['id']}"
    spoofed = ana.get(f"/images/{image['id']}", headers={"X-Forwarded-Host": "evil.example", "Host": "a b"}).json()
    assert "evil" not in spoofed["url"]


def test_1_9_the_prefix_given_twice_counts_once(ana: Client) -> None:
    image = ana.upload("alpine", "abc")
    for url in (image["url"], image["namespace"]["images_url"]):
        path = url.removeprefix(ORIGIN)
        doubled = ana.get(f"{BASE}{path}")
        assert doubled.status_code == 200
        assert doubled.content == ana.get(url).content


def test_1_9_it_is_served_at_the_root_of_a_host_of_its_own(ana: Client) -> None:
    image = ana.upload("alpine")
    answer = ana.get(f"http://ci.example/images/{image['id']}")
    assert answer.json()["url"] == f"http://ci.example/images/{image['id']}"
    assert ana.get("http://ci.example").json()["images_url"] == "http://ci.example/images"
    assert ana.get("http://ci.example/djinn/images").status_code == 404


@pytest.mark.parametrize("path", ["", "/"])
@pytest.mark.parametrize("token", [None, "wrong"])
def test_1_10_discovery_is_for_everyone(world: World, path: str, token: str | None) -> None:
    answer = world.stranger(token).get(path)
    assert answer.status_code == 200
    found = answer.json()
    for word in ("images", "namespaces", "invites"):
        assert found[f"{word}_url"] == f"{BASE}/{word}"


def test_a_user_is_who_the_token_says(world: World, ana: Client) -> None:
    found = ana.get("/user").json()
    assert found == {"id": 1, "email": "ana@example.org", "username": "ana", "created_at": found["created_at"]}
    assert world.user("ana", scope="build:read").get("/user").json() == found
