"""The states of a slide: of its upload, of the stages of its prediction, and of a run of them.

    In Progress <──> Failed          upload: no bytes yet, or bytes that are staged but not committed
         └──────┬──────┘
                v
            Uploaded                 the bytes are committed, and never change

    Pending ──> Running ──> Done | Failed | Stopped        each stage: tissue area, then tiling, then annotation

    queued ──> running ──> done | failed | stopped         a run; at most one of a slide has not ended

The rules are those of pathomiq contract 3.
"""

import enum
from typing import Final


class SlideStatus(enum.StrEnum):
    IN_PROGRESS = "In Progress"
    UPLOADED = "Uploaded"
    FAILED = "Failed"


class StageStatus(enum.StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    DONE = "Done"
    FAILED = "Failed"
    STOPPED = "Stopped"


class Stage(enum.StrEnum):
    """The stages of a run, in their order; the values are the columns of `slides` that hold how each stands."""

    TISSUE_AREA = "tissuearea_status"
    TILING = "tiling_status"
    ANNOTATION = "annotation_status"


class RunState(enum.StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


ACTIVE_RUN: Final = (RunState.QUEUED.value, RunState.RUNNING.value)
"""A run that has not ended; the unique index `uq_runs_active` allows one for each slide."""
