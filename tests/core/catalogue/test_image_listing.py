"""The list of images of every kind: what it finds, and for whom."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, update

from pinakes.core.actor import Actor, Kind, Permission, Resource, Scope
from pinakes.core.archive import Archive
from pinakes.core.catalogue import image_listing
from pinakes.core.catalogue.image_listing import UNREAD, ImageFilter
from pinakes.core.catalogue.reading import Reading
from pinakes.core.catalogue.records import NewImage
from pinakes.core.clock import DAY
from pinakes.core.db.schema import descriptions, grants
from pinakes.core.errors import ImageUnknown, KindMissing, ScopeMissing
from tests.conftest import MovableClock
from tests.statements import counted_statements

SYSTEM = Actor(api="cli")
NOON = 1_800_000_000_000_000
Make = Callable[..., int]


def user(archive: Archive, name: str, *kinds: Kind, is_staff: bool = False) -> Actor:
    user_id = archive.users.add(SYSTEM, name, f"{name}@example.org", None, kinds, is_staff=is_staff).id
    return Actor("native", user_id=user_id, name=name, kinds=frozenset(kinds), is_staff=is_staff)


@pytest.fixture
def ana(archive: Archive) -> Actor:
    return user(archive, "ana", *Kind)


@pytest.fixture
def make(archive: Archive, ana: Actor) -> Make:
    """Catalogues an image with content, and says what was read from it; its id."""

    def made(kind: Kind = Kind.SLIDE, author: Actor = ana, content: bytes = b"x", **known: Any) -> int:
        assert author.user_id is not None
        with archive.content.receive() as upload:
            upload.write(content)
            upload.finish()
            with archive.database.write() as transaction:
                new = NewImage(kind, "an image", author.user_id)
                image_id, version_id = archive.images.ingest(transaction, author, new, upload)
                is_there = transaction.execute(
                    update(descriptions)
                    .where(descriptions.c.version_id == version_id)
                    .values(known or {"state": "waiting"})
                ).rowcount
                if known and not is_there:
                    transaction.execute(insert(descriptions), {"version_id": version_id, **known})
        return image_id

    return made


def photograph(width: int, height: int, captured_at: int | None = None, format: str = "jpeg") -> dict[str, Any]:
    return {
        "state": "ready",
        "format": format,
        "width": width,
        "height": height,
        "frames": 1,
        "captured_at": captured_at,
    }


def found(archive: Archive, actor: Actor, **wanted: Any) -> list[int]:
    return [image.id for image in archive.image_listing.list(actor, ImageFilter(**wanted))]


def test_images_are_found_by_what_was_read_from_them(archive: Archive, ana: Actor, make: Make) -> None:
    small = make(**photograph(640, 480, NOON))
    large = make(**photograph(40_000, 30_000, NOON + DAY, "svs"))
    disk = make(Kind.MACHINE, state="ready", format="qcow2")
    broken = make(Kind.CLINICAL, state="failed", error="is damaged")
    unread = make()
    for wanted, expected in (
        ({}, [unread, broken, disk, large, small]),
        ({"kind": Kind.SLIDE}, [unread, large, small]),
        ({"kind": Kind.MACHINE}, [disk]),
        ({"format": "svs"}, [large]),
        ({"format": "tiff"}, []),
        ({"state": Reading.FAILED}, [broken]),
        ({"state": Reading.READY}, [disk, large, small]),
        ({"min_width": 640}, [large, small]),
        ({"min_width": 641}, [large]),
        ({"max_width": 640}, [small]),
        ({"max_width": 639}, []),
        ({"min_height": 481}, [large]),
        ({"max_height": 480}, [small]),
        ({"min_width": 600, "max_width": 700, "min_height": 481}, []),
        ({"captured_from": NOON}, [large, small]),
        ({"captured_from": NOON + 1}, [large]),
        ({"captured_before": NOON + DAY}, [small]),
        ({"captured_from": NOON, "captured_before": NOON}, []),
        ({"kind": Kind.SLIDE, "format": "jpeg", "captured_before": NOON + 1}, [small]),
    ):
        assert found(archive, ana, **wanted) == expected, wanted


def test_a_list_is_walked_from_the_newest_without_gaps(archive: Archive, ana: Actor, make: Make) -> None:
    ids = [make(**photograph(10, 10)) for _ in range(5)]
    walked: list[int] = []
    before: int | None = None
    while page := archive.image_listing.list(ana, ImageFilter(format="jpeg"), before_id=before, most=2):
        walked += [image.id for image in page]
        before = page[-1].id
    assert walked == ids[::-1]


def test_nobody_finds_what_they_may_not_see(archive: Archive, ana: Actor, make: Make) -> None:
    """Rule 4 of DESIGN.md section 3: whatever is asked, a list holds what one may read."""
    slide = make(**photograph(640, 480, NOON))
    clinical = make(Kind.CLINICAL, **photograph(640, 480, NOON))
    disk = make(Kind.MACHINE, state="ready", format="qcow2")
    nurse, pathologist = user(archive, "nur", Kind.CLINICAL), user(archive, "pat", Kind.SLIDE)
    staff = user(archive, "sue", Kind.SLIDE, Kind.MACHINE, is_staff=True)
    for wanted in ({}, {"min_width": 1}, {"captured_from": 0}):
        assert found(archive, nurse, **wanted) == [clinical]
        assert found(archive, pathologist, **wanted) == []
        assert found(archive, Actor("native"), **wanted) == []
    assert found(archive, staff) == [disk, slide]
    for image_id in (slide, disk):
        with pytest.raises(ImageUnknown):
            archive.image_listing.get(nurse, image_id)


def test_a_slide_that_is_shared_is_on_the_list_until_the_grant_ends(
    archive: Archive, ana: Actor, make: Make, clock: MovableClock
) -> None:
    shared = make(**photograph(640, 480))
    guest = user(archive, "gus", Kind.SLIDE)
    own = make(author=guest, **photograph(640, 480))
    row = {"image_id": shared, "user_id": guest.user_id, "created_at": clock.now, "expires_at": clock.now + DAY}
    with archive.database.write() as transaction:
        transaction.execute(insert(grants), row)
    assert found(archive, guest) == found(archive, guest, min_width=640) == [own, shared]
    clock.advance(DAY)
    assert found(archive, guest) == [own]


def test_a_kind_that_one_has_nothing_to_do_with_is_refused(archive: Archive, make: Make) -> None:
    """DESIGN.md section 2, the table."""
    nurse = user(archive, "nur", Kind.CLINICAL)
    with pytest.raises(KindMissing):
        found(archive, nurse, kind=Kind.SLIDE)
    assert found(archive, Actor("native"), kind=Kind.SLIDE) == []
    narrow = replace(nurse, scope=Scope(((Resource.BUILD, frozenset({Permission.READ})),)))
    with pytest.raises(ScopeMissing):
        found(archive, narrow)


def test_an_image_without_content_has_no_picture_and_one_not_read_yet_waits(
    archive: Archive, ana: Actor, make: Make
) -> None:
    unread = make()
    assert ana.user_id is not None
    with archive.database.write() as transaction:
        empty = archive.images.announce(transaction, ana, NewImage(Kind.SLIDE, "to come", ana.user_id))
    listed = {image.id: image.picture for image in archive.image_listing.list(ana)}
    assert listed == {empty: None, unread: UNREAD}
    assert archive.image_listing.get(ana, empty).picture is None
    assert archive.image_listing.get(ana, unread).picture == UNREAD


def test_there_is_something_to_look_at_unless_it_is_known_that_there_is_not(
    archive: Archive, ana: Actor, make: Make
) -> None:
    for image_id, expected in (
        (make(**photograph(1, 1)), True),
        (make(), True),
        (make(state="ready", format="qcow2"), False),
        (make(state="failed", error="is damaged"), False),
    ):
        picture = archive.image_listing.get(ana, image_id).picture
        assert picture is not None
        assert picture.may_have_pixels is expected


def test_a_list_takes_the_same_few_statements_however_long(archive: Archive, ana: Actor, make: Make) -> None:
    taken = []
    for _ in range(2):
        for kind in (*Kind, *Kind):
            make(kind, **photograph(10, 10))
        with counted_statements(archive.database.engine) as statements:
            assert archive.image_listing.list(ana, ImageFilter(min_width=5))
        taken.append(len(statements))
    assert taken == [5, 5]


@pytest.mark.parametrize("is_little", [True, False])
def test_what_is_much_is_found_alike(
    archive: Archive, ana: Actor, make: Make, monkeypatch: pytest.MonkeyPatch, *, is_little: bool
) -> None:
    """Whether few images match, and are named, or many, and are met on a walk."""
    monkeypatch.setattr(image_listing, "_MOST_NAMED", 1000 if is_little else 0)
    wide = [make(kind, **photograph(100, 10)) for kind in (*Kind, *Kind)]
    make(**photograph(50, 10))
    other = user(archive, "oli", *Kind)
    theirs = make(Kind.SLIDE, author=other, **photograph(100, 10))
    assert found(archive, ana, min_width=100) == wide[::-1]
    assert found(archive, other, min_width=100) == [theirs, *(wide[at] for at in (3, 0))]
    assert found(archive, ana, min_width=100, kind=Kind.MACHINE) == [wide[4], wide[1]]
    page = archive.image_listing.list(ana, ImageFilter(min_width=100), before_id=wide[4], most=3)
    assert [image.id for image in page] == [wide[3], wide[2], wide[1]]
