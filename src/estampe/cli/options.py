"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from estampe.cli import completion

Server = Annotated[
    str,
    typer.Argument(help="Name, id or domain UUID of a server.", autocompletion=completion.servers, metavar="SERVER"),
]
Template = Annotated[
    str,
    typer.Argument(
        help="A template: `web` (newest version), `web@3` or its id.",
        autocompletion=completion.templates,
        metavar="TEMPLATE",
    ),
]
Operation = Annotated[
    str,
    typer.Argument(
        help="Id of an operation, or the first digits of it.", autocompletion=completion.operations, metavar="OPERATION"
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without being asked.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Begin, print the operation's id and return.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would be done, with numbers.")]
Account = Annotated[str, typer.Argument(help="Name or id of an account.", metavar="ACCOUNT")]
OptionalAccount = Annotated[
    str | None, typer.Argument(help="Name or id of an account. [default: the one acted for]", metavar="ACCOUNT")
]
OfAccount = Annotated[
    str | None, typer.Option("--account", metavar="ACCOUNT", help="Of this account. [default: the one acted for]")
]
User = Annotated[str, typer.Argument(help="Name of a user.", metavar="USER")]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
