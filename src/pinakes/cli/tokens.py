"""`pinakes token`: credentials for programs."""

from typing import Annotated

import typer

from pinakes.cli import console
from pinakes.cli.session import Data, archive_of

app = typer.Typer(no_args_is_help=True, help="Tokens.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]


@app.command("create")
def create(
    name: Name,
    scope: Annotated[
        str | None,
        typer.Option(
            help='What it may do, as "image:read,write namespace:read"; no limit if not given.', show_default=False
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="After which time it expires, as 12h, 30d or 8w.", show_default=False),
    ] = None,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    data: Data = None,
) -> None:
    """Make a token for a user and print it. It is shown only this once."""
    from pinakes.acting import operator
    from pinakes.cli import times
    from pinakes.core.actor import Scope

    with archive_of(data) as archive:
        expires_at = None if expires is None else times.after(archive.clock(), expires)
        limit = None if scope is None else Scope.parse(scope)
        token = archive.credentials.create(operator(), name, scope=limit, expires_at=expires_at, label=label)
    console.result(token)


@app.command("list")
def list_tokens(name: Name, data: Data = None) -> None:
    """List a user's tokens: id, label, origin, scope, created, last used (to the hour), expires."""
    with archive_of(data) as archive:
        tokens = archive.credentials.list(name)
    rows = [
        (
            token.id,
            token.name or "-",
            token.origin,
            token.scope or "all",
            console.moment(token.created_at),
            console.moment(token.last_used_at),
            console.moment(token.expires_at) or "-",
        )
        for token in tokens
    ]
    console.table(("ID", "LABEL", "ORIGIN", "SCOPE", "CREATED", "USED", "EXPIRES"), rows)


@app.command("revoke")
def revoke(
    token_id: Annotated[int, typer.Argument(metavar="ID", help="The token's id, as `token list` shows it.")],
    data: Data = None,
) -> None:
    """Revoke a token. It is refused from now on."""
    from pinakes.acting import operator

    with archive_of(data) as archive:
        archive.credentials.revoke(operator(), token_id)
