"""`pinakes tag`: the words that machine images are found by."""

from typing import Annotated

import typer

from pinakes.cli import console
from pinakes.cli.session import Data, archive_of

_MOST_LISTED = 10_000

app = typer.Typer(no_args_is_help=True, help="Tags.", rich_markup_mode=None)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The tag, without commas.")],
    description: Annotated[str, typer.Option("--description", metavar="D", help="What it is put on.")],
    data: Data = None,
) -> None:
    """Make a tag and print its id."""
    from pinakes.acting import operator

    with archive_of(data) as archive:
        made = archive.tags.add(operator(), name, description)
    console.result(made.id)


@app.command("list")
def list_tags(data: Data = None) -> None:
    """List all tags by name: id, name, description."""
    from pinakes.core.page import PageRequest

    with archive_of(data) as archive:
        tags = archive.tags.list(PageRequest(size=_MOST_LISTED)).items
    console.table(("ID", "NAME", "DESCRIPTION"), [(tag.id, tag.name, tag.description) for tag in tags])
