"""View links through the native API: made here, and followed in the IIIF API, which is mounted beside it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pinakes.apis.iiif import API as IIIF
from pinakes.core.actor import Kind
from pinakes.core.archive import Archive
from pinakes.core.clock import SECOND
from tests.conftest import MovableClock
from tests.contracts.native.conftest import ORIGIN, Client, World, make_world
from tests.contracts.native.viewing import keep, photograph

pytestmark = pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)  # tests/core/access runs on both


@pytest.fixture
def world(archive: Archive, tmp_path: Path) -> Iterator[World]:
    yield from make_world(archive, tmp_path, IIIF)


@pytest.fixture
def pat(world: World) -> Client:
    return world.user("pat", Kind.SLIDE)


@pytest.fixture
def image_id(world: World, pat: Client) -> int:
    return keep(world.archive, "pat", Kind.SLIDE, photograph())


def made(client: Client, image_id: int, **members: Any) -> Any:
    answer = client.post(f"/images/{image_id}/view-links", json=members)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_an_image_names_addresses_that_lead_to_it(pat: Client, nobody: Client, image_id: int) -> None:
    """Issue 4, item 5: slides gain viewer links in the native API."""
    viewer = pat.get(f"/images/{image_id}").json()["viewer"]
    assert viewer["iiif"] == f"{ORIGIN}/iiif/3/{image_id}"
    assert viewer["info"] == f"{viewer['iiif']}/info.json"
    for name in ("info", "deep_zoom", "manifest"):
        assert pat.get(viewer[name]).status_code == 200, name
        assert nobody.get(viewer[name]).status_code == 404, name
    assert pat.get(viewer["info"]).json()["id"] == viewer["iiif"]


def test_a_link_shows_the_image_to_who_has_no_token(pat: Client, nobody: Client, image_id: int) -> None:
    link = made(pat, image_id)
    assert set(link) == {"token", "end_date", "iiif", "info", "deep_zoom", "manifest"}
    information = nobody.get(link["info"])
    assert information.status_code == 200
    service = information.json()["id"]
    assert service == link["iiif"]
    assert nobody.get(f"{service}/full/64,/0/default.jpg").status_code == 200
    assert nobody.get(link["deep_zoom"]).status_code == 200
    assert nobody.get(link["manifest"]).status_code == 200
    assert nobody.get(f"{ORIGIN}/iiif/3/{image_id}/info.json?token={link['token']}").status_code == 200


def test_a_link_opens_nothing_else(world: World, pat: Client, nobody: Client, image_id: int) -> None:
    link = made(pat, image_id)
    other = keep(world.archive, "pat", Kind.SLIDE, photograph())
    for path in (f"3/{other}/info.json", f"3/{other}/full/64,/0/default.jpg", f"dzi/{other}.dzi"):
        assert nobody.get(f"{ORIGIN}/iiif/view/{link['token']}/{path}").status_code == 401
        assert nobody.get(f"{ORIGIN}/iiif/{path}?token={link['token']}").status_code == 401


def test_a_link_is_nothing_to_this_api(pat: Client, nobody: Client, image_id: int) -> None:
    """Neither as a token, nor as a session, nor in an address as the IIIF API has it."""
    token = made(pat, image_id)["token"]
    for path in (f"/images/{image_id}", f"/images/{image_id}/thumbnail", f"/images/{image_id}/description"):
        for scheme in ("Bearer", "Token"):
            assert nobody.get(path, headers={"Authorization": f"{scheme} {token}"}).status_code == 401
        for name in ("pinakes-session", "__Host-pinakes-session"):
            assert nobody.get(path, headers={"Cookie": f"{name}={token}"}).status_code == 404
        assert nobody.get(f"{path}?token={token}").status_code == 404
        assert nobody.get(f"/view/{token}{path}").status_code == 404
    assert nobody.post(f"/images/{image_id}/view-links?token={token}", json={}).status_code == 401


def test_a_link_ends(pat: Client, nobody: Client, image_id: int, clock: MovableClock) -> None:
    link = made(pat, image_id, seconds=60)
    clock.advance(59 * SECOND)
    assert nobody.get(link["info"]).status_code == 200
    clock.advance(SECOND)
    assert nobody.get(link["info"]).status_code == 401


def test_a_link_is_made_only_by_who_may_see_the_image(world: World, pat: Client, nobody: Client, image_id: int) -> None:
    path = f"/images/{image_id}/view-links"
    assert nobody.post(path, json={}).status_code == 401
    other = world.user("oli", Kind.SLIDE)
    refused, not_there = other.post(path, json={}), other.post("/images/9999/view-links", json={})
    assert (refused.status_code, refused.text) == (404, not_there.text)
    assert world.user("pat", scope="build:read").post(path, json={}).status_code == 403


@pytest.mark.parametrize("seconds", [0, -1, 86_401, 10**30, 1.5, "60", True, None])
def test_how_long_a_link_is_to_work_is_bounded(pat: Client, image_id: int, seconds: Any) -> None:
    answer = pat.post(f"/images/{image_id}/view-links", json={"seconds": seconds})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["seconds"])
