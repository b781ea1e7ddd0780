"""PathomIQ contract 2.1, 4.1, 4.2 and 4.6: the image object, making images, and the lists."""

import re
from typing import Any

from sqlalchemy import update

from pinakes.core.actor import Kind
from pinakes.core.db.schema import images
from tests.conftest import MovableClock
from tests.contracts.pathomiq.conftest import NOBODYS_UID, ONE_BACKEND, ORIGIN, Client, World, answered, refused, share
from tests.core.namespaces.making import SYSTEM

MEMBERS = [
    "id",
    "image_unique_id",
    "workarea_id",
    "entity_id",
    "study_id",
    "patient_id",
    "filename",
    "location",
    "description",
    "workarea",
    "study",
    "adddate",
    "moddate",
    "status",
    "base_download_url",
    "base_raw_download_url",
    "tissue_area",
    "outcome_prediction",
    "shared",
    "annotation_status",
    "tissuearea_status",
    "tiling_status",
    "metric",
]
"""In the order of the published sample."""


def test_2_1_a_new_image_looks_like_the_published_one(ana: Client) -> None:
    made = ana.create("Test.png", patient_id=1, entity_id=4, userid=ana.user_id, workarea=6, study=5)
    assert list(made) == [*MEMBERS, "response"]
    assert re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", made["image_unique_id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", made["adddate"])
    assert made["moddate"] == made["adddate"]
    wanted = {"patient_id": "1", "entity_id": "4", "workarea_id": "6", "study_id": "5", "filename": "Test.png"}
    wanted |= {"status": "In Progress", "shared": str(ana.user_id)}
    wanted |= dict.fromkeys(("annotation_status", "tissuearea_status", "tiling_status"), "Pending")
    others = set(MEMBERS) - set(wanted) - {"id", "image_unique_id", "adddate", "moddate"}
    assert {name: made[name] for name in wanted} == wanted
    assert {name: made[name] for name in others} == dict.fromkeys(others)
    assert isinstance(made["id"], int)
    shown = {name: value for name, value in made.items() if name != "response"}
    assert ana.show(made) == shown


@ONE_BACKEND
def test_4_6_the_response_is_flat_and_says_how_to_send_the_bytes(ana: Client) -> None:
    made = ana.create()
    response = made["response"]
    assert set(response) >= {"url", "key", "AWSAccessKeyId", "policy", "signature"}
    assert all(isinstance(value, str) for value in response.values())
    assert response["key"] == made["image_unique_id"]
    assert response["url"].startswith(f"{ORIGIN}/S3/")


@ONE_BACKEND
def test_1_a_time_has_six_decimals_also_on_the_full_second(ana: Client, clock: MovableClock) -> None:
    clock.now -= clock.now % 1_000_000
    assert ana.create()["adddate"].endswith(".000000")


FILE_NAMES = {
    "C:\\slides\\a b.svs": "a b.svs",
    "../../etc/x.svs": "x.svs",
    "/a\\b/c.svs": "c.svs",
    "Präparat 1.svs": "Präparat 1.svs",
    "x" * 255: "x" * 255,
    "y/" * 300 + "z": "z",
}


@ONE_BACKEND
def test_2_1_a_file_name_loses_its_folders(ana: Client) -> None:
    for given, kept in FILE_NAMES.items():
        assert ana.create(given)["filename"] == kept


BAD_NAMES: list[Any] = ["", ".", "..", "a/..", "a/", "a\nb", "a\0b", "a\x7fb", "\x85", "x" * 256, None, 5, True, ["a"]]


@ONE_BACKEND
def test_2_1_what_is_no_file_name_is_refused(ana: Client) -> None:
    for name in BAD_NAMES:
        refused(ana.post("/Images", json={"filename": name}), 400)
    refused(ana.post("/Images", json={"patient_id": 1}), 400)
    assert answered(ana.get(f"/Images/userid/{ana.user_id}")) == []


REFERENCES = ["patient_id", "entity_id", "workarea_id", "study_id", "workarea", "study"]
BAD_REFERENCES: list[Any] = [True, 1.5, 1.0, [1], {"a": 1}, "x" * 256, "a\0b", 10**255]


@ONE_BACKEND
def test_4_6_identifiers_are_integers_strings_or_null(ana: Client) -> None:
    for value in BAD_REFERENCES:
        for name in REFERENCES:
            refused(ana.post("/Images", json={"filename": "a.svs", name: value}), 400)
    for value, kept in (("S-17", "S-17"), (0, "0"), (-3, "-3"), (10**254, str(10**254)), (None, None), ("", "")):
        made = ana.create(patient_id=value, workarea_id=value)
        assert (made["patient_id"], made["workarea_id"]) == (kept, kept)


@ONE_BACKEND
def test_d4_the_longer_name_wins_over_its_alias(ana: Client) -> None:
    made = ana.create(workarea=1, workarea_id=2, study=3, study_id=None)
    assert (made["workarea_id"], made["study_id"], made["workarea"], made["study"]) == ("2", "3", None, None)


@ONE_BACKEND
def test_4_6_what_the_server_owns_is_ignored(ana: Client, ben: Client) -> None:
    made = ana.create(
        shared=f"{ben.user_id}", status="Uploaded", metric="{}", id=1, image_unique_id=NOBODYS_UID, location=5, tiling=1
    )
    assert (made["status"], made["shared"], made["metric"]) == ("In Progress", str(ana.user_id), None)
    assert made["image_unique_id"] != NOBODYS_UID


def test_4_6_an_image_is_made_for_oneself_or_by_staff_for_another(world: World, ana: Client, staff: Client) -> None:
    ben = world.user("ben")
    clinician = world.user("dora", Kind.CLINICAL)
    gone = world.user("gone")
    world.archive.users.set_active(SYSTEM, "gone", is_active=False)
    refused(ana.post("/Images", json={"filename": "a", "userid": ben.user_id}), 403)
    refused(ana.post("/Images", json={"filename": "a", "userid": 999_999}), 403)
    for user_id in (999_999, clinician.user_id, gone.user_id, 2**63 - 1):
        refused(staff.post("/Images", json={"filename": "a", "userid": user_id}), 404)
    nobody: list[Any] = [True, 1.5, "x", [ana.user_id], {}, 0, -1, 2**63, 10**30, ""]
    for value in nobody:
        refused(ana.post("/Images", json={"filename": "a", "userid": value}), 400)
    assert ana.create(userid=str(ana.user_id))["shared"] == str(ana.user_id)
    assert ana.create(userid=None)["shared"] == str(ana.user_id)
    made = staff.create(userid=ben.user_id)
    assert made["shared"] == str(ben.user_id)
    assert ben.show(made)["id"] == made["id"]


# -- Lists --------------------------------------------------------------------------------------------------------


def test_4_2_a_list_holds_own_and_shared_images_by_id(ana: Client, ben: Client, staff: Client) -> None:
    assert answered(ben.get(f"/Images/userid/{ben.user_id}")) == []
    first, hidden, own = ana.create("1"), ana.create("2"), ben.create("3")
    shared = ana.create("4")
    share(ana, shared, ben)
    share(ana, first, ben)
    wanted = [ben.show(first), ben.show(own), ben.show(shared)]
    for client in (ben, staff):
        answer = client.get(f"/Images/userid/{ben.user_id}")
        assert answered(answer) == wanted
        assert answer.headers["x-total-count"] == "3"
        assert answer.headers["cache-control"] == "no-store"
    assert [image["id"] for image in answered(ana.get(f"/Images/userid/{ana.user_id}"))] == [
        first["id"],
        hidden["id"],
        shared["id"],
    ]
    # Staff sees every image, but has a list of its own like everybody.
    assert answered(staff.get(f"/Images/userid/{staff.user_id}")) == []


def test_4_2_another_users_list_is_for_staff(world: World, ana: Client, ben: Client, staff: Client) -> None:
    refused(ana.get(f"/Images/userid/{ben.user_id}"), 403)
    for user_id in ("999999", "0", "-5", "9" * 5000):
        refused(ana.get(f"/Images/userid/{user_id}"), 403)
        refused(staff.get(f"/Images/userid/{user_id}"), 404)
    for user_id in ("abc", "1.5", "1e3", "+1", "%00", "%D9%A3", "1%20", "--1", "%2F"):
        refused(staff.get(f"/Images/userid/{user_id}"), 400)


def test_4_2_a_page_can_be_asked_for(ana: Client) -> None:
    made = [ana.create(str(number))["id"] for number in range(5)]
    path = f"/Images/userid/{ana.user_id}"

    def page(query: str) -> tuple[list[int], str]:
        answer = ana.get(f"{path}?{query}")
        return [image["id"] for image in answered(answer)], answer.headers["x-total-count"]

    assert page("limit=2") == (made[:2], "5")
    assert page("limit=2&offset=3") == (made[3:], "5")
    assert page("offset=4") == (made[4:], "5")
    assert page("limit=0") == ([], "5")
    assert page("offset=" + "9" * 5000) == ([], "5")
    assert page("limit=" + "9" * 5000) == (made, "5")
    for query in ("limit=-1", "limit=x", "offset=1.5", "limit=", "offset=%00", "limit=%FF"):
        refused(ana.get(f"{path}?{query}"), 400)


def test_4_1_staff_see_every_user_and_others_themselves(world: World, ana: Client, ben: Client, staff: Client) -> None:
    idle = world.user("idle")
    world.user("dora", Kind.CLINICAL)
    gone = world.user("gone")
    image, lost = ana.create("1"), gone.create("2")
    share(ana, image, ben, gone)
    share(gone, lost, ana)
    world.archive.users.set_active(SYSTEM, "gone", is_active=False)
    everything = answered(staff.get("/Users/imagelist"))
    assert [entry["userid"] for entry in everything] == sorted([ana.user_id, ben.user_id, idle.user_id, staff.user_id])
    assert {entry["userid"]: [one["id"] for one in entry["images"]] for entry in everything} == {
        ana.user_id: [image["id"], lost["id"]],
        ben.user_id: [image["id"]],
        idle.user_id: [],
        staff.user_id: [],
    }
    for client in (ana, ben, idle):
        (entry,) = answered(client.get("/Users/imagelist"))
        assert entry == next(one for one in everything if one["userid"] == client.user_id)
        assert entry["images"] == answered(client.get(f"/Images/userid/{client.user_id}"))


def test_a_slide_that_was_ended_is_off_every_list(world: World, ana: Client, ben: Client, staff: Client) -> None:
    image = ana.create()
    share(ana, image, ben)
    with world.archive.database.write() as transaction:
        transaction.execute(update(images).where(images.c.id == image["id"]).values(end_at=1))
    for client in (ana, ben):
        assert answered(client.get(f"/Images/userid/{client.user_id}")) == []
    assert all(entry["images"] == [] for entry in answered(staff.get("/Users/imagelist")))
    refused(ben.get(f"/Images/{image['image_unique_id']}"), 404)
    assert ana.show(image)["id"] == image["id"]


# -- One image ----------------------------------------------------------------------------------------------------


def test_10_one_image_can_be_read(ana: Client, ben: Client, staff: Client) -> None:
    image = ana.create()
    uid = image["image_unique_id"]
    assert staff.show(image) == ana.show(image)
    refused(ben.get(f"/Images/{uid}"), 404)
    for other in (
        NOBODYS_UID,
        uid.upper(),
        uid[:-1],
        uid + "0",
        str(image["id"]),
        "x",
        "%00",
        "%FF",
        "9" * 5000,
        "%2F",
    ):
        refused(ana.get(f"/Images/{other}"), 404)
