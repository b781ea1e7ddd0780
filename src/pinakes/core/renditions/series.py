"""Pictures that belong together, in the order in which they were taken: of one patient, of a study.

What has no pixels, or has not been read yet, is left out.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, bindparam, func, or_, select

from pinakes.core.access import policy
from pinakes.core.access.guard import require_scope, require_user
from pinakes.core.actor import Actor, Kind, Permission, Resource
from pinakes.core.catalogue import descriptions as known
from pinakes.core.clinic.records import references
from pinakes.core.clock import Clock, Instant
from pinakes.core.db import schema
from pinakes.core.db.engine import Database
from pinakes.core.db.query import Query
from pinakes.core.db.schema import clinical_images, descriptions, images, patient_identifiers, slides, versions
from pinakes.core.errors import ImageUnknown, StudyUnknown
from pinakes.core.text import check_text
from pinakes.imaging.source import Size

LABORATORY: Final = "pathomiq"
"""The system in which a patient's identifier is what the laboratory's slides call them."""

MOST: Final = 1000
"""Pictures in a series; of more, the newest."""


@dataclass(frozen=True, slots=True)
class SeriesItem:
    """One picture. name: the image's, such as `Xray`; that of a slide may tell who is shown.

    taken_at: when it was taken if the file tells, else when it came into the archive.
    """

    image_id: int
    kind: Kind
    name: str
    size: Size
    frames: int
    taken_at: Instant


_newest = versions.alias("newest")
_NEWEST_ID = (
    select(func.max(_newest.c.id))
    .where(_newest.c.image_id == images.c.id, _newest.c.digest.is_not(None))
    .correlate(images)
    .scalar_subquery()
)
_TAKEN_AT = func.coalesce(descriptions.c.captured_at, images.c.created_at)
_NO_LEVELS = "[]"
"""Of a picture that has too many pixels to be shown in parts, as a viewer would."""
_ITEMS = (
    select(
        images.c.id,
        images.c.kind,
        images.c.name,
        descriptions.c.width,
        descriptions.c.height,
        descriptions.c.frames,
        _TAKEN_AT,
    )
    .select_from(images.join(descriptions, descriptions.c.version_id == _NEWEST_ID))
    .where(descriptions.c.width.is_not(None), descriptions.c.levels != _NO_LEVELS, policy.READABLE, policy.IS_ACTIVE)
    .order_by(_TAKEN_AT.desc(), images.c.id.desc())
    .limit(MOST)
)


def _among(*chosen: Select[tuple[int]]) -> Query:
    return Query(_ITEMS.where(or_(*(images.c.id.in_(ids) for ids in chosen))))


_OF_PATIENT = _among(
    select(clinical_images.c.image_id).where(clinical_images.c.patient_id == bindparam("patient_id")),
    select(slides.c.image_id)
    .join(patient_identifiers, patient_identifiers.c.value == slides.c.patient_ref)
    .where(
        patient_identifiers.c.patient_id == bindparam("patient_id"),
        patient_identifiers.c.system == bindparam("laboratory", LABORATORY),
    ),
)
_beside = descriptions.alias("beside")
_OF_DICOM_STUDY = Query(
    _ITEMS.where(
        descriptions.c.study == bindparam("study"),
        images.c.id.in_(
            select(versions.c.image_id)
            .join(_beside, _beside.c.version_id == versions.c.id)
            .where(_beside.c.study == bindparam("study"))
        ),
    )
)
_OF_STUDY = _among(select(slides.c.image_id).where(slides.c.study_ref == bindparam("study")))


class Series:
    """Lists of pictures, oldest first. Each raises ScopeMissing beside what it names."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def of_patient(self, actor: Actor, patient_id: int) -> list[SeriesItem]:
        """A patient's clinical images, and the slides that the actor may see among those of the laboratory's patient
        with the identifier that this patient has there.

        Raises Unauthenticated, KindMissing, PatientUnknown.
        """
        require_user(actor, Kind.CLINICAL, Resource.IMAGE, Permission.READ)
        with self._database.read() as connection:
            references.check(connection, schema.patients, patient_id)
        return self._items(actor, _OF_PATIENT, {"patient_id": patient_id})

    def of_study(self, actor: Actor, study: str) -> list[SeriesItem]:
        """The slides of one of the laboratory's studies, as far as the actor may see them.

        Raises Unauthenticated, KindMissing, InvalidFields, and StudyUnknown if there is none.
        """
        require_user(actor, Kind.SLIDE, Resource.IMAGE, Permission.READ)
        items = self._items(actor, _OF_STUDY, {"study": check_text("study", study)})
        if not items:
            raise StudyUnknown
        return items

    def of_dicom_study(self, actor: Actor, image_id: int) -> list[SeriesItem]:
        """The pictures of the DICOM study that an image is of, as far as the actor may see them.

        Raises ImageUnknown, and StudyUnknown for an image that is of none.
        """
        require_scope(actor, Resource.IMAGE, Permission.READ)
        now = self._clock()
        with self._database.read() as connection:
            found = known.find(connection, actor, image_id, now)
        if found is None or not policy.may_read(actor, found[0], now):
            raise ImageUnknown
        _, described = found
        study = described.description.study if described is not None and described.description is not None else None
        if study is None:
            raise StudyUnknown
        return self._items(actor, _OF_DICOM_STUDY, {"study": study})

    def _items(self, actor: Actor, query: Query, given: dict[str, Any]) -> list[SeriesItem]:
        with self._database.read() as connection:
            rows = query.all(connection, policy.parameters(actor, self._clock()) | given)
        return [_item(row) for row in reversed(rows)]


def _item(row: tuple[Any, ...]) -> SeriesItem:
    return SeriesItem(row[0], Kind(row[1]), row[2], Size(row[3], row[4]), row[5], row[6])
