"""The SQL of images, versions and tags."""

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, case, delete, func, insert, select, union_all, update
from sqlalchemy.dialects import postgresql, sqlite

from pinakes.core.access import policy
from pinakes.core.access.policy import ImageFacts
from pinakes.core.actor import Actor, Kind, Visibility
from pinakes.core.catalogue import machine_texts, reading
from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import (
    REFERENCES_OF_IMAGES,
    clinical_images,
    image_tags,
    images,
    jobs,
    namespaces,
    tags,
    versions,
)
from pinakes.core.errors import ContentPending
from pinakes.core.jobs.kinds import JobState


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable content of an image. digest: SHA-256, hex. format: a name of `imaging.formats`."""

    id: int
    uid: str
    name: str
    digest: str
    size_bytes: int
    format: str
    created_at: Instant


@dataclass(frozen=True, slots=True)
class Image:
    """A catalogue entry as one actor sees it, with its newest version that has content; None while none has."""

    id: int
    uid: str
    name: str
    description: str | None
    namespace_id: int | None
    created_at: Instant
    modified_at: Instant
    facts: ImageFacts
    version: Version | None

    @property
    def kind(self) -> Kind:
        return self.facts.kind

    @property
    def content(self) -> Version:
        """The version, where one is needed. Raises ContentPending."""
        if self.version is None:
            raise ContentPending
        return self.version


@dataclass(frozen=True, slots=True)
class NewImage:
    """What is said of an image when it is made."""

    kind: Kind
    name: str
    author_id: int
    description: str | None = None
    namespace_id: int | None = None
    visibility: Visibility = Visibility.PRIVATE
    end_at: Instant | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What is known of a version when it is made. digest, size_bytes, format: None while its content is to come."""

    name: str
    digest: str | None = None
    size_bytes: int | None = None
    format: str | None = None
    end_at: Instant | None = None
    change_log: str = ""
    parent_id: int | None = None
    allows_imaging: bool = True
    doc_object_id: str | None = None
    min_cpu: int | None = None
    min_mem_mb: int | None = None


VERSION_COLUMNS = tuple(versions.c[name] for name in Version.__dataclass_fields__)
"""The columns that make a Version, in order."""

_place = namespaces.alias("place")
_root = namespaces.alias("root")
_newest = versions.alias("newest")

FACT_COLUMNS = (
    images.c.kind,
    images.c.author_id,
    case((_root.c.id.is_(None), images.c.visibility), else_=_root.c.visibility),
    images.c.end_at,
    _root.c.owner_id,
    policy.is_collaborator(_root.c.id),
    policy.is_granted(),
)
"""The columns that make ImageFacts, in order, in a statement over IMAGES. Give it `policy.parameters`."""

IMAGE_COLUMNS = (
    images.c.id,
    images.c.uid,
    images.c.name,
    images.c.description,
    images.c.namespace_id,
    images.c.created_at,
    images.c.modified_at,
    *FACT_COLUMNS,
    *VERSION_COLUMNS,
)
"""The columns that make an Image, in order, likewise."""

IMAGES = (
    images.outerjoin(
        versions,
        versions.c.id
        == select(func.max(_newest.c.id))
        .where(_newest.c.image_id == images.c.id, _newest.c.digest.is_not(None))
        .correlate(images)
        .scalar_subquery(),
    )
    .outerjoin(_place, _place.c.id == images.c.namespace_id)
    .outerjoin(_root, _root.c.id == _place.c.root_id)
)

_FIND = Query(select(*IMAGE_COLUMNS).select_from(IMAGES).where(images.c.id == bindparam("image_id")))
_LIST = (
    select(*IMAGE_COLUMNS)
    .select_from(IMAGES)
    .where(policy.READABLE, images.c.id > bindparam("after_id"))
    .order_by(images.c.id)
    .limit(bindparam("most"))
)


def image_of(row: Sequence[Any]) -> Image:
    """What IMAGE_COLUMNS hold."""
    return Image(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        row[5],
        row[6],
        facts_of(row[7:14]),
        version_of(row[14:]),
    )


def facts_of(columns: Sequence[Any]) -> ImageFacts:
    """What FACT_COLUMNS hold."""
    kind, author_id, visibility, end_at, root_owner_id, is_collaborator, is_granted = columns
    return ImageFacts(
        Kind(kind), author_id, Visibility(visibility), end_at, root_owner_id, bool(is_collaborator), bool(is_granted)
    )


def version_of(columns: Sequence[Any]) -> Version | None:
    """What VERSION_COLUMNS hold; None where an outer join found none."""
    return None if columns[0] is None else Version(*columns)


def find(connection: Executor, actor: Actor, image_id: int, now: Instant) -> Image | None:
    """The image, whether or not the actor may read it; ask the policy."""
    row = _FIND.first(connection, policy.parameters(actor, now) | {"image_id": image_id})
    return image_of(row) if row else None


def readable(connection: Executor, actor: Actor, now: Instant, after_id: int, most: int) -> list[Image]:
    """The next images the actor may read, ascending by id."""
    parameters = policy.parameters(actor, now) | {"after_id": after_id, "most": most}
    return [image_of(row) for row in connection.execute(_LIST, parameters)]


_INSERT_IMAGE = insert(images).returning(images.c.id)
_INSERT_VERSION = insert(versions).returning(versions.c.id)


def add(transaction: Transaction, new: NewImage, now: Instant) -> int:
    """Insert an image without a version; its id."""
    row = {
        "uid": uuid.uuid4().hex,
        "kind": new.kind.value,
        "name": new.name,
        "description": new.description,
        "author_id": new.author_id,
        "namespace_id": new.namespace_id,
        "visibility": new.visibility.value,
        "end_at": new.end_at,
        "created_at": now,
        "modified_at": now,
    }
    image_id: int = transaction.execute(_INSERT_IMAGE, row).scalar_one()
    if new.kind is Kind.MACHINE:
        machine_texts.put(transaction, [image_id])
    return image_id


def add_version(transaction: Transaction, image_id: int, author_id: int, new: NewVersion, now: Instant) -> int:
    """Insert a version; its id. Its content, if it has some, is to be read."""
    row = {
        "uid": uuid.uuid4().hex,
        "image_id": image_id,
        "author_id": author_id,
        "created_at": now,
        **dataclasses.asdict(new),
    }
    version_id: int = transaction.execute(_INSERT_VERSION, row).scalar_one()
    if new.digest is not None:
        reading.ask(transaction, version_id, now)
    return version_id


_HAS_VERSION = select(versions.c.id).where(
    versions.c.image_id == bindparam("image_id"), versions.c.name == bindparam("name")
)


def has_version(connection: Executor, image_id: int, name: str) -> bool:
    """Whether an image has a version of a name, with content or without."""
    return connection.execute(_HAS_VERSION, {"image_id": image_id, "name": name}).first() is not None


_FILL_VERSION = (
    update(versions)
    .where(versions.c.id == bindparam("version_id"), versions.c.digest.is_(None))
    .values(digest=bindparam("new_digest"), size_bytes=bindparam("new_size_bytes"), format=bindparam("new_format"))
    .returning(versions.c.id)
)


def fill_version(
    transaction: Transaction, version_id: int, digest: str, size_bytes: int, format_name: str, now: Instant
) -> bool:
    """Give a version its content, which is to be read; False if it has some already or is gone.

    Call `hold` on its image before.
    """
    row = {"version_id": version_id, "new_digest": digest, "new_size_bytes": size_bytes, "new_format": format_name}
    if transaction.execute(_FILL_VERSION, row).first() is None:
        return False
    reading.ask(transaction, version_id, now)
    return True


_DIGESTS = union_all(
    *(
        select(column).where(column.table.c.image_id == bindparam("image_id"), column.is_not(None))
        for column in REFERENCES_OF_IMAGES
    )
)
_DELETE = delete(images).where(images.c.id == bindparam("image_id"))
_HOLD = select(images.c.id).where(images.c.id == bindparam("image_id")).with_for_update()


def hold(transaction: Transaction, image_id: int) -> bool:
    """Keep an image as it is for others until the transaction ends; False if it is gone.

    Whoever changes a reference to a blob that hangs on an image holds it first, or the image's removal could release
    a digest that has just been replaced, and leave the new one behind.
    """
    return transaction.execute(_HOLD, {"image_id": image_id}).first() is not None


def remove(transaction: Transaction, image_id: int) -> list[str] | None:
    """Delete an image and all that hangs on it; the digests it referred to. None if it was gone already."""
    if not hold(transaction, image_id):
        return None
    digests = list(transaction.execute(_DIGESTS, {"image_id": image_id}).scalars())
    transaction.execute(_DELETE, {"image_id": image_id})
    return digests


# -- Tags ---------------------------------------------------------------------------------------------------------

_INSERT_TAG = {
    True: sqlite.insert(tags).on_conflict_do_nothing(),
    False: postgresql.insert(tags).on_conflict_do_nothing(),
}
_FIND_TAG = select(tags.c.id).where(tags.c.name_folded == bindparam("name_folded"))


def ensure_tag(transaction: Transaction, name: str, now: Instant, *, description: str = "") -> tuple[int, bool]:
    """The id of the tag of that name in any case, and whether it had to be made."""
    folded = name.casefold()
    made = transaction.execute(
        _INSERT_TAG[transaction.is_local],
        {"uid": uuid.uuid4().hex, "name": name, "name_folded": folded, "description": description, "created_at": now},
    ).rowcount
    tag_id: int = transaction.execute(_FIND_TAG, {"name_folded": folded}).scalar_one()
    return tag_id, bool(made)


def tag(transaction: Transaction, image_id: int, tag_ids: Sequence[int]) -> None:
    if tag_ids:
        transaction.execute(insert(image_tags), [{"image_id": image_id, "tag_id": tag_id} for tag_id in tag_ids])
        machine_texts.put(transaction, [image_id])


def change(transaction: Transaction, image_id: int, values: Mapping[str, Any], now: Instant) -> None:
    """Change columns of an image, and say when."""
    changes = {**values, "modified_at": now}
    transaction.execute(update(images).where(images.c.id == image_id).values(changes))
    if not changes.keys().isdisjoint({"name", "description"}):
        machine_texts.put(transaction, [image_id])


def tag_names(connection: Executor, image_id: int) -> list[str]:
    """By name."""
    statement = (
        select(tags.c.name)
        .join(image_tags, image_tags.c.tag_id == tags.c.id)
        .where(image_tags.c.image_id == image_id)
        .order_by(tags.c.name)
    )
    return list(connection.execute(statement).scalars())


# -- Jobs ---------------------------------------------------------------------------------------------------------

_ACTIVE_JOBS = select(jobs.c.id).where(
    jobs.c.image_id == bindparam("image_id"), jobs.c.state.in_([JobState.QUEUED.value, JobState.RUNNING.value])
)


def active_jobs(connection: Executor, image_id: int) -> list[int]:
    """The ids of the jobs that wait to work, or are at work, on an image; ascending."""
    return list(connection.execute(_ACTIVE_JOBS.order_by(jobs.c.id), {"image_id": image_id}).scalars())


# -- Clinical facts -----------------------------------------------------------------------------------------------


def patient_of(connection: Executor, image_id: int) -> int | None:
    """The patient a clinical image is of."""
    statement = select(clinical_images.c.patient_id).where(clinical_images.c.image_id == image_id)
    return connection.execute(statement).scalar_one_or_none()
