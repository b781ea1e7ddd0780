"""Manifests of installed models: what a directory with a model says of it, and that its files are what it says.

    directory/
        manifest.json        of at most 1 MiB; no field is allowed that is not known here
        model.onnx           kind "onnx": its SHA-256 is `sha256`
        score.py             kind "executable": the first word of `command`; its SHA-256 is `sha256`
        weights.bin ...      whatever else there is, by path and SHA-256 in `files`

The fields are those of pathomiq contract 8.4; docs/recipes/add-a-model.md explains them to those who write one.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from pinakes.imaging.analysis.requests import AnalysisFailed

FILE_NAME: Final = "manifest.json"
WEIGHTS: Final = "model.onnx"

_MOST_BYTES: Final = 1024 * 1024
_MOST_FILES: Final = 1000
_MOST_CELL_SCORES: Final = 1024
"""Of a tile: they are kept, 4 bytes each, until the slide has another run."""

_PRINTED: Final = r"\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff"
"""No control characters, and no halves of characters: XML, in which texts end up, has no place for them."""


class ModelInvalid(AnalysisFailed):
    """A model's manifest is wrong, or its files are not what it says; the text says where, for its operator."""


Word: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]
Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=rf"\A[{_PRINTED}]*\Z")]
Prose: TypeAlias = Annotated[str, msgspec.Meta(max_length=2000, pattern=rf"\A[\t\n{_PRINTED}]*\Z")]
Sha256: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Byte: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=255)]
Activation: TypeAlias = Literal["none", "softmax", "sigmoid"]


class ModelClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model tells apart. A tile belongs to each class whose score is at least its threshold.

    colour: red, green, blue.   figure: under which name the metric gets the part of the tissue in this class.
    """

    name: Text
    colour: tuple[Byte, Byte, Byte]
    threshold: float = 0.5
    figure: Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,60}_percent\Z")] | None = None


class OutcomeHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number about the whole slide: the mean of one per tile, weighted by its tissue (pathomiq contract 2.1).

    output: the name of the ONNX output, N x 1.   labels: for a score below the threshold, and for one that is not.
    """

    output: Text
    endpoint: Text
    threshold: float
    labels: tuple[Text, Text]
    activation: Literal["none", "sigmoid"] = "none"


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", kw_only=True):
    """What every kind of model has to say.

    input_px, mpp: the side of its tiles, and their um per pixel.   activation: what is still to be done to its scores.
    cells: of how many parts, across and down, the maps of a model are made that says where in a tile a class is; 1: it
    gives a tile one score for each class, or only the means of its maps are to count.
    heat_class, heat_range: the class that a heat map shows (default: the first), and its scores for no and for full
    colour; without a range 0 to 1 after an activation, else from the least score to the greatest.
    """

    name: Word
    version: Word
    licence: Text
    sha256: Sha256
    input_px: Annotated[int, msgspec.Meta(ge=16, le=4096)]
    mpp: Annotated[float, msgspec.Meta(ge=0.05, le=20)]
    classes: Annotated[tuple[ModelClass, ...], msgspec.Meta(min_length=1, max_length=100)]
    activation: Activation = "none"
    cells: Annotated[int, msgspec.Meta(ge=1, le=32)] = 1
    heat_class: str | None = None
    heat_range: tuple[float, float] | None = None
    description: Prose = ""
    files: dict[str, Sha256] = msgspec.field(default_factory=dict)


class OnnxManifest(_Manifest, frozen=True, tag="onnx", kw_only=True):
    """Of a network for ONNX Runtime. Its input is float32, (pixel / 255 - mean) / std of each channel.

    output: the name of the output with the scores; default: the first.
    batch: how many tiles a GPU is given at once; a CPU is given one.
    """

    layout: Literal["NHWC", "NCHW"]
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    output: Text | None = None
    outcome: OutcomeHead | None = None
    batch: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1


class ExecutableManifest(_Manifest, frozen=True, tag="executable", kw_only=True):
    """Of a program that scores tiles. command: a file of the directory, and what it is told when it starts."""

    command: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=1000)], ...], msgspec.Meta(min_length=1)]


Manifest: TypeAlias = OnnxManifest | ExecutableManifest

_decoder: Final = msgspec.json.Decoder(Manifest)


def parse(content: bytes) -> Manifest:
    """A manifest. Raises ModelInvalid, whose text names the field."""
    if len(content) > _MOST_BYTES:
        raise ModelInvalid(f"{FILE_NAME} is longer than 1 MiB.")
    try:
        manifest: Manifest = _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        said, _, place = str(error).partition(" - at `$")
        field = place.strip("`.") or "the whole"
        raise ModelInvalid(f"{FILE_NAME} is wrong at {field}: {said}.") from None
    wrong = next(_wrong(manifest), None)
    if wrong:
        raise ModelInvalid(f"{FILE_NAME} is wrong at {wrong}.")
    return manifest


def read(directory: Path) -> Manifest:
    """The manifest of a model whose files are what it says, no more and no less. Memory is constant.

    Raises ModelInvalid.
    """
    try:
        found = set(_files(directory))
        with (directory / FILE_NAME).open("rb") as file:
            manifest = parse(file.read(_MOST_BYTES + 1))
        expected = {main_file(manifest): manifest.sha256, **manifest.files}
        _require_same(set(expected), found - {FILE_NAME})
        for name in sorted(expected):
            with (directory / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != expected[name]:
                    raise ModelInvalid(f"{name} is not the file that {FILE_NAME} tells of: its SHA-256 is another.")
    except OSError as error:
        name = os.path.basename(error.filename or "") or "the directory"
        raise ModelInvalid(f"{name} cannot be read: {error.strerror}.") from error
    return manifest


def main_file(manifest: Manifest) -> str:
    """The file that `sha256` is of, as a path within the directory."""
    return manifest.command[0] if isinstance(manifest, ExecutableManifest) else WEIGHTS


def _wrong(manifest: Manifest) -> Iterator[str]:
    """What the types above do not say."""
    names = [each.name for each in manifest.classes]
    for place, name in enumerate(names):
        if not name.isprintable() or name == "Tissue":
            yield f"classes[{place}].name: it has to be printable, and Tissue is the name of what is always found"
        if name in names[:place]:
            yield f"classes[{place}].name: two classes have the same name"
    if len(names) * manifest.cells**2 > _MOST_CELL_SCORES:
        yield f"cells: of all classes together, a tile has more than {_MOST_CELL_SCORES} scores in them"
    if manifest.heat_class is not None and manifest.heat_class not in names:
        yield "heat_class: there is no such class"
    if manifest.heat_range and manifest.heat_range[0] >= manifest.heat_range[1]:
        yield "heat_range: its first number has to be the smaller one"
    figures = [each.figure for each in manifest.classes if each.figure]
    if len(set(figures)) < len(figures):
        yield "classes[...].figure: two classes have the same figure"
    for name in (main_file(manifest), *manifest.files):
        if not _is_within(name):
            yield f"{'files' if name in manifest.files else 'command[0]'}: it has to be a path within the directory"
    if FILE_NAME in manifest.files or main_file(manifest) in manifest.files:
        yield "files: the manifest has no hash of its own, and the model's is sha256"
    if isinstance(manifest, OnnxManifest) and min(manifest.std) <= 0:
        yield "std: it has to be above 0"
    if isinstance(manifest, ExecutableManifest) and any("\0" in word for word in manifest.command):
        yield "command: it holds a NUL"


def _is_within(name: str) -> bool:
    return bool(name) and name.isprintable() and all(part not in ("", ".", "..") for part in name.split("/"))


def _files(directory: Path) -> Iterator[str]:
    """All files in a directory, as paths within it. A link may lead anywhere, so there may be none."""
    count = 0
    for folder, folders, files in os.walk(directory):
        for name in sorted([*folders, *files]):
            count += 1
            path = Path(folder, name)
            within = path.relative_to(directory).as_posix()
            kind = path.lstat().st_mode
            if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                raise ModelInvalid(f"{within} is a link, or no file.")
            if count > _MOST_FILES:
                raise ModelInvalid(f"The directory has more than {_MOST_FILES} files.")
            if stat.S_ISREG(kind):
                yield within


def _require_same(named: set[str], found: set[str]) -> None:
    missing, unnamed = sorted(named - found), sorted(found - named)
    if missing:
        raise ModelInvalid(f"{missing[0]} is missing.")
    if unnamed:
        raise ModelInvalid(f"{unnamed[0]} is not in {FILE_NAME}: name it in files, with its SHA-256.")
