"""Who shares a namespace. Membership belongs to the root: it counts for everything below, and is judged per root."""

from collections.abc import Callable

from pinakes.core import audit
from pinakes.core.access import users
from pinakes.core.access.guard import require_user
from pinakes.core.access.people import Person
from pinakes.core.access.users import User
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.errors import (
    AlreadyCollaborator,
    CollaboratorUnknown,
    InvalidFields,
    InviteExists,
    InviteUnknown,
    SelfInvite,
    UserUnknown,
)
from pinakes.core.namespaces import people, tree
from pinakes.core.namespaces.namespaces import hold, owned
from pinakes.core.namespaces.people import Invite
from pinakes.core.namespaces.records import Namespace
from pinakes.core.text import check_text

_MOST_HANDLE = 254


class Membership:
    """Operations on collaborators and invites.

    Beside what each names they raise Unauthenticated, KindMissing and ScopeMissing; and NamespaceUnknown and
    NotAllowed for a namespace that is not the actor's.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def collaborators(self, actor: Actor, owner_name: str, path: str) -> tuple[Namespace, list[Person]]:
        """A namespace the actor owns, and who collaborates in it, by name."""
        require_user(actor, Kind.MACHINE, Resource.NAMESPACE, Permission.READ)
        with self._database.read() as connection:
            namespace = owned(connection, actor, owner_name, path)
            return namespace, people.collaborators_of(connection, namespace.root_id)

    def remove(self, actor: Actor, owner_name: str, path: str, user_name: str) -> None:
        """Shut a collaborator out. Raises CollaboratorUnknown."""
        require_user(actor, Kind.MACHINE, Resource.NAMESPACE, Permission.DELETE)
        with self._database.write() as transaction:
            namespace = hold(transaction, actor, owner_name, path)
            user = _find_user(users.find_by_name, transaction, user_name)
            if user is None or not people.remove_collaborator(transaction, namespace.root_id, user.id):
                raise CollaboratorUnknown
            self._record(transaction, actor, Action.COLLABORATOR_REMOVE, namespace.root_id, user.id)

    def invites_into(self, actor: Actor, owner_name: str, path: str) -> list[Invite]:
        """The invites into a namespace the actor owns, oldest first."""
        require_user(actor, Kind.MACHINE, Resource.INVITE, Permission.READ)
        with self._database.read() as connection:
            namespace = owned(connection, actor, owner_name, path)
            return people.invites_into(connection, namespace.root_id)

    def invites_to(self, actor: Actor) -> list[Invite]:
        """The invites the actor has got, oldest first."""
        user_id = require_user(actor, Kind.MACHINE, Resource.INVITE, Permission.READ)
        with self._database.read() as connection:
            return people.invites_to(connection, user_id)

    def invite(self, actor: Actor, owner_name: str, path: str, handle: str) -> Invite:
        """Invite the user of that name or e-mail address.

        Raises UserUnknown, also for one without the kind; SelfInvite, AlreadyCollaborator, InviteExists.
        """
        inviter_id = require_user(actor, Kind.MACHINE, Resource.INVITE, Permission.WRITE)
        with self._database.write() as transaction:
            namespace = hold(transaction, actor, owner_name, path)
            user = _find_user(users.find_by_handle, transaction, handle)
            if user is None or not user.is_active or not user.has_kind(Kind.MACHINE):
                raise UserUnknown
            if user.id in {namespace.owner.id, inviter_id}:
                raise SelfInvite
            if people.is_collaborator(transaction, namespace.root_id, user.id):
                raise AlreadyCollaborator
            invite_id = people.add_invite(transaction, namespace.root_id, user.id, inviter_id, self._clock())
            if invite_id is None:
                raise InviteExists
            self._record(transaction, actor, Action.INVITE_CREATE, namespace.root_id, user.id)
            return _invite(transaction, invite_id)

    def accept(self, actor: Actor, invite_id: int) -> Invite:
        """Become a collaborator; the invite is used up. Raises InviteUnknown unless it is to the actor."""
        user_id = require_user(actor, Kind.MACHINE, Resource.INVITE, Permission.WRITE)
        with self._database.write() as transaction:
            invite = _locked_invite(transaction, invite_id)
            if invite.invitee.id != user_id or not people.remove_invite(transaction, invite_id):
                raise InviteUnknown
            people.add_collaborator(transaction, invite.namespace.id, user_id, self._clock())
            self._record(transaction, actor, Action.COLLABORATOR_ADD, invite.namespace.id, user_id)
            return invite

    def decline(self, actor: Actor, invite_id: int) -> None:
        """Remove an invite, as who got or sent it. Raises InviteUnknown."""
        user_id = require_user(actor, Kind.MACHINE, Resource.INVITE, Permission.WRITE)
        with self._database.write() as transaction:
            invite = _locked_invite(transaction, invite_id)
            if user_id not in {invite.invitee.id, invite.inviter.id} or not people.remove_invite(
                transaction, invite_id
            ):
                raise InviteUnknown
            self._record(transaction, actor, Action.INVITE_DELETE, invite.namespace.id, invite.invitee.id)

    def _record(self, transaction: Transaction, actor: Actor, action: Action, root_id: int, user_id: int) -> None:
        event = Event(action, subject=f"namespace:{root_id}", detail={"user": user_id})
        audit.record(transaction, actor, self._clock(), event)


def _locked_invite(transaction: Transaction, invite_id: int) -> Invite:
    """The invite as it stands once nobody else can change its namespace. Raises InviteUnknown."""
    tree.lock(transaction, _invite(transaction, invite_id).namespace.owner.id)
    return _invite(transaction, invite_id)


def _invite(transaction: Transaction, invite_id: int) -> Invite:
    invite = people.find_invite(transaction, invite_id)
    if invite is None:
        raise InviteUnknown
    return invite


def _find_user(find: Callable[[Executor, str], User | None], connection: Executor, handle: str) -> User | None:
    try:
        return find(connection, check_text("handle", handle, most=_MOST_HANDLE))
    except InvalidFields:
        return None
