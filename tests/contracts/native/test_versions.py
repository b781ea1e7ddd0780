"""Versions of machine images: added, shown, edited (atmosphere contract 8.3 and 11.2)."""

import pytest

from pinakes.core.clock import DAY, to_datetime
from tests.conftest import MovableClock
from tests.contracts.native.conftest import QCOW2, Client, World, content_path


def test_versions_are_named_one_after_another_unless_a_name_is_given(ana: Client) -> None:
    """Contract 11.2."""
    image_id = ana.image()["id"]
    names = [ana.version(image_id, **members)["name"] for members in ({}, {"name": " 1.1 "}, {}, {"name": "x"}, {})]
    assert names == ["1.0", "1.1", "1.2", "x", "1.3"]
    taken = ana.post(f"/vm-images/{image_id}/versions", json={"name": "1.2"})
    assert (taken.status_code, taken.json()["type"].rpartition("/")[2]) == (409, "name-taken")
    listed = ana.get(f"/vm-images/{image_id}/versions").json()["items"]
    assert [version["name"] for version in listed] == names
    assert [version["name"] for version in ana.get(f"/vm-images/{image_id}").json()["versions"]] == names


def test_a_version_holds_what_is_said_of_it(ana: Client) -> None:
    image_id = ana.image()["id"]
    first = ana.version(image_id)
    said = {"change_log": "new", "allow_imaging": False, "min_cpu": 2, "min_mem": 1024, "doc_object_id": "10.1/x"}
    made = ana.version(image_id, parent=first["id"], **said)
    assert {name: made[name] for name in said} == said
    assert made["parent"]["name"] == "1.0"
    assert made["content"] is made["download"] is made["end_date"] is None
    assert ana.get(f"/vm-images/{image_id}/versions/{made['id']}").json() == made


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 257}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": 5}, "name"),
        ({"min_cpu": 17}, "min_cpu"),
        ({"min_cpu": True}, "min_cpu"),
        ({"min_mem": -1}, "min_mem"),
        ({"min_mem": 10**30}, "min_mem"),
        ({"allow_imaging": "yes"}, "allow_imaging"),
        ({"doc_object_id": "x" * 257}, "doc_object_id"),
        ({"parent": 99}, "parent"),
        ({"parent": 10**30}, "parent"),
        ({"size": 1}, "size"),
    ],
)
def test_what_cannot_be_meant_is_told_by_field_and_nothing_is_made(
    lasting_ana: Client, members: object, field: str
) -> None:
    image_id = lasting_ana.image()["id"]
    answer = lasting_ana.post(f"/vm-images/{image_id}/versions", json=members)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert lasting_ana.get(f"/vm-images/{image_id}/versions").json()["items"] == []


def test_the_parent_is_of_the_same_image(ana: Client) -> None:
    other = ana.version(ana.image("other")["id"])
    answer = ana.post(f"/vm-images/{ana.image()['id']}/versions", json={"parent": other["id"]})
    assert answer.json()["errors"] == {"parent": ["is no version of this image"]}


def test_only_its_people_add_versions(world: World, ana: Client, ben: Client, nobody: Client) -> None:
    path = f"/vm-images/{ana.image(is_public=True)['id']}/versions"
    assert ben.post(path, json={}).status_code == 403
    assert nobody.post(path, json={}).status_code == 401
    assert world.user("ana", scope="image:read").post(path, json={}).status_code == 403


def test_a_version_is_found_under_its_own_image_only(ana: Client) -> None:
    version = ana.filled(ana.image()["id"])
    path = f"/vm-images/{ana.image('other')['id']}/versions/{version['id']}"
    assert ana.get(path).status_code == 404
    assert ana.patch(path, json={"name": "x"}).status_code == 404
    assert ana.get(f"{path}/content").status_code == 404
    assert ana.put(f"{path}/content", content=QCOW2).status_code == 404


def test_a_version_past_its_own_end_is_there_for_the_author_and_staff_only(
    ana: Client, ben: Client, staff: Client, clock: MovableClock
) -> None:
    """Contract D10, N1; its content follows."""
    version = ana.filled(ana.image(is_public=True)["id"])
    path = f"/vm-images/{version['image_id']}/versions/{version['id']}"
    end = to_datetime(clock.now + DAY).isoformat()
    assert ana.patch(path, json={"end_date": end}).status_code == 200
    assert ben.get(content_path(version)).status_code == 200
    clock.advance(DAY + 1)
    for client, status in ((ben, 404), (ana, 200), (staff, 200)):
        assert client.get(path).status_code == status
        assert client.get(content_path(version)).status_code == status
    assert ben.get(f"/vm-images/{version['image_id']}").json()["versions"] == []
    assert ben.get(f"/vm-images/{version['image_id']}/versions").json()["items"] == []


def test_a_change_of_a_version_keeps_what_is_not_named(ana: Client, ben: Client) -> None:
    """Contract N5."""
    version = ana.filled(ana.image(is_public=True)["id"], min_cpu=2)
    path = f"/vm-images/{version['image_id']}/versions/{version['id']}"
    changed = ana.patch(path, json={"name": "2.0", "min_cpu": None}).json()
    assert changed == {**version, "name": "2.0", "min_cpu": None}
    assert ana.patch(path, json={"change_log": None}).status_code == 400
    assert ben.patch(path, json={"name": "3.0"}).status_code == 403


def test_a_fetch_of_what_is_no_url_or_fills_a_full_version_is_refused(ana: Client, ben: Client) -> None:
    image_id = ana.image(is_public=True)["id"]
    empty, full = ana.version(image_id), ana.filled(image_id)
    path = f"/vm-images/{image_id}/versions"
    assert ana.post(f"{path}/{empty['id']}/import", json={"url": "file:///etc/passwd"}).status_code == 400
    assert ana.post(f"{path}/{full['id']}/import", json={"url": "https://x.example/a"}).status_code == 409
    assert ben.post(f"{path}/{empty['id']}/import", json={"url": "https://x.example/a"}).status_code == 403


def test_a_fetch_becomes_a_job_that_can_be_watched_and_cancelled(ana: Client, ben: Client, staff: Client) -> None:
    """Issue 3, deliverables 5 and 6."""
    version = ana.version(ana.image()["id"])
    path = f"/vm-images/{version['image_id']}/versions/{version['id']}"
    started = ana.post(f"{path}/import", json={"url": "https://user:secret@files.example/a.qcow2?sig=hidden"})
    assert started.status_code == 202, started.text
    assert started.json()["source"] == "https://user:xxxxx@files.example/a.qcow2"
    assert ana.get(path).json()["download"] == started.json()
    assert ana.post(f"{path}/import", json={"url": "https://files.example/b"}).status_code == 409
    (job,) = ana.get("/jobs").json()["items"]
    assert (job["kind"], job["state"], job["image_id"]) == ("import", "queued", version["image_id"])
    assert not any(word in ana.get("/jobs").text for word in ("secret", "hidden"))
    assert staff.get("/jobs?state=queued&kind=import").json()["items"] == [job]
    assert ben.get("/jobs").json() == {"items": [], "next_cursor": None}
    assert ben.get(f"/jobs/{job['id']}").status_code == 404
    assert ben.post(f"/jobs/{job['id']}/cancel").status_code == 404
    assert ana.get(f"/jobs/{job['id']}/log").json() == {"items": []}
    assert ana.post(f"/jobs/{job['id']}/cancel").json()["state"] == "cancelled"
    assert ana.post(f"/jobs/{job['id']}/cancel").json()["state"] == "cancelled"
    assert ana.get(path).json()["download"]["error"] is not None


def test_jobs_are_walked_by_cursors(ana: Client, nobody: Client) -> None:
    image_id = ana.image()["id"]
    for _ in range(3):
        version = ana.version(image_id)
        path = f"/vm-images/{image_id}/versions/{version['id']}/import"
        assert ana.post(path, json={"url": "https://files.example/a"}).status_code == 202
    first = ana.get("/jobs?limit=2").json()
    rest = ana.get(f"/jobs?limit=2&cursor={first['next_cursor']}").json()
    ids = [job["id"] for job in first["items"] + rest["items"]]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 3
    assert rest["next_cursor"] is None
    assert nobody.get("/jobs").status_code == 401
    assert ana.get("/jobs?state=lost").status_code == 400
