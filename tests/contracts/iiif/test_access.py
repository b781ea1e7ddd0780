"""Who may look: the policy, tokens, view links; and that looking is noted."""

from typing import Any

import pytest
from sqlalchemy import select

from pinakes.core.actor import Kind, Visibility
from pinakes.core.db.schema import events
from tests.contracts.iiif.conftest import BASE, PHOTOGRAPH, Client, World
from tests.imaging.making_photographs import saved

PNG = saved(PHOTOGRAPH, "PNG")
"""Of 300 by 200 pixels."""


def paths_of(image_id: int) -> list[str]:
    return [
        f"/3/{image_id}/info.json",
        f"/3/{image_id}/full/30,/0/default.jpg",
        f"/dzi/{image_id}.dzi",
        f"/dzi/{image_id}_files/9/0_0.jpeg",
        f"/presentation/images/{image_id}",
    ]


def statuses(client: Client, paths: list[str], **options: Any) -> set[int]:
    return {client.get(path, **options).status_code for path in paths}


def test_everybody_of_the_clinic_sees_a_clinical_image_and_nobody_else(world: World) -> None:
    """DESIGN.md section 2. For the others it is like what is not there, in every resource, on both backends."""
    ana, ben, eve = world.user("ana"), world.user("ben"), world.user("eve", Kind.SLIDE, Kind.MACHINE, is_staff=True)
    paths = paths_of(world.clinical("ana", world.patient("ana")))
    assert statuses(ana, paths) == statuses(ben, paths) == {200}
    assert statuses(eve, paths) == statuses(world.stranger(), paths) == {404}
    told = [eve.get(paths[0]), eve.get("/3/99999/info.json")]
    assert told[0].text == told[1].text


def test_a_slide_is_seen_by_its_owner_until_it_is_shared(lasting_world: World) -> None:
    owner, other = lasting_world.user("olga", Kind.SLIDE), lasting_world.user("otto", Kind.SLIDE)
    image_id = lasting_world.slide("olga", PNG)
    assert statuses(owner, paths_of(image_id)) == {200}
    assert statuses(other, paths_of(image_id)) == {404}
    other_id = lasting_world.archive.users.get("otto").id
    lasting_world.archive.slide_sharing.add(lasting_world.actor("olga"), image_id, [other_id])
    assert statuses(other, paths_of(image_id)) == {200}


def test_what_is_public_is_seen_by_anybody_and_may_be_kept(lasting_world: World) -> None:
    lasting_world.user("mia", Kind.MACHINE)
    image_id = lasting_world.machine("mia", PNG, Visibility.PUBLIC)
    for path in paths_of(image_id):
        answer = lasting_world.stranger().get(path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=3600"


def test_a_scope_without_reading_images_is_refused(lasting_world: World, ana: Client, photograph: int) -> None:
    limited = lasting_world.user("ana", scope="namespace:read image:write")
    assert statuses(limited, paths_of(photograph)) == {403}
    assert limited.get("/presentation/patients/1").status_code == 403


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer", "Basic YTpi", "Bearer \xe4"])
def test_a_bad_token_is_refused_even_for_what_is_public(lasting_world: World, header: str) -> None:
    answer = lasting_world.stranger().get("/3/1/info.json", headers={"Authorization": header})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_a_view_link_opens_one_image_in_its_path_or_its_query(
    lasting_world: World, ana: Client, photograph: int
) -> None:
    link, stranger = lasting_world.link("ana", photograph), lasting_world.stranger()
    assert statuses(stranger, [f"/view/{link}{path}" for path in paths_of(photograph)]) == {200}
    assert statuses(stranger, [f"{path}?token={link}" for path in paths_of(photograph)]) == {200}
    other = lasting_world.clinical("ana", lasting_world.patient("ana", first="Alma"))
    assert statuses(stranger, [f"/view/{link}{path}" for path in paths_of(other)]) == {401}
    for client in (stranger, ana):  # a link that cannot be meant is refused even where a token would do
        assert client.get(f"/view/{link}/presentation/patients/1").status_code == 401


def test_what_a_link_leads_to_refers_to_addresses_with_the_link(lasting_world: World, photograph: int) -> None:
    """Viewers make the addresses of tiles from the `id` in info.json; the canonical address has no secret in it."""
    link, stranger = lasting_world.link("ana", photograph), lasting_world.stranger()
    for path in (f"/view/{link}/3/{photograph}", f"/3/{photograph}"):
        query = "" if link in path else f"?token={link}"
        info = stranger.document(f"{path}/info.json{query}")
        assert info["id"] == f"{BASE}/view/{link}/3/{photograph}"
        assert stranger.get(f"{info['id']}/full/30,/0/default.jpg").status_code == 200
        led = stranger.get(f"{path}{query}")
        assert led.headers["location"] == f"{info['id']}/info.json"
        manifest = stranger.document(f"{path.replace('/3/', '/presentation/images/')}{query}")
        body = manifest["items"][0]["items"][0]["items"][0]["body"]
        assert body["service"][0]["id"] == info["id"]
        assert stranger.get(body["id"]).status_code == 200
    links = stranger.get(f"/view/{link}/3/{photograph}/full/30,/0/default.jpg").headers["link"]
    assert link not in links


@pytest.mark.parametrize("query", ["?token=", "?token=nonsense", "?token=%00", "?token={link}&token={link}"])
def test_a_bad_link_is_refused(lasting_world: World, photograph: int, query: str) -> None:
    link = lasting_world.link("ana", photograph)
    answer = lasting_world.stranger().get(f"/3/{photograph}/info.json{query.format(link=link)}")
    assert answer.status_code == 401


def test_what_is_no_link_cannot_break_out_of_a_header(lasting_world: World) -> None:
    answer = lasting_world.stranger().get("/3/1?token=%0d%0aSet-Cookie:%20a%3db%ff%e2%82%ac")
    assert answer.status_code == 303
    assert "set-cookie" not in answer.headers
    assert answer.headers["location"].startswith(f"{BASE}/view/%0D%0ASet-Cookie")


def test_a_link_ends_with_the_token_it_was_made_with(lasting_world: World, photograph: int) -> None:
    actor = lasting_world.actor("ana")
    link = lasting_world.archive.view_links.create(actor, photograph, 60)
    path = f"/view/{link}/3/{photograph}/info.json"
    assert lasting_world.stranger().get(path).status_code == 200
    assert actor.token_id is not None
    lasting_world.archive.credentials.revoke(actor, actor.token_id)
    assert lasting_world.stranger().get(path).status_code == 401


def test_who_looked_is_noted_with_the_patient(lasting_world: World, ana: Client) -> None:
    """DESIGN.md rule 11: looking at pixels is a read; what is known of a picture is none."""
    patient_id = lasting_world.patient("ana", first="Eva")
    image_id = lasting_world.clinical("ana", patient_id)
    ana.get(f"/3/{image_id}/info.json")
    assert seen(lasting_world, image_id) == []
    for path in paths_of(image_id)[1:]:
        ana.get(path)
    user_id = lasting_world.archive.users.get("ana").id
    assert seen(lasting_world, image_id) == [("iiif", user_id, patient_id)]


def seen(world: World, image_id: int) -> list[tuple[str, int, int]]:
    """By which API, by whom and of which patient an image was looked at."""
    world.archive.trail.flush()
    columns = (events.c.api, events.c.actor_id, events.c.patient_id)
    statement = select(*columns).where(events.c.image_id == image_id, events.c.action == "image:view")
    with world.archive.database.read() as connection:
        return [tuple(row) for row in connection.execute(statement)]
