"""`pinakes image put` and `import`: images in, from files and from elsewhere."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pinakes.cli import console
from pinakes.cli.session import Data, archive_of, option

if TYPE_CHECKING:
    from pinakes.core.actor import Actor
    from pinakes.core.archive import Archive
    from pinakes.core.clock import Instant
    from pinakes.core.content.uploads import Upload

    Adopt = Callable[[Upload], int]

_FURTHER = {"machine": (), "clinical": (), "slide": ("md5",)}  # by kind: digests to be known beside the SHA-256


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


def put(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="The files; each becomes an image.")],
    as_: Annotated[str, option("The user who puts them in.", "--as", metavar="NAME")],
    kind: Annotated[str, option("machine, clinical or slide.")],
    name: Annotated[str | None, option("Machine: its name; the file's if not given.", metavar="N")] = None,
    ci_name: Annotated[str | None, option("Machine: its name in Djinn CI.", metavar="N")] = None,
    namespace: Annotated[str | None, option("Machine: the namespace it is to lie in.", metavar="PATH")] = None,
    public: Annotated[bool, typer.Option("--public", help="Machine: let anybody read it.")] = False,
    tag: Annotated[list[str] | None, option("Machine: a tag; may be repeated.", metavar="T")] = None,
    end: Annotated[str | None, option("Machine: when it ends, as 2027-01-31T18:00:00Z.", metavar="TIME")] = None,
    patient: Annotated[int | None, option("Clinical: the patient's id.", metavar="ID")] = None,
    type_: Annotated[str | None, option("Clinical: Xray, Headshot, Audiogram or Surgery.", "--type")] = None,
    clinic: Annotated[int | None, option("Clinical: the clinic's id.", metavar="ID")] = None,
    station: Annotated[int | None, option("Clinical: the station's id.", metavar="ID")] = None,
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
            elif kind == "clinical":
                adopt = _as_clinical(archive, actor, clinical)
            else:
                adopt = _as_slide(archive, actor, path)
            with console.progress(path.name, _size(path)) as bar:
                image_id = transfers.receive(archive.content, path, adopt, bar.advance, further=_FURTHER[kind])
            console.result(image_id)


def fetch(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="http, https or sftp; `-` reads it from standard input, out of sight.")
    ],
    as_: Annotated[str, option("The user whose image it is to be.", "--as", metavar="NAME")],
    name: Annotated[str, option("Its name.", metavar="N")],
    ci_name: Annotated[str | None, option("Its name in Djinn CI; it must be a qcow2 then.", metavar="N")] = None,
    namespace: Annotated[str | None, option("The namespace it is to lie in.", metavar="PATH")] = None,
    data: Data = None,
) -> None:
    """Have a worker fetch a disk image from elsewhere, and print the image's id. `pinakes jobs` tells how it goes."""
    from pinakes.acting import acting_as
    from pinakes.core.catalogue.machines import NewMachine

    if url == "-":
        url = sys.stdin.readline().strip()
    new = NewMachine(name, ci_name, namespace or "")
    with archive_of(data) as archive:
        console.result(archive.imports.start_machine(acting_as(archive, as_), new, url).id)


def _check(kind: str, machine: _Machine, clinical: _Clinical, files: list[Path]) -> None:
    """Raises BadParameter where options do not go together."""
    from dataclasses import asdict

    if kind not in _FURTHER:
        raise typer.BadParameter(f"--kind is one of {', '.join(_FURTHER)}")
    of_kinds = {"machine": asdict(machine), "clinical": asdict(clinical)}
    others = {name: value for of, options in of_kinds.items() if of != kind for name, value in options.items()}
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


def _as_slide(archive: "Archive", actor: "Actor", path: Path) -> "Adopt":
    from pinakes.core.slides.records import NewSlide

    def adopt(upload: "Upload") -> int:
        slide = archive.slides.create(actor, NewSlide(path.name))
        archive.slide_uploads.put(actor, slide, upload)
        return slide.id

    return adopt


def _size(path: Path) -> int:
    """For the progress bar only; whether the file can be read is found when it is."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
