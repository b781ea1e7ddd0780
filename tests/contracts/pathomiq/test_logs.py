"""PathomIQ contract 2.2, 4.4 and 4.5: what is told of an image."""

import re
from typing import Any

from sqlalchemy import insert

from pinakes.core.db.schema import slide_logs
from tests.contracts.pathomiq.conftest import NOBODYS_UID, ONE_BACKEND, Client, Json, World, answered, refused, share


def post(client: Client, image: Json, kind: str = "Tiling", message: str = "Tiling is running") -> Json:
    body = {"imageid": image["image_unique_id"], "type": kind, "message": message}
    answer: Json = answered(client.post("/LogInfo", json=body))
    assert answer["success"] is True
    assert answer["msg"]
    return answer


def lines(client: Client, path: str = "/LogInfo") -> list[Json]:
    found: list[Json] = answered(client.get(path))
    assert [line["id"] for line in found] == sorted(line["id"] for line in found)
    return found


def test_2_2_a_line_of_a_client_says_who_wrote_it(ana: Client, ben: Client) -> None:
    image = ana.create()
    share(ana, image, ben)
    post(ben, image)
    uid = image["image_unique_id"]
    line = lines(ana, f"/LogInfo/{uid}")[-1]
    assert list(line) == ["id", "imageid", "type", "message", "userid", "source", "adddate"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", line["adddate"])
    wanted = {"imageid": uid, "type": "Tiling", "message": "Tiling is running", "userid": ben.user_id}
    assert {name: line[name] for name in wanted} == wanted
    assert line["source"] == "client"


@ONE_BACKEND
def test_4_5_a_client_cannot_write_in_anothers_name(ana: Client, ben: Client) -> None:
    image = ana.create()
    body = {"imageid": image["image_unique_id"], "type": "Image", "message": "m", "userid": ben.user_id}
    answered(ana.post("/LogInfo", json={**body, "source": "server", "id": 1, "adddate": "x"}))
    line = lines(ana, f"/LogInfo/{image['image_unique_id']}")[-1]
    assert (line["userid"], line["source"]) == (ana.user_id, "client")


def test_2_2_the_server_tells_what_happens_and_no_values(world: World, ana: Client, ben: Client) -> None:
    image = world.uploaded(ana, "Secret Name.png", patient_id="P-4711")
    answered(ana.put(f"/Images/{image['id']}", json={"location": "cellar", "patient_id": "P-4712", "study_id": 9}))
    share(ana, image, ben)
    told = [(line["type"], line["message"]) for line in lines(ana, f"/LogInfo/{image['image_unique_id']}")]
    assert told[0] == ("Image", "The image was created.")
    assert told[1][0] == "Upload"
    assert told[2:] == [
        ("Image", "The status is now Uploaded."),
        ("Image", "Changed: location, patient_id, study_id."),
        ("Share", f"Users added: {ben.user_id}."),
    ]
    everything = str(told)
    for secret in ("Secret", "P-471", "cellar", ana.token or "", "ana@", "ben@"):
        assert secret not in everything


def test_4_4_everybody_sees_the_lines_of_what_they_may_see(ana: Client, ben: Client, staff: Client) -> None:
    own, shared, other = ben.create("1"), ana.create("2"), ana.create("3")
    share(ana, shared, ben)
    mine = lines(ben)
    assert {line["imageid"] for line in mine} == {own["image_unique_id"], shared["image_unique_id"]}
    assert len(mine) == 3
    assert mine == [line for line in lines(staff) if line["imageid"] != other["image_unique_id"]]
    refused(ben.get(f"/LogInfo/{other['image_unique_id']}"), 404)
    assert len(lines(staff, f"/LogInfo/{other['image_unique_id']}")) == 1


def test_4_4_the_latest_thousand_unless_asked_otherwise(world: World, ana: Client) -> None:
    image = ana.create()
    row = {"image_id": image["id"], "image_uid": image["image_unique_id"], "type": "t", "user_id": ana.user_id}
    row |= {"source": "client", "created_at": 1}
    with world.archive.database.write() as transaction:
        transaction.execute(insert(slide_logs), [row | {"message": str(number)} for number in range(1005)])
    latest = lines(ana)
    assert len(latest) == 1000
    assert [line["message"] for line in latest[-3:]] == ["1002", "1003", "1004"]
    assert [line["message"] for line in lines(ana, "/LogInfo?limit=2")] == ["1003", "1004"]
    assert lines(ana, "/LogInfo?limit=0") == []
    assert len(lines(ana, "/LogInfo?limit=" + "9" * 5000)) == 1006
    assert len(lines(ana, f"/LogInfo/{image['image_unique_id']}")) == 1006
    for query in ("limit=-1", "limit=x", "limit=", "limit=%00"):
        assert "msg" not in refused(ana.get(f"/LogInfo?{query}"), 400)


def test_4_4_the_trail_of_a_deleted_image_is_for_staff(world: World, ana: Client, staff: Client) -> None:
    image = world.uploaded(ana)
    uid = image["image_unique_id"]
    answered(ana.delete(f"/Images/{uid}"))
    refused(ana.get(f"/LogInfo/{uid}"), 404)
    assert lines(ana) == []
    kept = lines(staff, f"/LogInfo/{uid}")
    assert kept == lines(staff)
    assert (kept[-1]["type"], kept[-1]["userid"]) == ("Delete", ana.user_id)
    refused(staff.post("/LogInfo", json={"imageid": uid, "type": "a", "message": "b"}), 404)


@ONE_BACKEND
def test_4_4_what_is_no_image_has_no_log(ana: Client, staff: Client) -> None:
    for uid in (NOBODYS_UID, "x", "1", "%00", "%FF", "9" * 5000, "%2F"):
        refused(ana.get(f"/LogInfo/{uid}"), 404)
        refused(staff.get(f"/LogInfo/{uid}"), 404)


BAD: list[dict[str, Any]] = [
    {"type": ""},
    {"type": "x" * 65},
    {"type": None},
    {"type": 5},
    {"type": "a\0"},
    {"type": "a\x1b[31m"},
    {"type": ["a"]},
    {"message": ""},
    {"message": "x" * 2001},
    {"message": None},
    {"message": True},
    {"message": "\r\n"},
    {"message": "\x85"},
    {"message": {"a": 1}},
    {"imageid": None},
    {"imageid": True},
    {"imageid": 1.5},
    {"imageid": []},
]


@ONE_BACKEND
def test_4_5_a_bad_member_is_refused(ana: Client) -> None:
    image = ana.create()
    good = {"imageid": image["image_unique_id"], "type": "a", "message": "b"}
    for wrong in BAD:
        body = refused(ana.post("/LogInfo", json=good | wrong), 400)
        assert body["msg"] == body["status"]
        missing = {name: value for name, value in good.items() if name not in wrong}
        assert "msg" in refused(ana.post("/LogInfo", json=missing), 400)
    for uid in (NOBODYS_UID, "x", "\0", 10**20, "9" * 5000):
        assert "msg" in refused(ana.post("/LogInfo", json=good | {"imageid": uid}), 404)
    assert len(ana.log(image)) == 1


def test_4_5_a_text_comes_back_to_the_letter(ana: Client) -> None:
    image = ana.create()
    for message in ('<script>alert("1")</script>', "tab\tand\nline", " lead ", "ß漢🔬", "x" * 2000, "a%00b\\u0000"):
        post(ana, image, "T" * 64, message)
        assert ana.log(image)[-1] == message


def test_d3_only_who_sees_an_image_writes_of_it(world: World, ana: Client, ben: Client, staff: Client) -> None:
    image = ana.create()
    good = {"imageid": image["image_unique_id"], "type": "a", "message": "b"}
    assert "msg" in refused(ben.post("/LogInfo", json=good), 404)
    assert "msg" in refused(world.user("ana", scope="image:read").post("/LogInfo", json=good), 403)
    assert "msg" in refused(world.stranger().post("/LogInfo", json=good), 401)
    post(staff, image)
    answered(ana.post("/LogInfo", json=good | {"imageid": image["id"]}))  # contract 10: where it is unambiguous
