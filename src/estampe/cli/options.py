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
        help="A template: `web` (newest version that can be deployed), `web@3` or its id.",
        autocompletion=completion.templates,
        metavar="TEMPLATE",
    ),
]
SecondTemplate = Annotated[
    str,
    typer.Argument(help="The template to compare it with.", autocompletion=completion.templates, metavar="TEMPLATE"),
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
