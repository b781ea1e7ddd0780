"""The SQL of runs as they are looked at: how far one is, how it ended, and where its result comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, func, insert, select

from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import run_results, runs, slides
from pinakes.core.slides.states import ACTIVE_RUN, RunState, Stage, StageStatus


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a result comes from. model_sha256: of the weights; None for a model without.

    model_digest: SHA-256 of all its files, packed; None for what is built in.
    input_digest: SHA-256 of the slide.   host: which machine computed it.
    """

    annotation_number: int
    model_name: str
    model_version: str
    model_sha256: str | None
    model_digest: str | None
    model_kind: str
    input_digest: str
    parameters: Mapping[str, Any]
    software_version: str
    host: str
    started_at: Instant
    ended_at: Instant


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A run as it is looked at.

    model: "name@version"; None while it is not settled.   error: why it failed, for people.
    stage: the one that is running, if one is.   tiles_total: to be scored; None, like tiles_done, until they are known.
    tiles_per_second: of the last seconds.   result: of a run that is done.
    """

    id: int
    uid: str
    image_id: int
    state: RunState
    model: str | None
    error: str | None
    starter_id: int | None
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    tiles_total: int | None
    tiles_done: int | None
    tiles_per_second: float | None
    stage: Stage | None
    result: Provenance | None

    @property
    def is_active(self) -> bool:
        return self.state.value in ACTIVE_RUN

    @property
    def seconds_left(self) -> float | None:
        """Until all tiles are scored; None if nobody can tell."""
        if self.tiles_total is None or self.tiles_done is None or not self.tiles_per_second or not self.is_active:
            return None
        return round((self.tiles_total - self.tiles_done) / self.tiles_per_second, 1)


_RUN: Final = (
    "id",
    "uid",
    "image_id",
    "state",
    "model",
    "error",
    "starter_id",
    "created_at",
    "started_at",
    "ended_at",
    "tiles_total",
    "tiles_done",
    "tiles_per_second",
)
_RESULT: Final = tuple(Provenance.__dataclass_fields__)
_ALL_SEEN = select(
    *(runs.c[name] for name in _RUN),
    *(slides.c[stage.value] for stage in Stage),
    *(run_results.c[name] for name in _RESULT),
).select_from(
    runs.join(slides, slides.c.image_id == runs.c.image_id).outerjoin(run_results, run_results.c.run_id == runs.c.id)
)
_SEEN = _ALL_SEEN.where(runs.c.image_id == bindparam("image_id"))
_ID = runs.c.id.type
_BEFORE = Query(
    _SEEN.where(runs.c.id < bindparam("before_id", type_=_ID)).order_by(runs.c.id.desc()).limit(bindparam("most"))
)
_ONE = Query(_SEEN.where(runs.c.id == bindparam("run_id", type_=_ID)))
_OF_IMAGES = runs.c.image_id.in_(bindparam("image_ids", expanding=True))
_NEWEST = _ALL_SEEN.where(runs.c.id.in_(select(func.max(runs.c.id)).where(_OF_IMAGES).group_by(runs.c.image_id)))
_NO_ID: Final = 2**62
_INSERT = insert(run_results)


def add(transaction: Transaction, run_id: int, image_id: int, result: Provenance) -> None:
    """Keep where the result of a run comes from."""
    row = {name: getattr(result, name) for name in _RESULT}
    row["parameters"] = msgspec.json.encode(result.parameters).decode()
    transaction.execute(_INSERT, {"run_id": run_id, "image_id": image_id, **row})


def before(connection: Executor, image_id: int, run_id: int | None, most: int) -> list[SeenRun]:
    """The runs of a slide before that one, or the last ones, the newest first."""
    wanted = {"image_id": image_id, "before_id": run_id or _NO_ID, "most": most}
    return [_seen(row) for row in _BEFORE.all(connection, wanted)]


def newest(connection: Executor, image_ids: Sequence[int]) -> list[SeenRun]:
    """The last run of each of these slides that has one, in the same order."""
    found = {run.image_id: run for run in map(_seen, connection.execute(_NEWEST, {"image_ids": image_ids}))}
    return [found[image_id] for image_id in image_ids if image_id in found]


def find(connection: Executor, image_id: int, run_id: int) -> SeenRun | None:
    row = _ONE.first(connection, {"image_id": image_id, "run_id": run_id})
    return _seen(row) if row else None


def _seen(row: Sequence[Any]) -> SeenRun:
    run = dict(zip(_RUN, row, strict=False))
    stages = row[len(_RUN) : len(_RUN) + len(Stage)]
    told = row[len(_RUN) + len(Stage) :]
    state = RunState(run.pop("state"))
    running = next(
        (stage for stage, status in zip(Stage, stages, strict=True) if status == StageStatus.RUNNING.value), None
    )
    return SeenRun(
        **run,
        state=state,
        stage=running if state is RunState.RUNNING else None,
        result=None if told[0] is None else _provenance(told),
    )


def _provenance(row: Sequence[Any]) -> Provenance:
    values = dict(zip(_RESULT, row, strict=True))
    return Provenance(**{**values, "parameters": msgspec.json.decode(values["parameters"])})
