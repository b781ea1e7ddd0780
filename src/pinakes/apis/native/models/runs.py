"""Bodies about runs: predictions of slides, how far they are, and where their results come from."""

from typing import Annotated, Any, Literal

from pydantic import Field

from pinakes.apis.native.models.values import Given, Listed, Shown, ShownTime

RunStateName = Literal["queued", "running", "done", "failed", "stopped"]
StageName = Literal["tissue_area", "tiling", "annotation"]


class NewRun(Given):
    """model: `name@version` of one that is installed, or `classical` for the built-in one; null for the default."""

    model: Annotated[str | None, Field(min_length=1, max_length=201)] = None


class NewStudyRuns(NewRun):
    """study: as the laboratory calls it. again: also slides whose last prediction is done."""

    study: Annotated[str, Field(min_length=1, max_length=255)]
    again: bool = False


class RunModel(Shown):
    """sha256: of the weights; null for a model without. kind: `classical`, `onnx` or `executable`.

    files_sha256: of all files that it was installed with, packed; null for what is built in.
    """

    name: str
    version: str
    sha256: str | None
    files_sha256: str | None
    kind: str


class RunResult(Shown):
    """Where a result comes from. annotation: the number of the version that shows it.

    input_sha256: of the slide's bytes.   parameters: what was chosen beside the model, with the unit in the name.
    """

    annotation: int
    model: RunModel
    input_sha256: str
    parameters: dict[str, Any]
    software_version: str
    host: str
    started_at: ShownTime
    ended_at: ShownTime


class RunProgress(Shown):
    """How far a run is. stage: the one that is running, if one is. error: why it failed.

    tiles_total, tiles_done: tiles to be scored, null until they are known.   tiles_per_second: of the last seconds.
    seconds_left: until all are scored, null while nobody can tell.
    """

    state: RunStateName
    stage: StageName | None
    tiles_total: int | None
    tiles_done: int | None
    tiles_per_second: float | None
    seconds_left: float | None
    error: str | None


class Run(RunProgress):
    """A prediction. model: `name@version`, null while it is not settled. result: of one that is done."""

    id: int
    uuid: str
    image_id: int
    model: str | None
    starter_id: int | None
    created_at: ShownTime
    started_at: ShownTime | None
    ended_at: ShownTime | None
    result: RunResult | None


class RunPage(Listed):
    """Newest first."""

    items: list[Run]
    next_cursor: str | None


class NotStarted(Shown):
    """A slide whose run was not started, and why."""

    image_id: int
    reason: str


class StudyRuns(Listed):
    """What became of the slides of a study that are to be predicted."""

    started: list[Run]
    not_started: list[NotStarted]
