"""PathomIQ contract 4.12, 4.13, 8.5 and 9: annotations sent and read over HTTP."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pinakes.core.annotations.records import Source
from pinakes.core.archive import assemble
from pinakes.core.audit import of_image
from pinakes.core.content.stores import open_store
from pinakes.core.db.engine import Database
from pinakes.core.errors import AnnotationUnknown
from pinakes.core.slides import records
from tests.conftest import MovableClock
from tests.contracts.pathomiq.conftest import (
    NOBODYS_UID,
    ONE_BACKEND,
    ORIGIN,
    Client,
    Json,
    World,
    answered,
    refused,
    share,
    world_of,
)
from tests.core.annotations.making import ASAP, IMAGESCOPE, INNER, SQUARE, document, polygon
from tests.suites.content_store import listed

MIB = 1024 * 1024
BOUNDARY = "b-o-u-n-d-a-r-y"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def send(
    client: Client, xml: bytes = IMAGESCOPE, *, path: str = "/Annotations/upload", **fields: Any
) -> httpx.Response:
    return client.post(path, files={"upload_file": ("a.xml", xml)}, data={key: str(fields[key]) for key in fields})


def raw_path(image: Json, suffix: str = "xml") -> str:
    return f"/S3/raw/{image['image_unique_id']}_complete_net_prediction.{suffix}"


def predict(world: World, image: Json, xml: bytes) -> None:
    """Publish what a machine drew."""
    archive = world.archive
    with archive.annotations.receive() as upload:
        upload.write(xml)
        upload.finish()
        with archive.database.write() as transaction:
            records.lock(transaction, image["id"])
            archive.annotations.add(transaction, image["id"], Source.PREDICTION, None, upload)


@pytest.fixture
def image(world: World, ana: Client) -> Json:
    """An uploaded image of ana's."""
    return world.uploaded(ana)


# -- 4.12: sending ------------------------------------------------------------------------------------------------


def test_4_12_the_seeds_form_makes_a_version(ana: Client, image: Json) -> None:
    fields = {"imageid": image["id"], "userid": ana.user_id, "fileid": image["image_unique_id"]}
    body = answered(send(ana, **fields))
    shown = ana.show(image)
    assert body == {"success": True, "status": "Done", "version": 1, "metric": shown["metric"], "image": shown}
    assert (shown["annotation_status"], shown["tissuearea_status"]) == ("Done", "Pending")
    assert shown["base_raw_download_url"] == f"{ORIGIN}/S3/raw"
    assert shown["moddate"] > image["moddate"]
    assert (image["metric"], image["base_raw_download_url"]) == (None, None)
    figures = json.loads(body["metric"])
    assert figures["annotations"][0] == {"name": "Tumour", "regions": 1, "area_px": 96.0, "area_mm2": None}
    assert ana.log(image, "Annotation") == ["Version 1 of the annotation was uploaded."]


@pytest.mark.parametrize("named", ["id", "uid", "fileid"])
def test_4_12_an_image_is_named_by_its_id_or_its_uid(ana: Client, image: Json, named: str) -> None:
    uid = image["image_unique_id"]
    fields = {"id": {"imageid": image["id"]}, "uid": {"imageid": uid}, "fileid": {"fileid": uid}}[named]
    assert answered(send(ana, **fields))["version"] == 1


def test_4_12_an_image_that_is_not_named_or_named_twice_is_400(world: World, ana: Client, image: Json) -> None:
    other = world.uploaded(ana)
    refused(send(ana), 400)
    refused(send(ana, imageid="", fileid=""), 400)
    refused(send(ana, imageid=image["id"], fileid=other["image_unique_id"]), 400)
    refused(send(ana, imageid=image["id"], fileid=NOBODYS_UID), 400)
    assert answered(send(ana, imageid=image["id"], fileid=image["image_unique_id"]))["version"] == 1


@ONE_BACKEND
@pytest.mark.parametrize(
    "named",
    ["0", "-1", "9" * 5000, str(2**63), str(10**9), "1.5", "abc", "../1", "ä", NOBODYS_UID, NOBODYS_UID.upper() + "f"],
)
def test_4_12_an_image_that_is_not_there_is_404(ana: Client, image: Json, named: str) -> None:
    refused(send(ana, imageid=named), 404)
    refused(send(ana, fileid=named), 404)


def test_4_12_nul_in_a_field_is_refused(ana: Client, image: Json) -> None:
    """As it comes over the wire: no client library sends it."""
    for field in ("imageid", "fileid"):
        refused(ana.post("/Annotations/upload", content=form(IMAGESCOPE, **{field: "1\0"}), headers=FORM), 404)
    body = form(IMAGESCOPE, imageid=str(image["id"]), userid="1\0")
    refused(ana.post("/Annotations/upload", content=body, headers=FORM), 400)


def test_4_12_the_user_is_the_caller_unless_staff(staff: Client, ana: Client, ben: Client, image: Json) -> None:
    refused(send(ana, imageid=image["id"], userid=ben.user_id), 403)
    for wrong in ("0", "-1", "abc", "9" * 5000, "1.0"):
        refused(send(ana, imageid=image["id"], userid=wrong), 400)
    assert answered(send(staff, imageid=image["id"], userid=ana.user_id))["version"] == 1
    refused(send(staff, imageid=image["id"], userid=10**9), 404)


def test_4_12_an_image_without_bytes_is_409_and_comes_along(ana: Client) -> None:
    bare = ana.create()
    assert refused(send(ana, imageid=bare["id"]), 409)["image"] == ana.show(bare)


def test_4_12_members_may_and_strangers_see_nothing(ana: Client, ben: Client, image: Json) -> None:
    answered(send(ana, imageid=image["id"]))
    refused(send(ben, imageid=image["id"]), 404)
    for suffix in ("xml", "geojson"):
        refused(ben.get(raw_path(image, suffix)), 404)
    refused(ben.get(f"/Images/metric/{image['id']}"), 404)
    share(ana, image, ben)
    assert answered(send(ben, imageid=image["id"]))["version"] == 2
    assert ben.get(raw_path(image)).content == IMAGESCOPE
    answered(ana.post("/Images/removeuser", json={"userid": [ben.user_id], "imageid": image["image_unique_id"]}))
    refused(ben.get(raw_path(image), params={"version": "2"}), 404)


def test_1_without_a_token_nothing_is_read(world: World, nobody: Client, image: Json) -> None:
    untouched: list[str] = []

    async def body() -> AsyncIterator[bytes]:
        untouched.append("read")
        yield b"--"

    answer = nobody.post("/Annotations/upload", content=body(), headers=FORM)
    assert refused(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    refused(nobody.get(raw_path(image)), 401)
    refused(world.user("ana", scope="image:write").get(raw_path(image)), 403)
    refused(send(world.user("ana", scope="image:read"), imageid=image["id"]), 403)


def test_two_files_sent_at_once_become_two_versions(ana: Client, image: Json) -> None:
    files = [document(attributes=f'Name="layer {n}"') for n in range(6)]
    posts = [
        ("POST", "/Annotations/upload", {"files": {"upload_file": xml}, "data": {"imageid": str(image["id"])}})
        for xml in files
    ]
    versions = [answered(answer)["version"] for answer in ana.at_once(posts)]
    assert sorted(versions) == [1, 2, 3, 4, 5, 6]
    for version, xml in zip(versions, files, strict=True):
        assert ana.get(raw_path(image), params={"version": version}).content == xml


# -- 4.12: what is refused ----------------------------------------------------------------------------------------

NAN = document(polygon('<Vertex X="NaN" Y="1"/>'))
LAUGHS = (
    b'<!DOCTYPE a [<!ENTITY l0 "ha">'
    + b"".join(b'<!ENTITY l%d "%b">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    + b']><Annotations a="&l9;"/>'
)


@ONE_BACKEND
@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (b"", "no element found"),
        (b"\x89PNG\r\n\x1a\n", "not well-formed"),
        (b"{}", "not well-formed"),
        (IMAGESCOPE[:-15], "no element found"),
        (b"<html/>", "root"),
        (b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/"><Annotations/>', "document type"),
        (b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><Annotations a="&e;"/>', "document type"),
        (LAUGHS, "document type"),
        (NAN, "line 1: the coordinate X is not a finite number"),
        (NAN.replace(b"NaN", b"-inf"), "finite"),
        (NAN.replace(b"NaN", b"1e999"), "finite"),
        (NAN.replace(b"NaN", b"one"), "finite"),
        (IMAGESCOPE.decode().encode("utf-16")[:-1], "line "),
        (b"<Annotations>" + b"<a>" * 5000, "nested"),
    ],
)
def test_4_12_what_is_no_annotation_is_400_and_leaves_nothing(
    world: World, ana: Client, image: Json, xml: bytes, reason: str
) -> None:
    before = listed(world.archive.store)
    assert reason in refused(send(ana, xml, imageid=image["id"]), 400)["status"]
    assert listed(world.archive.store) == before
    assert ana.show(image) == image
    refused(ana.get(raw_path(image)), 404)


def form(xml: bytes, *, name: str = "upload_file", **fields: str) -> bytes:
    """A form with the file first, as the seed lists it."""
    parts = [f'Content-Disposition: form-data; name="{name}"; filename="a.xml"\r\n\r\n'.encode() + xml]
    parts += [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in fields.items()]
    begin = f"--{BOUNDARY}\r\n".encode()
    return b"".join(begin + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def test_4_12_the_file_may_come_first_and_without_a_name_of_its_own(ana: Client, image: Json) -> None:
    body = form(IMAGESCOPE, imageid=str(image["id"]))
    assert answered(ana.post("/Annotations/upload", content=body, headers=FORM))["version"] == 1
    bare = body.replace(b'; filename="a.xml"', b"")
    assert answered(ana.post("/Annotations/upload", content=bare, headers=FORM))["version"] == 2
    hostile = body.replace(b"a.xml", b"../../etc/passwd")
    assert answered(ana.post("/Annotations/upload", content=hostile, headers=FORM))["version"] == 3


@ONE_BACKEND
def test_4_12_forms_that_are_none_are_refused(world: World, ana: Client, image: Json) -> None:
    before = listed(world.archive.store)
    good = form(IMAGESCOPE, imageid=str(image["id"]))
    broken = {
        "no file": form(IMAGESCOPE, name="file", imageid=str(image["id"])),
        "two files": form(IMAGESCOPE)[: -len(f"--{BOUNDARY}--\r\n")] + good,
        "cut in the file": good[:400],
        "cut at the end": good[:-10],
        "not UTF-8": good.replace(str(image["id"]).encode() + b"\r\n--", b"\xff\r\n--"),
        "a huge field": form(IMAGESCOPE, imageid="1" * 100_000),
        "many fields": form(IMAGESCOPE, **{f"field{n}": "" for n in range(100)}),
        "nothing": b"",
    }
    for what, body in broken.items():
        answer = ana.post("/Annotations/upload", content=body, headers=FORM)
        assert answer.status_code == 400, what
        refused(answer, 400)
    refused(ana.post("/Annotations/upload", content=good, headers={"Content-Type": "multipart/form-data"}), 400)
    wrong = {"Content-Type": "multipart/form-data; boundary=another"}
    refused(ana.post("/Annotations/upload", content=good, headers=wrong), 400)
    for kind in ("application/json", "application/xml", "application/x-www-form-urlencoded", ""):
        refused(ana.post("/Annotations/upload", content=good, headers={"Content-Type": kind}), 415)
    assert listed(world.archive.store) == before
    assert ana.show(image) == image


@ONE_BACKEND
def test_1_other_methods_are_405(ana: Client, image: Json) -> None:
    assert ana.get("/Annotations/upload").headers["allow"].startswith("POST")
    refused(ana.get("/Annotations/upload"), 405)
    refused(ana.put(raw_path(image)), 405)
    refused(ana.delete(raw_path(image)), 405)


# -- 4.13: reading ------------------------------------------------------------------------------------------------


def test_4_13_the_file_comes_back_as_it_was_sent(ana: Client, image: Json) -> None:
    body = answered(send(ana, imageid=image["id"]))["image"]
    answer = ana.get(f"{body['base_raw_download_url']}/{body['image_unique_id']}_complete_net_prediction.xml")
    assert answer.status_code == 200
    assert answer.content == IMAGESCOPE
    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["content-length"] == str(len(IMAGESCOPE))
    name = f"{body['image_unique_id']}_complete_net_prediction.xml"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["etag"] == f'"{hashlib.sha256(IMAGESCOPE).hexdigest()}"'
    assert (answer.headers["x-annotation-version"], answer.headers["x-annotation-source"]) == ("1", "user")


def test_4_13_the_newest_is_served_and_what_a_machine_drew_stays_readable(
    world: World, ana: Client, image: Json
) -> None:
    """Contract D11."""
    predict(world, image, ASAP)
    answered(send(ana, imageid=image["id"]))
    newest = ana.get(raw_path(image))
    assert (newest.content, newest.headers["x-annotation-source"]) == (IMAGESCOPE, "user")
    machine = ana.get(raw_path(image), params={"version": 1})
    assert (machine.content, machine.headers["x-annotation-source"]) == (ASAP, "prediction")
    assert machine.headers["x-annotation-version"] == "1"
    assert machine.headers["etag"] != newest.headers["etag"]
    predict(world, image, ASAP)
    assert ana.get(raw_path(image)).headers["x-annotation-version"] == "3"


@pytest.mark.parametrize("suffix", ["xml", "geojson"])
def test_4_13_conditions_and_head(world: World, ana: Client, image: Json, suffix: str) -> None:
    answered(send(ana, imageid=image["id"]))
    got = ana.get(raw_path(image, suffix))
    head = ana.head(raw_path(image, suffix))
    assert (head.status_code, head.content) == (200, b"")
    kept = ("etag", "content-type", "content-disposition", "x-annotation-version", "x-content-type-options")
    assert [head.headers[name] for name in kept] == [got.headers[name] for name in kept]
    unchanged = ana.get(raw_path(image, suffix), headers={"If-None-Match": got.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["etag"] == got.headers["etag"]
    refused_by_match = ana.get(raw_path(image, suffix), headers={"If-Match": '"another"'})
    assert refused_by_match.status_code == 412
    answered(send(ana, ASAP, imageid=image["id"]))
    assert ana.get(raw_path(image, suffix), headers={"If-None-Match": got.headers["etag"]}).status_code == 200


def test_4_13_a_get_is_a_read_in_the_trail_and_a_head_or_an_unchanged_file_is_none(
    world: World, ana: Client, image: Json
) -> None:
    answered(send(ana, imageid=image["id"]))

    def reads() -> int:
        world.archive.trail.flush()
        with world.archive.database.read() as connection:
            return len([event for event in of_image(connection, image["id"]) if event.action == "content:read"])

    for suffix in ("xml", "geojson"):
        path = raw_path(image, suffix)
        before = reads()
        unchanged = {"If-None-Match": ana.head(path).headers["etag"]}
        assert ana.get(path, headers=unchanged).status_code == 304
        assert reads() == before
        assert ana.get(path).status_code == 200
        assert reads() == before + 1


def test_4_13_a_part_of_the_file_may_be_asked_for(ana: Client, image: Json) -> None:
    answered(send(ana, imageid=image["id"]))
    part = ana.get(raw_path(image), headers={"Range": "bytes=3-9"})
    assert (part.status_code, part.content) == (206, IMAGESCOPE[3:10])
    assert ana.get(raw_path(image), headers={"Range": f"bytes={len(IMAGESCOPE)}-"}).status_code == 416


def test_4_13_a_version_that_is_not_there_is_404_and_one_that_is_none_400(ana: Client, image: Json) -> None:
    refused(ana.get(raw_path(image)), 404)
    answered(send(ana, imageid=image["id"]))
    for number in ("2", str(2**31), str(2**63 - 1)):
        refused(ana.get(raw_path(image), params={"version": number}), 404)
    for wrong in ("", "0", "-1", "1.0", "abc", "9" * 5000, "1\0", "١"):
        refused(ana.get(raw_path(image), params={"version": wrong}), 400)


@ONE_BACKEND
def test_4_13_other_names_and_path_tricks_are_404(ana: Client, image: Json) -> None:
    answered(send(ana, imageid=image["id"]))
    uid = image["image_unique_id"]
    good = f"{uid}_complete_net_prediction.xml"
    assert ana.get(f"/S3/raw/{good}").status_code == 200
    for name in (
        uid,
        f"{uid}.xml",
        f"{good}.bak",
        f"{uid}_complete_net_prediction.json",
        f"{uid}_complete_net_prediction.XML",
        f"{uid.upper()}_complete_net_prediction.xml",
        f"{NOBODYS_UID}_complete_net_prediction.xml",
        f"..%2f{good}",
        f"%2e%2e/{good}",
        f"x%2f..%2f{good}",
        f"{good}%00",
        f"{good}%0a",
        f"{good}%ff",
        f"x/{good}",
    ):
        refused(ana.get(f"/S3/raw/{name}"), 404)


# -- GeoJSON ------------------------------------------------------------------------------------------------------


def test_7_the_same_as_geojson(ana: Client, image: Json) -> None:
    answered(send(ana, imageid=image["id"]))
    answer = ana.get(raw_path(image, "geojson"))
    assert answer.headers["content-type"] == "application/geo+json"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["content-disposition"].endswith('_complete_net_prediction.geojson"')
    (feature,) = answer.json()["features"]
    assert feature["properties"]["classification"] == {"name": "Tumour", "color": [0, 255, 0]}
    rings = [[list(point) for point in (*outline, outline[0])] for outline in (SQUARE, INNER)]
    assert feature["geometry"]["coordinates"] == rings


def test_7_older_versions_are_geojson_too_and_many_may_ask_at_once(ana: Client, image: Json) -> None:
    for xml in (IMAGESCOPE, ASAP):
        answered(send(ana, xml, imageid=image["id"]))
    asked: Json = {"params": {"version": 1}}
    found = ana.at_once([("GET", raw_path(image, "geojson"), asked)] * 6)
    assert {answer.headers["x-annotation-version"] for answer in found} == {"1"}
    assert len({answer.content for answer in found}) == 1
    assert len(ana.get(raw_path(image, "geojson")).json()["features"]) == 3


def test_4_12_geojson_is_not_taken_as_an_upload(ana: Client, image: Json) -> None:
    answered(send(ana, imageid=image["id"]))
    refused(send(ana, ana.get(raw_path(image, "geojson")).content, imageid=image["id"]), 400)


# -- The rest -----------------------------------------------------------------------------------------------------


def test_9_the_aliases_of_earlier_editions(ana: Client, image: Json) -> None:
    uid = image["image_unique_id"]
    assert answered(ana.get(f"/Images/metric/{uid}")) is None
    assert answered(send(ana, path=f"/Annotations/upload/{uid}/xml"))["version"] == 1
    refused(send(ana, path=f"/Annotations/upload/{uid}/geojson"), 400)
    refused(send(ana, path=f"/Annotations/upload/{NOBODYS_UID}/xml"), 404)
    for named in (uid, image["id"]):
        assert answered(ana.get(f"/Images/metric/{named}")) == ana.show(image)["metric"]
    for nobody in ("0", "abc", "9" * 5000, NOBODYS_UID):
        refused(ana.get(f"/Images/metric/{nobody}"), 404)


def test_3_2_an_upload_during_a_run_leaves_its_stages_alone(ana: Client, image: Json) -> None:
    answered(ana.get(f"/Images/startpredict/{image['image_unique_id']}"))
    body = answered(send(ana, imageid=image["id"]))
    assert (body["version"], body["image"]["annotation_status"]) == (1, "Pending")
    assert ana.get(raw_path(image)).content == IMAGESCOPE


def test_4_10_deleting_the_image_takes_its_annotations(world: World, ana: Client, image: Json) -> None:
    answered(send(ana, imageid=image["id"]))
    answered(ana.delete(f"/Images/{image['image_unique_id']}"))
    for suffix in ("xml", "geojson"):
        refused(ana.get(raw_path(image, suffix)), 404)
    refused(send(ana, imageid=image["id"]), 404)
    assert listed(world.archive.store) == {}
    with pytest.raises(AnnotationUnknown):
        world.archive.annotations.get(image["id"], 1)


# -- Large --------------------------------------------------------------------------------------------------------


@pytest.fixture
def roomy(sqlite_url: str, tmp_path: Path, clock: MovableClock) -> Iterator[World]:
    """A world whose limit is the contract's own: 64 MiB."""
    archive = assemble(
        Database(sqlite_url), open_store(f"disk://{tmp_path / 'content'}"), journal_directory=tmp_path, clock=clock
    )
    with world_of(archive, tmp_path) as world:
        yield world
    archive.close()


def test_4_12_64_mib_are_taken_and_one_byte_more_is_413(roomy: World) -> None:
    ana = roomy.user("ana")
    image = roomy.uploaded(ana)
    head, tail = form(b"\n<|>\n", imageid=str(image["id"])).split(b"|")
    xml = (b"<Annotations>", b"</Annotations>")
    room = 64 * MIB - len(xml[0]) - len(xml[1])

    async def body(padding: int) -> AsyncIterator[bytes]:
        yield head[:-2] + xml[0]
        for start in range(0, padding, MIB):
            yield b" " * min(MIB, padding - start)
        yield xml[1] + tail[2:]

    before = listed(roomy.archive.store)
    body_of = body(room + 1)
    refused(ana.post("/Annotations/upload", content=body_of, headers=FORM), 413)
    announced = {**FORM, "Content-Length": str(65 * MIB)}
    refused(ana.post("/Annotations/upload", content=b"--", headers=announced), 413)
    assert listed(roomy.archive.store) == before
    assert answered(ana.post("/Annotations/upload", content=body(room), headers=FORM))["version"] == 1
    assert ana.head(raw_path(image)).headers["content-length"] == str(64 * MIB)
