"""Stored tiles of a slide that is being looked at: given at once, and refused at once; on both backends."""

import pytest

from pinakes.core.actor import Kind, Visibility
from pinakes.core.catalogue.versions import VersionChanges
from pinakes.core.clock import SECOND
from tests.conftest import MovableClock
from tests.contracts.iiif.conftest import Client, World
from tests.imaging.making_slides import tissue, write_svs
from tests.statements import counted_statements

SIDE = 240


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """1000 x 700 in tiles of 240."""
    path = tmp_path_factory.mktemp("slides") / "slide.svs"
    write_svs(path, tissue(1000, 700), tile=SIDE)
    return path.read_bytes()


def tile(image_id: int, column: int = 1, row: int = 1) -> str:
    return f"/3/{image_id}/{column * SIDE},{row * SIDE},{SIDE},{SIDE}/{SIDE},{SIDE}/0/default.jpg"


def status(client: Client, path: str) -> int:
    return client.get(path).status_code


def test_whoever_may_no_longer_see_a_warm_tile_is_refused_at_once(
    world: World, slide: bytes, clock: MovableClock
) -> None:
    olga, otto, stranger = world.user("olga", Kind.SLIDE), world.user("otto", Kind.SLIDE), world.stranger()
    image_id, actor = world.slide("olga", slide), world.actor("olga")
    shared_with = [world.archive.users.get("otto").id]
    world.archive.slide_sharing.add(actor, image_id, shared_with)
    linked = f"/view/{world.link('olga', image_id, seconds=60)}{tile(image_id)}"

    first = olga.get(tile(image_id))
    assert first.content[-500:] in slide  # as it is stored
    for client, asked in ((olga, tile(image_id)), (otto, tile(image_id)), (stranger, linked)):
        answer = client.get(asked)
        assert (answer.content, answer.headers["etag"]) == (first.content, first.headers["etag"])
    assert olga.get(tile(image_id), headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert status(olga, f"/dzi/{image_id}_files/10/9_9.jpeg") == 404

    clock.advance(61 * SECOND)
    assert status(stranger, linked) == 401
    world.archive.slide_sharing.remove(actor, image_id, shared_with)
    assert status(otto, tile(image_id)) == 404
    for token in world.archive.credentials.list("otto"):
        world.archive.credentials.revoke(actor, token.id)
    assert status(otto, tile(image_id)) == 401
    assert status(olga, tile(image_id)) == 200
    world.archive.images.delete(actor, image_id)
    assert status(olga, tile(image_id)) == 404


def test_a_warm_tile_of_a_version_that_has_ended_is_refused_at_once(
    world: World, slide: bytes, clock: MovableClock
) -> None:
    mia = world.user("mia", Kind.MACHINE)
    image_id = world.machine("mia", slide, Visibility.PUBLIC)
    assert status(world.stranger(), tile(image_id)) == status(world.stranger(), tile(image_id)) == 200
    version = world.archive.images.get(world.actor("mia"), image_id).content
    world.archive.versions.update(world.actor("mia"), version.id, VersionChanges(end_at=clock() + SECOND))
    assert status(world.stranger(), tile(image_id)) == 200
    clock.advance(SECOND)
    assert status(world.stranger(), tile(image_id)) in (404, 409)
    assert status(mia, tile(image_id)) == 200


def test_a_warm_tile_takes_two_statements(world: World, slide: bytes) -> None:
    """The token's, and the one that tells who may see what."""
    olga = world.user("olga", Kind.SLIDE)
    image_id = world.slide("olga", slide)
    assert status(olga, tile(image_id)) == 200
    with counted_statements(world.archive.database.engine) as statements:
        answers = [olga.get(tile(image_id, column)) for column in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    if world.archive.database.is_local:  # at hand; from a bucket the first look at each finds the content besides
        assert len(statements) == 4 * 2
