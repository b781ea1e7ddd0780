"""Users and machine images, made valid."""

from pinakes.core.actor import Actor, Kind, Visibility
from pinakes.core.archive import Archive
from pinakes.core.catalogue.machine_records import MachineImage
from pinakes.core.catalogue.machines import NewMachine
from pinakes.core.clock import Instant

SYSTEM = Actor(api="system")
QCOW2 = b"QFI\xfb"


def make_user(archive: Archive, name: str, *kinds: Kind, is_staff: bool = False) -> Actor:
    """A user of the kind machine unless others are named."""
    user = archive.users.add(SYSTEM, name, f"{name}@example.org", None, kinds or [Kind.MACHINE], is_staff=is_staff)
    return Actor("djinn", user.id, user.name, user.email, user.created_at, user.kinds, is_staff=user.is_staff)


def put(
    archive: Archive,
    actor: Actor,
    name: str,
    namespace: str = "",
    *,
    content: bytes = QCOW2,
    has_ci_name: bool = True,
    visibility: Visibility = Visibility.PRIVATE,
    end_at: Instant | None = None,
) -> MachineImage:
    """A machine image, by default one that Djinn CI shows."""
    ci_name = name if has_ci_name else None
    new = NewMachine(name, ci_name=ci_name, namespace=namespace, visibility=visibility, end_at=end_at)
    with archive.content.receive() as upload:
        upload.write(content)
        upload.finish()
        return archive.machines.create(actor, new, upload)


def share(archive: Archive, owner: Actor, path: str, *others: Actor) -> None:
    """Make them collaborators."""
    for other in others:
        invite = archive.membership.invite(owner, owner.name, path, other.name)
        archive.membership.accept(other, invite.id)
