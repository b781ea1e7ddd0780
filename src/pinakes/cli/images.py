"""`pinakes image`: images that are in the archive, shown, taken out and removed. Putting in is in `intake`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pinakes.cli import console, export, intake
from pinakes.cli.delivery import deliver
from pinakes.cli.session import Data, archive_of, option

if TYPE_CHECKING:
    from pinakes.core.actor import Actor
    from pinakes.core.archive import Archive
    from pinakes.core.catalogue.records import Image

app = typer.Typer(no_args_is_help=True, help="Images.", rich_markup_mode=None)
app.command("put")(intake.put)
app.command("import")(intake.fetch)
app.command("export")(export.export)

_PAGE = 500

ImageId = Annotated[int, typer.Argument(metavar="ID", help="The image's id.")]
As = Annotated[str | None, option("In whose name; without, as the archive's operator.", "--as", metavar="NAME")]


@app.command("list")
def list_images(
    as_: As = None, kind: Annotated[str | None, option("Only this kind.")] = None, data: Data = None
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
    output: Annotated[Path, option("Where to write it; `-` for standard output.", "--output", "-o", metavar="FILE")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    as_: As = None,
    data: Data = None,
) -> None:
    """Write an image to a file, checked against its SHA-256. The read goes into the audit trail."""
    from pinakes import files
    from pinakes.acting import acting_as

    with archive_of(data) as archive:
        image = archive.images.get(actor := acting_as(archive, as_), image_id)
        with files.destination(output, force=force) as file:
            deliver(archive, actor, image, file)


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


def _size_of(image: "Image") -> int | str:
    return image.version.size_bytes if image.version else "-"


def _readable(archive: "Archive", actor: "Actor") -> "Iterator[Image]":
    last = 0
    while page := archive.images.readable(actor, after_id=last, most=_PAGE):
        yield from page
        last = page[-1].id
