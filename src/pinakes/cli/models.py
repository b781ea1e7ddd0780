"""`pinakes model`: what slides are predicted with."""

from pathlib import Path
from typing import Annotated

import typer

from pinakes.cli import console
from pinakes.cli.session import Data, archive_of

app = typer.Typer(no_args_is_help=True, help="Models that predictions are made with.", rich_markup_mode=None)

Ref = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="The model.")]


@app.command("add")
def add(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder with manifest.json and what it names.")],
    data: Data = None,
) -> None:
    """Install a model for the whole archive and print NAME@VERSION. It is not used yet, see `use`."""
    from pinakes.acting import operator

    with archive_of(data) as archive:
        made = archive.models.add(operator(), directory)
    console.result(made.ref)


@app.command("list")
def list_models(data: Data = None) -> None:
    """List the models: name@version, kind, whether it is the default, SHA-256 of its weights, size, when installed."""
    from pinakes.core.analysis.models import BUILT_IN

    with archive_of(data) as archive:
        found = archive.models.list()
    is_built_in = not any(model.is_default for model in found)
    rows: list[tuple[object, ...]] = [(BUILT_IN, BUILT_IN, "default" if is_built_in else "-", "-", "-", "-")]
    for model in found:
        default = "default" if model.is_default else "-"
        size = console.size(model.size_bytes)
        rows.append((model.ref, model.kind, default, model.sha256, size, console.moment(model.added_at)))
    console.table(("MODEL", "KIND", "DEFAULT", "SHA-256", "SIZE", "ADDED"), rows)


@app.command("remove")
def remove(ref: Ref, data: Data = None) -> None:
    """Uninstall a model. Runs that wait for it will fail; results that it gave stay, and still tell of it."""
    from pinakes.acting import operator

    with archive_of(data) as archive:
        archive.models.remove(operator(), ref)
    console.note(f"removed {ref}")


@app.command("use")
def use(
    ref: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="The model, or `classical` for the built-in one.")],
    data: Data = None,
) -> None:
    """Have a model used wherever no other is asked for."""
    from pinakes.acting import operator

    with archive_of(data) as archive:
        archive.models.use(operator(), ref)
    console.note(f"{ref} is used from now on")
