"""Many small requests: one image's metadata and a list of 25, beside the same server's bare JSON answer."""

import contextlib
import uuid
from pathlib import Path

from sqlalchemy import insert, select

from bench.client import requests_a_second
from bench.memory import watched
from bench.report import Row, ratio
from bench.servers import Pinakes
from pinakes.core.db.engine import Database
from pinakes.core.db.schema import blobs, djinn_names, images, users, versions

_BATCH = 20_000
_CONNECTIONS = 16


def fill(data: Path, user: str, count: int) -> int:
    """Put so many machine images into the catalogue, straight into its tables; the id of one in the middle."""
    database = Database(f"sqlite:///{data / 'pinakes.db'}")
    with database.read() as connection:
        user_id = connection.execute(select(users.c.id).where(users.c.name == user)).scalar_one()
    digest = uuid.uuid4().hex * 2
    with database.write() as transaction:
        blob = {"digest": digest, "key": uuid.uuid4().hex, "size_bytes": 4, "refs": count, "created_at": 0}
        transaction.execute(insert(blobs), blob)
        start = transaction.execute(select(images.c.id).order_by(images.c.id.desc()).limit(1)).scalar() or 0
    for first in range(start + 1, start + count + 1, _BATCH):
        ids = range(first, min(first + _BATCH, start + count + 1))
        with database.write() as transaction:
            transaction.execute(insert(images), [_image(i, user_id) for i in ids])
            transaction.execute(insert(versions), [_version(i, user_id, digest) for i in ids])
            transaction.execute(insert(djinn_names), [_name(i, user_id) for i in ids])
    database.close()
    return start + count // 2


def measure(
    archive: Pinakes, tokens: dict[int, str], middle: dict[int, int], seconds: int, runs: int
) -> tuple[list[Row], list[str]]:
    """tokens and middle: for each size of catalogue, the token of its owner and the id of an image of theirs."""
    rates: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(archive.serving(workers=1))
        peak = stack.enter_context(watched(server.pid))
        for _ in range(runs):
            _add(rates, "bare", requests_a_second(server.address, "/healthz", {}, seconds, _CONNECTIONS))
            for size, token in tokens.items():
                headers = {"Authorization": f"Bearer {token}"}
                for what, path in (("get", f"/djinn/images/{middle[size]}"), ("list", "/djinn/images")):
                    rate = requests_a_second(server.address, path, headers, seconds, _CONNECTIONS)
                    _add(rates, f"{what} {size}", rate)
        resident = peak.resident_bytes
    conditions = f"one worker, SQLite, {_CONNECTIONS} connections of wrk"
    bare = Row("bare JSON answer", "Pinakes", rates["bare"], "/s", resident, conditions)
    rows, ratios = [bare], []
    for size in tokens:
        get = Row(f"metadata of one of {size:,}", "Pinakes", rates[f"get {size}"], "/s", 0, conditions)
        page = Row(f"list of 25 of {size:,}", "Pinakes", rates[f"list {size}"], "/s", 0, conditions)
        rows += [get, page]
        ratios.append(ratio(f"metadata, {size:,} images", get, bare, "0.5"))
        ratios.append(ratio(f"list of 25, {size:,} images", page, bare, ""))
    smallest, largest = min(tokens), max(tokens)
    by_what = {row.what: row for row in rows}
    few, many = by_what[f"list of 25 of {smallest:,}"], by_what[f"list of 25 of {largest:,}"]
    ratios.append(ratio(f"list of 25, {smallest:,} images against {largest:,}", few, many, "1.5 at most"))
    return rows, ratios


def _add(rates: dict[str, list[float]], name: str, rate: float) -> None:
    rates.setdefault(name, []).append(rate)


def _image(image_id: int, user_id: int) -> dict[str, object]:
    return {
        "id": image_id,
        "uid": uuid.uuid4().hex,
        "kind": "machine",
        "name": f"image-{image_id:09d}",
        "author_id": user_id,
        "visibility": "private",
        "created_at": image_id,
        "modified_at": image_id,
    }


def _version(image_id: int, user_id: int, digest: str) -> dict[str, object]:
    return {
        "id": image_id,
        "uid": uuid.uuid4().hex,
        "image_id": image_id,
        "name": "1.0",
        "digest": digest,
        "size_bytes": 4,
        "format": "qcow2",
        "author_id": user_id,
        "created_at": image_id,
    }


def _name(image_id: int, user_id: int) -> dict[str, object]:
    return {
        "image_id": image_id,
        "name": f"image-{image_id:09d}",
        "version_id": image_id,
        "author_id": user_id,
        "holder_id": user_id,
        "is_claimed": True,
    }
