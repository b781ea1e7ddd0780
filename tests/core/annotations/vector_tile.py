"""A plain reader of Mapbox Vector Tiles (specification 2.1), value by value, to hold the writer to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_KINDS = {1: "points", 2: "line", 3: "polygon"}


@dataclass(frozen=True, slots=True)
class Feature:
    """lines: positions in the tile; of points, one line with all."""

    id: int | None
    kind: str
    properties: dict[str, Any]
    lines: list[list[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class TileLayer:
    name: str
    version: int
    extent: int
    features: list[Feature]


def read_tile(tile: bytes) -> list[TileLayer]:
    return [_layer(content) for field, content in _fields(tile) if field == 3]


def _layer(content: bytes) -> TileLayer:
    parts: dict[int, list[Any]] = {}
    for field, value in _fields(content):
        parts.setdefault(field, []).append(value)
    keys = [key.decode() for key in parts[3]]
    values = [_value(value) for value in parts.get(4, [])]
    features = [_feature(feature, keys, values) for feature in parts[2]]
    assert len(set(values)) == len(values)
    return TileLayer(parts[1][0].decode(), parts[15][0], parts[5][0], features)


def _value(content: bytes) -> Any:
    ((field, value),) = _fields(content)
    return value.decode() if field == 1 else value


def _feature(content: bytes, keys: list[str], values: list[Any]) -> Feature:
    parts = dict(_fields(content))
    tags = list(_varints(parts.get(2, b"")))
    properties = {keys[key]: values[value] for key, value in zip(tags[::2], tags[1::2], strict=True)}
    return Feature(parts.get(1), _KINDS[parts[3]], properties, _lines(list(_varints(parts[4])), _KINDS[parts[3]]))


def _lines(words: list[int], kind: str) -> list[list[tuple[int, int]]]:
    lines: list[list[tuple[int, int]]] = []
    at, x, y = 0, 0, 0
    while at < len(words):
        command, count = words[at] & 7, words[at] >> 3
        at += 1
        if command == 7:
            assert (kind, count) == ("polygon", 1)
            continue
        assert command in (1, 2)
        if command == 1:
            assert kind == "points" or count == 1
            lines.append([])
        for _ in range(count):
            x += _signed(words[at])
            y += _signed(words[at + 1])
            at += 2
            lines[-1].append((x, y))
    return lines


def _signed(word: int) -> int:
    return word >> 1 ^ -(word & 1)


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(content):
        head, at = _varint(content, at)
        value, at = _varint(content, at)
        if head & 7 == 2:
            yield head >> 3, content[at : at + value]
            at += value
        else:
            assert head & 7 == 0
            yield head >> 3, value


def _varints(content: bytes) -> Iterator[int]:
    at = 0
    while at < len(content):
        value, at = _varint(content, at)
        yield value


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value, at
