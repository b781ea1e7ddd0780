"""PathomIQ contract 4.9: whom an image is shared with."""

from typing import Any

from sqlalchemy import select, update

from pinakes.core.actor import Kind
from pinakes.core.audit import Action, of_image
from pinakes.core.db.schema import grants
from pinakes.core.slides.sharing import MOST_PEOPLE
from tests.conftest import MovableClock
from tests.contracts.pathomiq.conftest import (
    NOBODYS_UID,
    ONE_BACKEND,
    Client,
    Json,
    World,
    answered,
    in_threads,
    refused,
)
from tests.core.namespaces.making import SYSTEM

CALLS = ("adduser", "removeuser", "updateuser")


def change(client: Client, call: str, image: Json, userid: Any) -> Json:
    answer: Json = answered(
        client.post(f"/Images/{call}", json={"userid": userid, "imageid": image["image_unique_id"]})
    )
    assert answer["success"] is True
    assert answer["image"] == client.show(image)
    return answer["image"]  # type: ignore[no-any-return]


def people(world: World, *names: str) -> list[Client]:
    return [world.user(name) for name in names]


def ids(*clients: Client) -> list[int]:
    return [client.user_id for client in clients]


def text(*clients: Client) -> str:
    return ",".join(str(client.user_id) for client in clients)


def test_4_9_users_are_added_in_their_order_and_once(world: World, ana: Client) -> None:
    cleo, dirk, emil = people(world, "cleo", "dirk", "emil")
    image = ana.create()
    assert change(ana, "adduser", image, ids(emil, cleo))["shared"] == text(ana, emil, cleo)
    assert change(ana, "adduser", image, ids(cleo, dirk, dirk, ana))["shared"] == text(ana, emil, cleo, dirk)
    assert change(ana, "removeuser", image, ids(emil))["shared"] == text(ana, cleo, dirk)
    assert change(ana, "adduser", image, ids(emil))["shared"] == text(ana, cleo, dirk, emil)
    assert change(ana, "adduser", image, emil.user_id)["shared"] == text(ana, cleo, dirk, emil)
    assert change(ana, "removeuser", image, str(cleo.user_id))["shared"] == text(ana, dirk, emil)
    assert change(ana, "removeuser", image, [str(cleo.user_id), 999_999])["shared"] == text(ana, dirk, emil)


def test_4_9_an_update_replaces_all_but_the_owner(world: World, ana: Client) -> None:
    cleo, dirk, emil = people(world, "cleo", "dirk", "emil")
    image = ana.create()
    change(ana, "adduser", image, ids(cleo, dirk))
    assert change(ana, "updateuser", image, ids(emil, dirk, ana))["shared"] == text(ana, emil, dirk)
    assert change(ana, "updateuser", image, ids(dirk, emil))["shared"] == text(ana, dirk, emil)
    assert change(ana, "updateuser", image, [])["shared"] == text(ana)


def test_d10_the_owner_stays(ana: Client, ben: Client) -> None:
    image = ana.create()
    change(ana, "adduser", image, ids(ben))
    body = {"userid": ids(ben, ana), "imageid": image["image_unique_id"]}
    assert refused(ana.post("/Images/removeuser", json=body), 409)["image"] == ana.show(image)
    assert ana.show(image)["shared"] == text(ana, ben)


def test_4_9_moddate_advances_only_with_a_change(ana: Client, ben: Client) -> None:
    image = ana.create()
    added = change(ana, "adduser", image, ids(ben))
    assert added["moddate"] > image["moddate"]
    assert change(ana, "adduser", image, ids(ben))["moddate"] == added["moddate"]
    assert change(ana, "removeuser", image, ids(ben))["moddate"] > added["moddate"]


BAD_USERS: list[Any] = [
    None,
    True,
    1.5,
    {},
    "x",
    "",
    [None],
    [True],
    [1.0],
    [[1]],
    ["x"],
    [0],
    [-1],
    [2**63],
    "9" * 5000,
]


@ONE_BACKEND
def test_4_9_what_is_no_list_of_users_is_refused(ana: Client, ben: Client) -> None:
    image = ana.create()
    for call in CALLS:
        for value in BAD_USERS:
            body = {"userid": value, "imageid": image["image_unique_id"]}
            refused(ana.post(f"/Images/{call}", json=body), 400)
        refused(ana.post(f"/Images/{call}", json={"imageid": image["image_unique_id"]}), 400)
    for call in ("adduser", "removeuser"):
        refused(ana.post(f"/Images/{call}", json={"userid": [], "imageid": image["image_unique_id"]}), 400)
    assert ana.show(image)["shared"] == text(ana)


def test_4_9_who_is_not_known_cannot_be_added(world: World, ana: Client, ben: Client) -> None:
    clinician, gone = world.user("dora", Kind.CLINICAL), world.user("gone")
    image = ana.create()
    change(ana, "adduser", image, ids(gone))
    world.archive.users.set_active(SYSTEM, "gone", is_active=False)
    for call in ("adduser", "updateuser"):
        for stranger in (999_999, clinician.user_id, 2**63 - 1):
            body = {"userid": [ben.user_id, stranger], "imageid": image["image_unique_id"]}
            refused(ana.post(f"/Images/{call}", json=body), 400)
    assert ana.show(image)["shared"] == text(ana, gone)
    # Who is on the list already may be named again.
    assert change(ana, "updateuser", image, ids(ben, gone))["shared"] == text(ana, ben, gone)
    assert change(ana, "updateuser", image, ids(ben))["shared"] == text(ana, ben)
    refused(ana.post("/Images/adduser", json={"userid": ids(gone), "imageid": image["image_unique_id"]}), 400)


@ONE_BACKEND
def test_4_9_an_image_is_named_by_its_uid_or_its_number(ana: Client, ben: Client) -> None:
    image = ana.create()
    for imageid in (image["id"], str(image["id"]), image["image_unique_id"]):
        answered(ana.post("/Images/adduser", json={"userid": ids(ben), "imageid": imageid}))
    for imageid in (NOBODYS_UID, 0, -1, 999_999, 2**63, 10**30, "x", "", "9" * 5000, "\0"):
        refused(ana.post("/Images/adduser", json={"userid": ids(ben), "imageid": imageid}), 404)
    wrong: list[Any] = [None, True, 1.0, [image["id"]], {}]
    for value in wrong:
        refused(ana.post("/Images/adduser", json={"userid": ids(ben), "imageid": value}), 400)
    refused(ana.post("/Images/adduser", json={"userid": ids(ben)}), 400)


def test_d3_only_owner_and_staff_share(world: World, ana: Client, ben: Client, staff: Client) -> None:
    image = ana.create()
    (cleo,) = people(world, "cleo")
    body = {"userid": ids(cleo), "imageid": image["image_unique_id"]}
    for call in CALLS:
        refused(ben.post(f"/Images/{call}", json=body), 404)
    change(ana, "adduser", image, ids(ben))
    for call in CALLS:
        refused(ben.post(f"/Images/{call}", json=body), 403)
        refused(world.user("ana", scope="image:read").post(f"/Images/{call}", json=body), 403)
    assert change(staff, "adduser", image, ids(cleo))["shared"] == text(ana, ben, cleo)


def test_4_9_the_effect_is_immediate(world: World, ana: Client, ben: Client) -> None:
    image = world.uploaded(ana)
    uid = image["image_unique_id"]
    reads = [f"/Images/{uid}", f"/S3/file/{uid}", f"/LogInfo/{uid}"]
    for path in reads:
        refused(ben.get(path), 404)
    change(ana, "adduser", image, ids(ben))
    for path in reads:
        assert ben.get(path).status_code == 200
    change(ana, "removeuser", image, ids(ben))
    for path in [*reads, f"/Images/startpredict/{uid}", f"/Images/stoppredict/{uid}"]:
        refused(ben.get(path), 404)
    refused(ben.post("/LogInfo", json={"imageid": uid, "type": "a", "message": "b"}), 404)
    assert answered(ben.get(f"/Images/userid/{ben.user_id}")) == []


def test_4_9_no_change_made_at_the_same_time_is_lost(world: World, ana: Client) -> None:
    image = ana.create()
    others = people(world, *(f"user{number}" for number in range(8)))
    actor = world.archive.credentials.actor("pathomiq", ana.token or "")
    uid = image["image_unique_id"]
    outcomes = in_threads(8, lambda number: world.archive.slide_sharing.add(actor, uid, [others[number].user_id]))
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    shared = ana.show(image)["shared"].split(",")
    assert shared[0] == str(ana.user_id)
    assert sorted(shared[1:], key=int) == [str(other.user_id) for other in others]
    assert len(ana.log(image, "Share")) == 8


def test_a_grant_that_has_ended_counts_for_nothing(world: World, ana: Client, ben: Client, clock: MovableClock) -> None:
    image = ana.create()
    change(ana, "adduser", image, ids(ben))
    with world.archive.database.write() as transaction:
        transaction.execute(update(grants).values(expires_at=clock.now + 1))
    assert ana.show(image)["shared"] == text(ana, ben)
    clock.advance(1)
    assert ana.show(image)["shared"] == text(ana)
    refused(ben.get(f"/Images/{image['image_unique_id']}"), 404)
    assert change(ana, "adduser", image, ids(ben))["shared"] == text(ana, ben)
    with world.archive.database.read() as connection:
        assert connection.execute(select(grants.c.expires_at)).scalars().all() == [None]


@ONE_BACKEND
def test_an_image_is_shared_with_so_many_at_most(ana: Client) -> None:
    image = ana.create()
    body = {"userid": list(range(1000, 1001 + MOST_PEOPLE)), "imageid": image["image_unique_id"]}
    assert str(MOST_PEOPLE) in refused(ana.post("/Images/updateuser", json=body), 400)["status"]


def test_2_2_shares_are_told_and_recorded(world: World, ana: Client, ben: Client) -> None:
    image = ana.create()
    change(ana, "adduser", image, ids(ben))
    change(ana, "updateuser", image, [])
    assert ana.log(image, "Share") == [f"Users added: {ben.user_id}.", f"Users removed: {ben.user_id}."]
    with world.archive.database.read() as connection:
        told = [(event.action, event.actor_id, event.subject) for event in of_image(connection, image["id"])]
    assert (Action.GRANT_CREATE, ana.user_id, f"user:{ben.user_id}") in told
    assert (Action.GRANT_DELETE, ana.user_id, f"user:{ben.user_id}") in told
