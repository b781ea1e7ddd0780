"""Tiles of a slide in random order, from cold and again: Pinakes beside other servers, in turn."""

import http.client
import os
import random
import shutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from bench import client, peers
from bench.client import Load
from bench.pictures import TILE
from bench.report import Row, ratio
from bench.servers import Pinakes, Running

ONE, MANY = 1, 32
"""Clients."""

_SEED: Final = 5
_FIRST: Final = 64
"""Tiles that a server has given before it is measured, so that no process of it is just starting."""

_COMPARED: Final = 8
_MOST_DIFFERENCE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What is asked for: squares in a grid, of `cut` pixels of a level, as tiles of `side` pixels.

    target: of Pinakes' rate over IIPImage's for many clients, from cold.
    """

    name: str
    cut: int
    side: int
    target: str
    clients: tuple[int, ...]

    def parts(self, width: int, height: int) -> list[str]:
        """All of a slide, in the words of IIIF, shuffled: of its levels that are a whole number of times smaller."""
        level, found = 0, []
        while (step := self.cut << level) <= min(width, height) and not (width % (1 << level) or height % (1 << level)):
            columns, rows = range(0, width - step + 1, step), range(0, height - step + 1, step)
            found += [f"{x},{y},{step},{step}/{self.side},{self.side}/0/default.jpg" for x in columns for y in rows]
            level += 1
        random.Random(_SEED).shuffle(found)
        return found


STORED: Final = Kind("stored tile", TILE, TILE, "", (ONE, MANY))
REDUCED: Final = Kind("stored tile scaled to 224 px", TILE, 224, "1.3", (MANY,))
BETWEEN: Final = Kind("in-between scale, 384 to 256 px", TILE * 3 // 2, TILE, "1.3", (ONE, MANY))
_KINDS: Final = (STORED, REDUCED, BETWEEN)


@dataclass(frozen=True, slots=True)
class Server:
    """One that is measured. opened: runs it, with nothing in its memory.   prefix: of the path of a tile.

    files: what it reads; of a folder all within.   forget: throws away what it has kept on disk.
    """

    name: str
    note: str
    opened: Callable[[], AbstractContextManager[Running]]
    prefix: str
    files: Path
    headers: dict[str, str]
    forget: Callable[[], None]
    clients: tuple[int, ...]


def pinakes(archive: Pinakes, image_id: int, token: str, workers: int) -> Server:
    """A slide in an archive. Several workers are asked by many clients only."""
    return Server(
        f"Pinakes, {workers} worker{'s' * (workers > 1)}",
        "2 decoding processes each; with token, access check and audit",
        partial(archive.serving, workers),
        f"/iiif/3/{image_id}",
        archive.data,
        {"Authorization": f"Bearer {token}"},
        partial(shutil.rmtree, archive.data / "cache", ignore_errors=True),
        (ONE, MANY) if workers == 1 else (MANY,),
    )


def others(folder: Path, slide: Path) -> Iterator[Server | Row]:
    """The peers, and a row instead of one that is missing."""
    folder.mkdir()
    try:
        peers.check_iipimage()
        opened = partial(peers.iipimage, folder, slide.parent)
        note = f"Debian's: 2 processes behind nginx, caches as packaged, quality {peers.JPEG_QUALITY}"
        yield Server("IIPImage", note, opened, f"/iiif/{slide.name}", slide, {}, _nothing, (ONE, MANY))
    except peers.Missing as error:
        yield Row("tiles", "IIPImage", (), "/s", 0, str(error))
    try:
        python = peers.large_image_environment(folder / "environment")
        opened = partial(peers.large_image, folder, python, slide)
        note = "PyPI's: getTile and getRegion called by Starlette in 2 processes of Granian"
        yield Server("large_image", note, opened, "/iiif/slide", slide, {}, _nothing, (ONE, MANY))
    except peers.Missing as error:
        yield Row("tiles", "large_image", (), "/s", 0, str(error))


def measure(
    ours: Sequence[Server], theirs: Sequence[Server], size: tuple[int, int], seconds: int, runs: int
) -> tuple[list[Row], list[str]]:
    """size: of the slide.   seconds: for which each kind of tile is asked for from cold, and then again."""
    loads: dict[tuple[str, str], list[Load]] = {}
    for _ in range(runs):
        for kind, clients in _cases():
            parts = _parts_for(kind, clients, size)
            for server in (*ours, *theirs):
                if clients in server.clients:
                    for state, load in _loads(server, parts, seconds, clients):
                        loads.setdefault((_what(kind, clients, state), server.name), []).append(load)
    rows = {key: _row(*key, taken, (*ours, *theirs)) for key, taken in loads.items()}
    ratios = []
    for kind, clients in _cases():
        for state in ("cold", "again"):
            what = _what(kind, clients, state)
            target = kind.target if (clients, state) == (MANY, "cold") else ""
            for a in ours:
                for b in theirs:
                    if clients in a.clients:
                        aimed = target if b.name == "IIPImage" else ""
                        ratios.append(ratio(what, rows[what, a.name], rows[what, b.name], aimed))
    return list(rows.values()), ratios


def check_alike(servers: Sequence[Server], size: tuple[int, int]) -> None:
    """That all show the same parts of the slide. Raises RuntimeError.

    They scale in different ways, which is seen at edges; what another part shows differs far more.
    """
    parts = [part for kind in _KINDS for part in kind.parts(*size)[:_COMPARED]]
    first: list[NDArray[np.float64]] = []
    for server in servers:
        with server.opened() as running, closing(http.client.HTTPConnection(*running.address)) as connection:
            jpegs = [client.get(connection, f"{server.prefix}/{part}", server.headers) for part in parts]
        shown = [simplejpeg.decode_jpeg(jpeg, "RGB").astype(float) for jpeg in jpegs]
        first = first or shown
        for part, one, other in zip(parts, first, shown, strict=True):
            if one.shape != other.shape or np.abs(one - other).mean() > _MOST_DIFFERENCE:
                raise RuntimeError(f"{server.name} shows another picture than {servers[0].name} for {part}")


def drop_pages(files: Path) -> None:
    """Have the system forget what it keeps of a file, or of all files in a folder, in memory."""
    for path in files.rglob("*") if files.is_dir() else [files]:
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())  # what is not written yet would be kept
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _cases() -> list[tuple[Kind, int]]:
    return [(kind, clients) for kind in _KINDS for clients in kind.clients]


def _parts_for(kind: Kind, clients: int, size: tuple[int, int]) -> list[str]:
    """One client and many ask for different ones."""
    parts = kind.parts(*size)
    fifth = len(parts) // 5
    return parts[:fifth] if clients == ONE else parts[fifth:]


def _loads(server: Server, parts: Sequence[str], seconds: int, clients: int) -> Iterator[tuple[str, Load]]:
    """Each tile once, as far as the time goes; then the same tiles again."""
    paths = [f"{server.prefix}/{part}" for part in parts]
    server.forget()
    with server.opened() as running:
        client.fetch(running.address, paths[:_FIRST], server.headers, 8)
        drop_pages(server.files)
        rest = paths[_FIRST:]
        cold = client.load(running.address, rest, server.headers, seconds, clients)
        yield "cold", cold
        yield "again", client.load(running.address, rest[: max(cold.asked, 1)], server.headers, seconds, clients)


def _what(kind: Kind, clients: int, state: str) -> str:
    return f"{kind.name}, {clients} client{'s' * (clients > 1)}, {state}"


def _row(what: str, name: str, loads: Sequence[Load], servers: Sequence[Server]) -> Row:
    note = next(server.note for server in servers if server.name == name)
    p99 = statistics.median(load.p99_ms for load in loads)
    return Row(what, name, [load.rate for load in loads], "/s", 0, f"p99 {p99:.3g} ms; {note}")


def _nothing() -> None:
    pass
