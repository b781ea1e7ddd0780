"""`pinakes user`: accounts."""

import sys
from typing import Annotated

import typer

from pinakes.cli import console
from pinakes.cli.session import Data, archive_of
from pinakes.failures import Failed

app = typer.Typer(no_args_is_help=True, help="Accounts.", rich_markup_mode=None)

_MOST_PASSWORD_BYTES = 8192
_NONE = "none"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]


@app.command("add")
def add(
    name: Name,
    email: Annotated[str, typer.Option(help="E-mail address.")],
    kinds: Annotated[
        str,
        typer.Option(help="Kinds of image: some of clinical, machine, slide, separated by commas.", show_default=False),
    ] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input; without, only tokens work.")
    ] = False,
    staff: Annotated[bool, typer.Option("--staff", help="Make the user staff.")] = False,
    id: Annotated[int | None, typer.Option("--id", metavar="N", help="The id, kept from an older system.")] = None,
    data: Data = None,
) -> None:
    """Add a user and print the id."""
    from pinakes.acting import operator
    from pinakes.core.access.users import kinds_from_text

    password = _read_password() if password_stdin else None
    with archive_of(data) as archive:
        user = archive.users.add(operator(), name, email, password, kinds_from_text(kinds), is_staff=staff, user_id=id)
    console.result(user.id)


@app.command("list")
def list_users(data: Data = None) -> None:
    """List all users: id, name, e-mail, kinds, staff, state, created."""
    from pinakes.core.access.users import kinds_to_text

    with archive_of(data) as archive:
        users = archive.users.list()
    rows = [
        (
            user.id,
            user.name,
            user.email,
            kinds_to_text(user.kinds) or "-",
            "staff" if user.is_staff else "-",
            "enabled" if user.is_active else "disabled",
            console.moment(user.created_at),
        )
        for user in users
    ]
    console.table(("ID", "NAME", "E-MAIL", "KINDS", "STAFF", "STATE", "CREATED"), rows)


@app.command("kinds")
def kinds(
    name: Name,
    kinds: Annotated[str, typer.Argument(metavar="KINDS", help="Kinds separated by commas, or `none`.")],
    staff: Annotated[
        bool | None, typer.Option("--staff/--no-staff", help="Make the user staff, or no longer.", show_default=False)
    ] = None,
    data: Data = None,
) -> None:
    """Set the kinds of image a user has to do with."""
    from pinakes.acting import operator
    from pinakes.core.access.users import kinds_from_text

    with archive_of(data) as archive:
        wanted = kinds_from_text("" if kinds.strip() == _NONE else kinds)
        archive.users.set_kinds(operator(), name, wanted, is_staff=staff)


@app.command("password")
def password(
    name: Name,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")],
    data: Data = None,
) -> None:
    """Set a user's password."""
    from pinakes.acting import operator

    if not password_stdin:
        raise typer.BadParameter("a password is only read from standard input: give --password-stdin")
    new = _read_password()
    with archive_of(data) as archive:
        archive.users.set_password(operator(), name, new)


@app.command("disable")
def disable(name: Name, data: Data = None) -> None:
    """Disable an account. Its tokens and its password are refused from now on."""
    from pinakes.acting import operator

    with archive_of(data) as archive:
        archive.users.set_active(operator(), name, False)


@app.command("enable")
def enable(name: Name, data: Data = None) -> None:
    """Enable an account again."""
    from pinakes.acting import operator

    with archive_of(data) as archive:
        archive.users.set_active(operator(), name, True)


def _read_password() -> str:
    """Standard input without the end of its line. Raises Failed."""
    content = sys.stdin.buffer.read(_MOST_PASSWORD_BYTES + 1)
    if len(content) > _MOST_PASSWORD_BYTES:
        raise Failed("the password is too long")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise Failed("the password is not UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")
