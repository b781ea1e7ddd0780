"""`pinakes image`: images in, images out."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pinakes.cli import console
from pinakes.cli.session import Data, archive_of

if TYPE_CHECKING:
    from pinakes.core.actor import Actor
    from pinakes.core.archive import Archive
    from pinakes.core.catalogue.records import Image
    from pinakes.core.clock import Instant
    from pinakes.core.content.store import Reader
    from pinakes.core.content.uploads import Upload

    Adopt = Callable[[Upload], int]

app = typer.Typer(no_args_is_help=True, help="Images.", rich_markup_mode=None)

_PAGE = 500


def _option(description: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=description, metavar=metavar, show_default=False)


ImageId = Annotated[int, typer.Argument(metavar="ID", help="The image's id.")]
As = Annotated[str | None, _option("In whose name; without, as the archive's operator.", "--as", metavar="NAME")]


@dataclass(frozen=True, slots=True)
class _Machine:
    """The options of a machine image, beside its files."""

    name: str | None
    ci_name: str | None
    namespace: str | None
    public: bool
    tag: list[str] | None
    end: str | None


@dataclass(frozen=True, slots=True)
class _Clinical:
    """The options of a clinical image."""

    patient: int | None
    type: str | None
    clinic: int | None
    station: int | None


@app.command("put")
def put(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="The files; each becomes an image.")],
    as_: Annotated[str, _option("The user who puts them in.", "--as", metavar="NAME")],
    kind: Annotated[str, _option("machine or clinical.")],
    name: Annotated[str | None, _option("Machine: its name; the file's if not given.", metavar="N")] = None,
    ci_name: Annotated[str | None, _option("Machine: its name in Djinn CI.", metavar="N")] = None,
    namespace: Annotated[str | None, _option("Machine: the namespace it is to lie in.", metavar="PATH")] = None,
    public: Annotated[bool, typer.Option("--public", help="Machine: let anybody read it.")] = False,
    tag: Annotated[list[str] | None, _option("Machine: a tag; may be repeated.", metavar="T")] = None,
    end: Annotated[str | None, _option("Machine: when it ends, as 2027-01-31T18:00:00Z.", metavar="TIME")] = None,
    patient: Annotated[int | None, _option("Clinical: the patient's id.", metavar="ID")] = None,
    type_: Annotated[str | None, _option("Clinical: Xray, Headshot, Audiogram or Surgery.", "--type")] = None,
    clinic: Annotated[int | None, _option("Clinical: the clinic's id.", metavar="ID")] = None,
    station: Annotated[int | None, _option("Clinical: the station's id.", metavar="ID")] = None,
    data: Data = None,
) -> None:
    """Put images in and print their ids, one a line."""
    from pinakes import files as transfers
    from pinakes.acting import acting_as

    machine = _Machine(name, ci_name, namespace, public, tag, end)
    clinical = _Clinical(patient, type_, clinic, station)
    _check(kind, machine, clinical, files)
    end_at = _instant(end, data)
    with archive_of(data) as archive:
        actor = acting_as(archive, as_)
        for path in files:
            if kind == "machine":
                adopt = _as_machine(archive, actor, machine, machine.name or path.stem, end_at)
            else:
                adopt = _as_clinical(archive, actor, clinical)
            with console.progress(path.name, _size(path)) as bar:
                image_id = transfers.receive(archive.content, path, adopt, bar.advance)
            console.result(image_id)


@app.command("list")
def list_images(
    as_: As = None, kind: Annotated[str | None, _option("Only this kind.")] = None, data: Data = None
) -> None:
    """List images: id, kind, name, size in bytes, created."""
    from pinakes.acting import acting_as
    from pinakes.core.actor import Kind

    if kind is not None and kind not in list(Kind):
        raise typer.BadParameter(f"--kind is one of {', '.join(Kind)}")
    with archive_of(data) as archive:
        rows = [
            (
                image.id,
                image.kind,
                image.name,
                _size_of(image),
                console.moment(image.created_at),
            )
            for image in _readable(archive, acting_as(archive, as_))
            if kind in (None, image.kind)
        ]
    console.table(("ID", "KIND", "NAME", "SIZE", "CREATED"), rows)


@app.command("get")
def get(
    image_id: ImageId,
    output: Annotated[Path, _option("Where to write it; `-` for standard output.", "--output", "-o", metavar="FILE")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    as_: As = None,
    data: Data = None,
) -> None:
    """Write an image to a file, checked against its SHA-256. The read goes into the audit trail."""
    from pinakes import files
    from pinakes.acting import acting_as

    with archive_of(data) as archive:
        image = archive.images.get(actor := acting_as(archive, as_), image_id)
        with (
            files.destination(output, force=force) as file,
            closing(_open(archive, actor, image)) as reader,
            console.progress(image.name, reader.size_bytes) as bar,
        ):
            files.deliver(reader, image.content.digest, file, bar.advance)


@app.command("rm")
def remove(
    image_ids: Annotated[list[int], typer.Argument(metavar="ID", help="The images' ids.")],
    as_: As = None,
    data: Data = None,
) -> None:
    """Delete images and their bytes, for good."""
    from pinakes.acting import acting_as

    with archive_of(data) as archive:
        actor = acting_as(archive, as_)
        for image_id in image_ids:
            archive.images.delete(actor, image_id)
            console.note(f"deleted image {image_id}")


def _check(kind: str, machine: _Machine, clinical: _Clinical, files: list[Path]) -> None:
    """Raises BadParameter where options do not go together."""
    from dataclasses import asdict

    if kind not in ("machine", "clinical"):
        raise typer.BadParameter("--kind is machine or clinical")
    others = asdict(clinical if kind == "machine" else machine)
    if wrong := [f"--{name.replace('_', '-')}" for name, value in others.items() if value]:
        raise typer.BadParameter(f"{', '.join(wrong)}: not for an image of kind {kind}")
    if kind == "clinical" and (clinical.patient is None or clinical.type is None):
        raise typer.BadParameter("a clinical image needs --patient and --type")
    if machine.ci_name is not None and len(files) > 1:
        raise typer.BadParameter("a name in Djinn CI is held by one image: give --ci-name with one file")


def _instant(end: str | None, data: Path | None) -> "Instant | None":
    from pinakes import config
    from pinakes.cli import times

    return None if end is None else times.at(end, config.load(data=data).zone)


def _as_machine(archive: "Archive", actor: "Actor", options: _Machine, name: str, end_at: "Instant | None") -> "Adopt":
    from pinakes.core.actor import Visibility
    from pinakes.core.catalogue.machines import NewMachine

    new = NewMachine(
        name,
        options.ci_name,
        options.namespace or "",
        visibility=Visibility.PUBLIC if options.public else Visibility.PRIVATE,
        end_at=end_at,
        tags=tuple(options.tag or ()),
    )
    if new.ci_name is not None:
        archive.machines.check_new(actor, new.ci_name, new.namespace)
    return lambda upload: archive.machines.create(actor, new, upload).id


def _as_clinical(archive: "Archive", actor: "Actor", options: _Clinical) -> "Adopt":
    from pinakes.core.clinic.records.images import ClinicalType, NewClinicalImage
    from pinakes.core.errors import InvalidFields

    assert options.patient is not None
    try:
        shown = ClinicalType(options.type or "")
    except ValueError:
        raise InvalidFields.one("type", f"must be one of {', '.join(ClinicalType)}") from None
    new = NewClinicalImage(options.patient, shown, options.clinic, options.station)
    return lambda upload: archive.clinical_images.create(actor, new, upload)


def _size(path: Path) -> int:
    """For the progress bar only; whether the file can be read is found when it is."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _size_of(image: "Image") -> int | str:
    return image.version.size_bytes if image.version else "-"


def _readable(archive: "Archive", actor: "Actor") -> "Iterator[Image]":
    last = 0
    while page := archive.images.readable(actor, after_id=last, most=_PAGE):
        yield from page
        last = page[-1].id


def _open(archive: "Archive", actor: "Actor", image: "Image") -> "Reader":
    """The content; of a clinical image the trail tells the patient too."""
    from pinakes.core.catalogue import records

    with archive.database.read() as connection:
        patient_id = records.patient_of(connection, image.id)
    return archive.images.open(actor, image.id, image.content, patient_id=patient_id)
