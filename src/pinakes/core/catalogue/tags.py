"""Tags: the words that machine images are found by (atmosphere contract 8.1).

Anybody signed in makes a tag, staff alone changes and deletes one. Some names are reserved: only staff puts such a tag
on an image.
"""

import uuid
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from pinakes.core import audit
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import tag_records
from pinakes.core.catalogue.keys import Key
from pinakes.core.catalogue.tag_records import Tag
from pinakes.core.clock import Clock
from pinakes.core.db import schema
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import InvalidFields, NotAllowed, TagExists, TagUnknown
from pinakes.core.page import Listed, PageRequest
from pinakes.core.text import check_text, fold

MOST_NAME: Final = 128
MOST_DESCRIPTION: Final = 1024

Problems = dict[str, Sequence[str]]


class Tags:
    """Operations on tags.

    reserved: names, in any case, that only staff may put on images.
    Those that change something raise Unauthenticated, KindMissing and ScopeMissing beside what they name.
    """

    def __init__(self, database: Database, clock: Clock, reserved: Iterable[str]) -> None:
        self._database = database
        self._clock = clock
        self._reserved = frozenset(fold(name) for name in reserved)

    def may_attach(self, actor: Actor, tag: Tag) -> bool:
        """Whether the actor may put the tag on an image of theirs (contract T5, E13)."""
        return (actor.is_staff and actor.has_kind(Kind.MACHINE)) or fold(tag.name) not in self._reserved

    def list(self, page: PageRequest) -> Listed[Tag]:
        """All tags, by name."""
        with self._database.read() as connection:
            total = tag_records.count(connection)
            return Listed(tuple(tag_records.listed(connection, page, total)), total)

    def get(self, key: Key) -> Tag:
        """Raises TagUnknown."""
        with self._database.read() as connection:
            found = tag_records.find(connection, key)
        if found is None:
            raise TagUnknown
        return found

    def create(self, actor: Actor, name: str, description: str) -> Tag:
        """Raises InvalidFields, TagExists if there is one of that name in any case."""
        require_user(actor, Kind.MACHINE, Resource.IMAGE, Permission.WRITE)
        return self.add(actor, name, description)

    def add(self, actor: Actor, name: str, description: str) -> Tag:
        """The same, asking no permission: for the command line, where the actor is no user."""
        values = _checked(name, description)
        now = self._clock()
        row = {**values, "uid": uuid.uuid4().hex, "name_folded": fold(values["name"]), "created_at": now}
        with self._database.write() as transaction:
            try:
                tag_id: int = transaction.execute(
                    insert(schema.tags).values(row).returning(schema.tags.c.id)
                ).scalar_one()
            except IntegrityError as exc:
                raise TagExists from exc
            self._record(transaction, actor, Action.TAG_CREATE, tag_id)
            return _found(transaction, tag_id)

    def update(self, actor: Actor, key: Key, *, name: str | None = None, description: str | None = None) -> Tag:
        """None leaves what it stands for. Raises NotAllowed, TagUnknown, InvalidFields, TagExists."""
        require_staff(actor, Permission.WRITE)
        with self._database.write() as transaction:
            before = _found(transaction, key)
            given = _checked(
                before.name if name is None else name, before.description if description is None else description
            )
            changes = {field: value for field, value in given.items() if value != getattr(before, field)}
            if changes:
                tag_records.change(transaction, before.id, changes)
                self._record(transaction, actor, Action.TAG_UPDATE, before.id)
            return _found(transaction, before.id)

    def delete(self, actor: Actor, key: Key) -> None:
        """Delete a tag; images lose it. Raises NotAllowed, TagUnknown."""
        require_staff(actor, Permission.DELETE)
        with self._database.write() as transaction:
            tag_id = _found(transaction, key).id
            if not tag_records.remove(transaction, tag_id):
                raise TagUnknown
            self._record(transaction, actor, Action.TAG_DELETE, tag_id)

    def _record(self, transaction: Transaction, actor: Actor, action: Action, tag_id: int) -> None:
        audit.record(transaction, actor, self._clock(), Event(action, subject=f"tag:{tag_id}"))


def require_staff(actor: Actor, permission: Permission) -> None:
    """For changing tags. Raises Unauthenticated, KindMissing, ScopeMissing, NotAllowed."""
    require_user(actor, Kind.MACHINE, Resource.IMAGE, permission)
    if not actor.is_staff:
        raise NotAllowed("Tags are changed by staff only.")


def _found(transaction: Transaction, key: Key) -> Tag:
    found = tag_records.find(transaction, key)
    if found is None:
        raise TagUnknown
    return found


def _checked(name: str, description: str) -> dict[str, str]:
    """Both, trimmed. Raises InvalidFields."""
    given = {"name": name.strip(), "description": description.strip()}
    problems: Problems = {}
    for field, most in (("name", MOST_NAME), ("description", MOST_DESCRIPTION)):
        try:
            check_text(field, given[field], most=most)
        except InvalidFields as exc:
            problems |= exc.problems
        if not given[field]:
            problems[field] = ("may not be blank",)
    if "name" not in problems and ("," in given["name"] or not given["name"].isprintable()):
        problems["name"] = ("must be printable text without commas",)
    if problems:
        raise InvalidFields(problems)
    return given
