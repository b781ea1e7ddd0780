"""Annotations as part of a slide: whoever may see it may add to them and read them (pathomiq contract 4.12, 4.13).

A version that was once there is never changed: what a person draws comes after what the machine drew, not over it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pinakes.core import audit
from pinakes.core.access.guard import require_user
from pinakes.core.access.people import Person
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.annotations import metric
from pinakes.core.annotations import records as annotation_records
from pinakes.core.annotations.annotations import Annotations
from pinakes.core.annotations.formats import Format
from pinakes.core.annotations.model import Box
from pinakes.core.annotations.records import Annotation, Source
from pinakes.core.annotations.uploads import AnnotationUpload
from pinakes.core.audit import Action, Event
from pinakes.core.catalogue import descriptions
from pinakes.core.clock import Clock
from pinakes.core.content.store import Reader
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.errors import NotAllowed, UserUnknown, WrongState
from pinakes.core.slides import logs, people, records, rows, run_records
from pinakes.core.slides.logs import LogType
from pinakes.core.slides.records import Slide
from pinakes.core.slides.states import Stage, StageStatus
from pinakes.imaging.analysis import scale

if TYPE_CHECKING:
    from pinakes.core.annotations.region_search import Found

_NOT_UPLOADED = "The image is not uploaded yet."


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of a slide's annotation. authors: of all of them, by id.

    runs: which run made it, by the number of the version; it tells where the version comes from.
    mpp: the slide's scale in micrometres per pixel, x and y; None if it is not known.
    """

    annotations: Sequence[Annotation]
    authors: Mapping[int, Person]
    runs: Mapping[int, int]
    mpp: tuple[float, float] | None


class SlideAnnotations:
    """Each operation raises Unauthenticated, KindMissing, ScopeMissing and ImageUnknown beside what it names.

    A slide is named by its uid (text) or its id (number).
    """

    def __init__(self, database: Database, annotations: Annotations, clock: Clock) -> None:
        self._database = database
        self._annotations = annotations
        self._clock = clock

    def admit(self, actor: Actor, ref: str | int, expected_bytes: int) -> None:
        """Judge an upload before any of it is read. Raises WrongState, TooLarge."""
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.WRITE)
        with self._database.read() as connection:
            _check_uploaded(records.visible(connection, actor, ref, self._clock()))
        self._annotations.admit(expected_bytes)

    def upload(
        self, actor: Actor, ref: str | int, upload: AnnotationUpload, *, author_id: int | None = None
    ) -> tuple[Slide, Annotation]:
        """Make what was written to an upload the newest version; the slide as it is then, and the version.

        author_id: whose drawing it is, if not the actor's own; for staff alone.
        Raises NotAllowed, UserUnknown, WrongState for a slide that is not uploaded, and what `upload.finish` raises.
        """
        user_id = require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.WRITE)
        author_id = user_id if author_id is None else author_id
        if author_id != user_id and not actor.is_staff:
            raise NotAllowed("An annotation can only be sent as one's own.")
        with self._database.read() as connection:
            _check_uploaded(records.visible(connection, actor, ref, self._clock()))
        upload.finish()
        with self._database.write() as transaction:
            if author_id != user_id and author_id not in people.known(transaction, [author_id]):
                raise UserUnknown
            slide = records.held(transaction, actor, ref, self._clock())
            _check_uploaded(slide)
            annotation = self._annotations.add(transaction, slide.id, Source.USER, author_id, upload)
            self._apply(transaction, actor, slide, annotation)
            return records.visible(transaction, actor, slide.id, self._clock()), annotation

    def get(self, actor: Actor, ref: str | int, number: int | None = None) -> Annotation:
        """The version of that number, or the newest. Raises AnnotationUnknown."""
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.READ)
        with self._database.read() as connection:
            slide = records.visible(connection, actor, ref, self._clock())
            return self._annotations.get(slide.id, number)

    def list(self, actor: Actor, ref: str | int, *, before: int | None = None, most: int = 50) -> Versions:
        """The last versions, or those before a number, the newest first."""
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.READ)
        with self._database.read() as connection:
            slide = records.visible(connection, actor, ref, self._clock())
            found = annotation_records.before(connection, slide.id, before, most)
            return self._versions(connection, slide, found)

    def described(self, slide: Slide, annotation: Annotation) -> Versions:
        """One version of a slide that was just given to an actor, with what is told beside it."""
        with self._database.read() as connection:
            return self._versions(connection, slide, [annotation])

    def open(self, actor: Actor, annotation: Annotation) -> Reader:
        """Open a version just given to the same actor, as it was sent. Raises BlobUnknown, StoreUnavailable."""
        return self._annotations.open(actor, annotation)

    def written(self, actor: Actor, annotation: Annotation, format: Format) -> Iterator[bytes]:
        """The same in a format, in pieces. Raises as `open` does, and WrongState where the format cannot tell it."""
        return self._annotations.written(actor, annotation, format)

    def search(self, actor: Actor, annotation: Annotation, box: Box, zoom: int) -> "Found":
        """What of such a version is to be seen in a box (see `Annotations.search`)."""
        return self._annotations.search(actor, annotation, box, zoom)

    def _versions(self, connection: Executor, slide: Slide, annotations: Sequence[Annotation]) -> Versions:
        author_ids = {one.author_id for one in annotations if one.author_id is not None}
        found = descriptions.of_image(connection, slide.id, None, self._clock(), oversees=False)
        read = found.description if found is not None else None
        mpp = _told_mpp(slide) or scale.accepted(read.mpp if read is not None else None)
        numbers = [one.number for one in annotations] or [0]
        runs = run_records.that_made(connection, slide.id, min(numbers), max(numbers))
        return Versions(annotations, people.by_id(connection, author_ids), runs, mpp)

    def _apply(self, transaction: Transaction, actor: Actor, slide: Slide, annotation: Annotation) -> None:
        """What a new version changes in its slide, and what is told of it."""
        now = self._clock()
        changes = {"metric": metric.merged(slide.metric, annotation.layers)}
        if run_records.active(transaction, slide.id) is None:  # else the stage is the run's to tell of
            changes[Stage.ANNOTATION.value] = StageStatus.DONE.value
        rows.change(transaction, slide.id, changes, now)
        message = f"Version {annotation.number} of the annotation was uploaded."
        logs.append(transaction, slide.id, slide.uid, LogType.ANNOTATION, message, user_id=actor.user_id, now=now)
        detail = {"number": annotation.number, "author": annotation.author_id, "size_bytes": annotation.size_bytes}
        audit.record(
            transaction,
            actor,
            now,
            Event(Action.ANNOTATION_CREATE, slide.id, subject=f"annotation:{annotation.id}", detail=detail),
        )


class _Figures(msgspec.Struct):
    """What a metric tells of the scale (contract 8.5)."""

    mpp_x: float | None = None
    mpp_y: float | None = None


def _told_mpp(slide: Slide) -> tuple[float, float] | None:
    """The scale that the last prediction went by."""
    figures = msgspec.json.decode(slide.metric, type=_Figures) if slide.metric else _Figures()
    return (figures.mpp_x, figures.mpp_y) if figures.mpp_x is not None and figures.mpp_y is not None else None


def _check_uploaded(slide: Slide) -> None:
    """Raises WrongState: only what is committed can be annotated (contract 3.1)."""
    if not slide.is_uploaded:
        raise WrongState(_NOT_UPLOADED)
