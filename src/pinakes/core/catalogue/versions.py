"""Versions of machine images: looking at them, and what their creator may change of them.

How versions and their contents come into being is in `registration`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError

from pinakes.core import audit
from pinakes.core.access import policy
from pinakes.core.access.guard import require_scope, require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import machine_records
from pinakes.core.catalogue import version_records as records
from pinakes.core.catalogue.changes import UNCHANGED, Unchanged
from pinakes.core.catalogue.keys import Key, has_key
from pinakes.core.catalogue.records import hold
from pinakes.core.catalogue.version_records import MachineVersion, VersionFilter
from pinakes.core.clock import Clock, Instant
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.db.schema import djinn_names, downloads, images, versions
from pinakes.core.errors import InvalidFields, NameTaken, NotAllowed, VersionUnknown
from pinakes.core.page import Listed, PageRequest
from pinakes.core.text import check_text

MOST_NAME = 256
MOST_CHANGE_LOG = 64 * 1024
MOST_DOC_OBJECT_ID = 256
MOST_CPU = 16
MOST_MEM_MB = 32_768


@dataclass(frozen=True, slots=True)
class VersionChanges:
    """What is to be different of a version.

    image: to which image it is to belong; one of the same creator's.
    min_cpu: cores, 0 to 16.   min_mem_mb: 0 to 32768.   Both may be None, for no requirement.
    """

    name: str | Unchanged = UNCHANGED
    change_log: str | Unchanged = UNCHANGED
    end_at: Instant | Unchanged | None = UNCHANGED
    allows_imaging: bool | Unchanged = UNCHANGED
    doc_object_id: str | Unchanged | None = UNCHANGED
    min_cpu: int | Unchanged | None = UNCHANGED
    min_mem_mb: int | Unchanged | None = UNCHANGED
    image: Key | Unchanged = UNCHANGED

    def given(self) -> dict[str, Any]:
        """What is to change, by the names of the columns of `versions`; the image by its key."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not UNCHANGED}


class Versions:
    """Operations on versions. Changing raises Unauthenticated, KindMissing and ScopeMissing beside what it names."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def list(self, actor: Actor, wanted: VersionFilter, page: PageRequest) -> Listed[MachineVersion]:
        """Those the actor may see, oldest first. Raises ScopeMissing."""
        require_scope(actor, Resource.IMAGE, Permission.READ)
        with self._database.read() as connection:
            return records.page_of(connection, policy.parameters(actor, self._clock()), wanted, page)

    def get(self, actor: Actor, key: Key) -> MachineVersion:
        """One the actor may see. Raises ScopeMissing, VersionUnknown."""
        require_scope(actor, Resource.IMAGE, Permission.READ)
        with self._database.read() as connection:
            return visible_version(connection, actor, key, self._clock())

    def update(
        self, actor: Actor, key: Key, changes: VersionChanges, problems: Mapping[str, Sequence[str]] | None = None
    ) -> MachineVersion:
        """Change a version, all of it or nothing. For the creator of its image, and for its own if they may.

        problems: what is known to be wrong with the changes already; told together with what is found here.
        Raises InvalidFields, NameTaken, NotAllowed, VersionUnknown.
        """
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        with self._database.write() as transaction:
            now = self._clock()
            found = _editable(transaction, actor, key, now)
            given = checked(changes, problems)
            target = given.pop("image", None)
            if target is not None:
                given["image_id"] = _new_place(transaction, actor, found, target, now)
            if given:
                self._change(transaction, actor, found, given, now)
            return visible_version(transaction, actor, found.id, now)

    def _change(
        self, transaction: Transaction, actor: Actor, found: MachineVersion, given: dict[str, Any], now: Instant
    ) -> None:
        try:
            transaction.execute(update(versions).where(versions.c.id == found.id).values(given))
        except IntegrityError as exc:
            raise NameTaken(given.get("name", found.name)) from exc
        happened = {"changed": sorted(given)}
        for image_id in sorted({found.image.id, given.get("image_id", found.image.id)}):
            event = Event(Action.VERSION_UPDATE, image_id, subject=f"version:{found.id}", detail=happened)
            audit.record(transaction, actor, now, event)


def visible_version(connection: Executor, actor: Actor, key: Key, now: Instant) -> MachineVersion:
    """A version the actor may see. Raises VersionUnknown."""
    found = records.find(connection, policy.parameters(actor, now), key)
    if found is None:
        raise VersionUnknown
    return found


def checked(changes: VersionChanges, known: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """What `changes.given()` holds, with outer white space trimmed.

    Raises InvalidFields with every field at fault, those known before included.
    """
    given = changes.given()
    problems = dict(known or {})
    for name, value in given.items():
        try:
            given[name] = _checked(name, value)
        except InvalidFields as exc:
            problems |= exc.problems
    if problems:
        raise InvalidFields(problems)
    return given


def _checked(name: str, value: Any) -> Any:
    """Raises InvalidFields."""
    match name, value:
        case "name", str():
            text = check_text(name, value.strip(), most=MOST_NAME)
            if not text:
                raise InvalidFields.one(name, "may not be blank")
            return text
        case "change_log", str():
            return check_text(name, value, most=MOST_CHANGE_LOG)
        case "doc_object_id", str():
            return check_text(name, value.strip(), most=MOST_DOC_OBJECT_ID) or None
        case "min_cpu", int() if not 0 <= value <= MOST_CPU:
            raise InvalidFields.one(name, f"must be from 0 to {MOST_CPU}")
        case "min_mem_mb", int() if not 0 <= value <= MOST_MEM_MB:
            raise InvalidFields.one(name, f"must be from 0 to {MOST_MEM_MB}")
    return value


def _editable(connection: Executor, actor: Actor, key: Key, now: Instant) -> MachineVersion:
    """For the image's creator, and for the version's own while they may change the image (atmosphere contract N5).

    Staff does not count. Raises NotAllowed, VersionUnknown.
    """
    found = visible_version(connection, actor, key, now)
    image = machine_records.find(connection, actor, found.image.id, now)
    if image is None:
        raise VersionUnknown
    is_own = found.author.id == actor.user_id and policy.may_change(actor.as_plain_user(), image.facts, now)
    if not is_own and not policy.may_edit(actor, image.facts, now):
        raise NotAllowed
    return found


_VERSION_ID = bindparam("version_id", type_=versions.c.id.type)
_IS_SHOWN_BY_DJINN = select(djinn_names.c.image_id).where(djinn_names.c.version_id == _VERSION_ID)
_IS_BEING_FETCHED = select(downloads.c.id).where(
    downloads.c.version_id == _VERSION_ID, downloads.c.finished_at.is_(None)
)


def _new_place(transaction: Transaction, actor: Actor, version: MachineVersion, key: Key, now: Instant) -> int:
    """The id of the image a version is to belong to; it and the present one are held. Raises InvalidFields."""
    statement = select(images.c.id).where(has_key(images, key), images.c.kind == Kind.MACHINE.value)
    image_id: int | None = transaction.execute(statement).scalar_one_or_none()
    if image_id == version.image.id:
        return image_id
    target = None if image_id is None else machine_records.find(transaction, actor, image_id, now)
    if target is None or target.author.id != version.image.author.id or not policy.may_edit(actor, target.facts, now):
        raise InvalidFields.one("image", "is no image of the same creator's")
    if not all(hold(transaction, held_id) for held_id in sorted((target.id, version.image.id))):
        raise VersionUnknown
    if transaction.execute(_IS_SHOWN_BY_DJINN, {"version_id": version.id}).first() is not None:
        raise InvalidFields.one("image", "cannot change: Djinn CI shows this version under the name of its image")
    if transaction.execute(_IS_BEING_FETCHED, {"version_id": version.id}).first() is not None:
        raise InvalidFields.one("image", "cannot change while the content is being fetched")
    return target.id
