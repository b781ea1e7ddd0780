"""Lists and searches over a large catalogue of machine images and of slides, beside the same over a small one."""

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import insert, select

from bench import client
from bench.memory import watched
from bench.report import Row, ratio
from bench.servers import Pinakes, Running
from pinakes.core.catalogue import machine_texts
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import images, slides, users

_BATCH = 20_000
_CONNECTIONS = 8
_WORDS = ("alpine", "bullseye", "centos", "debian", "fedora", "jupyter", "rstudio", "ubuntu")


def fill_machines(data: Path, owner: str, count: int) -> None:
    """Put so many public machine images, with descriptions, into the catalogue, as registering them does."""
    for database, user_id, ids in _batches(data, owner, count):
        rows = [_machine(i, user_id) for i in ids]
        with database.write() as transaction:
            transaction.execute(insert(images), rows)
            machine_texts.put(transaction, ids)


def fill_slides(data: Path, owner: str, count: int) -> None:
    """Put so many slides without bytes into the catalogue."""
    for database, user_id, ids in _batches(data, owner, count):
        with database.write() as transaction:
            transaction.execute(insert(images), [_image(i, user_id, "slide", f"{i}.svs") for i in ids])
            transaction.execute(insert(slides), [_slide(i) for i in ids])


def measure_machines(few: Pinakes, many: Pinakes, sizes: tuple[int, int], runs: int) -> tuple[list[Row], list[str]]:
    """First page, page 1,000 and two searches, anonymously; a catalogue of each size in turn."""
    per_page = sizes[1] // 1000
    paths = {
        "list of 25": "/api/v2/images?page_size=25",
        f"page 1,000 of {per_page}": f"/api/v2/images?page_size={per_page}&page=1000",
        "search, one word that many have": "/api/v2/images?page_size=25&search=jupyter",
        "search, one image": "/api/v2/images?page_size=25&search=needle%20seven",
        "search, nothing": "/api/v2/images?page_size=25&search=absent",
    }
    values: dict[tuple[str, int], list[float]] = {}
    with contextlib.ExitStack() as stack:
        servers = {size: stack.enter_context(a.serving(workers=1)) for size, a in zip(sizes, (few, many), strict=True)}
        peak = stack.enter_context(watched(servers[sizes[1]].pid))
        for _ in range(runs):
            for what, path in paths.items():
                for size, server in servers.items():
                    asked = path.replace("page=1000", f"page={min(1000, size // per_page)}")
                    values.setdefault((what, size), []).append(_milliseconds(server, asked, {}))
        resident = peak.resident_bytes
    rows, ratios = [], []
    for what in paths:
        small, large = (
            Row(f"Atmosphere, {what}", f"{size:,} images", values[what, size], "ms", resident, "anonymous, one worker")
            for size in sizes
        )
        rows += [small, large]
        ratios.append(ratio(f"Atmosphere, {what}", large, small, ""))
    return rows, ratios


def measure_slides(archive: Pinakes, tokens: dict[int, str], ids: dict[int, int], runs: int) -> list[Row]:
    """/Images/userid/:id, which has no pages, for owners of few and of many slides in one catalogue."""
    rows = []
    with archive.serving(workers=1) as server, watched(server.pid) as peak:
        for count, token in tokens.items():
            path, headers = f"/Images/userid/{ids[count]}", {"Authorization": f"Bearer {token}"}
            taken = [_milliseconds(server, path, headers) for _ in range(runs)]
            rows.append(Row("PathomIQ, /Images/userid/:id", f"{count:,} slides", taken, "ms", peak.resident_bytes, ""))
    return rows


def id_of(data: Path, user: str) -> int:
    """The id of a user."""
    database = Database(f"sqlite:///{data / 'pinakes.db'}")
    with database.read() as connection:
        user_id: int = connection.execute(select(users.c.id).where(users.c.name == user)).scalar_one()
    database.close()
    return user_id


def _milliseconds(server: Running, path: str, headers: dict[str, str]) -> float:
    started = time.perf_counter()
    answer = client.send(server.address, "GET", path, b"", headers)
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {answer.body[:200]!r}")
    json.loads(answer.body)
    return (time.perf_counter() - started) * 1000


def _batches(data: Path, owner: str, count: int) -> Iterator[tuple[Database, int, range]]:
    user_id = id_of(data, owner)
    database = Database(f"sqlite:///{data / 'pinakes.db'}")
    with database.read() as connection:
        start = connection.execute(select(images.c.id).order_by(images.c.id.desc()).limit(1)).scalar() or 0
    for first in range(start + 1, start + count + 1, _BATCH):
        yield database, user_id, range(first, min(first + _BATCH, start + count + 1))
    database.close()


def _machine(image_id: int, user_id: int) -> dict[str, object]:
    words = [_WORDS[(image_id >> shift) % len(_WORDS)] for shift in (0, 3, 6)]
    described = f"{words[1]} with {words[2]}, build {image_id}"
    if image_id % 100_000 == 77:
        described += ", needle seven"
    row = _image(image_id, user_id, "machine", f"{words[0]} {image_id:09d}")
    return row | {"description": described, "visibility": "public"}


def _image(image_id: int, user_id: int, kind: str, name: str) -> dict[str, object]:
    return {
        "id": image_id,
        "uid": uuid.uuid4().hex,
        "kind": kind,
        "name": name,
        "author_id": user_id,
        "visibility": "private",
        "created_at": image_id,
        "modified_at": image_id,
    }


def _slide(image_id: int) -> dict[str, object]:
    stages = dict.fromkeys(("tissuearea_status", "tiling_status", "annotation_status"), "Pending")
    return {"image_id": image_id, "filename": f"{image_id}.svs", "status": "In Progress", **stages}
