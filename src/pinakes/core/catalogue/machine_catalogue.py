"""The catalogue of machine images: listing, searching, and editing an entry (atmosphere contract, sections 3 to 6).

How images come into it is in `machines` and `registration`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from pinakes.core import audit
from pinakes.core.access import policy
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource, Visibility
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import machine_listing, patterns, records, tag_records
from pinakes.core.catalogue.changes import UNCHANGED, Unchanged
from pinakes.core.catalogue.keys import Key
from pinakes.core.catalogue.machine_listing import CatalogueFilter, CatalogueImage
from pinakes.core.catalogue.tags import Tags
from pinakes.core.clock import Clock, Instant
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import ImageUnknown, InvalidFields, NotAllowed
from pinakes.core.page import Listed, PageRequest
from pinakes.core.text import check_text

MOST_NAME: Final = 256
MOST_DESCRIPTION: Final = 1_000_000
MOST_TAGS: Final = 1_000

Problems = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class ImageChanges:
    """What is to be different. tag_ids, pattern_ids: the whole new set. visibility counts before is_public."""

    name: str | Unchanged = UNCHANGED
    description: str | Unchanged | None = UNCHANGED
    end_at: Instant | Unchanged | None = UNCHANGED
    is_public: bool | Unchanged = UNCHANGED
    visibility: Visibility | Unchanged = UNCHANGED
    tag_ids: tuple[int, ...] | Unchanged = UNCHANGED
    pattern_ids: tuple[int, ...] | Unchanged = UNCHANGED


class MachineCatalogue:
    """Operations on the catalogue's entries."""

    def __init__(self, database: Database, tags: Tags, clock: Clock) -> None:
        self._database = database
        self._tags = tags
        self._clock = clock

    def list(self, actor: Actor, wanted: CatalogueFilter, page: PageRequest) -> Listed[CatalogueImage]:
        """Those the actor may read. Raises InvalidFields for a search of too many words."""
        with self._database.read() as connection:
            return machine_listing.listed(connection, actor, wanted, page, self._clock())

    def get(self, actor: Actor, key: Key) -> CatalogueImage:
        """Raises ImageUnknown."""
        with self._database.read() as connection:
            found = machine_listing.find(connection, actor, key, self._clock())
        if found is None:
            raise ImageUnknown
        return found

    def update(self, actor: Actor, key: Key, changes: ImageChanges, problems: Problems | None = None) -> CatalogueImage:
        """Edit an entry, as its creator; the entry as it then is. All is changed, or nothing.

        problems: what is known to be wrong with the changes already; told together with what is found here.
        Raises Unauthenticated, KindMissing, ScopeMissing, ImageUnknown, NotAllowed, InvalidFields.
        """
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        with self._database.write() as transaction:
            now = self._clock()
            before = _editable(transaction, actor, key, now)
            wrong = {**(problems or {}), **self._problems(transaction, actor, before, changes)}
            if wrong:
                raise InvalidFields(wrong)
            changed = _apply(transaction, before, changes, now)
            if changed:
                event = Event(Action.IMAGE_UPDATE, before.summary.id, detail={"changed": sorted(changed)})
                audit.record(transaction, actor, now, event)
            after = machine_listing.find(transaction, actor, before.summary.id, now)
        if after is None:
            raise ImageUnknown
        return after

    def _problems(
        self, transaction: Transaction, actor: Actor, before: CatalogueImage, changes: ImageChanges
    ) -> Problems:
        problems: dict[str, Sequence[str]] = {}
        if isinstance(changes.name, str):
            problems |= _problems_of_text("name", changes.name, MOST_NAME)
            if not changes.name.strip():
                problems["name"] = ("may not be blank",)
        if isinstance(changes.description, str):
            problems |= _problems_of_text("description", changes.description, MOST_DESCRIPTION)
        if isinstance(changes.is_public, bool) and before.is_in_namespace and changes.is_public != _is_public(before):
            problems["is_public"] = ("cannot be changed in a namespace, whose visibility counts for all that is in it",)
        if before.is_in_namespace and changes.visibility not in (UNCHANGED, before.visibility):
            problems["visibility"] = ("is that of the namespace, for all that is in it",)
        if not isinstance(changes.tag_ids, Unchanged):
            held = {tag.id for tag in before.summary.tags}
            problems |= self._problems_of_tags(transaction, actor, changes.tag_ids, held)
        return problems

    def _problems_of_tags(
        self, transaction: Transaction, actor: Actor, tag_ids: Collection[int], held: Collection[int]
    ) -> Problems:
        if len(tag_ids) > MOST_TAGS:
            return {"tags": (f"may hold at most {MOST_TAGS} tags",)}
        known = tag_records.some(transaction, list(dict.fromkeys(tag_ids)))
        unknown = [f"holds no known tag: {tag_id}" for tag_id in dict.fromkeys(tag_ids) if tag_id not in known]
        closed = [
            f"may not hold the reserved tag {tag.name}"
            for tag in known.values()
            if tag.id not in held and not self._tags.may_attach(actor, tag)
        ]
        return {"tags": unknown + closed} if unknown or closed else {}


def _editable(transaction: Transaction, actor: Actor, key: Key, now: Instant) -> CatalogueImage:
    """The image, held until the transaction ends. Raises ImageUnknown, NotAllowed."""
    seen = machine_listing.find(transaction, actor, key, now)
    if seen is None or not records.hold(transaction, seen.summary.id):
        raise ImageUnknown
    held = machine_listing.find(transaction, actor, seen.summary.id, now)
    facts = records.find(transaction, actor, seen.summary.id, now)
    if held is None or facts is None:
        raise ImageUnknown
    if not policy.may_edit(actor, facts.facts, now):
        raise NotAllowed
    return held


def _apply(transaction: Transaction, before: CatalogueImage, changes: ImageChanges, now: Instant) -> set[str]:
    """Write down what differs; the names of it. Raises InvalidFields for patterns that are not the creator's."""
    image_id = before.summary.id
    values = _values(before, changes)
    changed = set(values)
    if not isinstance(changes.tag_ids, Unchanged) and set(changes.tag_ids) != {tag.id for tag in before.summary.tags}:
        try:
            tag_records.replace(transaction, image_id, changes.tag_ids)
        except IntegrityError as exc:  # deleted since it was looked up
            raise InvalidFields.one("tags", "holds a tag that is no more") from exc
        changed.add("tags")
    attached = {pattern.id for pattern in before.patterns}
    if not isinstance(changes.pattern_ids, Unchanged) and set(changes.pattern_ids) != attached:
        patterns.attach(transaction, before.summary.author.id, image_id, changes.pattern_ids)
        changed.add("patterns")
    if changed:
        records.change(transaction, image_id, values, now)
    return changed


def _values(before: CatalogueImage, changes: ImageChanges) -> dict[str, Any]:
    """The columns that get another value."""
    values: dict[str, Any] = {}
    if isinstance(changes.name, str):
        values["name"] = changes.name.strip()
    if not isinstance(changes.description, Unchanged):
        values["description"] = changes.description
    if not isinstance(changes.end_at, Unchanged):
        values["end_at"] = changes.end_at
    same = {"name": before.summary.name, "description": before.summary.description, "end_at": before.summary.end_at}
    values = {name: value for name, value in values.items() if value != same[name]}
    # An internal image that is to be not public stays what it is.
    if isinstance(changes.visibility, Visibility):
        if changes.visibility is not before.visibility:
            values["visibility"] = changes.visibility.value
    elif isinstance(changes.is_public, bool) and changes.is_public != _is_public(before):
        values["visibility"] = (Visibility.PUBLIC if changes.is_public else Visibility.PRIVATE).value
    return values


def _is_public(image: CatalogueImage) -> bool:
    return image.visibility is Visibility.PUBLIC


def _problems_of_text(field: str, text: str, most: int) -> Problems:
    try:
        check_text(field, text.strip() if field == "name" else text, most=most)
    except InvalidFields as exc:
        return exc.problems
    return {}
