"""Networks of operators, run by ONNX Runtime with one thread: several processes are what runs side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import onnxruntime

from pinakes.imaging.analysis.manifest import WEIGHTS, OnnxManifest
from pinakes.imaging.analysis.requests import AnalysisFailed
from pinakes.imaging.analysis.scoring import Manifested, activated, checked

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SILENT: Final = 4
_GPU: Final = "CUDAExecutionProvider"
_CPU: Final = "CPUExecutionProvider"


class OnnxNetwork(Manifested):
    """A `TileModel` of a directory that `manifest.read` has found right.

    Its maps, N x C x h x w, become as many cells as the manifest says.
    """

    manifest: OnnxManifest

    def __init__(self, directory: Path, manifest: OnnxManifest, *, uses_gpu: bool = False) -> None:
        """Raises AnalysisFailed for what ONNX Runtime cannot load, or has other inputs and outputs than it should."""
        super().__init__(manifest)
        self._session = _session(directory / WEIGHTS, uses_gpu)
        self._input, self.tiles_at_once = _input(self._session, manifest)
        self._outputs = _outputs(self._session, manifest)
        std = np.array(manifest.std, np.float64)
        self._factor = (1 / (255 * std)).astype(np.float32)
        self._offset = (-np.array(manifest.mean, np.float64) / std).astype(np.float32)

    def score(self, batch: "NDArray[np.uint8]", mpp: float) -> "NDArray[np.float32]":  # noqa: ARG002
        """As `TileModel.score`. Raises AnalysisFailed for NaN, a wrong shape or type, too much memory."""
        step = self.tiles_at_once
        rows = [self._scored(batch[first : first + step]) for first in range(0, len(batch), step)]
        return np.concatenate(rows) if rows else np.empty((0, len(self.columns)), np.float32)

    def _scored(self, tiles: "NDArray[np.uint8]") -> "NDArray[np.float32]":
        try:
            given = self._session.run(self._outputs, {self._input: self._prepared(tiles)})
        except MemoryError:
            raise
        except Exception as error:  # ONNX Runtime's own have no ancestor in common
            raise _failure(error, "The model failed") from error
        scores, *outcome = (each[: len(tiles)] if _is_rows(each, self.tiles_at_once) else each for each in given)
        means, parts = self.class_scores(np.asarray(scores), len(tiles))
        if not self.manifest.outcome:
            return np.hstack([means, parts])
        share = checked(np.asarray(outcome[0]), (len(tiles), 1))
        return np.hstack([means, activated(share, self.manifest.outcome.activation), parts])

    def _prepared(self, tiles: "NDArray[np.uint8]") -> "NDArray[np.float32]":
        """As the network wants them; a short batch is filled up, so that every run has the same shape."""
        pixels = np.zeros((self.tiles_at_once, *tiles.shape[1:]), np.float32)
        np.multiply(tiles, self._factor, out=pixels[: len(tiles)])
        pixels[: len(tiles)] += self._offset
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)) if self.manifest.layout == "NCHW" else pixels


def _session(path: Path, uses_gpu: bool) -> "onnxruntime.InferenceSession":
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # it would double what it holds, and never give it back
    options.use_deterministic_compute = True
    options.log_severity_level = _SILENT
    with_gpu = uses_gpu and _GPU in onnxruntime.get_available_providers()
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[_GPU, _CPU] if with_gpu else [_CPU])
    except MemoryError:
        raise
    except Exception as error:
        raise _failure(error, f"{WEIGHTS} cannot be loaded") from error


def _input(session: "onnxruntime.InferenceSession", manifest: OnnxManifest) -> tuple[str, int]:
    """The name of the only input, and how many tiles it takes. Raises AnalysisFailed.

    On a CPU one, if it takes any number: there more at once are no faster, and in a network that is quantised as it
    runs, a tile's score would depend on the others.
    """
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise AnalysisFailed(f"{WEIGHTS} has {len(inputs)} inputs, not one.")
    side = manifest.input_px
    wanted = (side, side, 3) if manifest.layout == "NHWC" else (3, side, side)
    batch, *rest = inputs[0].shape or (None,)
    fits = len(rest) == 3 and all(not isinstance(has, int) or has == one for has, one in zip(rest, wanted, strict=True))
    if inputs[0].type != "tensor(float)" or not fits:
        expected = " x ".join(map(str, ("N", *wanted)))
        raise AnalysisFailed(f"The input of {WEIGHTS} is not float32 of {expected}, as its manifest says.")
    if isinstance(batch, int) and batch > 0:
        return inputs[0].name, batch
    return inputs[0].name, manifest.batch if _GPU in session.get_providers() else 1


def _outputs(session: "onnxruntime.InferenceSession", manifest: OnnxManifest) -> list[str]:
    """The names of the output with the scores, and of the one with the outcome if there is one."""
    names = [each.name for each in session.get_outputs()]
    wanted = [manifest.output or names[0], *([manifest.outcome.output] if manifest.outcome else [])]
    for name in wanted:
        if name not in names:
            raise AnalysisFailed(f"{WEIGHTS} has no output {name}.")
    return wanted


def _is_rows(given: object, count: int) -> bool:
    return isinstance(given, np.ndarray) and given.ndim > 0 and len(given) == count


def _failure(error: Exception, what: str) -> AnalysisFailed:
    """ONNX Runtime tells of what it could not allocate in its text only, which may quote names of the model."""
    said = str(error)
    if "bad_alloc" in said or "Failed to allocate" in said or "bad allocation" in said:
        return AnalysisFailed("The model takes more memory than is allowed.")
    return AnalysisFailed(f"{what}: ONNX Runtime says {type(error).__name__}.")
