"""Predictions as clients see them: how long a run takes, how soon one stops, and what a kill costs."""

import json
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Final

import psutil
from sqlalchemy import select

from bench import client
from bench.laboratory import call, uploaded
from bench.memory import watched
from bench.report import Row
from bench.servers import Pinakes, Running
from pinakes import config, opening
from pinakes.core.archive import Archive
from pinakes.core.db.schema import run_batches

_COMPUTING: Final = "pinakes.imaging.analysis.child"
_PROCESSES: Final = 2
_POLL_SECONDS: Final = 0.02
_PATIENCE_SECONDS: Final = 900
_MOST_PAUSE_SECONDS: Final = 0.7
"""Before a stop or a kill, so that it meets a batch at any moment."""

Slide = dict[str, object]


def measure_runs(archive: Pinakes, token: str, file: Path, size: tuple[int, int], runs: int) -> tuple[list[Row], Slide]:
    """From startpredict to Done, with one process and with two, in turn. Also the slide, as PathomIQ tells of it."""
    with _serving(archive, _PROCESSES) as server:
        slide = uploaded(server, token, file)
        _whole_run(server, token, slide)  # it is not measured: meanwhile the job that reads each new content runs
    seconds: dict[int, list[float]] = {1: [], 2: []}
    peaks = {1: [0, 0], 2: [0, 0]}
    for _ in range(runs):
        for processes, taken in seconds.items():
            with _serving(archive, processes) as server, watched(server.pid) as peak:
                taken.append(_whole_run(server, token, slide))
            held = peak.resident_bytes, peak.total_bytes
            peaks[processes] = [max(pair) for pair in zip(held, peaks[processes], strict=True)]
    rows = []
    for processes, taken in seconds.items():
        largest, total = peaks[processes]
        note = f"the whole slide in {min(taken):.1f} to {max(taken):.1f} s; "
        note += f"all processes together {total / 1e6:.0f} MB, shared pages counted in each"
        what = f"startpredict to Done, {processes} process{'es' * (processes > 1)}"
        rates = [size[0] * size[1] / each / 1e6 for each in taken]
        rows.append(Row(what, "Pinakes", rates, "MP/s", largest, note))
    return rows, slide


def measure_stops(archive: Pinakes, token: str, slide: Slide, runs: int) -> list[Row]:
    """Runs that are stopped while tiles are scored."""
    answered, ended = [], []
    with _serving(archive, _PROCESSES) as server:
        for _ in range(runs):
            _call(server, token, "startpredict", slide)
            _until(lambda: bool(_run(server, token, slide)["tiles_done"]))
            _pause()
            computing = _computing(server.pid)
            stopped = time.perf_counter()
            _call(server, token, "stoppredict", slide)
            answered.append((time.perf_counter() - stopped) * 1000)
            psutil.wait_procs(computing, _PATIENCE_SECONDS)
            ended.append((time.perf_counter() - stopped) * 1000)
    note = f"while {_PROCESSES} processes score tiles"
    return [
        Row("stoppredict, until it is answered", "Pinakes", answered, "ms", 0, f"{note}; at most 5 s by the contract"),
        Row("stoppredict, until nothing computes", "Pinakes", ended, "ms", 0, f"{note}; target under 1 s"),
    ]


def measure_kills(archive: Pinakes, token: str, slide: Slide, runs: int) -> list[Row]:
    """Server, worker and all are killed at once while tiles are scored; then another server goes on.

    What a process had done since it last finished a batch is lost. Each has every other batch.
    """
    lost, kept, resumed = [], [], []
    with opening.opened(config.load(data=archive.data)) as opened:
        for _ in range(runs):
            with _serving(archive, _PROCESSES) as server:
                _call(server, token, "startpredict", slide)
                _until(lambda: bool(_run(server, token, slide)["tiles_done"]))
                run_id = int(_run(server, token, slide)["id"])
                _until_each_has_one(opened, run_id)
                _pause()
                killed = _kill(server.pid)
            before = _batches(opened, run_id)
            lost.append(sum(killed - max(share) for share in _shares(before)))
            kept.append(len(before))
            started = time.perf_counter()
            with _serving(archive, _PROCESSES) as server:
                _until_more(opened, run_id, before)
                resumed.append(time.perf_counter() - started)
                _call(server, token, "stoppredict", slide)
    note = f"{min(kept)} to {max(kept)} batches were kept, and none of them was scored again"
    return [
        Row("kill -9 of all processes: work lost", "Pinakes", lost, "s of one core", 0, note),
        Row("the next server's start to the next batch", "Pinakes", resumed, "s", 0, "from before the server begins"),
    ]


def _serving(archive: Pinakes, processes: int) -> AbstractContextManager[Running]:
    return archive.serving(workers=1, PINAKES_ANALYSIS_PROCESSES=str(processes))


def _whole_run(server: Running, token: str, slide: Slide) -> float:
    """The seconds it takes. Raises RuntimeError if it fails."""
    started = time.perf_counter()
    _call(server, token, "startpredict", slide)
    shown: Slide = {}

    def is_over() -> bool:
        shown.update(call(server, token, "GET", f"/Images/{slide['image_unique_id']}"))
        if "Failed" in (shown["tissuearea_status"], shown["tiling_status"], shown["annotation_status"]):
            raise RuntimeError("the run failed")
        return shown["annotation_status"] == "Done"

    _until(is_over)
    return time.perf_counter() - started


def _call(server: Running, token: str, what: str, slide: Slide) -> None:
    call(server, token, "GET", f"/Images/{what}/{slide['image_unique_id']}")


def _run(server: Running, token: str, slide: Slide) -> dict[str, Any]:
    """The last run of a slide, by our own API."""
    path = f"/pinakes/v1/images/{slide['id']}/runs?limit=1"
    answer = client.send(server.address, "GET", path, b"", {"Authorization": f"Bearer {token}"})
    run: dict[str, Any] = json.loads(answer.body)["items"][0]
    return run


def _batches(archive: Archive, run_id: int) -> dict[int, float]:
    """When each batch of a run was kept, in seconds since 1970, by its number."""
    wanted = select(run_batches.c.number, run_batches.c.created_at).where(run_batches.c.run_id == run_id)
    with archive.database.read() as connection:
        return {number: created_at / 1e6 for number, created_at in connection.execute(wanted)}


def _shares(batches: dict[int, float]) -> list[list[float]]:
    """When each process finished its batches."""
    return [[at for number, at in batches.items() if number % _PROCESSES == place] for place in range(_PROCESSES)]


def _until_each_has_one(archive: Archive, run_id: int) -> None:
    _until(lambda: all(_shares(_batches(archive, run_id))))


def _until_more(archive: Archive, run_id: int, before: dict[int, float]) -> None:
    """Until there is one batch more than before. Raises RuntimeError if one was scored again."""
    _until(lambda: len(_batches(archive, run_id)) > len(before))
    now = _batches(archive, run_id)
    if any(now[number] != at for number, at in before.items()):
        raise RuntimeError("a batch that was kept was scored again")


def _computing(pid: int) -> list[psutil.Process]:
    family = psutil.Process(pid).children(recursive=True)
    return [process for process in family if _COMPUTING in process.cmdline()]


def _kill(pid: int) -> float:
    """Kill a server and all its children at once; when, in seconds since 1970."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):  # those that end with their parent may be gone already
            process.kill()
    at = time.time()
    psutil.wait_procs(family, _PATIENCE_SECONDS)
    return at


def _pause() -> None:
    time.sleep(random.uniform(0, _MOST_PAUSE_SECONDS))


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise RuntimeError("the run does not go on")
        time.sleep(_POLL_SECONDS)
