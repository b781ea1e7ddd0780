"""Collaborators and invites, judged per root namespace (djinn contract, section 6)."""

from collections.abc import Callable
from functools import partial

import pytest

from pinakes.core.actor import Actor, Kind, Scope
from pinakes.core.archive import Archive
from pinakes.core.errors import (
    AlreadyCollaborator,
    CollaboratorUnknown,
    InviteExists,
    InviteUnknown,
    KindMissing,
    NamespaceUnknown,
    NotAllowed,
    PinakesError,
    ScopeMissing,
    SelfInvite,
    Unauthenticated,
    UserUnknown,
)
from pinakes.core.namespaces.namespaces import NewNamespace
from pinakes.core.namespaces.people import Invite
from tests.core.clinic.making import at_once
from tests.core.namespaces.making import SYSTEM, make_user, put, share


@pytest.fixture(autouse=True)
def tree(archive: Archive, ana: Actor) -> None:
    """abc and abc/sub of ana's."""
    archive.namespaces.create(ana, NewNamespace("abc"))
    archive.namespaces.create(ana, NewNamespace("sub", "abc"))


def members(archive: Archive, owner: Actor, path: str = "abc") -> list[str]:
    return [person.name for person in archive.membership.collaborators(owner, owner.name, path)[1]]


@pytest.mark.parametrize("path", ["abc", "abc/sub"])
@pytest.mark.parametrize("handle", ["ben", "BEN", "ben@example.org", "Ben@Example.ORG"])
def test_accepting_an_invite_opens_the_whole_tree(
    archive: Archive, ana: Actor, ben: Actor, path: str, handle: str
) -> None:
    invite = archive.membership.invite(ana, "ana", path, handle)
    assert (invite.namespace.path, invite.invitee.name, invite.inviter.name) == ("abc", "ben", "ana")
    with pytest.raises(NamespaceUnknown):
        archive.namespaces.get(ben, "ana", "abc")
    assert archive.membership.invites_to(ben) == archive.membership.invites_into(ana, "ana", "abc") == [invite]
    assert archive.membership.accept(ben, invite.id) == invite
    for shared in ("abc", "abc/sub"):
        assert archive.namespaces.get(ben, "ana", shared).is_collaborator
        assert members(archive, ana, shared) == ["ben"]
    assert archive.membership.invites_to(ben) == archive.membership.invites_into(ana, "ana", "abc/sub") == []


def test_an_invite_is_used_once(archive: Archive, ana: Actor, ben: Actor) -> None:
    invite = archive.membership.invite(ana, "ana", "abc", "ben")
    outcomes = at_once([partial(archive.membership.accept, ben, invite.id)] * 4)
    assert sum(isinstance(outcome, Invite) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, InviteUnknown) for outcome in outcomes) == 3
    assert members(archive, ana) == ["ben"]


def test_only_the_invited_accepts_and_both_sides_may_drop_it(archive: Archive, ana: Actor, ben: Actor) -> None:
    eve = make_user(archive, "eve")
    invite = archive.membership.invite(ana, "ana", "abc", "ben")
    for other in (ana, eve):
        with pytest.raises(InviteUnknown):
            archive.membership.accept(other, invite.id)
    with pytest.raises(InviteUnknown):
        archive.membership.decline(eve, invite.id)
    archive.membership.decline(ben, invite.id)
    again = archive.membership.invite(ana, "ana", "abc", "ben")
    archive.membership.decline(ana, again.id)
    for call in (archive.membership.decline, archive.membership.accept):
        with pytest.raises(InviteUnknown):
            call(ben, again.id)
    assert members(archive, ana) == []


@pytest.mark.parametrize(
    ("handle", "error"),
    [
        ("nobody", UserUnknown),
        ("doctor", UserUnknown),
        ("gone", UserUnknown),
        ("nul\0", UserUnknown),
        ("\ud800", UserUnknown),
        ("x" * 5000, UserUnknown),
        ("ana", SelfInvite),
        ("ana@example.org", SelfInvite),
        ("invited", InviteExists),
        ("member", AlreadyCollaborator),
    ],
)
def test_who_cannot_be_invited(archive: Archive, ana: Actor, handle: str, error: type[PinakesError]) -> None:
    make_user(archive, "doctor", Kind.CLINICAL)
    make_user(archive, "gone")
    archive.users.set_active(SYSTEM, "gone", False)
    make_user(archive, "invited")
    archive.membership.invite(ana, "ana", "abc/sub", "invited")
    share(archive, ana, "abc", make_user(archive, "member"))
    for path in ("abc", "abc/sub"):
        with pytest.raises(error):
            archive.membership.invite(ana, "ana", path, handle)


def test_roots_are_judged_one_by_one(archive: Archive, ana: Actor, ben: Actor) -> None:
    archive.namespaces.create(ana, NewNamespace("other"))
    share(archive, ana, "abc", ben)
    invite = archive.membership.invite(ana, "ana", "other", "ben")
    assert [one.id for one in archive.membership.invites_to(ben)] == [invite.id]
    assert archive.membership.invites_into(ana, "ana", "abc") == []


def test_a_removed_collaborator_is_shut_out_at_once(archive: Archive, ana: Actor, ben: Actor) -> None:
    share(archive, ana, "abc", ben)
    image = put(archive, ben, "alpine", "abc@ana")
    archive.membership.remove(ana, "ana", "abc/sub", "BEN")
    with pytest.raises(NamespaceUnknown):
        archive.namespaces.get(ben, "ana", "abc")
    with pytest.raises(PinakesError):
        archive.machines.get(ben, image.id)
    assert archive.machines.get(ana, image.id).author.name == "ben"
    for name in ("ben", "nobody", "ana", "ben@example.org", "nul\0"):
        with pytest.raises(CollaboratorUnknown):
            archive.membership.remove(ana, "ana", "abc", name)


def test_membership_is_the_owners_business(archive: Archive, ana: Actor, ben: Actor) -> None:
    calls: list[Callable[[], object]] = [
        lambda: archive.membership.collaborators(ben, "ana", "abc"),
        lambda: archive.membership.invites_into(ben, "ana", "abc"),
        lambda: archive.membership.invite(ben, "ana", "abc", "eve"),
        lambda: archive.membership.remove(ben, "ana", "abc", "ben"),
    ]
    for call in calls:
        with pytest.raises(NamespaceUnknown):
            call()
    share(archive, ana, "abc", ben)
    for call in calls:
        with pytest.raises(NotAllowed):
            call()
    assert members(archive, ana) == ["ben"]


def test_scope_and_kind_are_asked_first(archive: Archive, ana: Actor, ben: Actor) -> None:
    invite = archive.membership.invite(ana, "ana", "abc", "ben")

    def calls(actor: Actor) -> list[Callable[[], object]]:
        return [
            lambda: archive.membership.collaborators(actor, "ana", "abc"),
            lambda: archive.membership.remove(actor, "ana", "abc", "ben"),
            lambda: archive.membership.invites_into(actor, "ana", "abc"),
            lambda: archive.membership.invites_to(actor),
            lambda: archive.membership.invite(actor, "ana", "abc", "eve"),
            lambda: archive.membership.accept(actor, invite.id),
            lambda: archive.membership.decline(actor, invite.id),
        ]

    limited = Actor("djinn", ana.user_id, ana.name, kinds=ana.kinds, scope=Scope.parse("image:read,write,delete"))
    doctor = make_user(archive, "doctor", Kind.CLINICAL)
    for actor, error in ((limited, ScopeMissing), (doctor, KindMissing), (Actor("djinn"), Unauthenticated)):
        for call in calls(actor):
            with pytest.raises(error):
                call()


def test_invites_and_collaborators_go_with_their_root(archive: Archive, ana: Actor, ben: Actor) -> None:
    eve = make_user(archive, "eve")
    share(archive, ana, "abc", eve)
    archive.membership.invite(ana, "ana", "abc", "ben")
    archive.namespaces.delete(ana, "ana", "abc")
    assert archive.membership.invites_to(ben) == []
    archive.namespaces.create(ana, NewNamespace("abc"))
    assert members(archive, ana) == []


def test_accepting_while_the_namespace_is_deleted_is_no_fault(archive: Archive, ana: Actor, ben: Actor) -> None:
    invite = archive.membership.invite(ana, "ana", "abc", "ben")
    outcomes = at_once(
        [partial(archive.membership.accept, ben, invite.id), partial(archive.namespaces.delete, ana, "ana", "abc")]
    )
    assert isinstance(outcomes[0], Invite | InviteUnknown)
    assert outcomes[1] is None
