"""A view link shows no more than is shown to those who may not see identity, whoever made it (issue 4, item 6)."""

import io
from pathlib import Path

import pytest
from PIL import Image

from pinakes.core.actor import Actor, Kind
from pinakes.core.errors import AssociatedUnknown
from tests.contracts.iiif.conftest import Client, World
from tests.contracts.iiif.test_access import seen
from tests.contracts.native.viewing import photograph as photograph_with
from tests.imaging.making_slides import tissue, write_svs

NAME = "Quintero"


@pytest.fixture(scope="module")
def slide(lasting_world: World, tmp_path_factory: pytest.TempPathFactory) -> int:
    """A slide of olga's with label and macro, whose file has a patient's name."""
    path: Path = tmp_path_factory.mktemp("slide") / "slide.svs"
    write_svs(path, tissue(1000, 700))
    lasting_world.user("olga", Kind.SLIDE)
    return lasting_world.slide("olga", path.read_bytes())


@pytest.fixture(scope="module")
def stamped(lasting_world: World, ana: Client) -> int:
    """A clinical photograph, whose file tells where it was taken."""
    return lasting_world.clinical("ana", lasting_world.patient("ana"), photograph_with(captured="2024:05:01 10:30:00"))


def by_link(world: World, name: str, image_id: int) -> Actor:
    return world.archive.view_links.actor(world.link(name, image_id), image_id)


def test_who_holds_a_link_sees_no_label_though_its_maker_does(lasting_world: World, slide: int) -> None:
    renditions, holder = lasting_world.archive.renditions, by_link(lasting_world, "olga", slide)
    makers, shown = renditions.info(lasting_world.actor("olga"), slide), renditions.info(holder, slide)
    assert (makers.may_see_identity, shown.may_see_identity) == (True, False)
    assert {"label", "macro"} < set(makers.description.associated)
    assert shown.description.associated == ("thumbnail",)
    assert renditions.associated(lasting_world.actor("olga"), makers, "label").content  # it is in the cache now
    for name in ("label", "macro"):
        with pytest.raises(AssociatedUnknown):
            renditions.associated(holder, shown, name)


def test_who_holds_a_link_is_not_told_that_a_photograph_knows_its_place(lasting_world: World, stamped: int) -> None:
    renditions, maker = lasting_world.archive.renditions, lasting_world.actor("ana")
    told = renditions.info(maker, stamped).description.identity
    assert any("gps" in field.lower() for field in told), told
    assert renditions.info(by_link(lasting_world, "ana", stamped), stamped).description.identity == ()


def test_pictures_seen_with_a_link_have_nothing_of_the_file_in_them(lasting_world: World, stamped: int) -> None:
    link = lasting_world.link("ana", stamped)
    for file in ("default.jpg", "default.png", "default.webp"):
        answer = lasting_world.stranger().get(f"/view/{link}/3/{stamped}/full/max/0/{file}")
        assert answer.status_code == 200
        assert b"Exif" not in answer.content
        assert not Image.open(io.BytesIO(answer.content)).getexif()


def test_a_link_s_documents_are_neutral(lasting_world: World, slide: int) -> None:
    """Neither the file's name nor what lies beside the picture; the same as for the slide's owner."""
    link, stranger, olga = lasting_world.link("olga", slide), lasting_world.stranger(), lasting_world.user("olga")
    for path in (f"3/{slide}/info.json", f"presentation/images/{slide}", f"dzi/{slide}.dzi"):
        by_holder, by_owner = stranger.get(f"/view/{link}/{path}"), olga.get(f"/{path}")
        assert (by_holder.status_code, by_owner.status_code) == (200, 200)
        for answer in (by_holder, by_owner):
            assert NAME not in answer.text
            assert "label" not in answer.text.replace('"label"', "")
        assert by_holder.text.replace(f"/view/{link}", "") == by_owner.text


@pytest.mark.parametrize("suffix", [":label", "@label", ":0", "%3Alabel", "@1.0:label", ";label"])
def test_no_address_names_a_label(lasting_world: World, slide: int, suffix: str) -> None:
    link = lasting_world.link("olga", slide)
    for path in (f"3/{slide}{suffix}/info.json", f"3/{slide}{suffix}/full/max/0/default.jpg"):
        assert lasting_world.stranger().get(f"/view/{link}/{path}").status_code == 404


def test_the_trail_tells_who_came_with_a_link_from_its_maker(lasting_world: World, ana: Client) -> None:
    """DESIGN.md rule 11: the link may have been passed on."""
    image_id = lasting_world.clinical("ana", lasting_world.patient("ana", first="Eva"))
    link = lasting_world.link("ana", image_id)
    for prefix in ("", f"/view/{link}"):
        client = lasting_world.stranger() if prefix else ana
        assert client.get(f"{prefix}/3/{image_id}/full/30,/0/default.jpg").status_code == 200
    user_id = lasting_world.archive.users.get("ana").id
    looked = [(api, who) for api, who, _ in seen(lasting_world, image_id)]
    assert sorted(looked) == [("iiif", user_id), ("view-link", user_id)]
