"""Annotations as part of a slide: whoever may see it may add to them and read them (pathomiq contract 4.12, 4.13).

A version that was once there is never changed: what a person draws comes after what the machine drew, not over it.
"""

from collections.abc import Iterator

from pinakes.core import audit
from pinakes.core.access.guard import require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.annotations import metric
from pinakes.core.annotations.annotations import Annotations
from pinakes.core.annotations.records import Annotation, Source
from pinakes.core.annotations.uploads import AnnotationUpload
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock
from pinakes.core.content.store import Reader
from pinakes.core.db.engine import Database, Transaction
from pinakes.core.errors import NotAllowed, UserUnknown, WrongState
from pinakes.core.slides import logs, people, records, rows, run_records
from pinakes.core.slides.logs import LogType
from pinakes.core.slides.records import Slide
from pinakes.core.slides.states import Stage, StageStatus

_NOT_UPLOADED = "The image is not uploaded yet."


class SlideAnnotations:
    """Each operation raises Unauthenticated, KindMissing, ScopeMissing and ImageUnknown beside what it names.

    A slide is named by its uid (text) or its id (number).
    """

    def __init__(self, database: Database, annotations: Annotations, clock: Clock) -> None:
        self._database = database
        self._annotations = annotations
        self._clock = clock

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

    def open(self, actor: Actor, annotation: Annotation) -> Reader:
        """Open the XML of a version that was just given to the same actor. Raises BlobUnknown, StoreUnavailable."""
        return self._annotations.open(actor, annotation)

    def geojson(self, actor: Actor, annotation: Annotation) -> Iterator[bytes]:
        """The same as GeoJSON, in pieces. Raises as `open` does, and WrongState where GeoJSON cannot tell it."""
        return self._annotations.geojson(actor, annotation)

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


def _check_uploaded(slide: Slide) -> None:
    """Raises WrongState: only what is committed can be annotated (contract 3.1)."""
    if not slide.is_uploaded:
        raise WrongState(_NOT_UPLOADED)
