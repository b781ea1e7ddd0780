"""The SQL of what a run keeps while it goes on: its plan, and the scores of its tiles, batch by batch.

A batch that is kept is never scored again. The scores of the last run that is done stay, for its heat map; of all other
runs that have ended they are gone (`slides.run_records.end`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import bindparam, delete, func, insert, select, update

from pinakes.core.clock import Instant
from pinakes.core.db.engine import Executor, Transaction
from pinakes.core.db.query import Query
from pinakes.core.db.schema import run_batches, run_plans, runs, versions
from pinakes.core.slides import run_records

_PAGE_BYTES: Final = 4 * 1024 * 1024
"""Of scores that are read at once, where not all are wanted at once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to compute, settled once. All that another attempt needs to go on where one was cut off.

    model_sha256: of its weights; None for one without.   model_digest: of all its files; None for what is built in.
    input_digest: SHA-256 of the slide.
    width, height: of the slide, level 0.   tiles: how many are scored.   batch_tiles: how many of them at once.
    columns: what each number of a tile's row means.   heat_column: the one that a heat map shows.
    heat_range: its values for no and for full colour; None: from the least to the greatest.
    """

    model_name: str
    model_version: str
    model_sha256: str | None
    model_digest: str | None
    model_kind: str
    input_digest: str
    software_version: str
    width: int
    height: int
    tiles: int
    batch_tiles: int
    columns: tuple[str, ...]
    heat_column: int
    heat_range: tuple[float, float] | None

    @property
    def is_built_in(self) -> bool:
        return self.model_digest is None

    def batches(self) -> Iterator["Batch"]:
        """All batches, in order."""
        for number, first in enumerate(range(0, self.tiles, self.batch_tiles)):
            yield Batch(number, first, min(self.batch_tiles, self.tiles - first))


@dataclass(frozen=True, slots=True)
class Batch:
    """Tiles that are scored together: `count` of them, from the one numbered `first`."""

    number: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a run. settled_at: when its plan was.   batches: how many are scored."""

    run_id: int
    plan: Plan
    settled_at: Instant
    batches: int

    @property
    def is_whole(self) -> bool:
        """Whether all tiles are scored."""
        return self.batches * self.plan.batch_tiles >= self.plan.tiles


_decoder = msgspec.json.Decoder(Plan)
_INPUT = (
    select(versions.c.digest)
    .where(versions.c.image_id == bindparam("image_id"), versions.c.digest.is_not(None))
    .order_by(versions.c.id.desc())
    .limit(1)
)
_PLAN = select(run_plans.c.plan).where(run_plans.c.run_id == bindparam("run_id"))
_TILES = select(run_plans.c.tiles).where(run_plans.c.run_id == bindparam("run_id"))
_BATCHES = select(run_batches.c.number, run_batches.c.scores).where(run_batches.c.run_id == bindparam("run_id"))
_SETTLED_BATCHES = (
    select(run_batches.c.number, run_batches.c.scores)
    .join(run_plans, run_plans.c.run_id == run_batches.c.run_id)
    .where(
        run_batches.c.run_id == bindparam("run_id"),
        run_batches.c.number > bindparam("after"),
        run_plans.c.created_at == bindparam("settled_at"),
    )
    .order_by(run_batches.c.number)
    .limit(bindparam("most"))
)
_SETTLED_TILES = _TILES.where(run_plans.c.created_at == bindparam("settled_at"))
_KEPT = (
    select(
        run_plans.c.run_id,
        run_plans.c.plan,
        run_plans.c.created_at,
        select(func.count())
        .select_from(run_batches)
        .where(run_batches.c.run_id == run_plans.c.run_id)
        .correlate(run_plans)
        .scalar_subquery(),
    )
    .select_from(run_plans.join(runs, runs.c.id == run_plans.c.run_id))
    .where(runs.c.image_id == bindparam("image_id"))
)
_KEPT_OF_NEWEST = Query(_KEPT.order_by(run_plans.c.run_id.desc()).limit(1))
_KEPT_OF_RUN = Query(_KEPT.where(run_plans.c.run_id == bindparam("run_id")))
_INSERT_PLAN = insert(run_plans)
_INSERT_BATCH = insert(run_batches)
_SET_MODEL = update(runs).where(runs.c.id == bindparam("planned_run_id"))
_TELL = (
    update(runs)
    .where(runs.c.id == bindparam("told_run_id"))
    .values(tiles_total=bindparam("total"), tiles_done=bindparam("done"), tiles_per_second=bindparam("rate", None))
)
_OTHERS = select(runs.c.id).where(runs.c.image_id == bindparam("image_id"), runs.c.id != bindparam("kept_run_id"))
_FORGET_OTHERS = [delete(table).where(table.c.run_id.in_(_OTHERS)) for table in (run_batches, run_plans)]


def input_of(connection: Executor, image_id: int) -> str | None:
    """The digest of a slide's bytes; None if it has none, or is gone."""
    digest: str | None = connection.execute(_INPUT, {"image_id": image_id}).scalar()
    return digest


def find(connection: Executor, run_id: int) -> Plan | None:
    """The plan of a run; None before it is made, and after a run that is not the last one done."""
    row = connection.execute(_PLAN, {"run_id": run_id}).first()
    return _decoder.decode(row[0]) if row else None


def tiles(connection: Executor, run_id: int) -> bytes:
    """The tiles of a run that has a plan, as `imaging.analysis.requests.TILE` packs them."""
    packed: bytes = connection.execute(_TILES, {"run_id": run_id}).scalar_one()
    return bytes(packed)


def kept(connection: Executor, image_id: int, run_id: int | None) -> Kept | None:
    """What is kept of a run of a slide, or of the newest with a plan."""
    query = _KEPT_OF_NEWEST if run_id is None else _KEPT_OF_RUN
    row = query.first(connection, {"image_id": image_id, "run_id": run_id})
    return Kept(row[0], _decoder.decode(row[1]), row[2], row[3]) if row else None


def settled_tiles(connection: Executor, kept: Kept) -> bytes | None:
    """The tiles of that very plan; None if it is kept no more."""
    row = connection.execute(_SETTLED_TILES, {"run_id": kept.run_id, "settled_at": kept.settled_at}).first()
    return bytes(row[0]) if row else None


def settled_scores(connection: Executor, kept: Kept) -> Iterator[tuple[int, bytes]]:
    """The scores of that very plan so far, each batch with its number, in order: rows of float32, little-endian.

    Only a few batches are in memory at a time.
    """
    most = max(1, _PAGE_BYTES // (kept.plan.batch_tiles * len(kept.plan.columns) * 4))
    wanted = {"run_id": kept.run_id, "settled_at": kept.settled_at, "most": most, "after": -1}
    while page := connection.execute(_SETTLED_BATCHES, wanted).all():
        for number, packed in page:
            yield number, bytes(packed)
        wanted["after"] = page[-1][0]


def add(transaction: Transaction, run_id: int, plan: Plan, packed_tiles: bytes, now: Instant) -> None:
    """Settle what a run computes. What an earlier attempt settled otherwise is forgotten, with its scores."""
    run_records.forget(transaction, run_id)
    row = {"run_id": run_id, "plan": msgspec.json.encode(plan).decode(), "tiles": packed_tiles, "created_at": now}
    transaction.execute(_INSERT_PLAN, row)
    model = f"{plan.model_name}@{plan.model_version}"
    transaction.execute(_SET_MODEL.values(model=model), {"planned_run_id": run_id})


def forget_others(transaction: Transaction, image_id: int, run_id: int) -> None:
    """Drop what all other runs of the slide have kept."""
    for statement in _FORGET_OTHERS:
        transaction.execute(statement, {"image_id": image_id, "kept_run_id": run_id})


def scores(connection: Executor, run_id: int) -> dict[int, bytes]:
    """The scores so far, by the number of their batch: rows of float32, little-endian."""
    rows = connection.execute(_BATCHES, {"run_id": run_id})
    return {number: bytes(packed) for number, packed in rows}


def add_scores(transaction: Transaction, run_id: int, batch: Batch, packed: bytes, now: Instant) -> None:
    row = {"run_id": run_id, "number": batch.number, "scores": packed, "created_at": now}
    transaction.execute(_INSERT_BATCH, row)


def tell_progress(transaction: Transaction, run_id: int, *, total: int, done: int, rate: float | None) -> None:
    """How far a run has come. rate: tiles per second of late; None while it is not known."""
    transaction.execute(_TELL, {"told_run_id": run_id, "total": total, "done": done, "rate": rate})
