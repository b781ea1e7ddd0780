"""Models that are programs of their own: another framework, wrapped (docs/recipes/add-a-model.md).

    stdin     {"shape": [N, H, W, 3], "dtype": "uint8", "mpp": 0.5}    a line of JSON, then the pixels, raw
    stdout    {"shape": [N, C], "dtype": "float32"}                    a line of JSON, then the scores, raw
              {"shape": [N, C, cells, cells], "dtype": "float32"}      instead, where the manifest has cells
              {"error": "why"}                                         instead, for people

One answer for each batch, in order; the numbers are little-endian, the last index runs fastest. At the end of its
stdin the program ends. It may take what the analysis process may; whoever asked that ends both when it takes too long.
"""

import json
import os
import subprocess
import tempfile
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from pinakes import kinship
from pinakes.imaging.analysis.manifest import ExecutableManifest
from pinakes.imaging.analysis.requests import AnalysisFailed
from pinakes.imaging.analysis.scoring import Manifested

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_HEADER_BYTES: Final = 4096
_MOST_REASON: Final = 200
_END_SECONDS: Final = 1.0

_DIRECTORY: Final = "PINAKES_MODEL"
"""The variable that names the program the directory of its model."""


class _Header(msgspec.Struct, frozen=True):
    shape: tuple[int, ...] = ()
    dtype: str = ""
    error: str | None = None


class ExecutableProgram(Manifested):
    """A `TileModel` of a directory that `manifest.read` has found right. The program lives as long as this process.

    It starts where temporary files go: what it wrote into the model's directory would make another model of it.
    """

    manifest: ExecutableManifest

    def __init__(self, directory: Path, manifest: ExecutableManifest) -> None:
        """Raises AnalysisFailed if the program cannot be started."""
        super().__init__(manifest)
        parent = os.getpid()
        program, *words = manifest.command
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - an operator installed it
                [str(directory.absolute() / program), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=tempfile.gettempdir(),
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", _DIRECTORY: str(directory.absolute())},
                preexec_fn=lambda: kinship.die_with(parent),  # noqa: PLW1509 - no other thread runs yet
            )
        except OSError as error:
            raise AnalysisFailed(f"The model's program cannot be started: {error.strerror}.") from error

    def score(self, batch: "NDArray[np.uint8]", mpp: float) -> "NDArray[np.float32]":
        """As `TileModel.score`. Raises AnalysisFailed for NaN, a wrong shape or type, a program that ended."""
        head = json.dumps({"shape": batch.shape, "dtype": "uint8", "mpp": mpp}).encode()
        stdin, stdout = self._popen.stdin, self._popen.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(head + b"\n")
            stdin.write(np.ascontiguousarray(batch).data)
            stdin.flush()
        except OSError as error:
            raise self._ended() from error
        header = self._header(stdout.readline(_MOST_HEADER_BYTES))
        shape: tuple[int, ...] = (len(batch), len(self.manifest.classes))
        if self.manifest.cells > 1:
            shape += (self.manifest.cells, self.manifest.cells)
        if header.dtype != "float32" or header.shape != shape:
            raise AnalysisFailed(
                f"The model's program returned {_printable(header.dtype, 20)} of {list(header.shape[:8])}, "
                f"not float32 of {list(shape)}."
            )
        raw = stdout.read(4 * prod(shape))
        if len(raw) < 4 * prod(shape):
            raise self._ended()
        numbers = np.frombuffer(raw, "<f4").reshape(shape).astype(np.float32)
        return np.hstack(self.class_scores(numbers, len(batch)))

    def _header(self, line: bytes) -> _Header:
        if not line:
            raise self._ended()
        try:
            header = msgspec.json.decode(line, type=_Header)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise AnalysisFailed("The model's program returned what is no line of JSON.") from error
        if header.error is not None:
            raise AnalysisFailed(f"The model's program says: {_printable(header.error, _MOST_REASON)}")
        return header

    def _ended(self) -> AnalysisFailed:
        try:
            status = self._popen.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return AnalysisFailed("The model's program no longer speaks.")
        how = f"with status {status}" if status >= 0 else f"by signal {-status}"
        return AnalysisFailed(f"The model's program ended {how}; perhaps it needs more memory than is allowed.")


def _printable(text: str, most: int) -> str:
    return "".join(each for each in text[:most] if each.isprintable())
