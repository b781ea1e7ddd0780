"""Namespaces that come into being with the first image put into them (djinn contract, section 6)."""

from functools import partial

import pytest
from sqlalchemy import select

from pinakes.core.actor import Actor, Visibility
from pinakes.core.archive import Archive
from pinakes.core.catalogue.machine_records import MachineImage
from pinakes.core.db.schema import namespaces
from pinakes.core.errors import FormatUnsupported, InvalidFields, NameTaken
from pinakes.core.namespaces.namespaces import NamespaceChanges, NewNamespace
from pinakes.core.namespaces.paths import PathReason
from pinakes.core.namespaces.places import PlaceReason
from pinakes.core.page import PageRequest
from tests.core.clinic.making import at_once
from tests.core.namespaces.making import make_user, put, share


def paths(archive: Archive, actor: Actor) -> list[str]:
    return [one.path for one in archive.namespaces.list(actor, PageRequest()).items]


def rows(archive: Archive) -> int:
    with archive.database.read() as connection:
        return len(connection.execute(select(namespaces.c.id)).all())


def test_a_missing_path_is_made_private_with_its_parents(archive: Archive, ana: Actor) -> None:
    image = put(archive, ana, "alpine", "a/b/c")
    assert paths(archive, ana) == ["a", "a/b", "a/b/c"]
    assert image.namespace is not None
    assert (image.namespace.path, image.namespace.visibility) == ("a/b/c", Visibility.PRIVATE)
    assert image.owner == image.author


def test_existing_levels_are_reused(archive: Archive, ana: Actor) -> None:
    archive.namespaces.create(ana, NewNamespace("abc", visibility="public"))
    first = put(archive, ana, "alpine", "abc/x/y")
    second = put(archive, ana, "debian", "abc/x/z")
    assert paths(archive, ana) == ["abc", "abc/x", "abc/x/y", "abc/x/z"]
    assert first.namespace is not None
    assert second.namespace is not None
    assert first.namespace.parent == second.namespace.parent
    assert second.namespace.visibility is Visibility.PUBLIC
    assert first.namespace.root_id == second.namespace.root_id


def test_a_made_root_stands_for_itself(archive: Archive, ana: Actor) -> None:
    image = put(archive, ana, "alpine", "a")
    assert image.namespace is not None
    assert (image.namespace.root_id, image.namespace.parent_id) == (image.namespace.id, None)
    archive.namespaces.update(ana, "ana", "a", NamespaceChanges(visibility="public"))
    assert archive.machines.get(Actor("djinn"), image.id).name == "alpine"


def test_a_path_of_ones_own_may_name_its_owner(archive: Archive, ana: Actor) -> None:
    put(archive, ana, "alpine", "a@ana")
    put(archive, ana, "debian", "a@ANA")
    assert paths(archive, ana) == ["a"]


def test_many_images_at_once_make_each_level_once(archive: Archive, ana: Actor) -> None:
    outcomes = at_once([partial(put, archive, ana, f"image{number}", "a/b/c") for number in range(8)])
    assert all(isinstance(outcome, MachineImage) for outcome in outcomes)
    assert paths(archive, ana) == ["a", "a/b", "a/b/c"]
    assert len({outcome.namespace.id for outcome in outcomes}) == 1


def test_nothing_is_made_in_somebody_elses_account(archive: Archive, ana: Actor, ben: Actor) -> None:
    archive.namespaces.create(ana, NewNamespace("abc", visibility="public"))
    archive.namespaces.create(ana, NewNamespace("def"))
    share(archive, ana, "def", ben)
    # In turn: public but not shared, private, missing below a shared one, missing, of nobody.
    for path in ("abc@ana", "nowhere@ana", "def/new@ana", "new@ana", "new@nobody"):
        for attempt in (
            partial(put, archive, ben, "alpine", path),
            partial(archive.machines.check_new, ben, "x", path),
        ):
            with pytest.raises(InvalidFields) as caught:
                attempt()
            assert caught.value.problems == {"namespace": (PlaceReason.CLOSED,)}
    assert rows(archive) == 2


def test_collaborators_put_images_into_what_is_shared(archive: Archive, ana: Actor, ben: Actor) -> None:
    archive.namespaces.create(ana, NewNamespace("abc"))
    archive.namespaces.create(ana, NewNamespace("sub", "abc"))
    share(archive, ana, "abc", ben)
    image = put(archive, ben, "alpine", "abc/sub@ana")
    assert (image.owner.name, image.author.name) == ("ana", "ben")


def test_staff_put_images_anywhere_where_staff_counts(archive: Archive, ana: Actor) -> None:
    archive.namespaces.create(ana, NewNamespace("abc"))
    staff = make_user(archive, "boss", is_staff=True)
    assert put(archive, staff, "alpine", "abc@ana").owner.name == "ana"
    with pytest.raises(InvalidFields):
        put(archive, staff.as_plain_user(), "debian", "abc@ana")


def test_a_refused_image_makes_no_namespace(archive: Archive, ana: Actor) -> None:
    with pytest.raises(FormatUnsupported):
        put(archive, ana, "alpine", "a/b", content=b"not a disk image")
    with pytest.raises(InvalidFields):
        put(archive, ana, "no spaces", "a/b")
    put(archive, ana, "alpine", "a")
    with pytest.raises(NameTaken):
        put(archive, ana, "alpine", "a")
    assert paths(archive, ana) == ["a"]


def test_a_malformed_path_is_refused_with_its_reason(archive: Archive, ana: Actor) -> None:
    for path, reason in (("a//b", PathReason.MALFORMED), ("/".join("a" * 21), PathReason.TOO_DEEP)):
        with pytest.raises(InvalidFields) as caught:
            put(archive, ana, "alpine", path)
        assert caught.value.problems == {"namespace": (reason,)}
