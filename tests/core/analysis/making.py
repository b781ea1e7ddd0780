"""Slides to predict, and what there is to be seen of them afterwards."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import func, select

from pinakes.core.actor import Actor
from pinakes.core.archive import Archive
from pinakes.core.db.schema import run_batches, run_plans
from pinakes.core.slides.records import NewSlide, Slide
from pinakes.core.slides.staging import Staged
from pinakes.core.slides.states import SlideStatus
from pinakes.core.slides.states import Stage as RunStage
from tests.core.slides.working import work_off
from tests.imaging.analysis.making_tissue import specimen
from tests.imaging.making_slides import write_svs

_PIECE = 256


def slide_bytes(folder: Path, width: int, height: int, *, share: float = 0.5) -> bytes:
    """An SVS of glass, in the middle of which there is stained tissue: the same small piece again and again.

    share: of each side that is tissue.
    """
    piece = specimen(_PIECE, _PIECE, seed=1).pixels
    picture = np.full((height, width, 3), 245, np.uint8)
    across, down = (int(side * share) // _PIECE for side in (width, height))
    part = np.tile(piece, (down, across, 1))
    top, left = (height - part.shape[0]) // 2, (width - part.shape[1]) // 2
    picture[top : top + part.shape[0], left : left + part.shape[1]] = part
    path = folder / "slide.svs"
    write_svs(path, picture)
    return path.read_bytes()


def put_slide(archive: Archive, actor: Actor, content: bytes, *, study: str | None = None) -> Slide:
    """A slide with these bytes, uploaded."""
    made = archive.slides.create(actor, NewSlide("a.svs", study_ref=study))
    with archive.content.receive(further=["md5"]) as upload:
        upload.write(content)
        received = upload.finish()
        staged = Staged(received.digest, len(content), "tiff", received.further["md5"])
        archive.slide_uploads.stage(actor, made.uid, upload, staged)
    return archive.slides.update(actor, made.id, {}, SlideStatus.UPLOADED)


def predicted(archive: Archive, ana: Actor, slide: Slide) -> Slide:
    """The slide after a run of it."""
    archive.runs.start(ana, slide.uid)
    work_off(archive)
    return archive.slides.find(ana, slide.uid)


def document(archive: Archive, ana: Actor, slide: Slide, number: int | None = None) -> bytes:
    """The bytes of a version of the slide's annotation."""
    annotation = archive.slide_annotations.get(ana, slide.id, number)
    reader = archive.slide_annotations.open(ana, annotation)
    try:
        return reader.read_at(0, reader.size_bytes)
    finally:
        reader.close()


def stages(slide: Slide) -> str:
    return " ".join(slide.stages[stage] for stage in RunStage)


def metric(slide: Slide) -> dict[str, Any]:
    assert slide.metric is not None
    return msgspec.json.decode(slide.metric, type=dict[str, Any])


def told(archive: Archive, ana: Actor, slide: Slide) -> list[str]:
    return [line.message for line in archive.slide_logs.of_slide(ana, slide.uid)]


def kept_of(archive: Archive) -> tuple[set[int], int]:
    """The runs of which there is a plan, and how many batches there are."""
    with archive.database.read() as connection:
        planned = set(connection.execute(select(run_plans.c.run_id)).scalars())
        batches = connection.execute(select(func.count()).select_from(run_batches)).scalar_one()
    return planned, int(batches)
