"""Namespaces: a tree of names with one owner and one visibility (djinn contract, section 6)."""

from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import select

from pinakes.core.actor import Actor, Kind, Scope, Visibility
from pinakes.core.archive import Archive
from pinakes.core.catalogue.machine_records import MachineImage
from pinakes.core.db.schema import djinn_names, events, images, namespaces
from pinakes.core.errors import (
    InvalidFields,
    KindMissing,
    NamespaceUnknown,
    NameTaken,
    NotAllowed,
    ScopeMissing,
    Unauthenticated,
)
from pinakes.core.namespaces.namespaces import NamespaceChanges, NamespaceReason, NewNamespace
from pinakes.core.namespaces.paths import MOST_CHARACTERS, PathReason
from pinakes.core.page import PageRequest
from tests.core.clinic.making import at_once
from tests.core.namespaces.making import make_user, put, share

ANYONE = Actor("djinn")


@pytest.fixture
def problems() -> "Problems":
    return Problems()


class Problems:
    """Collects what an InvalidFields in its block says."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[str, ...]] = {}

    def __enter__(self) -> "Problems":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        assert isinstance(error, InvalidFields), error
        self.found = error.problems
        return True


def make(archive: Archive, actor: Actor, path: str, visibility: str = "private") -> None:
    parent, _, name = path.rpartition("/")
    archive.namespaces.create(actor, NewNamespace(name, parent, visibility=visibility))


def paths(archive: Archive, actor: Actor, **wanted: str) -> list[str]:
    return [one.path for one in archive.namespaces.list(actor, PageRequest(**wanted)).items]  # type: ignore[arg-type]


def test_a_root_is_private_unless_said_otherwise(archive: Archive, ana: Actor) -> None:
    made = archive.namespaces.create(ana, NewNamespace("djinn", description="CI"))
    assert (made.path, made.visibility, made.parent_id, made.root_id) == ("djinn", Visibility.PRIVATE, None, made.id)
    assert (made.description, made.owner.name, made.parent) == ("CI", "ana", None)


def test_a_child_takes_the_visibility_of_its_root(archive: Archive, ana: Actor) -> None:
    make(archive, ana, "djinn", "internal")
    child = archive.namespaces.create(ana, NewNamespace("sub", "djinn", visibility="public"))
    assert (child.path, child.visibility) == ("djinn/sub", Visibility.INTERNAL)
    assert child.parent is not None
    assert (child.parent.path, child.parent_id, child.root_id) == ("djinn", child.parent.id, child.parent.id)


def test_everything_that_is_wrong_is_told_at_once(archive: Archive, ana: Actor, problems: Problems) -> None:
    with problems:
        archive.namespaces.create(ana, NewNamespace("a!", "nowhere", "x" * 256, "secret"))
    assert problems.found == {
        "name": (NamespaceReason.CHARACTERS, NamespaceReason.LENGTH),
        "parent": (NamespaceReason.PARENT_UNKNOWN,),
        "description": ("must have at most 255 characters",),
        "visibility": (NamespaceReason.VISIBILITY,),
    }


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("", (NamespaceReason.MISSING,)),
        ("ab", (NamespaceReason.LENGTH,)),
        ("a" * 33, (NamespaceReason.LENGTH,)),
        ("with-dash", (NamespaceReason.CHARACTERS,)),
        ("line\n", (NamespaceReason.CHARACTERS,)),
        ("naïve", (NamespaceReason.CHARACTERS,)),
        ("nul\0", (NamespaceReason.CHARACTERS,)),
    ],
)
def test_names_have_three_to_32_letters_and_digits(
    archive: Archive, ana: Actor, problems: Problems, name: str, reasons: tuple[str, ...]
) -> None:
    with problems:
        archive.namespaces.create(ana, NewNamespace(name))
    assert problems.found == {"name": reasons}


@pytest.mark.parametrize("description", ["nul \0", "lone \ud800"])
def test_a_description_no_database_keeps_is_refused(
    archive: Archive, ana: Actor, problems: Problems, description: str
) -> None:
    with problems:
        archive.namespaces.create(ana, NewNamespace("abc", description=description))
    assert list(problems.found) == ["description"]


def test_a_name_is_taken_once_among_siblings(archive: Archive, ana: Actor, ben: Actor, problems: Problems) -> None:
    make(archive, ana, "djinn")
    make(archive, ana, "djinn/djinn")
    make(archive, ben, "djinn")
    make(archive, ana, "Djinn")
    with problems:
        make(archive, ana, "djinn")
    assert problems.found == {"name": (NamespaceReason.TAKEN,)}


def test_of_many_creations_at_once_one_succeeds(archive: Archive, ana: Actor) -> None:
    outcomes = at_once([lambda: make(archive, ana, "djinn")] * 8)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert all(isinstance(outcome, InvalidFields) for outcome in outcomes if outcome is not None)
    assert paths(archive, ana) == ["djinn"]


def test_nobody_makes_a_namespace_under_somebody_elses(
    archive: Archive, ana: Actor, ben: Actor, problems: Problems
) -> None:
    make(archive, ana, "djinn", "public")
    share(archive, ana, "djinn", ben)
    for parent in ("djinn", "djinn@ana"):
        with problems:
            archive.namespaces.create(ben, NewNamespace("sub", parent))
        assert problems.found == {"parent": (NamespaceReason.PARENT_UNKNOWN,)}
    archive.namespaces.create(ana, NewNamespace("sub", "djinn@Ana"))


def test_a_tree_ends_at_its_twentieth_level(archive: Archive, ana: Actor, problems: Problems) -> None:
    put(archive, ana, "deep", "/".join(["abc"] * 19))
    archive.namespaces.create(ana, NewNamespace("abc", "/".join(["abc"] * 19)))
    with problems:
        archive.namespaces.create(ana, NewNamespace("abc", "/".join(["abc"] * 20)))
    assert problems.found == {"parent": (PathReason.TOO_DEEP,)}


def test_a_list_holds_own_and_shared_ones_by_path(archive: Archive, ana: Actor, ben: Actor) -> None:
    for path in ("zoo", "abc", "abc/sub"):
        make(archive, ana, path)
    make(archive, ben, "mine")
    make(archive, make_user(archive, "eve"), "other", "public")
    share(archive, ana, "abc", ben)
    assert paths(archive, ben) == ["abc", "abc/sub", "mine"]
    assert paths(archive, ana) == ["abc", "abc/sub", "zoo"]
    assert paths(archive, ben, search="BC/S") == ["abc/sub"]
    assert paths(archive, ben, search="%") == paths(archive, ben, search="\0") == []


def test_a_page_tells_whether_another_follows(archive: Archive, ana: Actor) -> None:
    for number in range(5):
        make(archive, ana, f"abc{number}")
    first = archive.namespaces.list(ana, PageRequest(1, 3))
    second = archive.namespaces.list(ana, PageRequest(2, 3))
    beyond = archive.namespaces.list(ana, PageRequest(2**63 - 1, 3))
    assert [len(page.items) for page in (first, second, beyond)] == [3, 2, 0]
    assert [page.has_next for page in (first, second, beyond)] == [True, False, False]


def test_children_are_those_directly_below(archive: Archive, ana: Actor) -> None:
    for path in ("abc", "abc/two", "abc/one", "abc/one/sub"):
        make(archive, ana, path)
    _, found = archive.namespaces.children(ana, "ana", "abc", PageRequest())
    assert [one.path for one in found.items] == ["abc/one", "abc/two"]
    _, found = archive.namespaces.children(ana, "ANA", "abc", PageRequest(search="tw"))
    assert [one.path for one in found.items] == ["abc/two"]


@pytest.mark.parametrize("place", ["abc", "abc/sub"])
@pytest.mark.parametrize("visibility", list(Visibility))
def test_visibility_decides_for_everyone_else(archive: Archive, ana: Actor, visibility: str, place: str) -> None:
    make(archive, ana, "abc", visibility)
    make(archive, ana, "abc/sub")
    member, other = make_user(archive, "member"), make_user(archive, "other")
    share(archive, ana, "abc", member)
    clinical = make_user(archive, "doctor", Kind.CLINICAL)

    def sees(actor: Actor) -> bool:
        try:
            return archive.namespaces.get(actor, "ana", place).namespace.path == place
        except NamespaceUnknown:
            return False

    assert sees(ana)
    assert sees(member)
    assert sees(other) is (visibility != "private")
    assert sees(clinical) is sees(ANYONE) is (visibility == "public")


@pytest.mark.parametrize("path", ["nowhere", "abc/", "-", "a\0b", "abc" * 700])
def test_what_does_not_exist_is_unknown(archive: Archive, ana: Actor, path: str) -> None:
    make(archive, ana, "abc")
    with pytest.raises(NamespaceUnknown):
        archive.namespaces.get(ana, "ana", path)
    for owner in ("nobody", "an\0a", "\ud800", "a" * 5000):
        with pytest.raises(NamespaceUnknown):
            archive.namespaces.get(ana, owner, "abc")


def test_changing_a_root_shows_or_hides_all_below_it(archive: Archive, ana: Actor) -> None:
    for path in ("abc", "abc/sub", "abc/sub/low", "abcd"):
        make(archive, ana, path)
    archive.namespaces.update(ana, "ana", "abc", NamespaceChanges(visibility="public"))
    seen = {one.path: one.visibility for one in archive.namespaces.list(ana, PageRequest()).items}
    assert seen == {"abc": "public", "abc/sub": "public", "abc/sub/low": "public", "abcd": "private"}
    unchanged = archive.namespaces.update(ana, "ana", "abc/sub", NamespaceChanges(visibility="private"))
    assert unchanged.visibility is Visibility.PUBLIC


def test_empty_texts_change_nothing(archive: Archive, ana: Actor) -> None:
    before = archive.namespaces.create(ana, NewNamespace("abc", description="old", visibility="internal"))
    assert archive.namespaces.update(ana, "ana", "abc", NamespaceChanges()) == before
    described = archive.namespaces.update(ana, "ana", "abc", NamespaceChanges(description="new"))
    assert (described.description, described.visibility) == ("new", Visibility.INTERNAL)


def test_renaming_takes_along_what_is_below(archive: Archive, ana: Actor) -> None:
    for path in ("abc", "abc/sub", "abc/sub/low", "abcd"):
        make(archive, ana, path)
    image = put(archive, ana, "alpine", "abc/sub/low")
    renamed = archive.namespaces.update(ana, "ana", "abc/sub", NamespaceChanges(name="other"))
    assert (renamed.name, renamed.path) == ("other", "abc/other")
    archive.namespaces.update(ana, "ana", "abc", NamespaceChanges(name="x1y"))
    assert paths(archive, ana) == ["abcd", "x1y", "x1y/other", "x1y/other/low"]
    inside = archive.machines.get(ana, image.id).namespace
    assert inside is not None
    assert inside.path == "x1y/other/low"


def test_what_cannot_be_changed_so_is_told_at_once(archive: Archive, ana: Actor, problems: Problems) -> None:
    for path in ("abc", "abd", "abd/sub"):
        make(archive, ana, path)
    with problems:
        archive.namespaces.update(ana, "ana", "abd/sub", NamespaceChanges("x", "abc", visibility="secret"))
    assert problems.found == {
        "name": (NamespaceReason.LENGTH,),
        "parent": (NamespaceReason.PARENT_FIXED,),
        "visibility": (NamespaceReason.VISIBILITY,),
    }
    with problems:
        archive.namespaces.update(ana, "ana", "abd", NamespaceChanges("abc"))
    assert problems.found == {"name": (NamespaceReason.TAKEN,)}
    archive.namespaces.update(ana, "ana", "abd/sub", NamespaceChanges("sub", "abd"))


def test_a_name_that_makes_paths_too_long_is_refused(archive: Archive, ana: Actor, problems: Problems) -> None:
    put(archive, ana, "long", "/".join(["abc"] + ["a" * 255] * 7 + ["a" * 252]))
    assert max(map(len, paths(archive, ana))) == MOST_CHARACTERS
    with problems:
        archive.namespaces.update(ana, "ana", "abc", NamespaceChanges("abcd"))
    assert problems.found == {"name": (PathReason.TOO_LONG,)}


def test_only_the_owner_changes_and_deletes(archive: Archive, ana: Actor, ben: Actor) -> None:
    make(archive, ana, "abc")
    with pytest.raises(NamespaceUnknown):
        archive.namespaces.delete(ben, "ana", "abc")
    share(archive, ana, "abc", ben)
    with pytest.raises(NotAllowed):
        archive.namespaces.update(ben, "ana", "abc", NamespaceChanges(description="mine"))
    with pytest.raises(NotAllowed):
        archive.namespaces.delete(ben, "ana", "abc")
    assert paths(archive, ana) == ["abc"]


def test_staff_may_change_a_namespace_of_others(archive: Archive, ana: Actor) -> None:
    make(archive, ana, "abc")
    staff = make_user(archive, "boss", Kind.MACHINE, is_staff=True)
    archive.namespaces.update(staff, "ana", "abc", NamespaceChanges(visibility="public"))
    with pytest.raises(NotAllowed):
        archive.namespaces.delete(staff.as_plain_user(), "ana", "abc")
    archive.namespaces.delete(staff, "ana", "abc")


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("namespace:read", {"list", "get"}),
        ("namespace:write", {"create", "update"}),
        ("namespace:delete", {"delete"}),
        ("image:read,write,delete invite:read,write,delete", set()),
    ],
)
def test_a_token_does_only_what_its_scope_says(archive: Archive, ana: Actor, scope: str, allowed: set[str]) -> None:
    make(archive, ana, "abc", "public")
    limited = Actor("djinn", ana.user_id, ana.name, kinds=ana.kinds, scope=Scope.parse(scope))
    calls: dict[str, Callable[[], object]] = {
        "list": lambda: archive.namespaces.list(limited, PageRequest()),
        "get": lambda: archive.namespaces.get(limited, "ana", "abc"),
        "create": lambda: archive.namespaces.create(limited, NewNamespace("new")),
        "update": lambda: archive.namespaces.update(limited, "ana", "abc", NamespaceChanges(description="x")),
        "delete": lambda: archive.namespaces.delete(limited, "ana", "abc"),
    }
    for name, call in calls.items():
        if name in allowed:
            call()
        else:
            with pytest.raises(ScopeMissing):
                call()


def test_strangers_to_machine_images_have_no_namespaces(archive: Archive) -> None:
    doctor = make_user(archive, "doctor", Kind.CLINICAL)
    with pytest.raises(KindMissing):
        archive.namespaces.create(doctor, NewNamespace("abc"))
    with pytest.raises(Unauthenticated):
        archive.namespaces.list(ANYONE, PageRequest())


def test_changes_are_on_the_trail(archive: Archive, ana: Actor) -> None:
    made = archive.namespaces.create(ana, NewNamespace("abc"))
    archive.namespaces.update(ana, "ana", "abc", NamespaceChanges(description="x"))
    archive.namespaces.delete(ana, "ana", "abc")
    with archive.database.read() as connection:
        rows = connection.execute(
            select(events.c.action, events.c.actor_id).where(events.c.subject == f"namespace:{made.id}")
        ).all()
    assert [tuple(row) for row in rows] == [
        (f"namespace:{word}", ana.user_id) for word in ("create", "update", "delete")
    ]


# -- Deleting -----------------------------------------------------------------------------------------------------


def names(archive: Archive) -> dict[int, tuple[str, int, bool]]:
    """Of each named image: its name, whose list it is on, and whether it holds the name. All must lie outside."""
    columns = (djinn_names.c.image_id, djinn_names.c.name, djinn_names.c.holder_id, djinn_names.c.is_claimed)
    with archive.database.read() as connection:
        inside = select(djinn_names.c.image_id).where(
            djinn_names.c.namespace_id.is_not(None) | djinn_names.c.root_id.is_not(None)
        )
        assert connection.execute(inside).all() == []
        return {row[0]: (row[1], row[2], bool(row[3])) for row in connection.execute(select(*columns))}


def test_deleting_a_namespace_takes_what_is_below_and_leaves_the_images(archive: Archive, ana: Actor) -> None:
    for path in ("abc", "abc/sub", "abc/subs", "Abc"):
        make(archive, ana, path)
    low = put(archive, ana, "low", "abc/sub/low")
    top = put(archive, ana, "top", "abc")
    archive.namespaces.delete(ana, "ana", "abc/sub")
    assert paths(archive, ana) == ["Abc", "abc", "abc/subs"]
    assert archive.machines.get(ana, low.id).namespace is None
    assert archive.machines.get(ana, top.id).namespace is not None
    archive.namespaces.delete(ana, "ana", "abc")
    assert paths(archive, ana) == ["Abc"]
    assert names(archive) == {low.id: ("low", ana.user_id, True), top.id: ("top", ana.user_id, True)}
    with archive.database.read() as connection:
        assert connection.execute(select(images.c.namespace_id).distinct()).scalars().all() == [None]
        assert len(connection.execute(select(namespaces.c.id)).all()) == 1


def test_a_survivor_goes_to_its_author(archive: Archive, ana: Actor, ben: Actor) -> None:
    make(archive, ana, "abc", "public")
    share(archive, ana, "abc", ben)
    image = put(archive, ben, "alpine", "abc@ana")
    archive.namespaces.delete(ana, "ana", "abc")
    assert names(archive) == {image.id: ("alpine", ben.user_id, True)}
    assert [one.id for one in archive.machines.list(ben, PageRequest()).items] == [image.id]
    assert archive.machines.list(ana, PageRequest()).items == ()


def test_where_the_name_is_taken_outside_both_are_kept(archive: Archive, ana: Actor) -> None:
    inside = put(archive, ana, "alpine", "abc")
    outside = put(archive, ana, "alpine")
    archive.namespaces.delete(ana, "ana", "abc")
    assert names(archive) == {
        inside.id: ("alpine", ana.user_id, False),
        outside.id: ("alpine", ana.user_id, True),
    }
    listed = archive.machines.list(ana, PageRequest()).items
    assert [(one.id, one.ci_name) for one in listed] == [(inside.id, "alpine"), (outside.id, "alpine")]
    archive.machines.delete(ana, outside.id)
    assert put(archive, ana, "alpine").ci_name == "alpine"  # the name was free again


def test_among_survivors_of_one_name_the_oldest_holds_it(archive: Archive, ana: Actor, ben: Actor) -> None:
    make(archive, ana, "abc")
    make(archive, ana, "abc/low")
    share(archive, ana, "abc", ben)
    first = put(archive, ana, "alpine", "abc/sub")
    second = put(archive, ana, "alpine", "abc")
    bens = put(archive, ben, "alpine", "abc/low@ana")
    archive.namespaces.delete(ana, "ana", "abc")
    assert names(archive) == {
        first.id: ("alpine", ana.user_id, True),
        second.id: ("alpine", ana.user_id, False),
        bens.id: ("alpine", ben.user_id, True),
    }


def test_images_put_while_their_namespace_is_deleted_are_neither_lost_nor_refused_with_a_fault(
    archive: Archive, ana: Actor
) -> None:
    make(archive, ana, "abc")
    puts = [partial(put, archive, ana, f"image{number}", "abc") for number in range(7)]
    outcomes = at_once([partial(archive.namespaces.delete, ana, "ana", "abc"), *puts])
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert len(archive.machines.list(ana, PageRequest()).items) == 7


def test_deleting_a_namespace_while_its_names_are_taken_outside_keeps_every_image(archive: Archive, ana: Actor) -> None:
    for number in range(6):
        put(archive, ana, f"image{number}", "abc")
    puts = [partial(put, archive, ana, f"image{number}") for number in range(6)]
    outcomes = at_once([*puts[:3], partial(archive.namespaces.delete, ana, "ana", "abc"), *puts[3:]])
    assert all(outcome is None or isinstance(outcome, MachineImage | NameTaken) for outcome in outcomes)
    held = [name for name, _, is_held in names(archive).values() if is_held]
    assert sorted(held) == [f"image{number}" for number in range(6)]
    assert all(name.startswith("image") for name, _, _ in names(archive).values())
