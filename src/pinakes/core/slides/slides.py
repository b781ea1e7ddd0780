"""Slides: making, finding, changing and deleting them (pathomiq contract 4).

Whoever may see a slide may work with it; its owner and staff alone change and delete it. How its bytes come in is
`uploads`' business, its predictions are those of `runs`.
"""

import re
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Final

from pinakes.core import audit
from pinakes.core.access import policy
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import records as catalogue
from pinakes.core.catalogue.images import Images
from pinakes.core.catalogue.records import NewImage
from pinakes.core.clock import Clock
from pinakes.core.content.store import Reader
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import BlobUnknown, ContentPending, InvalidFields, NotAllowed, UserUnknown, WrongState
from pinakes.core.slides import logs, people, records, rows
from pinakes.core.slides.logs import LogType
from pinakes.core.slides.records import NewSlide, Slide
from pinakes.core.slides.runs import Runs
from pinakes.core.slides.states import SlideStatus
from pinakes.core.slides.uploads import SlideUploads
from pinakes.core.text import check_text

MOST_FILENAME: Final = 255
EDITABLE: Final[Mapping[str, int]] = {
    "patient_ref": 255,
    "entity_ref": 255,
    "workarea_ref": 255,
    "study_ref": 255,
    "location": 255,
    "description": 4000,
}
"""What of a slide can be changed beside its status, and the most characters of each."""

_FROZEN = "The image is uploaded; what is uploaded never changes."
_FOLDERS = re.compile(r".*[/\\]", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Slides:
    """Operations on slides. Each raises Unauthenticated, KindMissing and ScopeMissing beside what it names.

    A slide is named by its uid (text) or its id (number).
    """

    def __init__(self, database: Database, images: Images, uploads: SlideUploads, runs: Runs, clock: Clock) -> None:
        self._database = database
        self._images = images
        self._uploads = uploads
        self._runs = runs
        self._clock = clock

    def find(self, actor: Actor, ref: str | int) -> Slide:
        """A slide the actor may see; asks no scope. Raises ImageUnknown."""
        with self._database.read() as connection:
            return records.visible(connection, actor, ref, self._clock())

    def get(self, actor: Actor, ref: str | int) -> Slide:
        """The same, to be shown. Raises ImageUnknown."""
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.READ)
        return self.find(actor, ref)

    def find_changeable(self, actor: Actor, ref: str | int) -> Slide:
        """The same, if the actor may change it. Raises ImageUnknown, NotAllowed."""
        return self._changeable(self.find(actor, ref), actor)

    def of_user(
        self, actor: Actor, user_id: int, *, most: int | None = None, offset: int = 0
    ) -> tuple[list[Slide], int]:
        """The slides of a user's own and those shared with them, ascending by id, and how many there are in all.

        One's own, or for staff anybody's. Raises NotAllowed, UserUnknown.
        """
        own_id = require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.READ)
        if user_id != own_id and not actor.is_staff:
            raise NotAllowed("These are the images of another user.")
        now = self._clock()
        with self._database.read() as connection:
            if user_id != own_id and user_id not in people.known(connection, [user_id]):
                raise UserUnknown
            viewer = people.viewer(user_id)
            found = records.listed(connection, viewer, now, most=most, offset=offset)
            is_whole = most is None and not offset
            return found, len(found) if is_whole else records.count(connection, viewer, now)

    def by_user(self, actor: Actor) -> list[tuple[int, list[Slide]]]:
        """For staff every active user with the slides they may see, by id; for others only their own."""
        user_id = require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.READ)
        if not actor.is_staff:
            return [(user_id, self.of_user(actor, user_id)[0])]
        with self._database.read() as connection:
            seen: dict[int, list[Slide]] = {one: [] for one in people.all_known(connection)}
            for slide in records.listed(connection, actor, self._clock()):
                for viewer_id in (slide.owner_id, *slide.shared_with):
                    if viewer_id in seen:
                        seen[viewer_id].append(slide)
        return list(seen.items())

    def create(self, actor: Actor, new: NewSlide) -> Slide:
        """Make a slide without bytes, for oneself or, for staff, for another user of the kind.

        Raises InvalidFields, NotAllowed, UserUnknown.
        """
        user_id = require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.WRITE)
        new = checked(new)
        owner_id = user_id if new.owner_id is None else new.owner_id
        if owner_id != user_id and not actor.is_staff:
            raise NotAllowed("An image can only be made for oneself.")
        with self._database.write() as transaction:
            now = self._clock()
            if owner_id != user_id and owner_id not in people.known(transaction, [owner_id]):
                raise UserUnknown
            image_id = catalogue.add(transaction, NewImage(Kind.SLIDE, new.filename, owner_id), now)
            rows.add(transaction, image_id, new)
            made = records.find(transaction, actor, image_id, now)
            assert made is not None
            self._log(transaction, actor, made, "The image was created.")
            audit.record(transaction, actor, now, Event(Action.IMAGE_CREATE, image_id, detail={"owner": owner_id}))
        return made

    def update(
        self, actor: Actor, image_id: int, fields: Mapping[str, str | None], status: SlideStatus | None = None
    ) -> Slide:
        """Change what is said of a slide, its status, or both: all of it or nothing; the slide as it is then.

        fields: some of EDITABLE. status: see `states`. Raises ImageUnknown, NotAllowed, InvalidFields, WrongState.
        """
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.WRITE)
        slide = self.find_changeable(actor, image_id)
        for name, value in fields.items():
            if value is not None:
                check_text(_member(name), value, most=EDITABLE[name])
        is_commit = status is SlideStatus.UPLOADED and not slide.is_uploaded
        committing = self._uploads.committing(slide) if is_commit else nullcontext()
        with committing as commit, self._database.write() as transaction:
            slide = self._changeable(records.held(transaction, actor, image_id, self._clock()), actor)
            if slide.is_uploaded and status not in (None, SlideStatus.UPLOADED):
                raise WrongState(_FROZEN)
            if commit is not None:
                commit(transaction, actor)
            self._apply(transaction, actor, slide, fields, None if is_commit else status)
            return records.visible(transaction, actor, image_id, self._clock())

    def delete(self, actor: Actor, uid: str) -> None:
        """Remove a slide, its bytes and all that was derived from them; a run is stopped first.

        Raises ImageUnknown, NotAllowed.
        """
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.DELETE)
        with self._database.write() as transaction:
            slide = self._changeable(records.visible(transaction, actor, uid, self._clock()), actor)
            self._runs.halt(transaction, actor, slide)
            slide = self._changeable(records.held(transaction, actor, uid, self._clock()), actor)
            self._uploads.forget(transaction, slide)
            self._images.remove(transaction, actor, slide.id)
            self._log(transaction, actor, slide, "The image was deleted.", LogType.DELETE)

    def open(self, actor: Actor, slide: Slide) -> Reader:
        """Open the committed bytes of a slide that was just given to the same actor; the read goes into the trail.

        Raises ContentPending if there are none, ImageUnknown if it was deleted meanwhile, BlobUnknown,
        StoreUnavailable.
        """
        if slide.content is None or not slide.is_uploaded:
            raise ContentPending
        try:
            return self._images.open(actor, slide.id, slide.content)
        except BlobUnknown:
            self.find(actor, slide.id)  # gone since: then so says the answer
            raise

    def _changeable(self, slide: Slide, actor: Actor) -> Slide:
        if not policy.may_change(actor, slide.facts, self._clock()):
            raise NotAllowed
        return slide

    def _apply(
        self,
        transaction: Transaction,
        actor: Actor,
        slide: Slide,
        fields: Mapping[str, str | None],
        status: SlideStatus | None,
    ) -> None:
        changes: dict[str, Any] = {name: value for name, value in fields.items() if value != getattr(slide, name)}
        if changes:
            self._log(transaction, actor, slide, f"Changed: {', '.join(sorted(map(_member, changes)))}.")
        if status is not None and status is not slide.status:
            changes["status"] = status.value
            self._log(transaction, actor, slide, f"The status is now {status}.")
        if changes:
            now = self._clock()
            rows.change(transaction, slide.id, changes, now)
            event = Event(Action.IMAGE_UPDATE, slide.id, detail={"changed": sorted(changes)})
            audit.record(transaction, actor, now, event)

    def _log(
        self, transaction: Transaction, actor: Actor, slide: Slide, message: str, kind: LogType = LogType.IMAGE
    ) -> None:
        logs.append(transaction, slide.id, slide.uid, kind, message, user_id=actor.user_id, now=self._clock())


def checked(new: NewSlide) -> NewSlide:
    """The same with its file name without folders. Raises InvalidFields (contract 2.1)."""
    for name in ("patient_ref", "entity_ref", "workarea_ref", "study_ref"):
        value = getattr(new, name)
        if value is not None:
            check_text(_member(name), value, most=EDITABLE[name])
    return replace(new, filename=_file_name(new.filename))


def _member(name: str) -> str:
    """What a column is called where people read of it: a reference is an id to them."""
    return name.replace("_ref", "_id")


def _file_name(text: str) -> str:
    name = _FOLDERS.sub("", text)
    if not name or name in {".", ".."}:
        raise InvalidFields.one("filename", "must name a file")
    if _CONTROL.search(name):
        raise InvalidFields.one("filename", "must not contain control characters")
    return check_text("filename", name, most=MOST_FILENAME)
