"""Images of every kind: finding them by what is in them, what was read from them, and having it read again."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from pinakes.core.actor import Kind
from pinakes.core.db.schema import grants
from pinakes.demo.loading import write_disk
from tests.contracts.native.conftest import BASE, Client, World
from tests.contracts.native.viewing import keep, photograph, read_all

ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)


@pytest.fixture
def ina(world: World) -> Client:
    """A user of all kinds."""
    return world.user("ina", *Kind)


@pytest.fixture
def disk(tmp_path: Path) -> bytes:
    """A qcow2 of 64 MiB with one partition."""
    write_disk(tmp_path / "disk.qcow2")
    return (tmp_path / "disk.qcow2").read_bytes()


def ids(client: Client, query: str = "") -> list[int]:
    answer = client.get(f"/images{query}")
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


# -- The list -----------------------------------------------------------------------------------------------------


def test_images_of_every_kind_are_found_by_what_was_read_from_them(world: World, ina: Client, disk: bytes) -> None:
    """Issue 4, item 2: filters know format, dimensions and date."""
    small = keep(world.archive, "ina", Kind.CLINICAL, photograph(200, 100, "2024:05:01 10:30:00"))
    large = keep(world.archive, "ina", Kind.SLIDE, photograph(800, 600, "2025:05:01 10:30:00"))
    machine = ina.image()["id"]
    ina.filled(machine, disk)
    damaged = keep(world.archive, "ina", Kind.SLIDE, photograph()[:300])
    assert ids(ina, "?state=waiting") == [damaged, machine, large, small]
    assert ids(ina, "?format=jpeg") == []
    read_all(world.archive)
    for query, expected in (
        ("", [damaged, machine, large, small]),
        ("?kind=slide", [damaged, large]),
        ("?kind=machine", [machine]),
        ("?format=jpeg", [large, small]),
        ("?format=qcow2", [machine]),
        ("?format=jpeg&kind=clinical", [small]),
        ("?state=failed", [damaged]),
        ("?state=waiting", []),
        ("?min_width=800&min_height=600", [large]),
        ("?max_width=200", [small]),
        ("?max_height=99", []),
        ("?captured_from=2025-01-01T00:00:00Z", [large]),
        ("?captured_before=2025-01-01T00:00:00%2B01:00", [small]),
        ("?captured_from=2024-05-01T10:30:00Z&captured_before=2024-05-01T10:30:01Z", [small]),
    ):
        assert ids(ina, query) == expected, query


@ONE_BACKEND
def test_an_item_tells_what_the_picture_is(world: World, ina: Client) -> None:
    image_id = keep(world.archive, "ina", Kind.SLIDE, photograph(200, 100, "2024:05:01 10:30:00"))
    read_all(world.archive)
    (item,) = ina.get("/images").json()["items"]
    assert item["picture"] == {
        "state": "ready",
        "error": None,
        "format": "jpeg",
        "width": 200,
        "height": 100,
        "frames": 1,
        "captured": "2024-05-01T10:30:00",
    }
    shown = ina.get(f"/images/{image_id}").json()
    del shown["viewer"]
    assert shown == item


@ONE_BACKEND
def test_a_list_is_walked_by_cursors_and_holds_what_one_may_read(world: World, ina: Client, nobody: Client) -> None:
    kept = [keep(world.archive, "ina", Kind.SLIDE, photograph(100 + number, 100)) for number in range(5)]
    walked: list[int] = []
    query = "?limit=2"
    while query:
        page = ina.get(f"/images{query}").json()
        walked += [item["id"] for item in page["items"]]
        query = f"?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert walked == kept[::-1]
    assert ids(nobody) == []
    assert ids(world.user("oli", Kind.SLIDE)) == []
    nurse = world.user("nur", Kind.CLINICAL)
    assert nurse.get("/images?kind=slide").status_code == 403
    assert world.user("ina", scope="build:read").get("/images").status_code == 403


@ONE_BACKEND
@pytest.mark.parametrize(
    "query",
    [
        "kind=picture",
        "state=done",
        "format=%00",
        "format=JPEG",
        f"format={'x' * 33}",
        "min_width=0",
        "max_width=-1",
        f"min_height={'9' * 5000}",
        "max_height=x",
        "captured_from=2024-05-01",
        "captured_before=yesterday",
        "pixel_digest=",
        f"pixel_digest={'A' * 64}",
        f"pixel_digest={'a' * 65}",
        "captured_from=%ff",
        "cursor=x",
        "limit=201",
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(ina: Client, query: str) -> None:
    answer = ina.get(f"/images?{query}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [query.partition("=")[0]])


# -- What was read ------------------------------------------------------------------------------------------------


def test_a_description_tells_all_that_was_read(world: World, ina: Client) -> None:
    image_id = keep(world.archive, "ina", Kind.SLIDE, photograph(200, 100, "2024:05:01 10:30:00"))
    path = f"/images/{image_id}/description"
    waiting = ina.get(path).json()
    assert (waiting["state"], waiting["levels"], waiting["read_at"]) == ("waiting", [], None)
    read_all(world.archive)
    read = ina.get(path).json()
    assert read["state"] == "ready"
    assert read["read_at"] is not None
    assert (read["image_id"], read["version"], read["format"]) == (image_id, "1.0", "jpeg")
    assert [(level["width"], level["height"], level["downsample"]) for level in read["levels"]] == [(200, 100, 1.0)]
    assert read == ina.get(f"{path}?version=1.0").json()
    again = keep(world.archive, "ina", Kind.SLIDE, photograph(200, 100, "2020:01:01 00:00:00"))
    assert ids(ina, f"?pixel_digest={read['pixel_digest']}") == [image_id]
    read_all(world.archive)
    assert ids(ina, f"?pixel_digest={read['pixel_digest']}") == [again, image_id]
    assert ids(world.user("oli", Kind.SLIDE), f"?pixel_digest={read['pixel_digest']}") == []
    assert ina.get(f"{path}?version=2.0").status_code == 404


@ONE_BACKEND
def test_what_in_the_file_tells_who_is_shown_is_named_only_to_those_who_may_see_identity(
    world: World, ina: Client
) -> None:
    """Issue 4, item 6. A slide that is merely shared is shown without."""
    image_id = keep(world.archive, "ina", Kind.SLIDE, photograph(200, 100, "2024:05:01 10:30:00"))
    read_all(world.archive)
    guest = world.user("gus", Kind.SLIDE)
    share(world, image_id, "gus")
    path = f"/images/{image_id}/description"
    own, shared = ina.get(path), guest.get(path)
    assert any("GPS" in field for field in own.json()["identity"])
    assert shared.json()["identity"] == []
    assert "GPS" not in shared.text
    assert {**own.json(), "identity": []} == shared.json()


@ONE_BACKEND
def test_a_disk_has_a_description_and_no_viewer(world: World, ina: Client, disk: bytes) -> None:
    image_id = ina.image()["id"]
    ina.filled(image_id, disk)
    read_all(world.archive)
    shown = ina.get(f"/images/{image_id}").json()
    assert shown["viewer"] is None
    read = ina.get(f"/images/{image_id}/description").json()
    assert (read["state"], read["format"]) == ("ready", "qcow2")
    assert (read["width"], read["levels"], shown["picture"]["width"]) == (None, [], None)
    assert 64 * 1024 * 1024 in read["facts"].values()


def test_a_reading_that_failed_tells_why_and_can_be_asked_for_again(world: World, ina: Client) -> None:
    image_id = keep(world.archive, "ina", Kind.SLIDE, photograph()[:300])
    read_all(world.archive)
    path = f"/images/{image_id}"
    failed = ina.get(f"{path}/description").json()
    assert failed["state"] == "failed"
    assert failed["error"].endswith(".")
    assert ina.get(path).json()["viewer"] is None
    again = ina.post(f"{path}/ingest")
    assert (again.status_code, again.json()["state"], again.json()["error"]) == (202, "waiting", None)
    assert ina.get(path).json()["viewer"] is not None
    read_all(world.archive)
    assert ina.get(f"{path}/description").json()["error"] == failed["error"]


@ONE_BACKEND
def test_only_who_may_change_an_image_has_it_read_again(world: World, ina: Client, nobody: Client) -> None:
    image_id = keep(world.archive, "ina", Kind.SLIDE, photograph())
    guest, other = world.user("gus", Kind.SLIDE), world.user("oli", Kind.SLIDE)
    share(world, image_id, "gus")
    path = f"/images/{image_id}/ingest"
    statuses = {
        name: client.post(path).status_code
        for name, client in {
            "nobody": nobody,
            "other": other,
            "guest": guest,
            "reader": world.user("ina", scope="image:read"),
            "owner": ina,
        }.items()
    }
    assert statuses == {"nobody": 401, "other": 404, "guest": 403, "reader": 403, "owner": 202}
    assert other.post("/images/9999/ingest").text == other.post(path).text
    assert ina.post(f"/images/{ina.image()['id']}/ingest").status_code == 404  # nothing to be read


def share(world: World, image_id: int, name: str) -> None:
    """Let a user look at a slide."""
    row: dict[str, Any] = {
        "image_id": image_id,
        "user_id": world.archive.users.get(name).id,
        "created_at": world.archive.clock(),
    }
    with world.archive.database.write() as transaction:
        transaction.execute(insert(grants), row)


# -- Where it can be seen -----------------------------------------------------------------------------------------


@ONE_BACKEND
def test_an_image_tells_where_it_can_be_seen(world: World, ina: Client) -> None:
    image_id = keep(world.archive, "ina", Kind.SLIDE, photograph())
    viewer = ina.get(f"/images/{image_id}").json()["viewer"]
    assert viewer["thumbnail"] == f"{BASE}/images/{image_id}/thumbnail"
    assert ina.get(viewer["thumbnail"]).status_code == 200
    assert {viewer[name] for name in ("iiif", "info", "deep_zoom", "manifest")} == {None}  # nothing is mounted there
