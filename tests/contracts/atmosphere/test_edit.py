"""PATCH and PUT of an image (atmosphere contract, section 6)."""

from typing import Any

import pytest

from pinakes.core import audit
from pinakes.core.actor import Visibility
from pinakes.core.clock import DAY
from tests.conftest import MovableClock
from tests.contracts.atmosphere.conftest import NO_CREDENTIALS, NO_PERMISSION, NOT_FOUND, Client, World, stamp
from tests.core.namespaces.making import put

LOCAL = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
READ_ONLY = ("id", "uuid", "url", "created_by", "start_date", "icon", "versions", "metrics_url")


def test_only_the_creator_edits(world: World, ana: Client, ben: Client, staff: Client, nobody: Client) -> None:
    """E2: staff included; C5 before anything is looked up."""
    image_id = world.image(ana, "alpine")
    for method in ("PATCH", "PUT"):
        for client in (ben, staff):
            answer = client.request(method, f"/images/{image_id}", json={"name": "mine"})
            assert (answer.status_code, answer.json()) == (403, NO_PERMISSION)
        for path in (f"/images/{image_id}", "/images/999999", "/images/abc"):
            answer = nobody.request(method, path, content=b"{", headers={"Content-Type": "text/plain"})
            assert (answer.status_code, answer.json()) == (403, NO_CREDENTIALS)
    assert nobody.get(f"/images/{image_id}").json()["name"] == "alpine"


def test_an_edit_answers_with_the_whole_image(world: World, ana: Client) -> None:
    """E3, E4: what a following GET shows."""
    image_id = world.image(ana, "alpine", is_public=False)
    one, two = world.tag("one"), world.tag("two")
    body = {
        "name": "new name",
        "description": "new *description* 日本",
        "is_public": True,
        "tags": [two, one],
        "access_list": [],
        "end_date": "2099-01-02T03:04:05Z",
    }
    answer = ana.patch(f"/images/{image_id}", json=body)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown == ana.get(f"/images/{image_id}").json()
    assert [tag["name"] for tag in shown["tags"]] == ["one", "two"]
    for name in ("name", "description", "is_public", "end_date"):
        assert shown[name] == body[name]


def test_read_only_and_unknown_members_are_ignored(world: World, ana: Client) -> None:
    """E4, E5: whatever they hold."""
    image_id = world.image(ana, "alpine", tags=("one",), description="text")
    before = ana.get(f"/images/{image_id}").json()
    value: Any
    for value in (None, 5, "x", [], {"id": "x"}, [[]]):
        body = {**dict.fromkeys(READ_ONLY, value), "nonsense": value, "visibility": "public"}
        assert ana.patch(f"/images/{image_id}", json=body).json() == before
    options: Any
    for options in ({"json": {}}, {}, {"content": b"", "headers": {"Content-Type": "application/json"}}):
        answer = ana.patch(f"/images/{image_id}", **options)
        assert (answer.status_code, answer.json()) == (200, before)


def test_what_changes_nothing_is_no_event(world: World, ana: Client) -> None:
    image_id = world.image(ana, "alpine", tags=("one",))
    shown = ana.get(f"/images/{image_id}").json()
    assert ana.put(f"/images/{image_id}", json=shown).json() == shown
    ana.patch(f"/images/{image_id}", json={"name": "other", "is_public": False})
    with world.archive.database.read() as connection:
        events = [event for event in audit.of_image(connection, image_id) if event.action == "image:update"]
    assert [(event.api, event.detail) for event in events] == [("atmosphere", '{"changed":["name","visibility"]}')]


def test_one_bad_member_and_nothing_is_stored(world: World, ana: Client) -> None:
    """E6, X1: each bad member is named."""
    image_id = world.image(ana, "alpine", tags=("one",))
    before = ana.get(f"/images/{image_id}").json()
    bad = {"name": "", "description": 5, "is_public": "no", "end_date": "soon", "tags": [99999], "access_list": {}}
    for name, value in bad.items():
        good = {
            "name": "new",
            "description": "new",
            "is_public": False,
            "end_date": None,
            "tags": [],
            "access_list": [],
        }
        answer = ana.patch(f"/images/{image_id}", json=good | {name: value})
        assert (answer.status_code, list(answer.json())) == (400, [name])
        assert all(isinstance(text, str) and text for text in answer.json()[name])
    answer = ana.patch(f"/images/{image_id}", json=bad)
    assert (answer.status_code, set(answer.json())) == (400, set(bad))
    assert ana.get(f"/images/{image_id}").json() == before


@LOCAL
def test_names(world: World, ana: Client) -> None:
    """E7, D2: characters are counted, not bytes."""
    path = f"/images/{world.image(ana, 'alpine')}"
    for name in ("x", "  trimmed\t", "é" * 256, "𝒳" * 256, " " + "a" * 256 + " ", "100%_'\"\\", "a\nb"):
        answer = ana.patch(path, json={"name": name})
        assert (answer.status_code, answer.json()["name"]) == (200, name.strip())
    bad: Any
    for bad in (None, "", " \t\u2003", "a" * 257, True, 5, 1.5, [], {}, ["a"], "a\0b"):
        answer = ana.patch(path, json={"name": bad})
        assert (answer.status_code, list(answer.json())) == (400, ["name"]), bad


@LOCAL
def test_descriptions(world: World, ana: Client) -> None:
    """E8, D3: any length within reason, unchanged."""
    path = f"/images/{world.image(ana, 'alpine')}"
    for text in (None, "", "  kept \r\n as it is\t", "日本 𝒳 e\u0301", "x" * 200_000, "<script>"):
        answer = ana.patch(path, json={"description": text})
        assert (answer.status_code, answer.json()["description"]) == (200, text)
    bad: Any
    for bad in (True, 5, [], {}, "a\0b", "x" * 1_000_001):
        answer = ana.patch(path, json={"description": bad})
        assert (answer.status_code, list(answer.json())) == (400, ["description"])


def test_publishing_and_hiding_take_effect_at_once(world: World, ana: Client, nobody: Client) -> None:
    """E9."""
    image_id = world.image(ana, "alpine", is_public=False)
    for value, seen in ((True, 200), (False, 404), ("true", 200), ("false", 404)):
        assert ana.patch(f"/images/{image_id}", json={"is_public": value}).status_code == 200
        assert nobody.get(f"/images/{image_id}").status_code == seen
        assert nobody.count() == (seen == 200)
    bad: Any
    for bad in (None, "yes", "", 1, 0, [], {}):
        answer = ana.patch(f"/images/{image_id}", json={"is_public": bad})
        assert (answer.status_code, list(answer.json())) == (400, ["is_public"])


def test_an_internal_image_that_is_to_be_not_public_stays_internal(world: World, ana: Client, ben: Client) -> None:
    """The web interface sends `is_public` with every edit (E12, section 13)."""
    image_id = world.image(ana, "alpine", visibility=Visibility.INTERNAL)
    ana.patch(f"/images/{image_id}", json={"name": "other", "is_public": False})
    assert ben.get(f"/images/{image_id}").json()["name"] == "other"


def test_visibility_in_a_namespace_is_the_namespaces(world: World, ana: Client) -> None:
    image_id = world.image(ana, "alpine", namespace="team")
    answer = ana.patch(f"/images/{image_id}", json={"is_public": True, "name": "new"})
    assert (answer.status_code, list(answer.json())) == (400, ["is_public"])
    assert "namespace" in answer.json()["is_public"][0]
    assert ana.patch(f"/images/{image_id}", json={"is_public": False, "name": "new"}).json()["name"] == "new"


def test_renaming_leaves_the_name_in_djinn_alone(world: World, ana: Client) -> None:
    made = put(world.archive, world.actor(ana), "alpine")
    assert ana.patch(f"/images/{made.id}", json={"name": "something else"}).status_code == 200
    assert world.archive.machines.get(world.actor(ana), made.id).ci_name == "alpine"


@LOCAL
def test_ends(world: World, ana: Client, clock: MovableClock) -> None:
    """E10: an instant, shown in UTC."""
    path = f"/images/{world.image(ana, 'alpine')}"
    for text, shown in (
        ("2099-01-02T03:04:05Z", "2099-01-02T03:04:05Z"),
        ("2099-01-02T03:04:05.5Z", "2099-01-02T03:04:05.500000Z"),
        ("2099-01-02T03:04:05+02:00", "2099-01-02T01:04:05Z"),
        ("2099-01-02T03:04:05-0330", "2099-01-02T06:34:05Z"),
        ("2099-01-02T03:04", "2099-01-02T03:04:00Z"),
        ("2099-01-02 03:04:05", "2099-01-02T03:04:05Z"),
        ("2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        (None, None),
    ):
        answer = ana.patch(path, json={"end_date": text})
        assert (answer.status_code, answer.json().get("end_date")) == (200, shown), answer.text
    bad: Any
    for bad in (
        "", "2099-01-02", 5, 1.5, True, [], {}, "soon", "2099-02-30T00:00:00Z", "2099-01-02T24:01:00Z",
        "2099-W01-1T00:00", "20990102T030405Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
        "2099-01-02T03:04:05+99:00", "٢٠٩٩-01-02T03:04:05Z", "2099-01-02T03:04:05Z\0", "null", "9" * 5000,
    ):  # fmt: skip
        answer = ana.patch(path, json={"end_date": bad})
        assert (answer.status_code, list(answer.json())) == (400, ["end_date"]), bad


def test_an_ended_image_can_be_brought_back(
    world: World, ana: Client, staff: Client, nobody: Client, clock: MovableClock
) -> None:
    """E11, V10: by its creator, from any moment in the past."""
    image_id = world.image(ana, "alpine")
    path = f"/images/{image_id}"
    assert ana.patch(path, json={"end_date": stamp(clock.now - DAY)}).status_code == 200
    assert nobody.get(path).status_code == 404
    assert staff.patch(path, json={"end_date": None}).status_code == 403
    assert ana.patch(path, json={"name": "edited"}).json()["name"] == "edited"
    assert ana.patch(path, json={"end_date": stamp(clock.now + DAY)}).status_code == 200
    assert nobody.get(path).json()["name"] == "edited"
    ana.patch(path, json={"end_date": stamp(clock.now)})
    assert nobody.get(path).status_code == 404
    assert ana.patch(path, json={"end_date": None}).status_code == 200
    assert nobody.names() == ["edited"]


def test_tags_are_replaced_as_a_whole(world: World, ana: Client) -> None:
    """E12."""
    image_id = world.image(ana, "alpine", tags=("zero",))
    path = f"/images/{image_id}"
    one, two = world.tag("one"), world.tag("two")
    for given, names in (
        ([one], ["one"]),
        ([one, two, one], ["one", "two"]),
        ([{"id": two}], ["two"]),
        ([{"id": one, "name": "whatever"}, two], ["one", "two"]),
        ([], []),
    ):
        answer = ana.patch(path, json={"tags": given})
        assert (answer.status_code, [tag["name"] for tag in answer.json()["tags"]]) == (200, names)


@LOCAL
def test_tags_that_are_none_change_nothing(world: World, ana: Client) -> None:
    """E12: 400, also for an unknown id."""
    image_id = world.image(ana, "alpine", tags=("zero",))
    tags: Any
    for tags in (
        None, "1", 1, {}, {"id": 1}, [None], [True], ["x"], [[1]], [{}], [{"id": None}], [1.5], [0], [-1], [10**30],
        [777],
    ):  # fmt: skip
        answer = ana.patch(f"/images/{image_id}", json={"tags": tags})
        assert (answer.status_code, list(answer.json())) == (400, ["tags"]), tags
    assert [tag["name"] for tag in ana.get(f"/images/{image_id}").json()["tags"]] == ["zero"]


@LOCAL
def test_a_thousand_tags_fit_and_more_do_not(world: World, ana: Client) -> None:
    image_id = world.image(ana, "alpine")
    answer = ana.patch(f"/images/{image_id}", json={"tags": list(range(1, 50_000))})
    assert (answer.status_code, list(answer.json())) == (400, ["tags"])


def test_a_reserved_tag_is_for_staff_to_put_on(world: World, ana: Client, staff: Client) -> None:
    """E13, T5: in any case; keeping it is fine, and staff may put it on an image of their own."""
    featured, plain = world.tag("FEATURED"), world.tag("plain")
    image_id = world.image(ana, "alpine")
    answer = ana.patch(f"/images/{image_id}", json={"tags": [plain, featured]})
    assert (answer.status_code, list(answer.json())) == (400, ["tags"])
    assert ana.get(f"/images/{image_id}").json()["tags"] == []
    starred = world.image(ana, "star", tags=("featured",))
    answer = ana.patch(f"/images/{starred}", json={"tags": [featured, plain]})
    assert [tag["name"] for tag in answer.json()["tags"]] == ["FEATURED", "plain"]
    own = world.image(staff, "own")
    assert len(staff.patch(f"/images/{own}", json={"tags": [featured]}).json()["tags"]) == 1


def test_own_patterns_are_attached_and_only_creator_and_staff_see_them(
    world: World, ana: Client, ben: Client, staff: Client
) -> None:
    """E14, D12, V8: who matches reads the image at once."""
    image_id = world.image(ana, "alpine", is_public=False)
    pattern = ana.post("/pattern_matches", json={"pattern": "ben", "type": "Username", "allow_access": True}).json()
    answer = ana.patch(f"/images/{image_id}", json={"access_list": [pattern["id"]]})
    assert (answer.status_code, answer.json()["access_list"]) == (200, [pattern])
    assert ben.get(f"/images/{image_id}").json()["access_list"] == []
    assert staff.get(f"/images/{image_id}").json()["access_list"] == [pattern]
    assert ana.put(f"/images/{image_id}", json=answer.json()).json()["access_list"] == [pattern]
    his = ben.post("/pattern_matches", json={"pattern": "*", "type": "Username", "allow_access": True}).json()["id"]
    bad: Any
    for bad in ([his], [99999], None, "x", [None], {}):
        answer = ana.patch(f"/images/{image_id}", json={"access_list": bad, "name": "x"})
        assert (answer.status_code, list(answer.json())) == (400, ["access_list"])
    assert ana.patch(f"/images/{image_id}", json={"access_list": []}).json()["access_list"] == []
    assert ben.get(f"/images/{image_id}").status_code == 404


@LOCAL
def test_text_that_cannot_be_kept_is_refused(world: World, ana: Client) -> None:
    """E15."""
    path = f"/images/{world.image(ana, 'alpine')}"
    for member in ("name", "description", "end_date", "is_public", "tags"):
        for text in (rb"\u0000", rb"\ud800", rb"x\udfff\ud800"):
            body = b'{"' + member.encode() + b'": "' + text + b'"}'
            answer = ana.patch(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 400
            assert isinstance(answer.json(), dict)
    assert ana.get(path).json()["name"] == "alpine"


def test_put_needs_a_name_and_takes_back_what_get_gave(world: World, ana: Client, clock: MovableClock) -> None:
    """E16, C7."""
    image_id = world.image(ana, "alpine", tags=("one", "two"), description="text", end_at=clock.now + DAY)
    put(world.archive, world.actor(ana), "with-version")
    for path in (f"/images/{image_id}", "/images/2"):
        answer = ana.put(path, json={"description": "x"})
        assert (answer.status_code, answer.json()) == (400, {"name": ["This field is required."]})
        edited = ana.get(path).json() | {"name": "edited"}
        answer = ana.put(path, json=edited)
        assert (answer.status_code, answer.json()) == (200, edited)
    assert ana.put(f"/images/{image_id}", json={"name": "bare"}).json()["description"] == "text"


def test_a_token_without_the_scope_may_not_edit(world: World, ana: Client) -> None:
    """DESIGN section 2: writes 403; the object is not looked up."""
    image_id = world.image(ana, "alpine")
    reader = world.user("ana", scope="image:read")
    for path in (f"/images/{image_id}", "/images/999999"):
        answer = reader.patch(path, json={"name": "x"})
        assert (answer.status_code, answer.json()) == (403, NO_PERMISSION)
    writer = world.user("ana", scope="image:write")
    assert writer.patch(f"/images/{image_id}", json={"name": "x"}).json()["name"] == "x"


def test_inside_a_namespace_an_author_who_left_has_no_say(world: World, ana: Client, ben: Client) -> None:
    """Its people decide; others of them see it and are not its creator either."""
    inside = world.image(ana, "inside", namespace="team")
    invite = world.archive.membership.invite(world.actor(ana), "ana", "team", "ben")
    world.archive.membership.accept(world.actor(ben), invite.id)
    assert ben.patch(f"/images/{inside}", json={"name": "x"}).status_code == 403
    his = world.image(ben, "his", namespace="team@ana")
    assert ben.patch(f"/images/{his}", json={"name": "y"}).status_code == 200
    world.archive.membership.remove(world.actor(ana), "ana", "team", "ben")
    answer = ben.patch(f"/images/{his}", json={"name": "z"})
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
