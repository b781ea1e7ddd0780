"""Thumbnails of photographs, from cold and again, beside plain pyvips in one process and in two."""

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyvips

from bench import client
from bench.clinic import Tablet
from bench.report import Row, ratio
from bench.servers import Address, Pinakes, Running, until
from bench.tiles import drop_pages

_SIDE = 512
_QUALITY = 85
_CLIENTS = {1: 1, 2: 8}
"""For so many processes that decode: the second number keeps both at work."""
_FIRST = 8
"""Photographs that every process has had a part of before it is measured."""


def measure(
    archive: Pinakes, password: str, photographs: Sequence[Path], seconds: int, runs: int
) -> tuple[list[Row], list[str]]:
    """seconds: for which thumbnails are asked for that were made before."""
    ids, headers = _put(archive, password, photographs)
    paths = [f"/pinakes/v1/images/{image_id}/thumbnail.jpg?side={_SIDE}" for image_id in ids]
    first, rest = paths[:_FIRST], paths[_FIRST:]
    ours: dict[int, list[client.Load]] = {1: [], 2: []}
    again: list[client.Load] = []
    plain: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(runs):
        for processes, clients in _CLIENTS.items():
            with _cold(archive, first, headers) as address:
                ours[processes].append(client.fetch(address, rest, headers, clients))
                if processes == 2:
                    again.append(client.load(address, rest, headers, seconds, clients))
            plain[processes].append(_plain_rate(photographs, processes))
    megapixels = _megapixels(photographs[0])
    return _results(f"thumbnail of {_SIDE} px of {megapixels:.0f} megapixels", ours, again, plain)


def _put(archive: Pinakes, password: str, photographs: Sequence[Path]) -> tuple[list[int], dict[str, str]]:
    """Their ids, when all have been read, and what to show for seeing them."""
    with archive.serving(workers=1) as server:
        tablet = Tablet.signed_in(server, password)
        headers = {"Authorization": f"Bearer {tablet.token}"}
        ids = [tablet.put(path.read_bytes())[0] for path in photographs]
        for image_id in ids:
            until(lambda: _is_read(server, image_id, headers))  # noqa: B023 - called at once
        return ids, headers


def _is_read(server: Running, image_id: int, headers: dict[str, str]) -> bool:
    answer = client.send(server.address, "GET", f"/pinakes/v1/images/{image_id}/description", b"", headers)
    return bool(json.loads(answer.body)["state"] == "ready")


@contextmanager
def _cold(archive: Pinakes, first: Sequence[str], headers: dict[str, str]) -> Iterator[Address]:
    shutil.rmtree(archive.data / "cache", ignore_errors=True)
    with archive.serving(workers=1) as server:
        client.fetch(server.address, first, headers, len(first))
        drop_pages(archive.data)
        yield server.address


def _plain_rate(photographs: Sequence[Path], processes: int) -> float:
    """Thumbnails in a second, made of files that are not in memory."""
    os.environ["VIPS_CONCURRENCY"] = "1"  # as in a decoding process: what runs side by side are the processes
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_thumbnail, photographs[:_FIRST]))
        drop_pages(photographs[0].parent)
        started = time.perf_counter()
        list(pool.map(_thumbnail, photographs[_FIRST:]))
        return (len(photographs) - _FIRST) / (time.perf_counter() - started)


def _thumbnail(path: Path) -> bytes:
    thumbnail: bytes = pyvips.Image.thumbnail(str(path), _SIDE).jpegsave_buffer(Q=_QUALITY)
    return thumbnail


def _megapixels(photograph: Path) -> float:
    image = pyvips.Image.new_from_file(str(photograph))
    return float(image.width * image.height / 1e6)


def _results(
    what: str, ours: dict[int, list[client.Load]], again: list[client.Load], plain: dict[int, list[float]]
) -> tuple[list[Row], list[str]]:
    rows, ratios = [], []
    for processes, clients in _CLIENTS.items():
        asked = f"{what}, {processes} at a time"
        note = f"native API, {clients} client{'s' * (clients > 1)}, one worker; with token, access check and audit"
        rows.append(_row(f"{asked}, cold", ours[processes], note))
        peer = f"pyvips, {processes} process{'es' * (processes > 1)}"
        rows.append(Row(f"{asked}, cold", peer, plain[processes], "/s", 0, "file to JPEG"))
        ratios.append(ratio(f"{asked}, cold", rows[-2], rows[-1], ""))
    rows.append(_row(f"{what}, again", again, "native API, 8 clients, one worker"))
    ratios.append(ratio(f"{what}, again", rows[-1], rows[-2], ""))
    return rows, ratios


def _row(what: str, loads: Sequence[client.Load], note: str) -> Row:
    p99 = sorted(load.p99_ms for load in loads)[len(loads) // 2]
    return Row(what, "Pinakes", [load.rate for load in loads], "/s", 0, f"p99 {p99:.3g} ms; {note}")
