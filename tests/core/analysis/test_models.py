"""Models of an archive: installed by operators, kept as content, unpacked and checked by workers (contract 8.4)."""

import hashlib
import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from pinakes.core import audit
from pinakes.core.actor import Actor
from pinakes.core.analysis import packing
from pinakes.core.analysis.models import BUILT_IN, BUILT_IN_REF, Model
from pinakes.core.annotations import reading
from pinakes.core.archive import Archive
from pinakes.core.content.verify import verify
from pinakes.core.db.schema import events
from pinakes.core.errors import InvalidFields, ModelExists, ModelUnknown, NotAllowed, WrongState
from pinakes.core.slides.records import Slide
from pinakes.core.slides.states import RunState
from pinakes.imaging.analysis.cellularity import Cellularity
from pinakes.imaging.analysis.manifest import ModelInvalid
from pinakes.imaging.analysis.requests import Executable
from tests.core.analysis.making import document, stages, told
from tests.core.analysis.pretending import MODEL, Pretender, Stage
from tests.core.slides.working import attempt, begin, take_over, work_off

OPERATOR = Actor("cli", is_staff=True)


def write_model(
    folder: Path, version: str = "1.0", program: bytes = b"#!/bin/sh\n", weights: bytes = b"weights"
) -> Path:
    """A directory with a model that is a program."""
    folder.mkdir()
    (folder / "score.sh").write_bytes(program)
    (folder / "score.sh").chmod(0o755)
    (folder / "lib").mkdir()
    (folder / "lib" / "weights.bin").write_bytes(weights)
    manifest = {
        "kind": "executable",
        "name": "invented",
        "version": version,
        "licence": "none",
        "sha256": hashlib.sha256(program).hexdigest(),
        "input_px": 64,
        "mpp": 0.5,
        "classes": [{"name": "High", "colour": [1, 2, 3]}],
        "command": ["score.sh"],
        "files": {"lib/weights.bin": hashlib.sha256(weights).hexdigest()},
    }
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    return folder


@pytest.fixture
def model(archive: Archive, tmp_path: Path) -> Model:
    return archive.models.add(OPERATOR, write_model(tmp_path / "model"))


def test_a_model_is_kept_as_content_and_counted(archive: Archive, model: Model) -> None:
    assert archive.models.list() == [model]
    assert (model.ref, model.kind, model.is_default) == ("invented@1.0", "executable", False)
    assert list(verify(archive.database, archive.store)) == []
    archive.models.remove(OPERATOR, model.ref)
    assert archive.models.list() == []
    assert list(archive.store.list()) == []


def test_the_same_files_are_packed_to_the_same_bytes(tmp_path: Path) -> None:
    packed = []
    for name in ("one", "two"):
        folder = write_model(tmp_path / name)
        file = io.BytesIO()
        packing.pack(folder, ["score.sh", "manifest.json", "lib/weights.bin"], file.write)
        packed.append(file.getvalue())
        (tmp_path / "one" / "score.sh").touch()
    assert packed[0] == packed[1]
    with tarfile.open(fileobj=io.BytesIO(packed[0])) as found:
        assert [(entry.name, entry.mode, entry.mtime) for entry in found] == [
            ("lib/weights.bin", 0o644, 0),
            ("manifest.json", 0o644, 0),
            ("score.sh", 0o755, 0),
        ]


def test_a_model_is_unpacked_as_it_was(archive: Archive, model: Model, tmp_path: Path) -> None:
    folder = archive.models.unpacked(model)
    for name in ("score.sh", "manifest.json", "lib/weights.bin"):
        assert (folder / name).read_bytes() == (tmp_path / "model" / name).read_bytes()
    assert (folder / "score.sh").stat().st_mode & 0o100
    assert archive.models.unpacked(model) == folder


def test_an_unpacked_manifest_that_was_changed_is_not_believed(archive: Archive, model: Model) -> None:
    folder = archive.models.unpacked(model)
    manifest = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(manifest.replace("score.sh", "other.sh"))
    assert (archive.models.unpacked(model) / "manifest.json").read_text() == manifest


def test_what_a_crash_or_a_removal_left_is_cleared_away(archive: Archive, model: Model, tmp_path: Path) -> None:
    folder = archive.models.unpacked(model)
    (folder.parent / "half").mkdir()
    archive.models.remove(OPERATOR, model.ref)
    other = archive.models.add(OPERATOR, write_model(tmp_path / "other", "2.0"))
    archive.models.unpacked(other)
    assert sorted(path.name for path in folder.parent.iterdir()) == sorted(["lock", other.digest])


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
def test_stored_bytes_that_have_changed_are_not_unpacked(archive: Archive, model: Model, tmp_path: Path) -> None:
    (stored,) = [path for path in (tmp_path / "content").rglob("*") if path.is_file() and path.stat().st_size > 5000]
    stored.chmod(0o600)
    stored.write_bytes(stored.read_bytes().replace(b"weights", b"Weights"))
    with pytest.raises(ModelInvalid, match="not the one that was installed"):
        archive.models.unpacked(model)


def test_a_version_is_installed_once(archive: Archive, model: Model, tmp_path: Path) -> None:
    with pytest.raises(ModelExists):
        archive.models.add(OPERATOR, write_model(tmp_path / "again"))
    assert len(list(archive.store.list())) == 1
    assert list(verify(archive.database, archive.store)) == []


def test_a_directory_that_is_no_model_is_refused_with_what_is_wrong(archive: Archive, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    (folder / "lib" / "weights.bin").write_bytes(b"others")
    with pytest.raises(InvalidFields, match=r"lib/weights\.bin"):
        archive.models.add(OPERATOR, folder)
    with pytest.raises(InvalidFields, match=r"manifest\.json"):
        archive.models.add(OPERATOR, tmp_path / "nowhere")
    assert list(archive.store.list()) == []


def test_only_staff_change_models(archive: Archive, ana: Actor, model: Model, tmp_path: Path) -> None:
    with pytest.raises(NotAllowed):
        archive.models.add(ana, tmp_path / "model")
    with pytest.raises(NotAllowed):
        archive.models.remove(ana, model.ref)
    with pytest.raises(NotAllowed):
        archive.models.use(ana, model.ref)


@pytest.mark.parametrize("ref", ["", "@", "invented", "invented@2", "x@\0", "é@1", "@1.0"])
def test_what_is_not_installed_is_unknown(archive: Archive, ana: Actor, model: Model, slide: Slide, ref: str) -> None:
    for ask in (archive.models.find, lambda ref: archive.models.use(OPERATOR, ref)):
        with pytest.raises(ModelUnknown):
            ask(ref)
    with pytest.raises(InvalidFields, match="model"):
        archive.analysis.start(ana, slide.id, ref)


def test_the_default_is_what_runs_use(archive: Archive, ana: Actor, slide: Slide, stage: Stage, model: Model) -> None:
    archive.models.use(OPERATOR, model.ref)
    assert [one.is_default for one in archive.models.list()] == [True]
    with pytest.raises(WrongState):
        archive.models.remove(OPERATOR, model.ref)
    archive.runs.start(ana, slide.uid)
    work_off(archive)
    assert stage.choices == [Executable(str(archive.models.unpacked(model)), model.sha256)] * 2
    archive.models.use(OPERATOR, BUILT_IN)
    assert archive.models.default() is None


def test_a_run_whose_model_was_removed_fails_and_says_so(
    archive: Archive, ana: Actor, slide: Slide, model: Model
) -> None:
    archive.analysis.start(ana, slide.id, model.ref)
    archive.models.remove(OPERATOR, model.ref)
    work_off(archive)
    assert stages(archive.slides.find(ana, slide.uid)) == "Failed Pending Pending"
    assert told(archive, ana, slide)[-1].endswith("The model invented@1.0 is not installed any more.")


def test_a_model_of_the_same_name_with_other_files_does_not_go_on_with_a_run(
    archive: Archive, ana: Actor, slide: Slide, stage: Stage, model: Model, tmp_path: Path
) -> None:
    def die(_: Pretender, first: int, __: int) -> None:
        if first > 20:
            raise KeyboardInterrupt

    stage.on_score = die
    stage.model = msgspec.structs.replace(MODEL, name="invented", sha256=model.sha256, kind="executable")
    archive.analysis.start(ana, slide.id, model.ref)
    claim = begin(archive)
    with pytest.raises(KeyboardInterrupt):
        attempt(archive, claim).run()
    archive.models.remove(OPERATOR, model.ref)
    other = archive.models.add(OPERATOR, write_model(tmp_path / "other", weights=b"other weights"))
    assert other.sha256 == model.sha256
    stage.on_score = lambda *_: None
    attempt(archive, take_over(archive, claim)).run()
    (run,) = archive.analysis.list(ana, slide.id)
    assert (run.state, run.error) == (RunState.FAILED, "The model invented@1.0 is another one than when the run began.")
    archive.analysis.start(ana, slide.id, other.ref)
    work_off(archive)
    run = archive.analysis.list(ana, slide.id)[0]
    assert run.result is not None
    assert run.result.model_digest == other.digest
    attributes = dict(reading.read([document(archive, ana, slide)]).layers[0].attributes)
    assert (attributes["Weights SHA-256"], attributes["Model SHA-256"]) == (other.sha256, other.digest)


def test_what_is_built_in_goes_by_the_name_that_is_shown_too(archive: Archive) -> None:
    identity = Cellularity.identity
    assert f"{identity.name}@{identity.version}" == BUILT_IN_REF
    assert archive.models.find(BUILT_IN_REF) is None


def test_two_defaults_at_once_leave_one(archive: Archive, model: Model, tmp_path: Path) -> None:
    other = archive.models.add(OPERATOR, write_model(tmp_path / "other", version="2.0"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda ref: archive.models.use(OPERATOR, ref), [model.ref, other.ref] * 8))
    assert sorted(one.is_default for one in archive.models.list()) == [False, True]


def test_what_operators_do_to_models_is_in_the_trail(archive: Archive, model: Model) -> None:
    archive.models.use(OPERATOR, model.ref)
    archive.models.use(OPERATOR, BUILT_IN)
    archive.models.remove(OPERATOR, model.ref)
    with archive.database.read() as connection:
        statement = (
            select(events.c.action, events.c.subject).where(events.c.action.like("model:%")).order_by(events.c.id)
        )
        found = [tuple(row) for row in connection.execute(statement)]
    assert found == [
        (audit.Action.MODEL_ADD, f"model:{model.id}"),
        (audit.Action.MODEL_USE, f"model:{model.id}"),
        (audit.Action.MODEL_USE, "model:0"),
        (audit.Action.MODEL_REMOVE, f"model:{model.id}"),
    ]
