"""From a request to its answer, in an analysis process: load the model, open the slide, score its tiles, conclude.

Every error becomes an answer. What a library says of a broken file may quote it, so it goes no further.
"""

import os
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar, assert_never

import msgspec
import numpy as np

from pinakes.imaging.analysis import tiling, tissue
from pinakes.imaging.analysis.manifest import ExecutableManifest, Manifest, OnnxManifest, read
from pinakes.imaging.analysis.model import TileModel
from pinakes.imaging.analysis.prefetch import TileReader
from pinakes.imaging.analysis.requests import (
    TILE,
    AnalysisAnswer,
    AnalysisFailed,
    AnalysisRequest,
    Begin,
    Begun,
    Classical,
    Conclude,
    Concluded,
    Executable,
    Load,
    Loaded,
    ModelChoice,
    OnnxModel,
    Refused,
    Score,
    Scored,
)
from pinakes.imaging.analysis.scoring import checked
from pinakes.imaging.analysis.tiling import Tile, TilingOptions
from pinakes.imaging.source import ImageSource, ImagingError, LimitExceeded

Answer = TypeVar("Answer")
Installed = TypeVar("Installed", OnnxManifest, ExecutableManifest)


class Analysis:
    """What an analysis process knows and does. For one thread, and the reader's.

    opener: opens the slide.   made: makes the model.
    """

    def __init__(self, opener: Callable[[Path], ImageSource], made: Callable[[], tuple[TileModel, str]]) -> None:
        self._opener = opener
        self._made = made
        self._model: TileModel | None = None
        self._notice = ""
        self._slide: _Slide | None = None

    def answer(self, request: AnalysisRequest) -> AnalysisAnswer:
        """Never raises what the slide or the model is to blame for."""
        try:
            match request:
                case Load():
                    return self._load()
                case Begin(path):
                    return self._begin(Path(path))
                case Score(first, count, then):
                    return self._score(first, count, then)
                case Conclude(scores):
                    return self._conclude(scores)
                case _:
                    assert_never(request)
        except Exception as error:
            return _refusal(error)

    def close(self) -> None:
        if self._slide:
            self._slide.reader.close()

    def _load(self) -> Loaded:
        self._model, self._notice = _of_model(self._made)
        return _loaded(self._model, self._notice)

    def _begin(self, path: Path) -> Begun:
        model = self._loaded_model()
        self.close()
        self._slide = None
        source = self._opener(path)
        try:
            self._slide = _Slide(source, model)
        except BaseException:
            source.close()
            raise
        return self._slide.begun(_loaded(model, self._notice))

    def _score(self, first: int, count: int, then: int) -> Scored:
        model, slide = self._loaded_model(), self._begun_slide()
        rows = b""
        for batch in slide.reader.batches(first, count, then):
            scores = _of_model(partial(model.score, batch, model.mpp))
            rows += checked(scores, (len(batch), len(model.columns))).astype("<f4").tobytes()
        return Scored(rows)

    def _conclude(self, scores: bytes) -> Concluded:
        model, slide = self._loaded_model(), self._begun_slide()
        rows = np.frombuffer(scores, "<f4").reshape(len(slide.tiles), len(model.columns))
        findings = _of_model(partial(model.findings, slide.tiles, rows.astype(np.float32), slide.tissue))
        return Concluded(msgspec.msgpack.encode(findings))

    def _loaded_model(self) -> TileModel:
        if self._model is None:
            raise AnalysisFailed("No model has been loaded.")
        return self._model

    def _begun_slide(self) -> "_Slide":
        if self._slide is None:
            raise AnalysisFailed("No slide has been opened.")
        return self._slide


class _Slide:
    """An open slide, its tissue and its tiles."""

    def __init__(self, source: ImageSource, model: TileModel) -> None:
        self.options = TilingOptions(tile_px=model.input_px, mpp=model.mpp)
        self.tissue = tissue.find(source)
        self.tiles = tiling.tiles_of(self.tissue, self.options)
        self.reader = TileReader(source, self.tiles, model.input_px, model.tiles_at_once)

    def begun(self, model: Loaded) -> Begun:
        found = self.tissue
        return Begun(
            model=model,
            size=(found.size.width, found.size.height),
            mpp=found.mpp,
            area_px=found.area_px,
            area_mm2=found.area_mm2,
            fraction=found.fraction,
            tiles=b"".join(map(_packed, self.tiles)),
            tiles_total=tiling.total(found.size, found.mpp, self.options),
            least_tissue=self.options.least_tissue,
            packed_outlines=msgspec.msgpack.encode(found.outlines),
        )


def model_of(choice: ModelChoice, *, uses_gpu: bool = False) -> tuple[TileModel, str]:
    """The model, and what its manifest says of it. The files of an installed one are hashed first.

    Raises AnalysisFailed.
    """
    match choice:
        case Classical():
            from pinakes.imaging.analysis.cellularity import Cellularity

            return Cellularity(), ""
        case OnnxModel(directory, sha256):
            from pinakes.imaging.analysis.onnx import OnnxNetwork

            network = _expected(read(Path(directory)), OnnxManifest, sha256)
            return OnnxNetwork(Path(directory), network, uses_gpu=uses_gpu), network.description
        case Executable(directory, sha256):
            from pinakes.imaging.analysis.executable import ExecutableProgram

            program = _expected(read(Path(directory)), ExecutableManifest, sha256)
            return ExecutableProgram(Path(directory), program), program.description
        case _:
            assert_never(choice)


def _expected(manifest: Manifest, kind: type[Installed], sha256: str) -> Installed:
    if not isinstance(manifest, kind) or manifest.sha256 != sha256:
        raise AnalysisFailed("The model is not the one that was installed: its kind or its SHA-256 is another.")
    return manifest


def _of_model(ask: Callable[[], Answer]) -> Answer:
    """What a model answers. Raises AnalysisFailed, whatever it raises."""
    try:
        return ask()
    except AnalysisFailed:
        raise
    except MemoryError as error:
        raise AnalysisFailed("The model takes more memory than is allowed.") from error
    except Exception as error:
        raise AnalysisFailed(f"The model failed with {type(error).__name__}.") from error


def _loaded(model: TileModel, notice: str) -> Loaded:
    identity = model.identity
    return Loaded(
        identity.name,
        identity.version,
        identity.sha256,
        identity.kind,
        model.input_px,
        model.mpp,
        tuple(model.columns),
        model.heat_column,
        model.heat_range,
        notice,
        model.tiles_at_once,
    )


def _packed(tile: Tile) -> bytes:
    return TILE.pack(tile.x, tile.y, tile.width, tile.height, tile.tissue_fraction)


def _refusal(error: Exception) -> Refused:
    match error:
        case AnalysisFailed():
            return Refused("failed", str(error), _cause(error.__cause__))
        case LimitExceeded():
            return Refused("limit", str(error))
        case ImagingError():
            return Refused("unreadable", str(error))
        case MemoryError():
            return Refused("limit", "The slide takes more memory than is allowed.", _cause(error))
        case OSError():
            return Refused("failed", "The file could not be opened or read.", _cause(error))
        case _:
            return Refused("unreadable", "The slide is damaged, or of a kind that is not read here.", _cause(error))


def _cause(error: BaseException | None) -> str:
    """Which error came from where; not what it says."""
    if error is None:
        return ""
    places = traceback.extract_tb(error.__traceback__)[-5:]
    return " < ".join(
        [type(error).__name__, *(f"{os.path.basename(at.filename)}:{at.lineno}" for at in reversed(places))]
    )
