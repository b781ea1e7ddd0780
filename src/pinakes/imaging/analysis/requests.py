"""What is asked of an analysis process, what it answers, and what can go wrong on the way.

Nothing here needs the libraries of the analysis: who only asks is spared them.
"""

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import msgspec

from pinakes.imaging.source import DEFAULT_LIMITS, ImagingError, Limits

if TYPE_CHECKING:
    from pinakes.imaging.analysis.outlines import Outline


class AnalysisFailed(ImagingError):
    """A model did not do what it is for, or the process died: the text says why, for people."""


class Classical(msgspec.Struct, frozen=True, tag=True):
    """The measurement that is built in."""


class OnnxModel(msgspec.Struct, frozen=True, tag=True):
    """A directory with a manifest of kind "onnx". sha256: which model is expected there, by its manifest."""

    directory: str
    sha256: str


class Executable(msgspec.Struct, frozen=True, tag=True):
    """A directory with a manifest of kind "executable". sha256: as above."""

    directory: str
    sha256: str


ModelChoice: TypeAlias = Classical | OnnxModel | Executable


class AnalysisBounds(msgspec.Struct, frozen=True, kw_only=True):
    """What an analysis process may take.

    memory_bytes: of address space, for it and again for a model that is a program of its own.
    seconds: for one request, by the clock on the wall.
    uses_gpu: networks run on the GPU if there is one; drivers set aside addresses without end, so that then
    memory_bytes is of memory that may be written to.
    file_bytes: of one file that a model which is a program of its own may write, in a folder that goes with it.
    opener: "module:function" with the signature of `opening.open_source`.
    """

    memory_bytes: int
    seconds: float
    limits: Limits = DEFAULT_LIMITS
    uses_gpu: bool = False
    file_bytes: int = 256 * 1024 * 1024
    opener: str = "pinakes.imaging.opening:open_source"


class Load(msgspec.Struct, frozen=True, tag=True):
    """Check and load the model. The answer is Loaded."""


class Begin(msgspec.Struct, frozen=True, tag=True):
    """Open a slide, find its tissue, cut it into tiles. The answer is Begun. path: of the file."""

    path: str


class Score(msgspec.Struct, frozen=True, tag=True):
    """Score tiles[first : first + count]. The answer is Scored. then: the first tile of the next request, perhaps."""

    first: int
    count: int
    then: int


class Conclude(msgspec.Struct, frozen=True, tag=True):
    """Make findings of the scores of all tiles, as in Scored. The answer is Concluded."""

    scores: bytes


AnalysisRequest: TypeAlias = Load | Begin | Score | Conclude


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The process has set its limits and waits for requests."""


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """The model, as `model.TileModel` explains it. notice: what its manifest says of it.

    Who asks for multiples of tiles_at_once, from a multiple on, spares it what it would score in vain.
    """

    name: str
    version: str
    sha256: str | None
    kind: Literal["classical", "onnx", "executable"]
    input_px: int
    mpp: float
    columns: tuple[str, ...]
    heat_column: int
    heat_range: tuple[float, float] | None
    notice: str = ""
    tiles_at_once: int = 1


class TileRow(NamedTuple):
    """A tile in level-0 pixels. tissue_fraction: 0 to 1."""

    x: int
    y: int
    width: int
    height: int
    tissue_fraction: float


TILE: Final = struct.Struct("<4id")
"""How a TileRow is packed."""


class Begun(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What is known of a slide before it is scored.

    size: width and height, level 0.   mpp: um per level-0 pixel, x and y.   area_px: of tissue, in level-0 pixels.
    area_mm2: None without a scale.   fraction: of the slide that is tissue, 0 to 1.
    tiles: those with enough tissue, row by row, each packed as TILE.   tiles_total: how many cover the slide.
    least_tissue: the part of a tile that has to be tissue for it to be scored.
    """

    model: Loaded
    size: tuple[int, int]
    mpp: tuple[float, float] | None
    area_px: float
    area_mm2: float | None
    fraction: float
    tiles: bytes
    tiles_total: int
    least_tissue: float
    packed_outlines: bytes

    @property
    def tiles_count(self) -> int:
        return len(self.tiles) // TILE.size

    def tile_rows(self) -> Iterator[TileRow]:
        return map(TileRow._make, TILE.iter_unpack(self.tiles))

    def outlines(self) -> "tuple[Outline, ...]":
        """Of the tissue. Loads the libraries of geometry."""
        from pinakes.imaging.analysis.outlines import Outline

        return msgspec.msgpack.decode(self.packed_outlines, type=tuple[Outline, ...])


class Scored(msgspec.Struct, frozen=True, tag=True):
    """Rows of float32, little-endian: one for each tile, one number for each of the model's columns."""

    rows: bytes


class Concluded(msgspec.Struct, frozen=True, tag=True):
    """`model.Findings`, packed."""

    findings: bytes


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Why there is no answer. kind: which error to raise.   reason: for people.

    cause: for the log: type and place of the error, nothing of the file.
    """

    kind: Literal["unreadable", "limit", "failed"]
    reason: str
    cause: str = ""


AnalysisAnswer: TypeAlias = Ready | Loaded | Begun | Scored | Concluded | Refused


class Orders(msgspec.Struct, frozen=True):
    """What an analysis process is told when it starts.

    socket: the number of its file.   scratch: a folder of its own.
    """

    parent_pid: int
    socket: int
    scratch: str
    bounds: AnalysisBounds
    model: ModelChoice
