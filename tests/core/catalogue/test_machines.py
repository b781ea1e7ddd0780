"""Machine images: their names in Djinn CI, their lists, and what becomes of their bytes (djinn contract 3 to 9)."""

import hashlib
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import func, select

from pinakes.core import audit
from pinakes.core.actor import Actor, Kind, Scope, Visibility
from pinakes.core.archive import Archive
from pinakes.core.catalogue import machine_records, records
from pinakes.core.catalogue.machine_records import MachineImage
from pinakes.core.catalogue.machines import NameReason, NewMachine
from pinakes.core.clock import HOUR
from pinakes.core.db.schema import blobs, collaborators, djinn_names, events, images
from pinakes.core.db.schema import namespaces as namespace_rows
from pinakes.core.errors import (
    FormatUnsupported,
    ImageUnknown,
    InvalidFields,
    KindMissing,
    NameTaken,
    NotAllowed,
    ScopeMissing,
    Unauthenticated,
)
from pinakes.core.namespaces.namespaces import NamespaceChanges, NewNamespace
from pinakes.core.namespaces.paths import PathReason
from pinakes.core.page import PageRequest
from tests.conftest import MovableClock
from tests.core.clinic.making import at_once, stored_objects
from tests.core.namespaces.making import QCOW2, make_user, put, share
from tests.statements import counted_statements

ANYONE = Actor("djinn")


def listed(archive: Archive, actor: Actor, page: PageRequest | None = None) -> list[str]:
    found = archive.machines.list(actor, page or PageRequest())
    return [
        f"{image.namespace.path}:{image.ci_name}" if image.namespace else str(image.ci_name) for image in found.items
    ]


def content(archive: Archive, actor: Actor, image_id: int) -> bytes:
    reader = archive.machines.open(actor, archive.machines.get(actor, image_id))
    try:
        return reader.read_at(0, reader.size_bytes)
    finally:
        reader.close()


# -- One image ----------------------------------------------------------------------------------------------------


def test_an_image_reads_back_as_it_was_put(archive: Archive, ana: Actor) -> None:
    bytes_in = QCOW2 + bytes(range(256)) * 5000
    image = put(archive, ana, "alpine", content=bytes_in)
    assert (image.name, image.ci_name, image.namespace, image.author) == ("alpine", "alpine", None, image.owner)
    assert (image.author.id, image.author.name, image.author.email) == (ana.user_id, "ana", "ana@example.org")
    assert image.version is not None
    assert image.version.digest == hashlib.sha256(bytes_in).hexdigest()
    assert (image.version.size_bytes, image.version.name, image.version.format) == (len(bytes_in), "1.0", "qcow2")
    assert archive.machines.get(ana, image.id) == image
    assert content(archive, ana, image.id) == bytes_in


def test_four_bytes_of_signature_are_an_image(archive: Archive, ana: Actor) -> None:
    version = put(archive, ana, "tiny", content=QCOW2).version
    assert version is not None
    assert version.size_bytes == 4


@pytest.mark.parametrize("bytes_in", [b"QFI", b"qfi\xfb", b"\0QFI\xfb", b"KDMV" + bytes(600)])
def test_djinn_takes_nothing_but_qcow2(archive: Archive, ana: Actor, bytes_in: bytes) -> None:
    with pytest.raises(FormatUnsupported):
        put(archive, ana, "alpine", content=bytes_in)
    assert stored_objects(archive) == 0


def test_a_qcow2_with_the_marks_of_another_format_further_in_is_one(archive: Archive, ana: Actor) -> None:
    assert put(archive, ana, "odd", content=QCOW2 + bytes(124) + b"DICM" + bytes(600)).ci_name == "odd"


def test_an_image_without_a_ci_name_is_not_shown_by_djinn(archive: Archive, ana: Actor) -> None:
    image = put(archive, ana, "A disk, any format", content=b"KDMV" + bytes(600), has_ci_name=False)
    assert image.version is not None
    assert (image.ci_name, image.version.format) == (None, "vmdk")
    assert listed(archive, ana) == []
    for call in (archive.machines.get, archive.machines.delete):
        with pytest.raises(ImageUnknown):
            call(ana, image.id)
    assert archive.images.get(ana, image.id).name == "A disk, any format"


def test_the_command_lines_facts_are_kept(archive: Archive, ana: Actor, clock: MovableClock) -> None:
    end_at = clock() + HOUR
    new = NewMachine("Disk", "disk", "", "for the course", Visibility.PUBLIC, end_at, ("course", "Linux", "linux"))
    with archive.content.receive() as upload:
        upload.write(QCOW2)
        upload.finish()
        made = archive.machines.create(ana, new, upload)
    assert (made.name, made.ci_name, made.facts.visibility, made.facts.end_at) == ("Disk", "disk", "public", end_at)
    with archive.database.read() as connection:
        assert records.tag_names(connection, made.id) == ["Linux", "course"]


@pytest.mark.parametrize(
    ("new", "fields"),
    [
        (NewMachine("x" * 257), {"name"}),
        (NewMachine("  "), {"name"}),
        (NewMachine("nul\0"), {"name"}),
        (NewMachine("x", ""), {"name"}),
        (NewMachine("x", "a b", "a//b", tags=("",)), {"name", "namespace", "tags"}),
        (NewMachine("x", tags=("t" * 129, "ok")), {"tags"}),
        (NewMachine("x", description="nul\0", tags=("ok", "nul\0")), {"description", "tags"}),
        (NewMachine("x", description="\ud800", tags=("\ud800",)), {"description", "tags"}),
        (NewMachine("x", "x", "abc", visibility=Visibility.PUBLIC), {"visibility"}),
    ],
)
def test_everything_that_is_wrong_with_a_new_image_is_told(
    archive: Archive, ana: Actor, new: NewMachine, fields: set[str]
) -> None:
    with archive.content.receive() as upload:
        upload.write(QCOW2)
        upload.finish()
        with pytest.raises(InvalidFields) as caught:
            archive.machines.create(ana, new, upload)
    assert set(caught.value.problems) == fields
    assert stored_objects(archive) == 0


def test_putting_and_reading_are_on_the_trail(archive: Archive, ana: Actor) -> None:
    image = put(archive, ana, "alpine", "abc")
    content(archive, ana, image.id)
    archive.trail.flush()
    archive.machines.delete(ana, image.id)
    with archive.database.read() as connection:
        trail = [(event.action, event.actor_id, event.api) for event in audit.of_image(connection, image.id)]
        made = connection.execute(select(func.count()).where(events.c.action == "namespace:create")).scalar_one()
    assert trail == [(f"{what}", ana.user_id, "djinn") for what in ("image:create", "content:read", "image:delete")]
    assert made == 1


# -- Names --------------------------------------------------------------------------------------------------------


def test_a_name_is_given_once_outside_and_once_in_each_namespace(archive: Archive, ana: Actor, ben: Actor) -> None:
    for namespace in ("abc", "", "abc/sub", "Abc"):
        put(archive, ana, "alpine", namespace)
        with pytest.raises(NameTaken):
            put(archive, ana, "alpine", namespace)
    put(archive, ana, "Alpine")
    put(archive, ben, "alpine")
    put(archive, ben, "alpine", "abc")
    assert stored_objects(archive) == 1  # all of the same bytes


def test_within_a_shared_namespace_a_name_is_anybodys(archive: Archive, ana: Actor, ben: Actor) -> None:
    put(archive, ana, "alpine", "abc")
    share(archive, ana, "abc", ben)
    with pytest.raises(NameTaken):
        put(archive, ben, "alpine", "abc@ana")


def test_early_judgement_agrees_with_the_late_one(archive: Archive, ana: Actor) -> None:
    put(archive, ana, "alpine")
    put(archive, ana, "debian", "abc")

    def problems(name: str, namespace: str) -> dict[str, tuple[str, ...]]:
        try:
            archive.machines.check_new(ana, name, namespace)
        except InvalidFields as error:
            return error.problems
        return {}

    assert problems("alpine", "abc") == problems("debian", "") == problems("alpine", "new/one") == {}
    assert problems("alpine", "") == problems("debian", "abc") == {"name": (NameReason.TAKEN,)}
    assert problems("", "a//b") == {"name": (NameReason.MISSING,), "namespace": (PathReason.MALFORMED,)}
    for name in ("a b", "a.b", "a/b", "ü", "name\n", "nul\0", "\ud800"):
        assert problems(name, "") == {"name": (NameReason.CHARACTERS,)}
    assert problems("x" * 256, "") == {"name": (NameReason.LENGTH,)}
    assert problems("x" * 255, "") == {}
    with archive.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(namespace_rows)).scalar_one() == 1


@pytest.mark.parametrize("namespace", ["", "abc"])
def test_of_50_images_of_one_name_at_once_one_is_made(archive: Archive, ana: Actor, namespace: str) -> None:
    calls = [partial(put, archive, ana, "alpine", namespace, content=QCOW2 + bytes([number])) for number in range(50)]
    outcomes = at_once(calls)
    assert sum(isinstance(outcome, MachineImage) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, NameTaken) for outcome in outcomes) == 49
    assert stored_objects(archive) == 1
    with archive.database.read() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (images, djinn_names, blobs)
        ]
    assert counts == [1, 1, 1]


def test_a_deleted_images_name_and_bytes_are_free(archive: Archive, ana: Actor) -> None:
    image = put(archive, ana, "alpine", "abc")
    archive.machines.delete(ana, image.id)
    assert stored_objects(archive) == 0
    for call in (archive.machines.get, archive.machines.delete):
        with pytest.raises(ImageUnknown):
            call(ana, image.id)
    assert put(archive, ana, "alpine", "abc").id > image.id


def test_deleting_an_image_never_takes_the_bytes_of_another(archive: Archive, ana: Actor) -> None:
    bytes_in = QCOW2 + b"shared"
    for round_ in range(5):
        old = put(archive, ana, f"old{round_}", content=bytes_in)
        _, new = at_once(
            [
                partial(archive.machines.delete, ana, old.id),
                partial(put, archive, ana, f"new{round_}", content=bytes_in),
            ]
        )
        assert content(archive, ana, new.id) == bytes_in
        archive.machines.delete(ana, new.id)
    assert stored_objects(archive) == 0


def test_of_many_deletions_at_once_one_succeeds(archive: Archive, ana: Actor) -> None:
    image = put(archive, ana, "alpine")
    outcomes = at_once([partial(archive.machines.delete, ana, image.id)] * 8)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, ImageUnknown) for outcome in outcomes) == 7


# -- Who ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("visibility", list(Visibility))
@pytest.mark.parametrize("namespace", ["", "abc/sub"])
def test_visibility_decides_who_else_reads(
    archive: Archive, ana: Actor, visibility: Visibility, namespace: str
) -> None:
    if namespace:
        archive.namespaces.create(ana, NewNamespace("abc", visibility=visibility))
        image = put(archive, ana, "alpine", namespace)
    else:
        image = put(archive, ana, "alpine", visibility=visibility)
    other, doctor = make_user(archive, "other"), make_user(archive, "doctor", Kind.CLINICAL)

    def reads(actor: Actor) -> bool:
        try:
            return archive.machines.get(actor, image.id).id == image.id
        except ImageUnknown:
            return False

    assert reads(ana)
    assert reads(other) is (visibility is not Visibility.PRIVATE)
    assert reads(doctor) is reads(ANYONE) is (visibility is Visibility.PUBLIC)
    assert listed(archive, other) == []  # readable is not listed
    expected = NotAllowed if reads(other) else ImageUnknown
    with pytest.raises(expected):
        archive.machines.delete(other, image.id)


def test_all_people_of_a_namespace_may_delete(archive: Archive, ana: Actor, ben: Actor) -> None:
    eve = make_user(archive, "eve")
    put(archive, ana, "alpine", "abc")
    share(archive, ana, "abc", ben, eve)
    bens = put(archive, ben, "debian", "abc@ana")
    archive.machines.delete(eve, bens.id)
    anas = put(archive, ben, "debian", "abc@ana")
    archive.machines.delete(ana, anas.id)
    assert listed(archive, eve) == ["abc:alpine"]


def test_an_ended_image_is_off_every_list_and_its_authors_alone(
    archive: Archive, ana: Actor, ben: Actor, clock: MovableClock
) -> None:
    archive.namespaces.create(ana, NewNamespace("abc", visibility="public"))
    share(archive, ana, "abc", ben)
    image = put(archive, ben, "alpine", "abc@ana", end_at=clock() + HOUR)
    assert listed(archive, ana) == listed(archive, ben) == ["abc:alpine"]
    clock.advance(HOUR)
    assert listed(archive, ana) == listed(archive, ben) == []
    _, found = archive.machines.list_in_namespace(ana, "ana", "abc", PageRequest())
    assert found.items == ()
    for actor in (ana, ANYONE):
        with pytest.raises(ImageUnknown):
            archive.machines.get(actor, image.id)
    assert archive.machines.get(ben, image.id).ci_name == "alpine"
    with pytest.raises(NameTaken):
        put(archive, ana, "alpine", "abc")


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("image:read", {"get", "list"}),
        ("image:write", {"check", "create"}),
        ("image:delete", {"delete"}),
        ("namespace:read", {"list_in_namespace"}),
        ("build:read,write,delete", set()),
    ],
)
def test_a_token_does_only_what_its_scope_says(archive: Archive, ana: Actor, scope: str, allowed: set[str]) -> None:
    image = put(archive, ana, "alpine", "abc")
    limited = Actor("djinn", ana.user_id, ana.name, kinds=ana.kinds, scope=Scope.parse(scope))
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: archive.machines.get(limited, image.id),
        "list": lambda: archive.machines.list(limited, PageRequest()),
        "list_in_namespace": lambda: archive.machines.list_in_namespace(limited, "ana", "abc", PageRequest()),
        "check": lambda: archive.machines.check_new(limited, "new", ""),
        "create": lambda: put(archive, limited, "new", "new/name/space"),
        "delete": lambda: archive.machines.delete(limited, image.id),
    }
    for name, call in calls.items():
        if name in allowed:
            call()
        else:
            with pytest.raises(ScopeMissing):
                call()


def test_only_users_of_the_kind_put_and_list(archive: Archive, ana: Actor) -> None:
    doctor = make_user(archive, "doctor", Kind.CLINICAL)
    for actor, error in ((doctor, KindMissing), (ANYONE, Unauthenticated)):
        for call in (
            partial(put, archive, actor, "alpine"),
            partial(archive.machines.check_new, actor, "alpine", ""),
            partial(archive.machines.list, actor, PageRequest()),
            partial(archive.machines.delete, actor, 1),
        ):
            with pytest.raises(error):
                call()


def test_an_image_of_another_kind_is_unknown_here(archive: Archive) -> None:
    both = make_user(archive, "both", Kind.CLINICAL, Kind.MACHINE)
    with archive.content.receive() as upload, archive.database.write() as transaction:
        upload.write(b"\xff\xd8\xff")
        upload.finish()
        new = records.NewImage(Kind.CLINICAL, "Xray", both.user_id or 0)
        image_id, _ = archive.images.ingest(transaction, both, new, upload)
    assert archive.images.get(both, image_id).kind is Kind.CLINICAL
    for call in (archive.machines.get, archive.machines.delete):
        with pytest.raises(ImageUnknown):
            call(both, image_id)


# -- Lists --------------------------------------------------------------------------------------------------------


def test_a_list_holds_what_one_owns_and_shares_by_name(archive: Archive, ana: Actor, ben: Actor) -> None:
    for name, namespace in (("b", ""), ("a", "abc"), ("c", "abc/sub"), ("d", "private")):
        put(archive, ana, name, namespace)
    put(archive, ben, "c")
    put(archive, ben, "a", "mine")
    share(archive, ana, "abc", ben)
    put(archive, ben, "bb", "abc@ana")
    assert listed(archive, ana) == ["abc:a", "b", "abc:bb", "abc/sub:c", "private:d"]
    assert listed(archive, ben) == ["abc:a", "mine:a", "abc:bb", "abc/sub:c", "c"]


def test_a_search_is_literal_and_blind_to_case(archive: Archive, ana: Actor, ben: Actor) -> None:
    put(archive, ana, "go_dev", "abc")
    share(archive, ana, "abc", ben)
    for name in ("Go-Dev", "godev", "x"):
        put(archive, ben, name)

    def search(text: str) -> list[str]:
        return listed(archive, ben, PageRequest(search=text))

    assert search("O-d") == ["Go-Dev"]
    assert search("_") == ["abc:go_dev"]
    assert search("DEV") == ["Go-Dev", "abc:go_dev", "godev"]
    assert search("%") == search("\\") == search("é") == search("\0") == search("K") == []
    assert len(search("")) == 4


def test_pages_follow_each_other_over_own_and_shared_images(archive: Archive, ana: Actor, ben: Actor) -> None:
    for number in range(4):
        put(archive, ana, f"shared{number}", f"root{number}")
        share(archive, ana, f"root{number}", ben)
        put(archive, ben, f"own{number}")
    expected = [f"own{number}" for number in range(4)] + [f"root{number}:shared{number}" for number in range(4)]
    pages = [archive.machines.list(ben, PageRequest(number, 3)) for number in (1, 2, 3, 4)]
    assert [len(page.items) for page in pages] == [3, 3, 2, 0]
    assert [page.has_next for page in pages] == [True, True, False, False]
    assert listed(archive, ben) == expected
    assert [image.id for page in pages for image in page.items] == [
        image.id for image in archive.machines.list(ben, PageRequest()).items
    ]
    assert archive.machines.list(ben, PageRequest(2**63 - 1)).items == ()


def test_however_many_namespaces_are_shared_the_list_is_the_same(
    archive: Archive, ana: Actor, ben: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        put(archive, ana, f"image{number}", f"root{number}")
        share(archive, ana, f"root{number}", ben)
    few = listed(archive, ben)
    monkeypatch.setattr(machine_records, "_MOST_BRANCHES", 2)
    assert listed(archive, ben) == few == [f"root{number}:image{number}" for number in range(3)]
    assert listed(archive, ben, PageRequest(2, 2)) == ["root2:image2"]
    assert listed(archive, ben, PageRequest(search="GE1")) == ["root1:image1"]


def test_a_namespaces_images_are_those_directly_in_it(archive: Archive, ana: Actor) -> None:
    for name, namespace in (("b", "abc"), ("a", "abc"), ("c", "abc/sub"), ("d", "")):
        put(archive, ana, name, namespace)

    def names(actor: Actor, path: str, **wanted: str) -> list[str | None]:
        page = PageRequest(**wanted)  # type: ignore[arg-type]
        return [image.ci_name for image in archive.machines.list_in_namespace(actor, "ana", path, page)[1].items]

    assert names(ana, "abc") == ["a", "b"]
    assert names(ana, "abc/sub") == ["c"]
    assert names(ana, "abc", search="B") == ["b"]
    assert names(ana, "abc", search="%") == []
    archive.namespaces.update(ana, "ana", "abc", NamespaceChanges(visibility="public"))
    assert names(ANYONE, "abc") == ["a", "b"]


def test_a_request_takes_as_many_statements_however_much_it_shows(archive: Archive, ana: Actor, ben: Actor) -> None:
    token = archive.credentials.create(ana, "ben", scope=None, expires_at=None, label="")

    def statements(call: Callable[[], object]) -> int:
        call()
        with counted_statements(archive.database.engine) as counted:
            archive.credentials.actor("djinn", token)
            call()
        return len(counted)

    def all_counts() -> list[int]:
        return [
            statements(lambda: archive.machines.list(ben, PageRequest())),
            statements(lambda: archive.machines.list_in_namespace(ben, "ana", "shared/low", PageRequest())),
            statements(lambda: archive.namespaces.list(ben, PageRequest())),
            statements(lambda: archive.namespaces.children(ben, "ana", "shared", PageRequest())),
            statements(lambda: archive.machines.get(ben, image.id)),
        ]

    image = put(archive, ana, "image", "shared/low")
    share(archive, ana, "shared", ben)
    few = all_counts()
    put(archive, ben, "own")
    for number in range(6):
        put(archive, ana, f"image{number}", "shared/low")
        put(archive, ana, f"deep{number}", f"shared/low{number}/lower/lowest")
        put(archive, ana, "image", f"other{number}/low")
        share(archive, ana, f"other{number}", ben)
    assert len(listed(archive, ben)) == 20
    assert all_counts() == few
    assert few == [4, 5, 3, 4, 3]


def test_a_list_over_collaborations_gone_by_is_empty(archive: Archive, ana: Actor, ben: Actor) -> None:
    put(archive, ana, "alpine", "abc")
    share(archive, ana, "abc", ben)
    assert listed(archive, ben) == ["abc:alpine"]
    with archive.database.write() as transaction:
        transaction.execute(collaborators.delete())
    assert listed(archive, ben) == []
