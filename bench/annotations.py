"""Annotations: what is to be seen of a million polygons, asked for part by part, and how long it takes to get ready."""

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path

from bench import client
from bench.laboratory import uploaded
from bench.large import make_file
from bench.memory import watched
from bench.report import Row
from bench.servers import Pinakes, Running

VERTICES = 12
EXTENT = (100_000, 80_000)
"""How far the polygons are spread, in level-0 pixels."""

_RADII = (8.0, 20.0)
_SCREEN = (1920, 1080)
_ZOOMS = (0, 2, 4, 6, 8)
_BATCH = 5_000


def measure(archive: Pinakes, token: str, count: int, asked: int) -> list[Row]:
    """count: polygons of one annotation.   asked: boxes of the size of a screen, at each zoom and in each format."""
    document = archive.data.parent / "polygons.geojson"
    _make(document, count)
    note = f"{count:,} polygons of {VERTICES} vertices, {document.stat().st_size / 1e6:.0f} MB of GeoJSON"
    rows = []
    slide = archive.data.parent / "small.slide"
    make_file(slide, 1 << 20)
    limit = str(max(64 << 20, document.stat().st_size))
    serving = archive.serving(workers=1, PINAKES_ANNOTATION_MAX_BYTES=limit)
    with serving as server, watched(server.pid) as peak:
        image_id = uploaded(server, token, slide)["id"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/geo+json"}
        sent = client.send_file(server.address, "POST", _path(image_id), document, headers)
        if sent.status != 201:
            raise RuntimeError(f"the annotation was answered {sent.status}: {sent.body[:300]!r}")
        rows.append(Row("upload, areas counted", "Pinakes", [sent.seconds], "s", peak.resident_bytes, note))
        first = _seconds(server, token, image_id, (0, 0, *_SCREEN), 0, "geojson")
        rows.append(Row("the first box, the index made", "Pinakes", [first], "s", peak.resident_bytes, note))
        for zoom in _ZOOMS:
            for format in ("geojson", "mvt"):
                rows += _boxes(server, token, image_id, zoom, format, asked)
    document.unlink()
    return rows


def _boxes(server: Running, token: str, image_id: object, zoom: int, format: str, asked: int) -> list[Row]:
    chance = random.Random(zoom)
    width, height = (side * 2**zoom for side in _SCREEN)
    milliseconds = []
    for _ in range(asked):
        left = chance.uniform(0, max(1, EXTENT[0] - width))
        top = chance.uniform(0, max(1, EXTENT[1] - height))
        seconds = _seconds(server, token, image_id, (left, top, left + width, top + height), zoom, format)
        milliseconds.append(seconds * 1000)
    share = min(1, width / EXTENT[0]) * min(1, height / EXTENT[1])
    worst = sorted(milliseconds)[math.ceil(0.99 * len(milliseconds)) - 1]
    what = f"a screen's box at zoom {zoom} as {format}"
    conditions = (
        f"{asked} boxes of {_SCREEN[0]} x {_SCREEN[1]} pixels of the screen anywhere, each {share:.2%} of the whole; "
        "one client"
    )
    return [
        Row(what, "Pinakes", milliseconds, "ms", 0, conditions),
        Row(f"{what}, 99 of 100", "Pinakes", [worst], "ms", 0, "the same boxes"),
    ]


def _seconds(server: Running, token: str, image_id: object, box: tuple[float, ...], zoom: int, format: str) -> float:
    corners = ",".join(f"{number:.2f}" for number in box)
    path = f"{_path(image_id)}/1/features?bbox={corners}&zoom={zoom}&format={format}"
    answer = client.send(server.address, "GET", path, b"", {"Authorization": f"Bearer {token}"})
    if answer.status != 200:
        raise RuntimeError(f"{path} was answered {answer.status}: {answer.body[:300]!r}")
    return answer.seconds


def _path(image_id: object) -> str:
    return f"/pinakes/v1/images/{image_id}/annotations"


def _make(path: Path, count: int) -> None:
    """Write polygons the size of nuclei, spread evenly, as QuPath would write them."""
    with path.open("w") as file:
        file.write('{"type":"FeatureCollection","features":[')
        separator = ""
        for batch in _batches(count):
            file.write(separator + ",\n".join(batch))
            separator = ",\n"
        file.write("]}")


def _batches(count: int) -> Iterator[list[str]]:
    chance = random.Random(1)
    classes = [{"name": "Tumour", "color": [200, 0, 0]}, {"name": "Immune cells", "color": [0, 0, 200]}]
    tails = [json.dumps({"objectType": "detection", "classification": each}, separators=(",", ":")) for each in classes]
    turns = [(math.cos(turn), math.sin(turn)) for turn in (2 * math.pi * step / VERTICES for step in range(VERTICES))]
    for start in range(0, count, _BATCH):
        batch = []
        for number in range(start, min(count, start + _BATCH)):
            x, y, radius = chance.uniform(0, EXTENT[0]), chance.uniform(0, EXTENT[1]), chance.uniform(*_RADII)
            ring = [f"[{x + radius * cosine:.2f},{y + radius * sine:.2f}]" for cosine, sine in turns]
            batch.append(
                '{"type":"Feature","geometry":{"type":"Polygon","coordinates":[['
                f'{",".join((*ring, ring[0]))}]]}},"properties":{tails[number % 3 == 0]}}}'
            )
        yield batch
