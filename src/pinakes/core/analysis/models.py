"""Models that operators installed for an archive, to predict with beside what is built in (pathomiq contract 8.4).

A model's directory is kept as content, so that every worker has it, on whichever machine; a worker unpacks it into a
local folder. Its hashes are checked there each time it is loaded. None of this can be asked for over a network.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pinakes.core import audit
from pinakes.core.actor import Actor
from pinakes.core.analysis import packing
from pinakes.core.audit import Action, Event
from pinakes.core.clock import Clock, Instant
from pinakes.core.content.content import Content
from pinakes.core.content.uploads import Upload
from pinakes.core.db.engine import Database, Executor, Transaction
from pinakes.core.db.schema import models
from pinakes.core.errors import (
    InvalidFields,
    ModelExists,
    ModelUnknown,
    NotAllowed,
    StorageFull,
    StoreUnavailable,
    WrongState,
)
from pinakes.imaging.analysis import manifest
from pinakes.imaging.analysis.manifest import Manifest, ModelInvalid

BUILT_IN: Final = "classical"
"""What is built in, where the name and version of a model would stand."""

BUILT_IN_REF: Final = "cellularity@1.0"
"""The same by the name and version that runs show: those of `imaging.analysis.cellularity`, which is slow to import."""

_FOLDER_MODE: Final = 0o700
_LOCK: Final = "lock"
_CHANGES: Final = "models"


@dataclass(frozen=True, slots=True)
class Model:
    """A model. sha256: of its weights.   manifest: as it was read.   digest: of the packed directory, SHA-256 in hex.

    is_default: whether runs use it that do not ask for another.
    """

    id: int
    name: str
    version: str
    kind: str
    sha256: str
    manifest: str
    digest: str
    size_bytes: int
    is_default: bool
    added_at: Instant

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"


_COLUMNS = tuple(models.c[name] for name in Model.__dataclass_fields__)
_ALL = select(*_COLUMNS).order_by(models.c.name, models.c.added_at, models.c.id)
_BY_REF = select(*_COLUMNS).where(models.c.name == bindparam("name"), models.c.version == bindparam("version"))
_DEFAULT = select(*_COLUMNS).where(models.c.is_default)
_INSERT = insert(models).returning(models.c.id)
_DELETE = delete(models).where(models.c.id == bindparam("model_id"))
_USE_NONE = update(models).where(models.c.is_default).values(is_default=False)
_USE = update(models).where(models.c.id == bindparam("model_id")).values(is_default=True)


class Models:
    """The models of an archive. Those who change them are staff: NotAllowed is raised for others.

    folder: a local one for unpacked models, which may be deleted while no worker runs.
    """

    def __init__(self, database: Database, content: Content, folder: Path, clock: Clock) -> None:
        self._database = database
        self._content = content
        self._folder = folder
        self._clock = clock

    def list(self) -> "list[Model]":
        """All, by name, the oldest first."""
        with self._database.read() as connection:
            return [Model(*row) for row in connection.execute(_ALL)]

    def add(self, actor: Actor, directory: Path) -> Model:
        """Install what is in a directory. Raises InvalidFields for what is no model, ModelExists, StorageFull,
        StoreUnavailable, TooLarge.
        """
        _require_staff(actor)
        read = _read(directory)
        text = (directory / manifest.FILE_NAME).read_text("utf-8")
        with self._content.receive() as upload:
            _pack(directory, read, upload)
            with self._database.write() as transaction:
                return self._keep(transaction, actor, read, text, upload)

    def remove(self, actor: Actor, ref: str) -> None:
        """Uninstall one; runs that wait for it will fail. Raises ModelUnknown, WrongState for the default."""
        _require_staff(actor)
        with self._database.write() as transaction:
            transaction.lock(_CHANGES)
            model = _find(transaction, ref)
            if model.is_default:
                raise WrongState("This model is the default: have another one used first.")
            transaction.execute(_DELETE, {"model_id": model.id})
            self._content.release(transaction, [model.digest])
            self._record(transaction, actor, Action.MODEL_REMOVE, model)

    def use(self, actor: Actor, ref: str) -> None:
        """Make one the default, or what is built in with BUILT_IN. Raises ModelUnknown."""
        _require_staff(actor)
        with self._database.write() as transaction:
            transaction.lock(_CHANGES)
            model = None if ref in (BUILT_IN, BUILT_IN_REF) else _find(transaction, ref)
            transaction.execute(_USE_NONE)
            if model is not None:
                transaction.execute(_USE, {"model_id": model.id})
            self._record(transaction, actor, Action.MODEL_USE, model)

    def find(self, ref: str) -> Model | None:
        """The model of that name and version; None for what is built in. Raises ModelUnknown."""
        if ref in (BUILT_IN, BUILT_IN_REF):
            return None
        with self._database.read() as connection:
            return _find(connection, ref)

    def default(self) -> Model | None:
        """What is used unless another is asked for; None for what is built in."""
        with self._database.read() as connection:
            row = connection.execute(_DEFAULT).first()
        return Model(*row) if row else None

    def unpacked(self, model: Model) -> Path:
        """A local folder with the files of a model, not to be written to.

        Raises ModelInvalid if the stored bytes are not those that were installed, BlobUnknown, StorageFull,
        StoreUnavailable, TooLarge.
        """
        folder = self._folder / model.digest
        try:
            with self._alone():
                if not _is_whole(folder, model):
                    self._unpack(model, folder)
        except OSError as exc:
            raise StorageFull("There is no room to unpack the model.") from exc
        return folder

    def _keep(self, transaction: Transaction, actor: Actor, read: Manifest, text: str, upload: Upload) -> Model:
        row: dict[str, Any] = {
            "name": read.name,
            "version": read.version,
            "kind": read.__struct_config__.tag,
            "sha256": read.sha256,
            "manifest": text,
            "digest": self._content.adopt(transaction, upload),
            "size_bytes": upload.size_bytes,
            "is_default": False,
            "added_at": self._clock(),
        }
        try:
            model = Model(transaction.execute(_INSERT, row).scalar_one(), **row)
        except IntegrityError as exc:
            raise ModelExists from exc
        self._record(transaction, actor, Action.MODEL_ADD, model)
        return model

    def _record(self, transaction: Transaction, actor: Actor, action: Action, model: Model | None) -> None:
        detail = {} if model is None else {"model": model.ref, "digest": model.digest}
        subject = "model:0" if model is None else f"model:{model.id}"
        audit.record(transaction, actor, self._clock(), Event(action, subject=subject, detail=detail))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else unpacks here during the block."""
        self._folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _unpack(self, model: Model, folder: Path) -> None:
        """Also clears away what a crash left, and models that are no longer installed."""
        installed = {one.digest for one in self.list()}
        for name in os.listdir(self._folder):
            if name != _LOCK and (name not in installed or name == model.digest):
                shutil.rmtree(self._folder / name, ignore_errors=True)
        beside = self._folder / secrets.token_hex(8)
        with self._content.local_copy(model.digest) as packed:
            with packed.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != model.digest:
                    raise ModelInvalid("The stored model is not the one that was installed; see `pinakes verify`.")
            try:
                packing.unpack(packed, beside)
            except tarfile.TarError as exc:
                raise ModelInvalid("The stored model cannot be unpacked.") from exc
        beside.rename(folder)


def _require_staff(actor: Actor) -> None:
    if not actor.is_staff:
        raise NotAllowed("Models are for operators to change.")


def _find(connection: Executor, ref: str) -> Model:
    name, _, version = ref.partition("@")
    known = ref.isprintable() and ref.isascii()
    row = connection.execute(_BY_REF, {"name": name, "version": version}).first() if known else None
    if row is None:
        raise ModelUnknown
    return Model(*row)


def _read(directory: Path) -> Manifest:
    try:
        return manifest.read(directory)
    except ModelInvalid as exc:
        raise InvalidFields.one("directory", str(exc)) from exc


def _pack(directory: Path, read: Manifest, upload: Upload) -> None:
    try:
        packing.pack(directory, {manifest.FILE_NAME, manifest.main_file(read), *read.files}, upload.write)
    except OSError as exc:
        raise StoreUnavailable("A file of the model cannot be read.") from exc
    upload.finish()


def _is_whole(folder: Path, model: Model) -> bool:
    """Whether a folder has the model's own files, and no others: not what a crash left, or a program wrote there."""
    try:
        manifest.read(folder)
        return (folder / manifest.FILE_NAME).read_text("utf-8") == model.manifest
    except (ModelInvalid, OSError, UnicodeDecodeError):
        return False
