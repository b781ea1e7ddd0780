"""`pinakes serve`: the server."""

from typing import Annotated

import typer

from pinakes.cli import console
from pinakes.cli.session import Data


def serve(
    data: Data = None,
    host: Annotated[str | None, typer.Option(metavar="H", help="Address to listen on.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(metavar="P", help="Port to listen on.", show_default=False)] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Worker processes.", show_default=False)] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Load demo data on the first start, and show how to try it.")
    ] = False,
) -> None:
    """Serve every API until SIGTERM or Ctrl-C."""
    from pinakes import config, server

    settings = config.load(data=data, host=host, port=port, workers=workers)
    if not demo:
        server.serve(settings, on_ready=lambda address: console.note(f"Pinakes is serving at {address}"))
        return
    from pinakes import demo as demonstration

    shown = demonstration.load(settings)
    server.serve(settings, on_ready=lambda address: console.result(shown.text(address)))
