"""PathomIQ contract 1: paths, methods, tokens, bodies and errors, for every address alike."""

import json
from collections.abc import Iterator
from typing import Any

from pinakes.core.actor import Kind
from pinakes.core.clock import HOUR
from pinakes.core.slides.records import NewSlide
from tests.conftest import MovableClock
from tests.contracts.pathomiq.conftest import (
    NOBODYS_UID,
    ONE_BACKEND,
    ORIGIN,
    PAGE_ORIGIN,
    Client,
    Json,
    World,
    answered,
    refused,
    share,
)
from tests.core.namespaces.making import SYSTEM
from tests.statements import counted_statements

UID = NOBODYS_UID
ENDPOINTS = {
    "/Users/imagelist": ("GET",),
    "/Images": ("POST",),
    "/Images/userid/1": ("GET",),
    f"/Images/startpredict/{UID}": ("GET", "POST"),
    f"/Images/stoppredict/{UID}": ("GET", "POST"),
    "/Images/adduser": ("POST",),
    "/Images/removeuser": ("POST",),
    "/Images/updateuser": ("POST",),
    f"/Images/{UID}": ("GET", "DELETE"),
    "/Images/5": ("PUT",),
    "/LogInfo": ("GET", "POST"),
    f"/LogInfo/{UID}": ("GET",),
    f"/S3/file/{UID}": ("GET",),
    f"/S3/raw/{UID}_complete_net_prediction.xml": ("GET",),
    "/Annotations/upload": ("POST",),
}
"""Every address that needs a token, and its methods."""

BODIES = ("/Images", "/Images/adduser", "/Images/removeuser", "/Images/updateuser", "/LogInfo")


def endpoints() -> Iterator[tuple[str, str]]:
    for path, methods in ENDPOINTS.items():
        for method in methods:
            yield method, path
            if method == "GET":
                yield "HEAD", path


# -- Paths and methods --------------------------------------------------------------------------------------------


@ONE_BACKEND
def test_1_a_slash_at_the_end_is_ignored(ana: Client) -> None:
    for method, path in endpoints():
        plain, slashed = ana.request(method, path), ana.request(method, path + "/")
        assert (slashed.status_code, slashed.content) == (plain.status_code, plain.content), (method, path)
        assert not 300 <= slashed.status_code < 400


@ONE_BACKEND
def test_1_what_is_not_there_is_unknown_in_the_apis_own_shape(ana: Client) -> None:
    for path in (
        "/Users",
        "/Users/list",
        "/images",
        "/Images/a/b/c",
        "/Images//",
        "/LogInfo/a/b",
        "/S3",
        "/S3/file/a/b",
    ):
        answer = ana.get(path)
        assert answer.status_code == 404, path
        if path != "/images":  # a small letter makes it another API's (contract 1), and here nobody's
            refused(answer, 404)
    for path in ("/Images/UserId/1", "/Images/startPredict/x", "/Users/ImageList"):
        refused(ana.get(path), 404)


@ONE_BACKEND
def test_1_a_wrong_method_says_which_are_right(ana: Client) -> None:
    for path, wrong, allow in (
        ("/Users/imagelist", "POST", "GET, HEAD, OPTIONS"),
        ("/Images", "GET", "POST, OPTIONS"),
        ("/Images/adduser", "GET", "POST, OPTIONS"),
        (f"/Images/{UID}", "POST", "GET, PUT, DELETE, HEAD, OPTIONS"),
        (f"/Images/startpredict/{UID}", "PUT", "GET, HEAD, POST, OPTIONS"),
        ("/LogInfo", "DELETE", "GET, POST, HEAD, OPTIONS"),
        (f"/S3/file/{UID}", "PATCH", "GET, HEAD, OPTIONS"),
    ):
        answer = ana.request(wrong, path)
        refused(answer, 405)
        assert answer.headers["allow"] == allow


# -- Tokens -------------------------------------------------------------------------------------------------------


@ONE_BACKEND
def test_d1_without_a_token_nothing_is_answered(world: World, nobody: Client) -> None:
    for method, path in endpoints():
        answer = nobody.request(method, path)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"] == "Bearer"
        if method != "HEAD":
            assert set(refused(answer, 401)) - {"msg"} == {"success", "status"}


@ONE_BACKEND
def test_d1_both_schemes_in_any_case(world: World, ana: Client, nobody: Client) -> None:
    path = f"/Images/userid/{ana.user_id}"
    for scheme in ("Bearer", "Token", "bearer", "TOKEN", "ToKeN"):
        assert nobody.get(path, headers={"Authorization": f"{scheme} {ana.token}"}).status_code == 200
    for header in (
        "",
        "Bearer",
        "Bearer ",
        f"Basic {ana.token}",
        ana.token or "",
        f"Bearer {ana.token}x",
        "Bearer \xff",
    ):
        refused(nobody.get(path, headers={"Authorization": header}), 401)
    refused(nobody.get(f"{path}?token={ana.token}&access_token={ana.token}"), 401)
    refused(nobody.get(path, headers={"Cookie": f"token={ana.token}; Authorization=Bearer {ana.token}"}), 401)


def test_d1_a_token_that_is_good_no_more_is_none(world: World, ana: Client, clock: MovableClock) -> None:
    path = f"/Images/userid/{ana.user_id}"
    brief = world.user("ana", expires_at=clock.now + HOUR)
    assert brief.get(path).status_code == 200
    clock.advance(HOUR)
    refused(brief.get(path), 401)
    world.archive.users.set_active(SYSTEM, "ana", is_active=False)
    refused(ana.get(path), 401)
    world.archive.users.set_active(SYSTEM, "ana", is_active=True)
    assert ana.get(path).status_code == 200
    (first, *_) = world.archive.credentials.list("ana")
    world.archive.credentials.revoke(SYSTEM, first.id)
    refused(ana.get(path), 401)


@ONE_BACKEND
def test_a_user_of_another_kind_has_no_token_here(world: World) -> None:
    for name, kinds, is_staff in (("dora", [Kind.CLINICAL], False), ("max", [Kind.MACHINE], True)):
        client = world.user(name, *kinds, is_staff=is_staff)
        for method, path in endpoints():
            answer = client.request(method, path, json={} if path in BODIES else None)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"


NEEDS = {
    "GET": "image:read",
    "HEAD": "image:read",
    "POST": "image:write",
    "PUT": "image:write",
    "DELETE": "image:delete",
}


@ONE_BACKEND
def test_a_token_does_only_what_its_scope_says(world: World) -> None:
    scopes = ("image:read", "image:write", "image:delete", "namespace:read,write,delete")
    clients = {scope: world.user("ana", scope=scope) for scope in scopes}
    for method, path in endpoints():
        need = "image:write" if "predict/" in path else NEEDS[method]
        for scope, client in clients.items():
            status = client.request(method, path, json={} if path in BODIES else None).status_code
            assert (status == 403) == (scope != need), (method, path, scope)
            assert status != 401


@ONE_BACKEND
def test_d1_the_token_is_judged_before_the_body(nobody: Client) -> None:
    for path in BODIES:
        for body in (b"{", b"", b"x" * (2 * 1024 * 1024)):
            refused(nobody.post(path, content=body), 401)
    refused(nobody.put("/Images/5", content=b"{"), 401)


# -- Bodies -------------------------------------------------------------------------------------------------------


NO_OBJECTS: list[bytes] = [
    b"",
    b" ",
    b"{",
    b"[]",
    b"null",
    b"5",
    b'"x"',
    b'{"a": NaN}',
    b'{"a": "\xff"}',
    b'{"a": "\\ud800"}',
    b'{"a":' + b"[" * 100_000,
    b'{"imageid": ' + b"9" * 5000 + b"}",
    b"\x00",
]


@ONE_BACKEND
def test_1_what_is_no_json_object_is_refused(ana: Client) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    for path in BODIES:
        for body in NO_OBJECTS:
            refused(ana.post(path, content=body, headers=headers), 400)
    for body in NO_OBJECTS[:-2]:
        refused(ana.put("/Images/5", content=body, headers=headers), 400)


@ONE_BACKEND
def test_1_a_body_of_more_than_one_mib_is_refused(ana: Client) -> None:
    headers = {"Content-Type": "application/json"}
    frame = len(b'{"filename": "a.svs", "more": ""}')
    for extra, status in ((0, 200), (1, 413)):
        filler = "x" * (1024 * 1024 - frame + extra)
        body = b'{"filename": "a.svs", "more": "%s"}' % filler.encode()
        assert ana.post("/Images", content=body, headers=headers).status_code == status


@ONE_BACKEND
def test_1_another_type_of_body_is_refused(ana: Client) -> None:
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
    ):
        for path in BODIES:
            refused(ana.post(path, content=b"{}", headers={"Content-Type": kind}), 415)
    for kind in ("", "application/json", "Application/JSON; charset=UTF-8"):
        answered(ana.post("/Images", content=b'{"filename": "a"}', headers={"Content-Type": kind}))


HOSTILE: list[Any] = [
    "\0",
    "\ud800",
    "9" * 5000,
    10**400,
    -1,
    {"a": []},
    [[[]]],
    True,
    None,
    "' OR 1=1 --",
    "../../etc/passwd",
]


GOOD: dict[str, Json] = {
    "/Images": {"filename": "a", "userid": None, "patient_id": 1, "workarea": 1, "presign": None},
    "/Images/adduser": {"userid": [1]},
    "/Images/removeuser": {"userid": [5]},
    "/Images/updateuser": {"userid": []},
    "/LogInfo": {"type": "a", "message": "b"},
}
"""Bodies that are taken, but for `imageid`."""


def test_hostile_values_never_become_a_fault(world: World, ana: Client) -> None:
    """DESIGN.md rule 5: each alone, among members that are good."""
    image = ana.create()
    headers = {"Content-Type": "application/json"}

    def sent(method: str, path: str, body: Json) -> int:
        content = json.dumps(body)  # with a lone surrogate as an escape
        return ana.request(method, path, content=content, headers=headers).status_code

    for value in HOSTILE:
        for path, members in GOOD.items():
            good = {**members, "imageid": image["image_unique_id"]}
            for member in good:
                assert sent("POST", path, {**good, member: value}) < 500, (path, member, value)
        for member in ("status", "location", "study_id", "id", "metric"):
            assert sent("PUT", f"/Images/{image['id']}", {member: value}) < 500, (member, value)


# -- Web pages ----------------------------------------------------------------------------------------------------


@ONE_BACKEND
def test_1_pages_of_allowed_origins_may_call(ana: Client, nobody: Client) -> None:
    asked = {"Origin": PAGE_ORIGIN, "Access-Control-Request-Method": "PUT"}
    preflight = nobody.request("OPTIONS", "/Images/5", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PAGE_ORIGIN
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    answer = ana.get("/LogInfo", headers={"Origin": PAGE_ORIGIN})
    assert answer.headers["access-control-allow-origin"] == PAGE_ORIGIN
    assert {"ETag", "Location"} <= set(answer.headers["access-control-expose-headers"].split(", "))
    for answer in (ana.get("/LogInfo", headers={"Origin": "https://evil.example"}), ana.get("/LogInfo")):
        assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-credentials" not in preflight.headers


@ONE_BACKEND
def test_1_the_api_is_found_at_a_host_of_its_own(ana: Client) -> None:
    image = ana.create()
    answer = ana.get(f"http://slides.example/Images/{image['image_unique_id']}")
    assert answered(answer)["id"] == image["id"]
    assert ana.create()["response"]["url"].startswith(f"{ORIGIN}/S3/")


# -- Cost ---------------------------------------------------------------------------------------------------------


def statements(world: World, client: Client, path: str) -> int:
    with counted_statements(world.archive.database.engine) as counted:
        answered(client.get(path))
    return len(counted)


def test_a_list_takes_as_many_statements_however_long_it_is(
    world: World, ana: Client, ben: Client, staff: Client
) -> None:
    def counts() -> list[int]:
        mine = [
            f"/Images/userid/{ana.user_id}",
            f"/Images/userid/{ana.user_id}?limit=2",
            "/Users/imagelist",
            "/LogInfo",
        ]
        bens = [f"/Images/userid/{ben.user_id}"]
        staffs = [f"/Images/userid/{ana.user_id}", "/Users/imagelist", "/LogInfo"]
        asked = ((ana, mine), (ben, bens), (staff, staffs))
        return [statements(world, client, path) for client, paths in asked for path in paths]

    def add(count: int) -> None:
        """Slides of hers that others see too; one of them uploaded."""
        actor = world.archive.credentials.actor("pathomiq", ana.token or "")
        for number in range(count - 1):
            slide = world.archive.slides.create(actor, NewSlide(str(number)))
            world.archive.slide_sharing.add(actor, slide.id, [ben.user_id, staff.user_id])
        share(ana, world.uploaded(ana), ben, staff)
        world.user(f"user{count}")

    add(10)
    few = counts()
    add(50)
    assert len(answered(ana.get(f"/Images/userid/{ana.user_id}"))) == 60
    assert counts() == few
    assert max(few) <= 4
