"""Djinn contract, section 2: who is let in, and that a refusal tells nothing."""

from collections.abc import Callable

import httpx
import pytest

from pinakes.core.actor import Kind
from pinakes.core.clock import HOUR
from tests.conftest import MovableClock
from tests.contracts.djinn.conftest import QCOW2, Client, World, rest_of, share

NOT_FOUND = (404, {"message": "Not Found"})


def told(answer: httpx.Response) -> tuple[int, object]:
    return answer.status_code, answer.json()


def calls(client: Client, image_id: int) -> dict[str, Callable[[], httpx.Response]]:
    """Every call that needs a scope, and on its right side."""
    place = "/n/ana/abc"
    return {
        "list images": lambda: client.get("/images"),
        "get image": lambda: client.get(f"/images/{image_id}"),
        "get content": lambda: client.get(f"/images/{image_id}", headers={"Accept": "application/octet-stream"}),
        "create image": lambda: client.post("/images?name=new&namespace=new", content=QCOW2),
        "create by json": lambda: client.post("/images", json={"name": "new", "download_url": "http://h/x"}),
        "create by form": lambda: client.post("/images", data={"name": "formed"}, files={"file": QCOW2}),
        "list namespaces": lambda: client.get("/namespaces"),
        "get namespace": lambda: client.get(place),
        "list children": lambda: client.get(f"{place}/-/namespaces"),
        "list its images": lambda: client.get(f"{place}/-/images"),
        "list collaborators": lambda: client.get(f"{place}/-/collaborators"),
        "list builds": lambda: client.get(f"{place}/-/builds"),
        "create namespace": lambda: client.post("/namespaces", json={"name": "new1"}),
        "patch namespace": lambda: client.patch(place, json={"description": "new"}),
        "list invites": lambda: client.get("/invites"),
        "list its invites": lambda: client.get(f"{place}/-/invites"),
        "send invite": lambda: client.post(f"{place}/-/invites", json={"handle": "eve"}),
        "delete image": lambda: client.delete(f"/images/{image_id}"),
        "delete namespace": lambda: client.delete(place),
    }


READS = {"list namespaces", "get namespace", "list children", "list its images", "list collaborators", "list builds"}


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("image:read", {"list images", "get image", "get content"}),
        ("image:write", {"create image", "create by json", "create by form"}),
        ("image:delete", {"delete image"}),
        ("namespace:read", READS),
        ("namespace:write", {"create namespace", "patch namespace"}),
        ("namespace:delete", {"delete namespace"}),
        ("invite:read", {"list invites", "list its invites"}),
        ("invite:write", {"send invite"}),
        ("build:read,write,delete object:read variable:read key:read cron:read webhook:read invite:delete", set()),
    ],
)
def test_2_3_each_call_needs_its_scope(world: World, ana: Client, scope: str, allowed: set[str]) -> None:
    world.user("eve")
    image = ana.upload("alpine", "abc")
    limited = world.user("ana", scope=scope)
    for name, call in calls(limited, image["id"]).items():
        answer = call()
        if name in allowed:
            assert answer.status_code in {200, 201, 204} or name == "create by json", name
        else:
            assert told(answer) == NOT_FOUND, name
    assert limited.get("/user").status_code == 200


def test_2_3_invites_are_taken_and_dropped_with_invite_write(world: World, ana: Client) -> None:
    ben, writer = world.user("ben"), world.user("ben", scope="invite:write")
    for path in ("abc", "def"):
        ana.post("/namespaces", json={"name": path})
        ana.post(f"/n/ana/{path}/-/invites", json={"handle": "ben"})
    first, second = (invite["id"] for invite in ben.get("/invites").json())
    reader = world.user("ben", scope="invite:read,delete")
    assert told(reader.patch(f"/invites/{first}")) == told(reader.delete(f"/invites/{second}")) == NOT_FOUND
    assert writer.patch(f"/invites/{first}").status_code == 200
    assert writer.delete(f"/invites/{second}").status_code == 204


def test_2_3_collaborators_are_removed_with_namespace_delete(world: World, ana: Client, ben: Client) -> None:
    ana.post("/namespaces", json={"name": "abc"})
    share(ana, "/n/ana/abc", ben, "ben")
    path = "/n/ana/abc/-/collaborators/ben"
    assert told(world.user("ana", scope="namespace:read,write").delete(path)) == NOT_FOUND
    assert world.user("ana", scope="namespace:delete").delete(path).status_code == 204


SCHEMES: list[str] = ["Bearer {}", "bearer {}", "BEARER   {} "]


def test_2_1_the_scheme_is_bearer_in_any_case(world: World, ana: Client) -> None:
    for scheme in SCHEMES:
        header = {"Authorization": scheme.format(ana.token)}
        assert world.stranger().get("/user", headers=header).json()["username"] == "ana"


BAD_HEADERS: list[str] = ["Token {}", "Basic {}", "{}", "Bearer", "Bearer {}x", "Bearer {} {}", "Bearer \xff"]


def test_2_4_what_is_no_good_token_is_refused(world: World, ana: Client) -> None:
    image = ana.upload("alpine", "abc")
    ana.patch("/n/ana/abc", json={"visibility": "public"})
    for header in BAD_HEADERS:
        wrong = {"Authorization": header.replace("{}", ana.token or "")}
        for call in calls(Client(world.app, world.loop, None, wrong), image["id"]).values():
            answer = call()
            assert told(answer) == NOT_FOUND
            assert answer.headers["www-authenticate"] == "Bearer"


def test_2_4_two_tokens_are_none(world: World, ana: Client) -> None:
    headers = [("Authorization", f"Bearer {ana.token}"), ("Authorization", f"Bearer {ana.token}")]

    async def ask() -> int:
        transport = httpx.ASGITransport(app=world.app)
        async with httpx.AsyncClient(transport=transport) as client:
            return (await client.get("http://archive.example/djinn/user", headers=headers)).status_code

    assert world.loop.run_until_complete(ask()) == 404


def test_2_4_without_a_token_nothing_private_is_there(world: World, ana: Client, nobody: Client) -> None:
    image = ana.upload("alpine", "abc")
    for call in calls(nobody, image["id"]).values():
        assert told(call()) == NOT_FOUND
    assert told(nobody.get("/user")) == NOT_FOUND
    assert ana.get(f"/images/{image['id']}").status_code == 200


def test_a_token_is_refused_the_moment_it_is_revoked_or_expires(world: World, ana: Client, clock: MovableClock) -> None:
    fleeting = world.user("ana", expires_at=clock() + HOUR)
    assert fleeting.get("/user").status_code == ana.get("/user").status_code == 200
    clock.advance(HOUR)
    assert told(fleeting.get("/user")) == NOT_FOUND
    (first, *_) = world.archive.credentials.list("ana")
    world.archive.credentials.revoke(world.archive.credentials.actor("cli", ana.token or ""), first.id)
    assert told(ana.get("/user")) == NOT_FOUND


@pytest.mark.parametrize("kinds", [(Kind.CLINICAL,), (Kind.SLIDE, Kind.CLINICAL)])
def test_a_user_of_other_kinds_finds_nothing_not_even_themselves(
    world: World, ana: Client, kinds: tuple[Kind, ...]
) -> None:
    image = ana.upload("alpine", "abc")
    ana.patch("/n/ana/abc", json={"visibility": "public"})
    doctor = world.user("doctor", *kinds)
    for call in calls(doctor, image["id"]).values():
        assert told(call()) == NOT_FOUND
    assert told(doctor.get("/user")) == NOT_FOUND


def test_a_token_never_opens_an_image_of_another_kind(world: World, ana: Client) -> None:
    from pinakes.core.actor import Actor
    from pinakes.core.catalogue.records import NewImage

    user = world.archive.users.get("ana")
    world.archive.users.set_kinds(Actor("system"), "ana", [Kind.MACHINE, Kind.CLINICAL])
    with world.archive.content.receive() as upload, world.archive.database.write() as transaction:
        upload.write(QCOW2)
        upload.finish()
        new = NewImage(Kind.CLINICAL, "Xray", user.id)
        image_id, _ = world.archive.images.ingest(transaction, Actor("system"), new, upload)
    for method in ("GET", "DELETE"):
        assert told(ana.request(method, f"/images/{image_id}")) == NOT_FOUND
    assert ana.get("/images").json() == []


def test_staff_counts_for_nothing(world: World, ana: Client) -> None:
    image = ana.upload("alpine", "abc")
    staff = world.user("boss", is_staff=True)
    for name, call in calls(staff, image["id"]).items():
        if name in {"get image", "get content", "get namespace", "patch namespace", "delete image", "delete namespace"}:
            assert told(call()) == NOT_FOUND
    assert staff.get("/images").json() == []


def test_2_4_a_foreign_image_is_answered_like_a_missing_one(world: World, ana: Client, nobody: Client) -> None:
    image = ana.upload("alpine")
    hidden = ana.upload("alpine", "abc")
    content = {"Accept": "application/octet-stream", "Range": "bytes=0-1"}
    for client in (world.user("eve"), world.user("eve", scope="image:write"), nobody, world.stranger("wrong")):
        for method in ("GET", "HEAD", "DELETE"):
            for headers in ({}, content):
                missing = rest_of(client.request(method, "/images/4711", headers=headers))
                for image_id in (image["id"], hidden["id"]):
                    assert rest_of(client.request(method, f"/images/{image_id}", headers=headers)) == missing
        for path in ("", "/-/images", "/-/collaborators", "/-/invites"):
            assert rest_of(client.get(f"/n/ana/abc{path}")) == rest_of(client.get(f"/n/ana/none{path}"))


def test_2_5_a_write_only_token_gets_the_whole_image(world: World, ana: Client) -> None:
    made = world.user("ana", scope="image:write").upload("alpine", "abc/sub")
    assert made == ana.get(f"/images/{made['id']}").json()


@pytest.mark.parametrize("visibility", ["private", "internal", "public"])
def test_2_6_the_roots_visibility_decides_who_reads(
    world: World, ana: Client, ben: Client, nobody: Client, visibility: str
) -> None:
    ana.post("/namespaces", json={"name": "abc", "visibility": visibility})
    image = ana.upload("alpine", "abc/sub")
    share(ana, "/n/ana/abc", ben, "ben")
    path, content = f"/images/{image['id']}", {"Accept": "application/octet-stream"}

    def reads(client: Client) -> bool:
        answers = [client.get(path), client.get(path, headers=content), client.get("/n/ana/abc/sub/-/images")]
        assert len({answer.status_code for answer in answers}) == 1
        return answers[0].status_code == 200

    eve = world.user("eve")
    assert reads(ana)
    assert reads(ben)
    assert reads(eve) is (visibility != "private")
    assert reads(nobody) is (visibility == "public")
    for client in (eve, nobody):
        assert client.delete(path).status_code == 404
    assert world.user("eve", scope="namespace:read").get(path).status_code == 404
    assert eve.get("/images").json() == []


def test_2_7_strangers_do_not_see_e_mail_addresses(world: World, ana: Client, ben: Client, nobody: Client) -> None:
    ana.post("/namespaces", json={"name": "abc", "visibility": "public"})
    share(ana, "/n/ana/abc", ben, "ben")
    image = ana.upload("alpine", "abc/sub")
    bens = ben.upload("debian", "abc/sub@ana")
    paths = [f"/images/{image['id']}", f"/images/{bens['id']}", "/n/ana/abc/sub", "/n/ana/abc/-/namespaces"]
    for path in [*paths, "/n/ana/abc/sub/-/images"]:
        for stranger in (nobody, world.user("eve")):
            assert "@example.org" not in stranger.get(path).text
        for insider in (ana, ben):
            assert '"email":""' not in insider.get(path).text
            assert "ana@example.org" in insider.get(path).text
