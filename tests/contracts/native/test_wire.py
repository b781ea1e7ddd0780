"""What is the same for every path: credentials, problems, methods, bodies, ids."""

import json
from collections.abc import Iterator

import pytest

from pinakes.apis.native.errors import Problem, known_problems
from pinakes.core import errors
from pinakes.core.actor import Kind
from pinakes.core.clock import DAY
from pinakes.core.errors import PinakesError
from tests.conftest import MovableClock
from tests.contracts.native.conftest import BASE, MAX_JSON_BYTES, Client, World

ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
NOT_IDS = ("0", "-1", "1.0", "+1", "9" * 5000, str(2**63), "%00", "%ff", "١", "x", "1%2F2", "%20")


def tree(kind: type[PinakesError] = PinakesError) -> Iterator[type[PinakesError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


@ONE_BACKEND
def test_every_error_of_the_core_is_a_problem_of_its_own(world: World, nobody: Client) -> None:
    """Rule 5: an error nobody thought of is a clear answer, too."""
    own = [kind for kind in tree() if kind.__module__ == errors.__name__]
    assert len(own) > 40
    for kind in own:
        problem = Problem.of(kind)
        is_ours = issubclass(kind, errors.Unavailable | errors.BlobUnknown) or kind is PinakesError
        assert (problem.status >= 500) is is_ours, kind
        assert problem.title.endswith((".", "it.")), kind
        assert nobody.get(f"/problems/{problem.name}").json() == {
            "type": f"{BASE}/problems/{problem.name}",
            "title": problem.title,
            "status": problem.status,
        }
    assert nobody.get("/problems/nothing-known").status_code == 404
    assert {problem.status for problem in known_problems().values()} <= {
        400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 416, 429, 500, 503, 507,
    }  # fmt: skip


@ONE_BACKEND
def test_what_fails_unexpectedly_tells_nothing_of_itself(
    world: World, ana: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from pinakes.core.catalogue.machine_catalogue import MachineCatalogue

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("SELECT secret FROM /etc/passwd")

    monkeypatch.setattr(MachineCatalogue, "get", fail)
    answer = ana.get("/vm-images/1")
    assert answer.status_code == 500
    assert answer.json() == {
        "type": f"{BASE}/problems/internal-error",
        "title": "Something went wrong here.",
        "status": 500,
    }
    assert "secret" not in caplog.text
    assert "RuntimeError" in caplog.text


@ONE_BACKEND
def test_bytes_that_a_row_promises_and_the_store_lacks_are_our_fault(world: World, ana: Client) -> None:
    from tests.contracts.native.conftest import content_path

    version = ana.filled(ana.image()["id"])
    for key in world.stored_keys():
        world.archive.store.delete(key)
    answer = ana.get(content_path(version))
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert version["content"]["sha256"] not in answer.text


# -- Credentials --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "TOKEN", "Token"])
def test_a_token_is_taken_in_either_form(lasting_world: World, lasting_ana: Client, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {lasting_ana.token}"}
    assert lasting_world.stranger().get("/vm-images?mine=true", headers=headers).status_code == 200


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Bearer nope", "Basic YTpi", "Bearer \xe9", "x" * 5000])
def test_a_bad_credential_is_refused_also_where_none_is_needed(lasting_world: World, value: str) -> None:
    answer = lasting_world.stranger().get("/vm-images", headers={"Authorization": value})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["type"] == f"{BASE}/problems/unauthenticated"


@ONE_BACKEND
def test_a_revoked_and_an_expired_token_are_refused_at_once(world: World, ana: Client, clock: MovableClock) -> None:
    short = world.user("ben", expires_at=clock.now + DAY)
    assert short.get("/vm-images").status_code == 200
    clock.advance(DAY + 1)
    assert short.get("/vm-images").status_code == 401
    from tests.contracts.native.conftest import SYSTEM

    (token,) = world.archive.credentials.list("ana")
    world.archive.credentials.revoke(SYSTEM, token.id)
    assert ana.get("/vm-images").status_code == 401


@ONE_BACKEND
def test_who_lacks_the_kind_or_the_scope_is_told_so(world: World, ana: Client) -> None:
    """DESIGN section 2, the table: 403 for both."""
    path = f"/vm-images/{ana.image(is_public=True)['id']}"
    doctor = world.user("doc", Kind.CLINICAL)
    builder = world.user("ana", scope="build:read,write")
    reader = world.user("ana", scope="image:read")
    for client, problem in ((doctor, "kind-missing"), (builder, "scope-missing")):
        for answer in (client.get(path), client.get("/vm-images"), client.post("/vm-images", json={"name": "x"})):
            assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (403, problem)
    assert reader.get(path).status_code == 200
    for answer in (reader.delete(path), reader.post(f"{path}/restore"), reader.put(f"{path}/icon", content=b"x")):
        assert answer.json()["type"].rpartition("/")[2] == "scope-missing"
    writer = world.user("ana", scope="image:read,write")
    assert writer.post(f"{path}/purge").status_code == 403
    assert ana.get(path).status_code == 200


def test_an_anonymous_caller_is_refused_before_a_body_is_read(lasting_world: World) -> None:
    answer = lasting_world.stranger().post("/vm-images", content=b"{", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 401


# -- Paths and methods --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NOT_IDS)
def test_what_is_no_id_names_nothing(lasting_ana: Client, text: str) -> None:
    for path in (f"/vm-images/{text}", f"/vm-images/1/versions/{text}", f"/groups/{text}", f"/jobs/{text}/log"):
        answer = lasting_ana.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_there_are_no_redirects_and_no_other_spellings(lasting_world: World) -> None:
    for path in ("/vm-images/", "//vm-images", "/VM-images", "/nothing", "/vm-images/1/", "/openapi.json/"):
        answer = lasting_world.stranger().get(path)
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (404, "path-unknown"), path


@ONE_BACKEND
def test_head_is_get_without_its_body(ana: Client) -> None:
    image = ana.image()
    for path in ("/vm-images", f"/vm-images/{image['id']}", "/openapi.json", "/vm-images/999"):
        got, headed = ana.get(path), ana.request("HEAD", path)
        assert headed.content == b""
        assert headed.status_code == got.status_code
        assert headed.headers["content-length"] == got.headers["content-length"]


def test_options_tell_what_can_be_done(lasting_world: World) -> None:
    answer = lasting_world.stranger().request("OPTIONS", "/vm-images/1")
    assert answer.status_code == 204
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"}


@pytest.mark.parametrize("method", ["PUT", "TRACE", "PROPFIND", "POST"])
def test_another_method_is_refused_with_what_is_allowed(lasting_ana: Client, method: str) -> None:
    answer = lasting_ana.request(method, "/vm-images/1")
    assert (answer.status_code, answer.json()["type"]) == (405, f"{BASE}/problems/method-unsupported")
    assert "PATCH" in answer.headers["allow"]


# -- Bodies and parameters ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"", "application/json", 400),
        (b"  ", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b'{"name": "\xff"}', "application/json", 400),
        (b'{"name": "\\ud800"}', "application/json", 400),
        (b'{"name": "a\\u0000b"}', "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b'{"name": "x", "unknown": 1}', "application/json", 400),
        (b'{"name": ["x"]}', "application/json", 400),
        (b'{"name": "x", "is_public": "true"}', "application/json", 400),
        (b'{"name": "x", "tags": "a"}', "application/json", 400),
        (b'{"name": "x", "tags": [1]}', "application/json", 400),
        (b"[" * 100_00 + b"]" * 100_00, "application/json", 400),
        (b'{"name": "x"}', "text/plain", 415),
        (b'{"name": "x"}', "", 415),
        (b"name=x", "application/x-www-form-urlencoded", 415),
        (b'{"name": "' + b"x" * MAX_JSON_BYTES + b'"}', "application/json", 413),
        (b'{"name": "' + b"x" * 257 + b'"}', "application/json", 400),
        (b'{"name": " "}', "application/json", 400),
        (b'{"name": "x", "ci_name": "a b"}', "application/json", 400),
        (b'{"name": "x", "namespace": "-"}', "application/json", 400),
    ],
)
def test_a_body_that_cannot_be_meant_is_refused_and_makes_nothing(
    lasting_ana: Client, body: bytes, media_type: str, status: int
) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    answer = lasting_ana.post("/vm-images", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert lasting_ana.get("/vm-images").json()["items"] == []


def test_a_body_is_bounded_in_bytes_and_values_before_it_is_compared_with_anything(lasting_ana: Client) -> None:
    announced = lasting_ana.post("/vm-images", content=b"{", headers={
        "Content-Type": "application/json", "Content-Length": str(MAX_JSON_BYTES + 1)
    })  # fmt: skip
    many = lasting_ana.post("/vm-images", json={"name": "x", "tags": [[1, 2, 3]] * 4000})
    tags = lasting_ana.post("/vm-images", json={"name": "x", "tags": [f"{number}" for number in range(1001)]})
    assert [answer.status_code for answer in (announced, many, tags)] == [413, 400, 400]
    assert "more than 10000 values" in many.json()["detail"]
    assert list(tags.json()["errors"]) == ["tags"]
    image = lasting_ana.image("long", description="ü" * 100_000)
    assert lasting_ana.get(f"/vm-images/{image['id']}").json()["description"] == "ü" * 100_000
    assert lasting_ana.post(f"/vm-images/{image['id']}/purge").status_code == 204


def test_the_limit_of_a_json_body_is_below_that_of_the_other_apis() -> None:
    from pinakes.apis.native import bodies
    from pinakes.core.catalogue.machine_catalogue import MOST_DESCRIPTION

    assert 3 * MOST_DESCRIPTION < bodies.MOST_BYTES < 64 * 1024 * 1024


def test_wrong_members_are_told_one_by_one_but_not_without_end(lasting_ana: Client) -> None:
    answer = lasting_ana.post("/vm-images", json={"name": 5, "description": [], "tags": ["a", 7]})
    assert set(answer.json()["errors"]) == {"name", "description", "tags.1"}
    many = lasting_ana.post("/vm-images", json={"name": "x"} | {f"{number}" * 200: 1 for number in range(90)})
    assert many.status_code == 400
    assert len(many.json()["errors"]) <= 50
    assert len(many.content) < 20_000


@pytest.mark.parametrize(
    "text",
    ["2030-01-01", "", "tomorrow", "2030-02-30T00:00:00Z", "2030-01-01T00:00:00", "9999-12-31T23:59:59-14:00",
     "0001-01-01T00:00:00+14:00", "2030-01-01T25:00:00Z", 5, True, ["x"]],
)  # fmt: skip
def test_what_is_no_moment_is_refused(lasting_ana: Client, text: object) -> None:
    answer = lasting_ana.post("/vm-images", json={"name": "x", "end_date": text})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["end_date"])


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        f"limit={'9' * 5000}",
        "cursor=0",
        "cursor=x",
        f"cursor={'9' * 5000}",
        "mine=?",
    ],
)
def test_a_parameter_that_cannot_be_meant_is_refused(lasting_ana: Client, query: str) -> None:
    answer = lasting_ana.get(f"/vm-images?{query}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [query.partition("=")[0]])


@pytest.mark.parametrize(
    "query", ["search=100%", "search=%00", "search=%ff", "author=%00", "tag=%00", "x=y", "cursor="]
)
def test_odd_queries_find_what_they_find(lasting_ana: Client, query: str) -> None:
    assert lasting_ana.get(f"/vm-images?{query}").status_code in {200, 400}


def test_the_address_in_problems_is_the_one_clients_use(lasting_world: World) -> None:
    answer = lasting_world.stranger().get("http://own.example/vm-images/1")
    assert json.loads(answer.content)["type"] == "http://own.example/problems/image-unknown"
