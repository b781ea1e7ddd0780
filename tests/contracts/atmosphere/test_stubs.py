"""Atmosphere contract, section 9: what the web interface asks for before it draws anything."""

from typing import Any

import pytest

from pinakes import __version__
from pinakes.core.actor import Kind
from pinakes.core.clock import DAY
from tests.conftest import MovableClock
from tests.contracts.atmosphere.conftest import BASE, NO_CREDENTIALS, NOT_FOUND, ORIGIN, Client, World
from tests.contracts.atmosphere.making import WRONG_KEYS, rows, statuses
from tests.statements import counted_statements

on_one_backend = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
EMPTY: dict[str, Any] = {"count": 0, "next": None, "previous": None, "results": []}


def test_s1_metrics_are_for_staff_and_count_only_active_images(
    world: World, clock: MovableClock, ana: Client, ben: Client, staff: Client, nobody: Client
) -> None:
    image_id = world.image(ana, "Ubuntu", tags=("fEATURED",))
    private = world.image(ana, "private", is_public=False)
    ended = world.image(ana, "ended", end_at=clock.now + DAY)
    for client, wanted in ((ana, image_id), (ben, image_id), (ana, private), (ben, ended)):
        assert client.post("/image_bookmarks", json={"image": wanted}).status_code == 201
    assert [row["name"] for row in rows(staff, "/image_metrics")] == ["Ubuntu", "private", "ended"]
    clock.advance(DAY)
    first, second = rows(staff, "/image_metrics", page_size=1000)
    uuid = ana.get(f"/images/{image_id}").json()["uuid"]
    assert first == {
        "id": image_id,
        "uuid": uuid,
        "url": f"{BASE}/image_metrics/{uuid}",
        "name": "Ubuntu",
        "metrics": {
            "forks": 0,
            "bookmarks": 2,
            "projects": 0,
            "instances": {"total": 0, "success": 0, "percent": 0},
        },
        "is_featured": True,
    }
    assert (second["id"], second["metrics"]["bookmarks"], second["is_featured"]) == (private, 1, False)
    metrics_url = ana.get(f"/images/{image_id}").json()["metrics_url"]
    for path in (first["url"], metrics_url, f"/image_metrics/{image_id}"):
        assert staff.get(path).json() == first
    assert staff.get(f"/image_metrics/{ended}").json() == NOT_FOUND
    for client in (ana, ben, nobody):
        assert client.get("/image_metrics", params={"page_size": 1000}).json() == EMPTY
    for client in (ana, ben):
        assert statuses(*(client.get(f"/image_metrics/{one}") for one in (image_id, private))) == [404, 404]
    assert nobody.get(f"/image_metrics/{image_id}").json() == NO_CREDENTIALS


@on_one_backend
def test_s1_staff_counts_only_inside_its_kinds(world: World, ana: Client) -> None:
    world.image(ana, "Ubuntu")
    doctor = world.user("dora", Kind.CLINICAL, is_staff=True)
    assert doctor.get("/image_metrics").json() == EMPTY
    assert world.user("sam", is_staff=True).count("/image_metrics") == 1


@on_one_backend
def test_s1_metrics_take_the_same_statements_however_many(world: World, ana: Client, staff: Client) -> None:
    taken = []
    for count in (0, 1, 20):
        for number in range(count):
            image_id = world.image(ana, f"{count}-{number}")
            ana.post("/image_bookmarks", json={"image": image_id})
        with counted_statements(world.archive.database.engine) as statements:
            staff.get("/image_metrics")
        taken.append(len(statements))
    assert len(set(taken)) == 1, taken
    assert taken[0] <= 4


@on_one_backend
def test_s2_help_links_are_public_and_hold_the_one_the_interface_needs(nobody: Client) -> None:
    links = rows(nobody, "/help_links", page_size=100)
    assert all(set(link) == {"link_key", "topic", "context", "href"} for link in links)
    assert all(link["href"].startswith(ORIGIN) and link["topic"] for link in links)
    assert [link["link_key"] for link in links].count("request-image") == 1
    walked = []
    path: str | None = "/help_links?page_size=2"
    while path is not None:
        page = nobody.get(path).json()
        walked += page["results"]
        path = page["next"]
    assert walked == links
    assert nobody.get("/help_links", params={"page": 9}).json() == {"detail": "Invalid page."}


NOT_HERE = (
    "providers",
    "identities",
    "projects",
    "project_images",
    "instances",
    "volumes",
    "groups",
    "machine_requests",
    "allocation_sources",
    "image_version_licenses",
    "image_version_boot_scripts",
)


@on_one_backend
def test_s4_what_is_not_here_is_empty_for_users(ana: Client, nobody: Client) -> None:
    for name in NOT_HERE:
        answers = ana.get(f"/{name}"), ana.get(f"/{name}/?archived=true&page=last")
        assert [(answer.status_code, answer.json()) for answer in answers] == [(200, EMPTY)] * 2, name
        refused = nobody.get(f"/{name}")
        assert (refused.status_code, refused.json()) == (403, NO_CREDENTIALS)
        assert ana.get(f"/{name}", params={"page": 2}).json() == {"detail": "Invalid page."}
        assert ana.post(f"/{name}", json={}).status_code == 405
        assert ana.get(f"/{name}/17").json() == NOT_FOUND


@on_one_backend
def test_s5_s6_maintenance_and_version_are_public(nobody: Client) -> None:
    maintenance = nobody.get(f"{ORIGIN}/api/v1/maintenance")
    assert (maintenance.status_code, maintenance.json()) == (200, [])
    version = nobody.get("/version")
    assert (version.status_code, version.json()["version"]) == (200, __version__)
    for key in WRONG_KEYS:
        assert nobody.get(f"/image_metrics/{key}").status_code == 403, key[:40]
