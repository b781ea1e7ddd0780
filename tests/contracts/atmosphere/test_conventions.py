"""Conventions, CORS and errors of all of the API (atmosphere contract, sections 1 and 7)."""

import json
from typing import Any

import httpx
import pytest

from pinakes.apis.atmosphere import errors as answers
from pinakes.core import errors
from tests.contracts.atmosphere.conftest import BASE, LAB, NO_CREDENTIALS, NOT_FOUND, ORIGIN, Client, World

LOCAL = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
VARY_ON = {"Authorization", "Origin"}


def check_headers(answer: httpx.Response) -> None:
    """C2, C11: of every answer with a body."""
    assert answer.headers["content-type"] == "application/json"
    assert set(", ".join(answer.headers.get_list("vary")).split(", ")) >= VARY_ON
    assert "public" not in answer.headers["cache-control"]
    assert isinstance(answer.json(), (dict, list))


@LOCAL
@pytest.mark.parametrize(
    "accept", ["*/*", "text/html", "application/json; indent=4, application/json", "image/png", ""]
)
def test_every_answer_is_json_whatever_is_accepted(world: World, ana: Client, nobody: Client, accept: str) -> None:
    """C2, C11, X6."""
    image_id = world.image(ana, "alpine")
    for path in ("/images", f"/images/{image_id}?format=json", "/images/999", "/tags", "/image_tags", "/nonsense"):
        check_headers(nobody.get(path, headers={"Accept": accept}))


@LOCAL
def test_a_trailing_slash_is_served_like_none(world: World, ana: Client, nobody: Client) -> None:
    """C1: never a redirect."""
    image_id = world.image(ana, "alpine")
    for path in ("/images", f"/images/{image_id}", "/tags"):
        assert nobody.get(f"{path}/").json() == nobody.get(path).json()
    assert nobody.get("/nonsense/").json() == nobody.get(f"{ORIGIN}/api/v2").json() == NOT_FOUND


@LOCAL
def test_odd_queries_are_no_errors(world: World, ana: Client) -> None:
    """C6."""
    world.image(ana, "alpine")
    for path in ("/images", "/tags", "/image_versions"):
        for query in ("search=100%", "search=%zz", "search=%ff", "search=%00", "x=1", "=&&=", "search=a;b", "?", "%"):
            assert ana.get(f"{path}?{query}").status_code == 200, query


@LOCAL
def test_a_raw_percent_sign_stands_for_itself(world: World, ana: Client, nobody: Client) -> None:
    """C6: the web interface does not escape its queries."""
    world.image(ana, "100% free")
    world.image(ana, "100 free")
    assert nobody.names("/images?search=100%") == ["100% free"]


@LOCAL
def test_head_is_get_without_a_body_and_options_tells_the_methods(world: World, ana: Client, nobody: Client) -> None:
    """C10."""
    path = f"/images/{world.image(ana, 'alpine')}"
    got, head = nobody.get(path), nobody.request("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    answer = nobody.request("OPTIONS", path)
    assert answer.status_code == 200
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "PATCH", "PUT"}


@LOCAL
def test_urls_can_be_fetched(world: World, ana: Client) -> None:
    """C9."""
    world.image(ana, "alpine", tags=("one",))
    (shown,) = ana.get("/images").json()["results"]
    for url in (shown["url"], shown["created_by"]["url"], shown["tags"][0]["url"]):
        assert url.startswith(BASE)
        assert ana.get(url).json()["url"] == url


@LOCAL
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/images"), ("DELETE", "/images/1"), ("PUT", "/images"), ("PATCH", "/tags"), ("POST", "/image_versions"),
     ("PUT", "/image_tags/1"), ("PATCH", "/image_bookmarks/1"), ("BREW", "/images")],
)  # fmt: skip
def test_other_methods_are_not_allowed(ana: Client, nobody: Client, method: str, path: str) -> None:
    """E1, X5."""
    for client in (ana, nobody):
        answer = client.request(method, path, json={})
        assert (answer.status_code, answer.json()) == (405, {"detail": f'Method "{method}" not allowed.'})
        assert method not in answer.headers["allow"].split(", ")
        assert "GET" in answer.headers["allow"].split(", ")


@LOCAL
@pytest.mark.parametrize(
    ("content", "media_type", "status", "expected"),
    [
        (b"[1]", "application/json", 400,
         {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
        (b"null", "application/json", 400,
         {"non_field_errors": ["Invalid data. Expected a dictionary, but got NoneType."]}),
        (b'{"name": "new name", "description": "new",}', "application/json", 400, "JSON parse error - "),
        (b'{"name": "\xff"}', "application/json", 400, "JSON parse error - "),
        (b'{"name": NaN}', "application/json", 400, "JSON parse error - "),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "application/json", 400, "JSON parse error - "),
        (b'{"name": "x"}', "text/plain", 415, {"detail": 'Unsupported media type "text/plain" in request.'}),
        (b'{"name": "x"}', "", 415, {"detail": 'Unsupported media type "" in request.'}),
        (b"name=x", "application/x-www-form-urlencoded", 415, "Unsupported media type"),
    ],
)  # fmt: skip
def test_bodies_that_cannot_be_read(
    world: World, ana: Client, content: bytes, media_type: str, status: int, expected: dict[str, Any] | str
) -> None:
    """X2 to X4, X7: and nothing changes."""
    path = f"/images/{world.image(ana, 'alpine')}"
    for method in ("PATCH", "PUT"):
        answer = ana.request(method, path, content=content, headers={"Content-Type": media_type})
        assert answer.status_code == status
        if isinstance(expected, str):
            assert answer.json()["detail"].startswith(expected)
        else:
            assert answer.json() == expected
    assert ana.get(path).json()["name"] == "alpine"


@LOCAL
def test_json_may_name_its_charset(world: World, ana: Client) -> None:
    """X4."""
    path = f"/images/{world.image(ana, 'alpine')}"
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert ana.patch(path, content=b'{"name": "x"}', headers=headers).json()["name"] == "x"


# -- Pages of other origins ---------------------------------------------------------------------------------------


@LOCAL
def test_pages_of_allowed_origins_may_ask(world: World, ana: Client) -> None:
    """C11: also where an error is the answer."""
    image_id = world.image(ana, "alpine", is_public=False)
    for client, path in ((ana, f"/images/{image_id}"), (world.stranger(), f"/images/{image_id}"), (ana, "/nonsense")):
        answer = client.get(path, headers={"Origin": LAB})
        assert answer.headers["access-control-allow-origin"] == LAB
        assert "access-control-allow-credentials" not in answer.headers
        check_headers(answer)
    asked = {"Origin": LAB, "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization"}
    preflight = world.stranger().request("OPTIONS", f"/images/{image_id}", headers=asked)
    assert (preflight.status_code, preflight.content) == (200, b"")
    assert preflight.headers["access-control-allow-origin"] == LAB
    assert "PATCH" in preflight.headers["access-control-allow-methods"].split(", ")
    assert {"Authorization", "Content-Type"} <= set(preflight.headers["access-control-allow-headers"].split(", "))


@LOCAL
@pytest.mark.parametrize("origin", ["https://evil.example", "http://lab.example", f"{LAB}.evil.example", "null", ""])
def test_pages_of_other_origins_may_not(world: World, ana: Client, origin: str) -> None:
    """C11: their browsers keep the answer from them."""
    for method, extra in (("GET", {}), ("OPTIONS", {"Access-Control-Request-Method": "PATCH"})):
        answer = ana.request(method, "/images", headers={"Origin": origin, **extra})
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert "Origin" in ", ".join(answer.headers.get_list("vary"))


# -- Every error of the core --------------------------------------------------------------------------------------


def test_a_body_of_more_than_8_mib_is_a_413_and_a_description_of_any_length_fits(world: World, ana: Client) -> None:
    image = world.image(ana, "alpine")
    described = "\\u4e16" * 1_000_000
    body = f'{{"description": "{described}"}}'.encode()
    headers = {"Content-Type": "application/json"}
    assert ana.patch(f"/images/{image}", content=body, headers=headers).status_code == 200
    refused = ana.patch(f"/images/{image}", content=b'{"name": "x"}' + b" " * 8 * 1024 * 1024, headers=headers)
    assert refused.status_code == 413
    assert list(refused.json()) == ["detail"]
    assert ana.get(f"/images/{image}").json()["name"] == "alpine"


ARGUMENTS: dict[type[errors.PinakesError], tuple[Any, ...]] = {
    errors.InvalidFields: ({"name": ("is odd",)},),
    errors.FormatUnsupported: ("QCOW2",),
    errors.BlobUnknown: ("0123456789abcdef",),
    errors.NameTaken: ("alpine",),
    errors.TooManyAttempts: (30,),
    errors.TooLarge: (1024,),
    errors.ArrivalRefused: ("EntityTooLarge",),
    answers.NotAnObject: ("list",),
    answers.MediaTypeUnsupported: ("text/plain",),
}
STATUSES: dict[type[errors.PinakesError], int] = {
    answers.MediaTypeUnsupported: 415,
    errors.Invalid: 400,
    errors.UploadBroken: 400,
    errors.TagExists: 400,
    errors.NameTaken: 400,
    errors.AlreadyBookmarked: 400,
    errors.Conflict: 409,
    errors.BlobUnknown: 500,
    errors.Unknown: 404,
    errors.TooManyAttempts: 429,
    errors.TooManyJobs: 429,
    errors.Refused: 403,
    errors.TooLarge: 413,
    errors.StorageFull: 507,
    errors.Unavailable: 503,
    errors.PinakesError: 500,
}


def tree(root: type[errors.PinakesError] = errors.PinakesError) -> list[type[errors.PinakesError]]:
    below = [error for child in root.__subclasses__() for error in tree(child)]
    return [root, *(error for error in below if error.__module__ in {errors.__name__, answers.__name__})]


def test_every_error_has_an_answer() -> None:
    """X1, X7: an object of string lists or of one `detail`; a refusal does not say why."""
    kinds = tree()
    assert len(kinds) > 30
    for kind in kinds:
        answer = answers.respond(answers.answer_to(kind(*ARGUMENTS.get(kind, ()))))
        assert answer.status_code == next(STATUSES[base] for base in kind.__mro__ if base in STATUSES), kind
        body = json.loads(bytes(answer.body))
        if answer.status_code in {403, 404}:
            assert body["detail"] in {"Not found.", "Invalid page.", *_REFUSALS}, kind
        elif list(body) != ["detail"]:
            assert answer.status_code == 400
            assert all(isinstance(text, str) and text for texts in body.values() for text in texts), kind


_REFUSALS = (NO_CREDENTIALS["detail"], "You do not have permission to perform this action.")


def test_what_nobody_expected_tells_nothing() -> None:
    answer = answers.answer_to(ValueError("SELECT secret FROM /var/lib"))
    assert (answer.status, answer.body) == (500, {"detail": "Internal Server Error"})
