"""Seeing images: the object, who sees what, and when it has ended (atmosphere contract, sections 1 to 3, and V7)."""

import re

import pytest
from sqlalchemy import insert, update

from pinakes.core.actor import Kind, Visibility
from pinakes.core.catalogue import records
from pinakes.core.catalogue.records import NewImage
from pinakes.core.clock import DAY, to_datetime
from pinakes.core.db.schema import grants, versions
from pinakes.core.namespaces.namespaces import NamespaceChanges
from tests.conftest import MovableClock
from tests.contracts.atmosphere.conftest import BASE, NOT_FOUND, Client, World, stamp
from tests.core.namespaces.making import put

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MEMBERS = {
    "id", "uuid", "url", "name", "description", "created_by", "end_date", "is_public", "icon", "start_date", "tags",
    "versions", "access_list", "metrics_url",
}  # fmt: skip


def test_an_image_has_the_members_of_the_contract(world: World, ana: Client, clock: MovableClock) -> None:
    """D1 to D13, C7, C9."""
    clock.now = clock.now // 1_000_000 * 1_000_000 + 501_948
    made = put(world.archive, world.actor(ana), "alpine", visibility=Visibility.PUBLIC)
    answer = ana.get(f"/images/{made.id}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    shown = answer.json()
    assert set(shown) == MEMBERS
    assert shown["id"] == made.id
    assert _UUID.fullmatch(shown["uuid"])
    assert shown["url"] == f"{BASE}/images/{shown['uuid']}"
    assert shown["name"] == "alpine"
    assert (shown["description"], shown["end_date"], shown["icon"]) == (None, None, None)
    assert shown["is_public"] is True
    assert shown["start_date"] == to_datetime(clock.now).replace(tzinfo=None).isoformat() + "Z"
    assert shown["start_date"].endswith(".501948Z")
    assert set(shown["created_by"]) == {"id", "uuid", "url", "username"}
    assert shown["created_by"]["username"] == "ana"
    assert shown["created_by"]["id"] == made.author.id
    assert [set(version) for version in shown["versions"]] == [{"id", "uuid", "url", "name"}]
    assert shown["versions"][0]["name"] == "1.0"
    assert shown["tags"] == shown["access_list"] == []
    assert ana.get(shown["url"]).json() == shown


def test_whole_seconds_have_no_fraction(world: World, ana: Client, clock: MovableClock) -> None:
    """C7."""
    clock.now = clock.now // 1_000_000 * 1_000_000
    image_id = world.image(ana, "alpine")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", ana.get(f"/images/{image_id}").json()["start_date"])


def test_tags_are_shown_by_name_and_versions_oldest_first(world: World, ana: Client) -> None:
    """D9, D10."""
    image_id = world.image(ana, "alpine", tags=("zeta", "Beta", "alpha"))
    shown = ana.get(f"/images/{image_id}").json()
    assert [tag["name"] for tag in shown["tags"]] == ["Beta", "alpha", "zeta"]
    assert set(shown["tags"][0]) == {"id", "uuid", "url", "name", "description", "allow_access"}
    assert ana.get(shown["tags"][0]["url"]).json() == shown["tags"][0]
    assert shown["versions"] == []


def test_list_and_detail_show_the_same(world: World, ana: Client, nobody: Client) -> None:
    """Section 2."""
    image_id = world.image(ana, "alpine", tags=("one",), description="*text*")
    for client in (ana, nobody):
        assert client.get("/images").json()["results"] == [client.get(f"/images/{image_id}").json()]


def test_an_image_is_found_by_id_and_by_uuid(world: World, ana: Client, nobody: Client) -> None:
    """C8."""
    image_id = world.image(ana, "alpine")
    shown = nobody.get(f"/images/{image_id}").json()
    assert nobody.get(f"/images/{shown['uuid']}").json() == shown
    assert nobody.get(f"/images/{shown['uuid'].upper()}").json() == shown


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
@pytest.mark.parametrize("collection", ["images", "tags", "image_tags"])
def test_what_names_nothing_is_not_found(ana: Client, collection: str) -> None:
    """C8, X6, X7."""
    for name in (
        "0", "-1", "1.0", "abc", "9" * 19, "9" * 5000, "%00", "1%00", "%D9%A1", "%FF", "1%2F2", "%20", "+1",
        "00000000-0000-0000-0000-000000000000", "0" * 32,
    ):  # fmt: skip
        answer = ana.get(f"/{collection}/{name}")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND), name


# -- Section 3 ----------------------------------------------------------------------------------------------------


def test_who_sees_which_images(world: World, ana: Client, ben: Client, staff: Client, nobody: Client) -> None:
    """V1 to V4."""
    public = world.image(ana, "public")
    internal = world.image(ana, "internal", visibility=Visibility.INTERNAL)
    private = world.image(ana, "private", is_public=False)
    for client, names in (
        (nobody, ["public"]),
        (ben, ["internal", "public"]),
        (ana, ["private", "internal", "public"]),
        (staff, ["private", "internal", "public"]),
    ):
        assert client.names(ordering="-id") == names
        assert client.count() == len(names)
        for name, image_id in (("public", public), ("internal", internal), ("private", private)):
            answer = client.get(f"/images/{image_id}")
            assert answer.status_code == (200 if name in names else 404)
            if name not in names:
                assert answer.json() == NOT_FOUND


def test_only_public_images_are_public(world: World, ana: Client) -> None:
    """D6: an image for all users of the kind is not public."""
    image_id = world.image(ana, "internal", visibility=Visibility.INTERNAL)
    assert ana.get(f"/images/{image_id}").json()["is_public"] is False


def test_an_image_in_a_namespace_has_its_visibility(world: World, ana: Client, nobody: Client) -> None:
    hidden = put(world.archive, world.actor(ana), "inside", "team")
    assert nobody.get(f"/images/{hidden.id}").status_code == 404
    assert ana.get(f"/images/{hidden.id}").json()["is_public"] is False
    namespaces = world.archive.namespaces
    namespaces.update(world.actor(ana), "ana", "team", NamespaceChanges(visibility="public"))
    assert nobody.get(f"/images/{hidden.id}").json()["is_public"] is True
    assert nobody.names() == ["inside"]


def test_an_ended_image_is_off_every_list_and_only_creator_and_staff_find_it(
    world: World, ana: Client, ben: Client, staff: Client, nobody: Client, clock: MovableClock
) -> None:
    """V1 to V6, and the end is judged on every request, without any job."""
    image_id = world.image(ana, "workshop", end_at=clock.now + DAY)
    for client in (ana, ben, staff, nobody):
        assert client.names() == ["workshop"]
    clock.advance(DAY - 1)
    assert nobody.get(f"/images/{image_id}").json()["end_date"] == stamp(clock.now + 1).replace("+00:00", "Z")
    clock.advance(1)
    for client in (ana, ben, staff, nobody):
        assert (client.names(), client.count()) == ([], 0)
        sees = client in (ana, staff)
        assert client.names(archived="true") == (["workshop"] if sees else [])
        assert client.get(f"/images/{image_id}").status_code == (200 if sees else 404)


@pytest.mark.parametrize(
    ("value", "is_on"), [("true", True), ("1", True), ("yes", True), ("false", False), ("0", False), ("", False)]
)
def test_archived_counts_unless_it_says_no(
    world: World, ana: Client, clock: MovableClock, value: str, is_on: bool
) -> None:
    """V5, F7."""
    world.image(ana, "gone", end_at=clock.now)
    assert ana.names(archived=value) == (["gone"] if is_on else [])


def test_archived_adds_ended_images_to_the_active(world: World, ana: Client, clock: MovableClock) -> None:
    """V3."""
    world.image(ana, "gone", end_at=clock.now)
    world.image(ana, "here")
    assert ana.names(archived="true") == ["here", "gone"]


def test_a_grant_lets_read_until_it_expires(world: World, ana: Client, ben: Client, clock: MovableClock) -> None:
    """V2, V8."""
    image_id = world.image(ana, "lent", is_public=False)
    assert ben.names() == []
    grant(world, ben, image_id, clock.now + DAY)
    assert ben.names() == ["lent"]
    assert ben.get(f"/images/{image_id}").status_code == 200
    assert ben.patch(f"/images/{image_id}", json={"name": "mine"}).status_code == 403
    clock.advance(DAY)
    assert ben.names() == []
    assert ben.get(f"/images/{image_id}").status_code == 404


def test_an_image_without_a_version_is_listed(world: World, ana: Client, nobody: Client) -> None:
    """V9."""
    world.image(ana, "bare")
    assert nobody.get("/images").json()["results"][0]["versions"] == []


def test_images_of_other_kinds_are_in_no_list(world: World, ana: Client, staff: Client) -> None:
    """One scope for the API: the kind machine."""
    lab = world.user("lab", Kind.SLIDE, Kind.MACHINE, is_staff=True)
    slide_id = add_slide(world, lab)
    for client in (lab, staff):
        assert client.names(archived="true") == []
        assert client.get(f"/images/{slide_id}").json() == NOT_FOUND


def test_hidden_ended_and_missing_images_answer_alike(
    world: World, ana: Client, ben: Client, nobody: Client, clock: MovableClock
) -> None:
    """V6: on reads and writes, whatever is sent."""
    hidden = world.image(ana, "hidden", is_public=False)
    ended = world.image(ana, "ended", end_at=clock.now)
    for client in (ben, nobody):
        answers = [client.get(f"/images/{image_id}") for image_id in (hidden, ended, 999_999)]
        assert [(answer.status_code, answer.content) for answer in answers] == [(404, answers[0].content)] * 3
    for body in ({"name": "x"}, {"name": None}, {}):
        answers = [ben.patch(f"/images/{image_id}", json=body) for image_id in (hidden, ended, 999_999)]
        assert [(answer.status_code, answer.json()) for answer in answers] == [(404, NOT_FOUND)] * 3


def test_versions_past_their_end_are_for_creator_and_staff(
    world: World, ana: Client, ben: Client, staff: Client, nobody: Client, clock: MovableClock
) -> None:
    """D10."""
    made = put(world.archive, world.actor(ana), "alpine", visibility=Visibility.PUBLIC)
    version_id = ana.get(f"/images/{made.id}").json()["versions"][0]["id"]
    end_version(world, version_id, clock.now)
    for client in (nobody, ben):
        assert client.get(f"/images/{made.id}").json()["versions"] == []
    for client in (ana, staff):
        assert [version["id"] for version in client.get(f"/images/{made.id}").json()["versions"]] == [version_id]


def test_no_side_door_shows_a_hidden_image(
    world: World, ana: Client, ben: Client, nobody: Client, clock: MovableClock
) -> None:
    """V7: counts, filters, search, tags, image tags, bookmarks."""
    hidden = world.image(ana, "needle", is_public=False, description="haystack", tags=("pin", "featured"))
    ended = world.image(ana, "needle too", end_at=clock.now, tags=("pin",))
    for client in (ben, nobody):
        for params in (
            {}, {"search": "needle"}, {"search": "pin"}, {"tags__name": "pin"}, {"tag_name": "pin"},
            {"created_by__username": "ana"}, {"created_by": "ana"}, {"featured": "true"}, {"archived": "true"},
            {"bookmarked": "true"}, {"ordering": "name"},
        ):  # fmt: skip
            answer = client.get("/images", params=params).json()
            assert (answer["count"], answer["next"], answer["results"]) == (0, None, [])
    assert ben.count("/image_tags") == ben.count("/image_tags", image_id=hidden) == 0
    assert ben.count("/image_tags", application__id=ended) == 0
    assert [ben.get(f"/image_tags/{row}").status_code for row in range(1, 5)] == [404] * 4


def grant(world: World, client: Client, image_id: int, expires_at: int | None) -> None:
    row = {
        "image_id": image_id,
        "user_id": world.actor(client).user_id,
        "expires_at": expires_at,
        "created_at": 0,
        "position": 0,
    }
    with world.archive.database.write() as transaction:
        transaction.execute(insert(grants).values(row))


def end_version(world: World, version_id: int, at: int) -> None:
    with world.archive.database.write() as transaction:
        transaction.execute(update(versions).where(versions.c.id == version_id).values(end_at=at))


def add_slide(world: World, author: Client) -> int:
    user_id = world.actor(author).user_id
    assert user_id is not None
    with world.archive.database.write() as transaction:
        return records.add(transaction, NewImage(Kind.SLIDE, "slide", user_id), 1)
