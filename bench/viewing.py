"""Looking at slides: how soon after the upload, and with how much memory."""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from bench import client, laboratory, tiles
from bench.memory import watched
from bench.report import Row
from bench.servers import Pinakes

_RANDOM_TILES = 1_000


def measure_first_tile(
    archive: Pinakes, token: str, slide: Path, size: tuple[int, int], runs: int
) -> tuple[list[Row], int]:
    """A slide is posted with a presigned form, said to be there, and a tile of it asked for. Also the id of the last.

    The first time no decoding process runs yet. Each time the slide has another digest.
    """
    after_bytes, after_answer = [], []
    part = tiles.STORED.parts(*size)[0]
    headers = {"Authorization": f"Bearer {token}"}
    with archive.serving(workers=1) as server:
        for run in range(runs):
            made = laboratory.create(server, token)
            posted = laboratory.post_form(server, made, slide, more=run.to_bytes(4))
            answered = time.perf_counter()
            laboratory.call(server, token, "PUT", f"/Images/{made['id']}", {"status": "Uploaded"})
            client.receive_file(server.address, f"/iiif/3/{made['id']}/{part}", headers)
            after_answer.append(time.perf_counter() - answered)
            after_bytes.append(posted.waited + after_answer[-1])
            if run < runs - 1:
                laboratory.call(server, token, "DELETE", f"/Images/{made['image_unique_id']}")
    note = f"slide of {slide.stat().st_size / 1e6:.0f} MB by a presigned form, then `Uploaded`; one worker"
    rows = [
        Row("last uploaded byte to first tile", "Pinakes", after_bytes, "s", 0, f"{note}; target under 1 s"),
        Row("of that, after the answer to the form", "Pinakes", after_answer, "s", 0, note),
    ]
    return rows, int(str(made["id"]))


def measure_memory(archive: Pinakes, image_id: int, token: str, size: tuple[int, int]) -> list[Row]:
    """A thousand tiles that have to be decoded, each once."""
    server = tiles.pinakes(archive, image_id, token, 1)
    paths = [f"{server.prefix}/{part}" for part in tiles.BETWEEN.parts(*size)[:_RANDOM_TILES]]
    server.forget()
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(server.opened())
        peak = stack.enter_context(watched(running.pid))
        load = client.fetch(running.address, paths, server.headers, tiles.MANY)
    what = f"{load.asked:,} random tiles, {tiles.MANY} clients"
    figures: Sequence[tuple[str, int]] = (
        ("the largest process", peak.resident_bytes),
        ("the larger decoding process", peak.decoding_bytes),
        ("all processes, shared pages counted in each", peak.total_bytes),
    )
    return [Row(f"resident memory, {what}", "Pinakes", [held / 1e6], "MB", held, which) for which, held in figures]
