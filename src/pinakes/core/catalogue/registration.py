"""Registering machine images: the image, its versions, and their contents; and handing the contents out.

Looking at images and editing them is in `machine_catalogue`, the same for versions in `versions`; what becomes of an
image afterwards in `lifecycle`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from pinakes.core import audit
from pinakes.core.access import policy
from pinakes.core.access.guard import require_scope, require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import machine_access, records, tag_records
from pinakes.core.catalogue.images import Images
from pinakes.core.catalogue.machine_catalogue import MOST_DESCRIPTION, MOST_TAGS
from pinakes.core.catalogue.machines import Machines, NewMachine, problems_of_ci_name
from pinakes.core.catalogue.records import VERSION_COLUMNS, NewVersion, Version
from pinakes.core.catalogue.tag_records import Tag
from pinakes.core.catalogue.tags import Tags
from pinakes.core.catalogue.versions import VersionChanges, checked
from pinakes.core.clock import Clock
from pinakes.core.content.store import Reader
from pinakes.core.content.uploads import Upload
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.db.query import Query, Row
from pinakes.core.db.schema import versions
from pinakes.core.errors import (
    BlobUnknown,
    ContentExists,
    ContentPending,
    DigestMismatch,
    InvalidFields,
    NameTaken,
    VersionUnknown,
)
from pinakes.core.text import check_text, fold

_FIND_VERSION = Query(
    select(*VERSION_COLUMNS, versions.c.end_at).where(
        versions.c.id == bindparam("version_id"), versions.c.image_id == bindparam("image_id")
    )
)
_DIGEST = list(Version.__dataclass_fields__).index("digest")
_NAMES = select(versions.c.name).where(versions.c.image_id == bindparam("image_id"))


@dataclass(frozen=True, slots=True)
class VersionDraft:
    """What is said of a version when it is added. name: None for the next free of 1.0, 1.1, ...

    parent_id: of the version of the same image it was made from.   The rest as in `versions.VersionChanges`.
    """

    name: str | None = None
    change_log: str = ""
    parent_id: int | None = None
    allows_imaging: bool = True
    doc_object_id: str | None = None
    min_cpu: int | None = None
    min_mem_mb: int | None = None


class Registration:
    """Operations on machine images.

    Each raises Unauthenticated, KindMissing, ScopeMissing and ImageUnknown beside what it names.
    """

    def __init__(self, database: Database, machines: Machines, images: Images, tags: Tags, clock: Clock) -> None:
        self._database = database
        self._machines = machines
        self._images = images
        self._tags = tags
        self._clock = clock

    # -- Coming into being -----------------------------------------------------------------------------------------

    def create(self, actor: Actor, new: NewMachine) -> int:
        """Catalogue an image without a version; its id. Its tags must exist. Raises InvalidFields, NameTaken."""
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        if new.ci_name is not None and (problems := problems_of_ci_name(new.ci_name)):
            raise InvalidFields({"ci_name": problems["name"]})
        check_text("description", new.description or "", most=MOST_DESCRIPTION)
        with self._database.write() as transaction:
            for tag in known_tags(transaction, new.tags):
                if not self._tags.may_attach(actor, tag):
                    raise InvalidFields.one("tags", f"may not hold the reserved tag {tag.name}")
            return self._machines.announce(transaction, actor, new)

    def add_version(self, actor: Actor, image_id: int, draft: VersionDraft) -> int:
        """Add a version without content; its id. Raises NotAllowed, InvalidFields, NameTaken."""
        author_id = require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        with self._database.write() as transaction:
            now = self._clock()
            machine_access.held(transaction, actor, image_id, now)
            new = _new_version(transaction, image_id, draft)
            try:
                version_id = records.add_version(transaction, image_id, author_id, new, now)
            except IntegrityError as exc:
                raise NameTaken(new.name) from exc
            made = Event(Action.VERSION_CREATE, image_id, subject=f"version:{version_id}")
            audit.record(transaction, actor, now, made)
        return version_id

    def check_pending(self, actor: Actor, image_id: int, version_id: int) -> None:
        """Judge whether the actor may give a version its content, before any byte of it is asked for.

        Raises NotAllowed, VersionUnknown, ContentExists.
        """
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        with self._database.read() as connection:
            machine_access.changeable(connection, actor, image_id, self._clock())
            row = _version(connection, image_id, version_id)
        if row[_DIGEST] is not None:
            raise ContentExists

    def fill(
        self, actor: Actor, image_id: int, version_id: int, upload: Upload, *, claimed_digest: str | None = None
    ) -> None:
        """Make a finished upload the content of a version. Of several at once exactly one succeeds.

        If the image's Djinn name waits for a version, it is given to this one, which must then be a qcow2.
        claimed_digest: the SHA-256, hex, that the client says it has.
        Raises DigestMismatch, NotAllowed, VersionUnknown, ContentExists, FormatUnsupported.
        """
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        assert upload.received is not None
        if claimed_digest is not None and claimed_digest != upload.received.digest:
            raise DigestMismatch
        with self._database.write() as transaction:
            machine_access.held(transaction, actor, image_id, self._clock())
            _version(transaction, image_id, version_id)
            self._machines.fill(transaction, actor, image_id, version_id, upload)

    # -- Content ---------------------------------------------------------------------------------------------------

    def content(self, actor: Actor, image_id: int, version_id: int) -> Version:
        """The version, for its content. One past its own end is there for the author and staff alone.

        Raises VersionUnknown, ContentPending.
        """
        require_scope(actor, Resource.IMAGE, Permission.READ)
        with self._database.read() as connection:
            now = self._clock()
            image = machine_access.readable(connection, actor, image_id, now)
            row = _version(connection, image_id, version_id)
        end_at = row[-1]
        if end_at is not None and end_at <= now and not policy.may_oversee(actor, image.facts, now):
            raise VersionUnknown
        if row[_DIGEST] is None:
            raise ContentPending
        return Version(*row[:-1])

    def open(self, actor: Actor, image_id: int, version: Version) -> Reader:
        """Open what `content` has just given to the same actor; the read goes into the trail.

        Raises VersionUnknown if it was removed meanwhile, BlobUnknown, StoreUnavailable.
        """
        try:
            return self._images.open(actor, image_id, version)
        except BlobUnknown:
            self.content(actor, image_id, version.id)  # gone since: then so says the answer
            raise


def known_tags(connection: Executor, names: Sequence[str]) -> list[Tag]:
    """The tags of these names, in any case. Raises InvalidFields for the names of none, and for too many."""
    if len(names) > MOST_TAGS:
        raise InvalidFields.one("tags", f"may hold at most {MOST_TAGS} tags")
    found = tag_records.named(connection, names)
    missing = tuple(f"there is no tag {name}" for name in names if fold(name) not in found)
    if missing:
        raise InvalidFields({"tags": missing})
    return list(found.values())


def _version(connection: Executor, image_id: int, version_id: int) -> Row:
    """VERSION_COLUMNS and the end of a version of the image. Raises VersionUnknown."""
    row = _FIND_VERSION.first(connection, {"image_id": image_id, "version_id": version_id})
    if row is None:
        raise VersionUnknown
    return row


def _new_version(transaction: Transaction, image_id: int, draft: VersionDraft) -> NewVersion:
    """Raises InvalidFields."""
    given = VersionChanges(
        change_log=draft.change_log,
        allows_imaging=draft.allows_imaging,
        doc_object_id=draft.doc_object_id,
        min_cpu=draft.min_cpu,
        min_mem_mb=draft.min_mem_mb,
    )
    values = checked(given)
    if draft.name is None:
        values["name"] = _next_name(set(transaction.execute(_NAMES, {"image_id": image_id}).scalars()))
    else:
        values |= checked(VersionChanges(name=draft.name))
    if draft.parent_id is not None:
        parent = _FIND_VERSION.first(transaction, {"image_id": image_id, "version_id": draft.parent_id})
        if parent is None:
            raise InvalidFields.one("parent", "is no version of this image")
        values["parent_id"] = draft.parent_id
    return NewVersion(**values)


def _next_name(taken: set[str]) -> str:
    """The first free of 1.0, 1.1, ..."""
    minor = 0
    while f"1.{minor}" in taken:
        minor += 1
    return f"1.{minor}"
