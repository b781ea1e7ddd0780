"""What is kept of an annotation beside its bytes: for each layer its name, how many regions it has, and their area."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pinakes.core.annotations import geometry
from pinakes.core.annotations.model import Layer, Region


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """One layer. regions: how many, not counting holes.

    area_px: what they cover less the holes, in level-0 pixels; None if that is beyond what can be counted.
    """

    name: str
    regions: int
    area_px: float | None


_decoder = msgspec.json.Decoder(tuple[LayerSummary, ...])


class Tally:
    """Adds up regions one by one, and keeps none."""

    def __init__(self) -> None:
        self._regions: dict[int, int] = {}
        self._areas: dict[int, float] = {}

    def add(self, layer: int, region: Region) -> None:
        """Count a region of the layer at a position."""
        sign = -1 if region.is_hole else 1
        self._regions[layer] = self._regions.get(layer, 0) + (not region.is_hole)
        self._areas[layer] = self._areas.get(layer, 0.0) + sign * geometry.area(region)

    def summary(self, layers: Sequence[Layer]) -> tuple[LayerSummary, ...]:
        """The totals of each layer; the layers' own regions are not looked at."""
        return tuple(
            LayerSummary(layer.name, self._regions.get(position, 0), _area(self._areas.get(position, 0.0)))
            for position, layer in enumerate(layers)
        )


def summarize(layers: Sequence[Layer]) -> tuple[LayerSummary, ...]:
    """The summary of layers that are in memory."""
    tally = Tally()
    for position, layer in enumerate(layers):
        for region in layer.regions:
            tally.add(position, region)
    return tally.summary(layers)


def encode(layers: Sequence[LayerSummary]) -> str:
    """The JSON kept in the database."""
    return msgspec.json.encode(layers).decode()


def decode(text: str) -> tuple[LayerSummary, ...]:
    return _decoder.decode(text)


def _area(area: float) -> float | None:
    return round(max(0.0, area), 3) if math.isfinite(area) else None
