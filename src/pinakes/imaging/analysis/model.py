"""What a model of tiles is, and what it finds: the protocol between the pipeline and every kind of model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from pinakes.imaging.analysis.outlines import Outline
from pinakes.imaging.analysis.tiling import Tile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pinakes.imaging.analysis.tissue import Tissue

Kind: TypeAlias = Literal["classical", "onnx", "executable"]

Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0 to 255 each."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model it is. sha256: of its weights, in hex; None for one without weights."""

    name: str
    version: str
    sha256: str | None
    kind: Kind


@dataclass(frozen=True, slots=True)
class FoundClass:
    """Where a class was found; `outlines` is empty if nowhere. They are in level-0 pixels, in a fixed order."""

    name: str
    colour: Colour
    outlines: tuple[Outline, ...] = ()

    @property
    def area_px(self) -> float:
        """Of all its outlines, which do not overlap, in level-0 pixels."""
        return sum(outline.area_px for outline in self.outlines)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a model makes of a whole slide.

    classes: one for each class of the model, in its order.
    figures: numbers by name, with the unit in the name; None for what cannot be known (a slide without scale).
    outcome: what a model of outcomes says, as JSON (pathomiq contract 2.1); None for all others.
    """

    classes: tuple[FoundClass, ...]
    figures: Mapping[str, float | None] = field(default_factory=dict)
    outcome: Mapping[str, Any] | None = None


class TileModel(Protocol):
    """A model that gives each tile a row of numbers, and makes findings of all rows.

    input_px, mpp: the side of the tiles it wants, and their um per pixel.
    tiles_at_once: how many it scores in one go; of fewer it takes as long.
    columns: what each number of a row means, with its unit.
    heat_column: the column that a heat map shows.   heat_range: its values for no and for full colour;
    None: from the least to the greatest value.
    """

    identity: ModelIdentity
    input_px: int
    mpp: float
    tiles_at_once: int
    columns: tuple[str, ...]
    heat_column: int
    heat_range: tuple[float, float] | None

    def score(self, batch: "NDArray[np.uint8]", mpp: float) -> "NDArray[np.float32]":
        """The rows of a batch: N x columns, of N x H x W x 3 pixels in RGB.

        mpp: um per pixel of the batch; for a slide without scale, what the model wants, as a guess.
        The same tile gives the same row, whatever else is in its batch.
        """

    def findings(self, tiles: "Sequence[Tile]", scores: "NDArray[np.float32]", tissue: "Tissue") -> Findings:
        """What the scores of all tiles with tissue, in their order, say of the slide. No tiles is no error."""
