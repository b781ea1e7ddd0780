"""Which commands there are."""

import typer

from pinakes import __version__
from pinakes.cli import images, jobs, models, serving, tags, tokens, upkeep, uploads, users

app = typer.Typer(
    name="pinakes",
    help="Pinakes, a self-hosted image archive. Options not given come from PINAKES_… variables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("serve")(serving.serve)
app.add_typer(users.app, name="user")
app.add_typer(tokens.app, name="token")
app.add_typer(images.app, name="image")
app.add_typer(tags.app, name="tag")
app.add_typer(models.app, name="model")
app.add_typer(jobs.app, name="jobs")
app.command("worker")(jobs.worker)
app.command("upload-key")(uploads.upload_key)
app.command("verify")(upkeep.verify)
app.command("sweep")(upkeep.sweep)
app.command("migrate")(upkeep.migrate)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
