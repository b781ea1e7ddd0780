"""Machine images: disk images of virtual machines, in or outside a namespace, with or without a name in Djinn CI."""

import enum
import re
from dataclasses import dataclass

from pinakes.core.access import policy
from pinakes.core.access.guard import require_scope, require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource, Visibility
from pinakes.core.catalogue import machine_records as records
from pinakes.core.catalogue.images import Images
from pinakes.core.catalogue.machine_records import MachineImage
from pinakes.core.catalogue.records import NewImage
from pinakes.core.clock import Clock, Instant
from pinakes.core.content.store import Reader
from pinakes.core.content.uploads import Upload
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import BlobUnknown, FormatUnsupported, ImageUnknown, InvalidFields, NotAllowed
from pinakes.core.namespaces import tree
from pinakes.core.namespaces.namespaces import visible
from pinakes.core.namespaces.paths import NamespacePath
from pinakes.core.namespaces.places import Place, PlaceReason, ensure_place, find_place
from pinakes.core.namespaces.records import Found, shared_roots
from pinakes.core.page import Page, PageRequest
from pinakes.core.text import check_text

_CI_SIGNATURE = b"QFI\xfb"  # qcow2
_CI_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SEARCHABLE = re.compile(r"[A-Za-z0-9_-]*")
_MOST_CI_NAME = 255
_MOST_NAME = 256
_MOST_TAG = 128


class NameReason(enum.StrEnum):
    """Why a name cannot be given."""

    MISSING = "is required"
    CHARACTERS = "can only contain letters, numbers, dashes and underscores"
    LENGTH = "must have at most 255 characters"
    TAKEN = "already exists"


@dataclass(frozen=True, slots=True)
class NewMachine:
    """What is said of a machine image when it is made.

    ci_name: the name under which Djinn CI is to show it; None to keep it out of there.
    namespace: a path as in djinn contract section 6; empty for none. Missing levels of the actor's own are made.
    visibility: only outside namespaces; inside one its root's counts.
    """

    name: str
    ci_name: str | None = None
    namespace: str = ""
    description: str | None = None
    visibility: Visibility = Visibility.PRIVATE
    end_at: Instant | None = None
    tags: tuple[str, ...] = ()


class Machines:
    """Operations on machine images. Each raises Unauthenticated, KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, images: Images, clock: Clock) -> None:
        self._database = database
        self._images = images
        self._clock = clock

    def check_new(self, actor: Actor, ci_name: str, namespace: str) -> None:
        """Judge a name and a namespace before any byte of content is asked for. Makes nothing.

        Raises InvalidFields with NameReason, PathReason or PlaceReason; with the last, it is the only one.
        """
        author_id = require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        problems = problems_of_ci_name(ci_name)
        place = None
        with self._database.read() as connection:
            try:
                path = NamespacePath.parse(namespace) if namespace else None
                place = find_place(connection, actor, path) if path else None
                is_new = path is not None and place is None
            except InvalidFields as exc:
                if PlaceReason.CLOSED in exc.problems["namespace"]:
                    raise
                problems |= exc.problems
                is_new = True
            if not problems and not is_new and records.is_taken(connection, author_id, place, ci_name):
                problems["name"] = (NameReason.TAKEN,)
        if problems:
            raise InvalidFields(problems)

    def create(self, actor: Actor, new: NewMachine, upload: Upload) -> MachineImage:
        """Catalogue a finished upload; the namespace, the image and its name come into being together.

        Raises InvalidFields, FormatUnsupported if it has a ci_name and is no qcow2, NameTaken.
        """
        author_id = require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        path = _checked(new)
        if new.ci_name is not None:
            check_format(upload.head)
        with self._database.write() as transaction:
            image_id = self._enter(transaction, actor, author_id, new, path, upload)
            made = records.find(transaction, actor, image_id, self._clock())
        assert made is not None
        return made

    def announce(self, transaction: Transaction, actor: Actor, new: NewMachine) -> int:
        """Catalogue an image whose content is still to come, in the caller's transaction; its id.

        Its name is taken from now on. Raises InvalidFields, NameTaken.
        """
        author_id = require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        return self._enter(transaction, actor, author_id, new, _checked(new), None)

    def fill(self, transaction: Transaction, actor: Actor, image_id: int, version_id: int, upload: Upload) -> None:
        """Give a version its content, in the caller's transaction. Asks no permission.

        If the image's Djinn name waits for a version, it is given to this one, which must then be a qcow2.
        Raises ImageUnknown, ContentExists, FormatUnsupported.
        """
        if records.has_waiting_name(transaction, image_id):
            check_format(upload.head)
        self._images.fill_version(transaction, actor, image_id, version_id, upload)
        records.give_name(transaction, image_id, version_id)

    def get(self, actor: Actor, image_id: int) -> MachineImage:
        """An image that Djinn CI shows. Raises ImageUnknown."""
        require_scope(actor, Resource.IMAGE, Permission.READ)
        return self._named(actor, image_id)

    def list(self, actor: Actor, page: PageRequest) -> Page[MachineImage]:
        """Those the actor holds or shares, by name; the search is on the name. Ended ones are off the list."""
        user_id = require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.READ)
        if not _SEARCHABLE.fullmatch(page.search):
            return Page((), has_next=False)
        with self._database.read() as connection:
            roots = shared_roots(connection, user_id)
            return Page.of(records.mine_and_shared(connection, actor, roots, self._clock(), page), page)

    def list_in_namespace(
        self, actor: Actor, owner_name: str, path: str, page: PageRequest
    ) -> tuple[Found, Page[MachineImage]]:
        """A namespace the actor may see, and the images in it, by name. Raises NamespaceUnknown."""
        require_scope(actor, Resource.NAMESPACE, Permission.READ)
        with self._database.read() as connection:
            found = visible(connection, actor, owner_name, path)
            if not _SEARCHABLE.fullmatch(page.search):
                return found, Page((), has_next=False)
            listed = records.in_namespace(connection, actor, found.namespace.id, self._clock(), page)
            return found, Page.of(listed, page)

    def open(self, actor: Actor, image: MachineImage) -> Reader:
        """Open the content of an image that `get` has just given to the same actor; the read goes into the trail.

        Raises ImageUnknown if it has no content yet or was deleted meanwhile, BlobUnknown, StoreUnavailable.
        """
        if image.version is None:
            raise ImageUnknown
        try:
            return self._images.open(actor, image.id, image.version)
        except BlobUnknown:
            self._named(actor, image.id)  # gone since: then so says the answer
            raise

    def delete(self, actor: Actor, image_id: int) -> None:
        """Remove an image and its bytes. Of several at once exactly one succeeds. Raises ImageUnknown, NotAllowed."""
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.DELETE)
        image = self._named(actor, image_id)
        if not policy.may_change(actor, image.facts, self._clock()):
            raise NotAllowed
        with self._database.write() as transaction:
            if not self._images.remove(transaction, actor, image_id):
                raise ImageUnknown

    def _enter(
        self,
        transaction: Transaction,
        actor: Actor,
        author_id: int,
        new: NewMachine,
        path: NamespacePath | None,
        upload: Upload | None,
    ) -> int:
        """The namespace, the image, its version if there is an upload, and its name; the image's id."""
        place = ensure_place(transaction, actor, path, self._clock()) if path else None
        if place is None:
            tree.lock_names(transaction, author_id)
        entry = _entry(new, author_id, place)
        version_id = None
        if upload is None:
            image_id = self._images.announce(transaction, actor, entry)
        else:
            image_id, version_id = self._images.ingest(transaction, actor, entry, upload)
        if new.ci_name is not None:
            records.claim(transaction, author_id, place, new.ci_name, image_id, version_id)
        return image_id

    def _named(self, actor: Actor, image_id: int) -> MachineImage:
        now = self._clock()
        with self._database.read() as connection:
            image = records.find(connection, actor, image_id, now)
        if image is None or image.ci_name is None or not policy.may_read(actor, image.facts, now):
            raise ImageUnknown
        return image


def check_format(head: bytes) -> None:
    """Judge what Djinn CI is to show by its first four bytes. Raises FormatUnsupported."""
    if not head.startswith(_CI_SIGNATURE):
        raise FormatUnsupported("QCOW2")


def _entry(new: NewMachine, author_id: int, place: Place | None) -> NewImage:
    """The catalogue's entry for it."""
    namespace_id = place.id if place else None
    return NewImage(
        Kind.MACHINE,
        new.name.strip(),
        author_id,
        new.description,
        namespace_id,
        new.visibility,
        new.end_at,
        new.tags,
    )


def _checked(new: NewMachine) -> NamespacePath | None:
    """The path to put the image under. Raises InvalidFields."""
    problems = problems_of_ci_name(new.ci_name) if new.ci_name is not None else {}
    problems |= _problems_of_text("name", new.name, most=_MOST_NAME, is_required=True)
    path = None
    try:
        path = NamespacePath.parse(new.namespace) if new.namespace else None
    except InvalidFields as exc:
        problems |= exc.problems
    if path is not None and new.visibility is not Visibility.PRIVATE:
        problems["visibility"] = ("is its root's inside a namespace",)
    problems |= _problems_of_text("description", new.description or "")
    for tag in new.tags:
        problems |= _problems_of_text("tags", tag, most=_MOST_TAG, is_required=True)
    if problems:
        raise InvalidFields(problems)
    return path


def problems_of_ci_name(name: str) -> dict[str, tuple[str, ...]]:
    """What is wrong with a name for Djinn CI, under the key `name`."""
    if not name:
        return {"name": (NameReason.MISSING,)}
    if not _CI_NAME.fullmatch(name):
        return {"name": (NameReason.CHARACTERS,)}
    return {"name": (NameReason.LENGTH,)} if len(name) > _MOST_CI_NAME else {}


def _problems_of_text(
    field: str, text: str, *, most: int | None = None, is_required: bool = False
) -> dict[str, tuple[str, ...]]:
    try:
        check_text(field, text, most=most)
    except InvalidFields as exc:
        return exc.problems
    return {field: (NameReason.MISSING,)} if is_required and not text.strip() else {}
