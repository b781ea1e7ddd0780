"""`pinakes image export`: an image as a file that does not tell who is shown."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pinakes.cli import console
from pinakes.cli.delivery import deliver
from pinakes.cli.session import Data, option
from pinakes.failures import Failed

if TYPE_CHECKING:
    from pinakes.core.archive import Archive


def export(
    image_id: Annotated[int, typer.Argument(metavar="ID", help="The image's id.")],
    output: Annotated[Path, option("Where to write it; `-` for standard output.", "--output", "-o", metavar="FILE")],
    deidentify: Annotated[bool, typer.Option("--deidentify", help="Without what tells who is shown.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    as_: Annotated[
        str | None, option("In whose name; without, as the archive's operator.", "--as", metavar="NAME")
    ] = None,
    data: Data = None,
) -> None:
    """Write a copy of an image without label, macro, EXIF, GPS and DICOM identity. The read goes into the audit trail.

    What is drawn in the picture itself stays: a name burnt into an X-ray, a face.
    """
    import shutil

    from pinakes import config, files, opening
    from pinakes.imaging.scratch import ScratchFolder

    if not deidentify:
        raise typer.BadParameter("say --deidentify; `pinakes image get` writes the content as it is")
    settings = config.load(data=data)
    with (
        opening.opened(settings) as archive,
        ScratchFolder(files.EXPORT_SCRATCH, settings.scratch) as folder,
        files.destination(output, force=force) as file,
    ):
        source, target = folder.path / "source", folder.path / "target"
        _fetch(archive, as_, image_id, source)
        _deidentify(source, target)
        with open(target, "rb") as made:
            shutil.copyfileobj(made, file, 1024 * 1024)


def _fetch(archive: "Archive", as_: str | None, image_id: int, path: Path) -> None:
    """Write the content to a file of this process's own."""
    from pinakes.acting import acting_as

    image = archive.images.get(actor := acting_as(archive, as_), image_id)
    with open(path, "xb") as file:
        deliver(archive, actor, image, file)


def _deidentify(source: Path, target: Path) -> None:
    """In a child of this process. Raises Failed."""
    import subprocess
    import sys

    from pinakes.imaging import deidentifying

    child = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-I", "-m", deidentifying.__name__, source, target],
        check=False,
        capture_output=True,
        text=True,
        env={},
    )
    if child.returncode == deidentifying.REFUSED:
        raise Failed(f"the image cannot be de-identified: {child.stdout.strip()}")
    if child.returncode != 0 or not target.is_file():
        raise Failed("the image cannot be de-identified: the process that read it died; the file may be damaged")
    if child.stdout:
        console.note(child.stdout)
