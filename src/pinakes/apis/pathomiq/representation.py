"""From what the core holds to what PathomIQ's clients read (pathomiq contract 2)."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from pinakes.core.clock import Instant, to_datetime
from pinakes.core.slides.logs import LogLine
from pinakes.core.slides.records import Slide
from pinakes.core.slides.states import Stage

Json: TypeAlias = dict[str, Any]

MEDIA_TYPES: Mapping[str, str] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "tiff": "image/tiff",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "heic": "image/heic",
    "avif": "image/avif",
    "dicom": "application/dicom",
}
"""The formats of `imaging.formats` that go out under their own name; none of them can carry a script."""


def image(slide: Slide, origin: str) -> Json:
    """An image_object (contract 2.1). origin: the API's own address, without a final slash."""
    return {
        "id": slide.id,
        "image_unique_id": slide.uid,
        "workarea_id": slide.workarea_ref,
        "entity_id": slide.entity_ref,
        "study_id": slide.study_ref,
        "patient_id": slide.patient_ref,
        "filename": slide.filename,
        "location": slide.location,
        "description": slide.description,
        "workarea": None,  # the archive knows no names of work areas and studies
        "study": None,
        "adddate": time(slide.created_at),
        "moddate": time(slide.modified_at),
        "status": slide.status,
        "base_download_url": f"{origin}/S3/file" if slide.is_uploaded else None,
        "base_raw_download_url": f"{origin}/S3/raw" if slide.has_annotation else None,
        "tissue_area": slide.tissue_area_mm2,
        "outcome_prediction": slide.outcome_prediction,
        "shared": ",".join(str(user_id) for user_id in (slide.owner_id, *slide.shared_with)),
        **{stage.value: slide.stages[stage] for stage in (Stage.ANNOTATION, Stage.TISSUE_AREA, Stage.TILING)},
        "metric": slide.metric,
    }


def log(line: LogLine) -> Json:
    """A log_object (contract 2.2)."""
    return {
        "id": line.id,
        "imageid": line.image_uid,
        "type": line.type,
        "message": line.message,
        "userid": line.user_id,
        "source": line.source.value,
        "adddate": time(line.created_at),
    }


def time(instant: Instant) -> str:
    """UTC without a zone, always with six decimals, as the seed's own example has it (contract 1)."""
    return to_datetime(instant).isoformat(" ", "microseconds")[:26]
