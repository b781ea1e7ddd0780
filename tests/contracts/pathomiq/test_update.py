"""PathomIQ contract 3.1 and 4.8: changing what is said of an image, and its status."""

from typing import Any

from tests.contracts.pathomiq.conftest import (
    NOBODYS_UID,
    ONE_BACKEND,
    PNG,
    Client,
    Json,
    World,
    answered,
    in_threads,
    refused,
    share,
)


def put(client: Client, image: Json, /, **members: Any) -> Json:
    changed: Json = answered(client.put(f"/Images/{image['id']}", json=members))
    return changed


def rejected(client: Client, image: Json, status: int, /, **members: Any) -> Json:
    return refused(client.put(f"/Images/{image['id']}", json=members), status)


def test_4_8_any_subset_can_be_changed(world: World, ana: Client) -> None:
    image = ana.create(patient_id=1, entity_id=4)
    world.stage(image)
    body = {"status": "Uploaded", "entity_id": 4, "patient_id": 3, "location": "dddddddddddddd", "workarea_id": 6}
    body |= {"description": "xxxxxxxx", "study_id": 5}
    changed = put(ana, image, **body)
    strings = {name: str(value) for name, value in body.items()}
    assert {name: changed[name] for name in body} == strings
    assert "response" not in changed
    assert changed["moddate"] > image["moddate"]
    assert changed["adddate"] == image["adddate"]
    assert changed == ana.show(image)
    again = put(ana, image, location=None, patient_id=None, description=None)
    assert [again[name] for name in ("location", "patient_id", "description", "entity_id")] == [None, None, None, "4"]
    assert again["moddate"] > changed["moddate"]


@ONE_BACKEND
def test_4_8_what_changes_nothing_is_no_change(ana: Client) -> None:
    image = ana.create(patient_id=1)
    for members in ({}, {"patient_id": 1}, {"patient_id": "1", "location": None}, {"unheard": "of"}):
        assert put(ana, image, **members) == ana.show(image)
        assert ana.show(image)["moddate"] == image["moddate"]
    assert ana.log(image) == ["The image was created."]


BAD: list[dict[str, Any]] = [
    {"patient_id": True},
    {"patient_id": 1.5},
    {"entity_id": [1]},
    {"study_id": {}},
    {"workarea_id": "x" * 256},
    {"location": 5},
    {"location": "x" * 256},
    {"location": "a\0"},
    {"description": "x" * 4001},
    {"description": ["a"]},
    {"status": None},
    {"status": ""},
    {"status": "uploaded"},
    {"status": 1},
    {"status": ["Uploaded"]},
    {"status": {}},
    {"shared": "1,2"},
    {"id": 5},
    {"id": True},
    {"filename": "other.png"},
    {"metric": "{}"},
    {"tissue_area": 1.0},
    {"image_unique_id": NOBODYS_UID},
    {"tiling_status": "Done"},
    {"base_download_url": "http://elsewhere"},
    {"adddate": "x"},
    {"workarea": 6},
]


@ONE_BACKEND
def test_4_8_one_bad_member_changes_nothing(world: World, ana: Client) -> None:
    image = ana.create()
    world.stage(image)
    for members in BAD:
        rejected(ana, image, 400, **({"patient_id": "new", "status": "Uploaded"} | members))
    assert ana.show(image) == {name: value for name, value in image.items() if name != "response"}


@ONE_BACKEND
def test_4_8_a_lone_surrogate_is_no_text(ana: Client) -> None:
    image = ana.create()
    headers = {"Content-Type": "application/json"}
    for body in (b'{"location": "\\ud800"}', b'{"location": "\xff"}'):
        refused(ana.put(f"/Images/{image['id']}", content=body, headers=headers), 400)


@ONE_BACKEND
def test_4_8_what_the_server_gave_can_be_sent_back(ana: Client) -> None:
    image = ana.create(patient_id=1)
    answered(ana.put(f"/Images/{image['id']}", json={**image, "location": "shelf 3"}))
    changed = ana.show(image)
    assert changed["location"] == "shelf 3"
    assert put(ana, image, **{**changed, "location": "shelf 4"})["location"] == "shelf 4"


@ONE_BACKEND
def test_4_8_an_image_is_named_by_its_number(ana: Client) -> None:
    for path in (
        ana.create()["image_unique_id"],
        NOBODYS_UID,
        "0",
        "-1",
        "999999",
        "9" * 5000,
        "x",
        "%00",
        "1.0",
        "%FF",
        "%2F",
    ):
        refused(ana.put(f"/Images/{path}", json={}), 404)


def test_d3_members_see_and_only_owner_and_staff_change(ana: Client, ben: Client, staff: Client) -> None:
    image = ana.create()
    rejected(ben, image, 404, location="x")
    share(ana, image, ben)
    rejected(ben, image, 403, location="x")
    rejected(ben, image, 403, status="nonsense")
    assert put(staff, image, location="by staff")["location"] == "by staff"


# -- The status ---------------------------------------------------------------------------------------------------


def test_3_1_without_bytes_nothing_becomes_uploaded(ana: Client) -> None:
    image = ana.create()
    body = rejected(ana, image, 409, status="Uploaded", location="x")
    assert body["image"] == ana.show(image)
    assert (body["image"]["status"], body["image"]["location"]) == ("In Progress", None)


def test_3_1_staged_bytes_are_not_to_be_had_until_they_are_committed(world: World, ana: Client) -> None:
    image = ana.create()
    world.stage(image)
    uid = image["image_unique_id"]
    assert ana.show(image)["status"] == "In Progress"
    refused(ana.get(f"/S3/file/{uid}"), 404)
    world.stage(image, PNG + b" again")
    changed = put(ana, image, status="Uploaded")
    assert changed["status"] == "Uploaded"
    assert changed["base_download_url"] == "http://archive.example:8000/S3/file"
    assert ana.get(f"/S3/file/{uid}").content == PNG + b" again"


def test_3_1_what_failed_can_be_sent_again(world: World, ana: Client) -> None:
    image = ana.create()
    assert put(ana, image, status="Failed")["status"] == "Failed"
    assert put(ana, image, status="Failed")["status"] == "Failed"
    rejected(ana, image, 409, status="Uploaded")
    world.stage(image)
    assert put(ana, image, status="Uploaded")["status"] == "Uploaded"


def test_3_1_what_is_uploaded_stays_so(world: World, ana: Client) -> None:
    image = world.uploaded(ana)
    for status in ("In Progress", "Failed"):
        body = rejected(ana, image, 409, status=status, location="x")
        assert body["image"] == image
    assert put(ana, image, status="Uploaded") == image
    assert put(ana, image, status="Uploaded", location="x")["location"] == "x"


def test_4_8_an_upload_can_be_permitted_anew(world: World, ana: Client) -> None:
    image = ana.create()
    renewed = put(ana, image, status="In Progress")
    assert set(renewed["response"]) == set(image["response"])
    assert renewed["response"]["key"] == image["image_unique_id"]
    put(ana, image, status="Failed")
    again = put(ana, image, status="In Progress")
    assert (again["status"], "response" in again) == ("In Progress", True)


def test_3_1_of_many_commits_at_once_none_fails(world: World, ana: Client) -> None:
    image = ana.create()
    world.stage(image)
    path = f"/Images/{image['id']}"
    answers = ana.at_once([("PUT", path, {"json": {"status": "Uploaded"}})] * 6)
    assert {answer.status_code for answer in answers} == {200}
    assert ana.log(image, "Image") == ["The image was created.", "The status is now Uploaded."]


def test_two_changes_at_once_are_both_kept(world: World, ana: Client) -> None:
    image = ana.create()
    actor = world.archive.credentials.actor("pathomiq", ana.token or "")
    names = ["location", "description", "patient_ref", "study_ref", "entity_ref", "workarea_ref"]
    in_threads(6, lambda number: world.archive.slides.update(actor, image["id"], {names[number]: "x"}))
    changed = ana.show(image)
    assert [
        changed[name] for name in ("location", "description", "patient_id", "study_id", "entity_id", "workarea_id")
    ] == ["x"] * 6


# -- DELETE -------------------------------------------------------------------------------------------------------


def test_4_10_a_deleted_image_is_gone_with_its_bytes(world: World, ana: Client) -> None:
    image, other = world.uploaded(ana), ana.create("staged")
    world.stage(other, b"other bytes")
    for one in (image, other):
        uid = one["image_unique_id"]
        answer = answered(ana.delete(f"/Images/{uid}"))
        assert answer["success"] is True
        assert set(answer) == {"success", "status"}
        for path in (f"/Images/{uid}", f"/S3/file/{uid}", f"/LogInfo/{uid}", f"/Images/startpredict/{uid}"):
            refused(ana.get(path), 404)
        refused(ana.put(f"/Images/{one['id']}", json={}), 404)
        refused(ana.delete(f"/Images/{uid}"), 404)
    assert list(world.archive.store.list()) == []
    assert answered(ana.get(f"/Images/userid/{ana.user_id}")) == []
    assert ana.create()["id"] > other["id"]


def test_4_10_owner_and_staff_delete(world: World, ana: Client, ben: Client, staff: Client) -> None:
    image = ana.create()
    path = f"/Images/{image['image_unique_id']}"
    refused(ben.delete(path), 404)
    share(ana, image, ben)
    refused(ben.delete(path), 403)
    refused(world.user("ana", scope="image:read,write").delete(path), 403)
    for other in (str(image["id"]), image["image_unique_id"].upper(), "x", "%00", "9" * 5000):
        refused(ana.delete(f"/Images/{other}"), 404)
    answered(staff.delete(path))


def test_4_10_of_many_deletes_at_once_one_wins(world: World, ana: Client) -> None:
    image = world.uploaded(ana)
    path = f"/Images/{image['image_unique_id']}"
    statuses = [answer.status_code for answer in ana.at_once([("DELETE", path, {})] * 6)]
    assert sorted(statuses) == [200] + [404] * 5
