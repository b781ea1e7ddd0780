"""Runs that have come as far as a test wants, without anybody who computes them."""

import struct
from collections.abc import Mapping, Sequence

from pinakes.core.actor import Actor
from pinakes.core.analysis import plans
from pinakes.core.analysis.plans import Batch, Plan
from pinakes.core.archive import Archive
from pinakes.imaging.analysis.requests import TILE
from pinakes.imaging.source import Size

UNITS = "nuclei_per_mm2"


def tiles_of(size: Size, side: int) -> list[tuple[int, int, int, int]]:
    """All tiles of a slide, row by row, cut at its edges."""
    return [
        (x, y, min(side, size.width - x), min(side, size.height - y))
        for y in range(0, size.height, side)
        for x in range(0, size.width, side)
    ]


def plan_run(
    archive: Archive,
    actor: Actor,
    image_id: int,
    size: Size,
    side: int,
    *,
    batch_tiles: int = 4,
    columns: int = 2,
    range: tuple[float, float] | None = (0.0, 1.0),
    tiles: Sequence[tuple[int, int, int, int]] | None = None,
) -> int:
    """Start a run and settle what it computes; of its columns the last is shown. Its id."""
    archive.runs.start(actor, image_id)
    run_id = archive.analysis.list(actor, image_id)[0].id
    found = tiles_of(size, side) if tiles is None else tiles
    with archive.database.read() as connection:
        digest = plans.input_of(connection, image_id)
    assert digest is not None
    plan = Plan(
        model_name="pretended",
        model_version="1.0",
        model_sha256=None,
        model_digest=None,
        model_kind="classical",
        input_digest=digest,
        software_version="1",
        width=size.width,
        height=size.height,
        tiles=len(found),
        batch_tiles=batch_tiles,
        columns=(*["something else"] * (columns - 1), UNITS),
        heat_column=columns - 1,
        heat_range=range,
    )
    with archive.database.write() as transaction:
        plans.add(transaction, run_id, plan, b"".join(TILE.pack(*tile, 1.0) for tile in found), archive.clock())
    return run_id


def score(archive: Archive, run_id: int, number: int, scores: Sequence[float], *, columns: int = 2) -> None:
    """Keep a batch. scores: of its tiles."""
    rows = b"".join(struct.pack(f"<{columns}f", *[0.5] * (columns - 1), each) for each in scores)
    with archive.database.write() as transaction:
        plans.add_scores(transaction, run_id, Batch(number, 0, len(scores)), rows, archive.clock())


def score_all(archive: Archive, run_id: int, tiles: int, batch_tiles: int, scores: Mapping[int, float]) -> None:
    """Keep all batches. scores: by tile; 0 for those not named."""
    for number, first in enumerate(range(0, tiles, batch_tiles)):
        score(
            archive, run_id, number, [scores.get(tile, 0.0) for tile in range(first, min(first + batch_tiles, tiles))]
        )
