"""What the commands have in common: where the data is, and the open archive."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pinakes.core.archive import Archive

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="The data folder.  [default: $PINAKES_DATA, else var]", show_default=False
    ),
]


def option(description: str, *names: str, metavar: str | None = None) -> Any:
    """An option without a default to show."""
    return typer.Option(*names, help=description, metavar=metavar, show_default=False)


@contextmanager
def archive_of(data: Path | None) -> Iterator["Archive"]:
    """The archive of the settings, for a block. It works beside a running server."""
    from pinakes import config, opening

    with opening.opened(config.load(data=data)) as archive:
        yield archive
