"""The SQL that makes and changes the rows of slides; every change is seen in when the slide was last modified."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, case, insert, select, update

from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.schema import images, slides
from pinakes.core.slides.records import NewSlide
from pinakes.core.slides.states import SlideStatus, Stage, StageStatus

_UID_OF = select(images.c.uid).where(images.c.id == bindparam("image_id"))
_STAGES = select(*(slides.c[stage.value] for stage in Stage)).where(slides.c.image_id == bindparam("image_id"))
_INSERT = insert(slides)
_TOUCH = (
    update(images)
    .where(images.c.id == bindparam("touched_id"))
    .values(
        # Always later than before, also where the clock was set back (contract 4.8: moddate advances).
        modified_at=case(
            (images.c.modified_at >= bindparam("now"), images.c.modified_at + 1),
            else_=bindparam("now"),
        )
    )
)


def add(transaction: Transaction, image_id: int, new: NewSlide) -> None:
    """Make the slide of an image: no bytes, nothing predicted."""
    row = {
        "image_id": image_id,
        "filename": new.filename,
        "patient_ref": new.patient_ref,
        "entity_ref": new.entity_ref,
        "workarea_ref": new.workarea_ref,
        "study_ref": new.study_ref,
        "status": SlideStatus.IN_PROGRESS.value,
        **{stage.value: StageStatus.PENDING.value for stage in Stage},
    }
    transaction.execute(_INSERT, row)


def change(transaction: Transaction, image_id: int, changes: Mapping[str, Any], now: Instant) -> None:
    """Set columns of `slides`, and `description` of the image; the slide was then modified now."""
    of_image = {"description": changes["description"]} if "description" in changes else {}
    of_slide = {name: value for name, value in changes.items() if name != "description"}
    if of_image:
        transaction.execute(update(images).where(images.c.id == image_id).values(of_image))
    if of_slide:
        transaction.execute(update(slides).where(slides.c.image_id == image_id).values(of_slide))
    touch(transaction, image_id, now)


def stages(connection: Executor, image_id: int) -> dict[Stage, StageStatus]:
    """How the stages of a slide stand."""
    row = connection.execute(_STAGES, {"image_id": image_id}).one()
    return {stage: StageStatus(value) for stage, value in zip(Stage, row, strict=True)}


def stage_columns(stages: Mapping[Stage, StageStatus]) -> dict[str, str]:
    """What `change` is given to change how stages stand."""
    return {stage.value: status.value for stage, status in stages.items()}


def set_stages(transaction: Transaction, image_id: int, stages: Mapping[Stage, StageStatus], now: Instant) -> None:
    """Change how stages stand."""
    change(transaction, image_id, stage_columns(stages), now)


def uid_of(connection: Executor, image_id: int) -> str:
    uid: str = connection.execute(_UID_OF, {"image_id": image_id}).scalar_one()
    return uid


def touch(transaction: Transaction, image_id: int, now: Instant) -> None:
    """Note that a slide, or what is shown of it, has changed."""
    transaction.execute(_TOUCH, {"touched_id": image_id, "now": now})
