"""The `--output` choice, and errors in either form."""

from __future__ import annotations

import enum
import json
from typing import Annotated, Final

import typer

from estampe import errors
from estampe.cli import text

_KEY: Final = "estampe.output"


class Output(enum.StrEnum):
    """How results and errors are written."""

    TABLE = "table"
    JSON = "json"


def _remember(context: typer.Context, chosen: Output) -> Output:
    """Keep the choice where the handler of errors finds it: `meta` is one for all contexts of a command line."""
    context.meta[_KEY] = chosen
    return chosen


Option = Annotated[
    Output,
    typer.Option(
        "--output",
        "-o",
        callback=_remember,
        is_eager=True,  # before the other options, so that their errors know it
        help="table: for people. json: one document on standard output, errors as problem documents on standard error.",
    ),
]


def say_deleted(what: str, reference: str, form: Output) -> None:
    """What is there no more."""
    if form is Output.JSON:
        typer.echo(json.dumps({"deleted": reference}, indent=2, ensure_ascii=True))
    else:
        typer.echo(f"deleted {what} {text.plain(reference)}")


def show_error(context: typer.Context, error: errors.EstampeError) -> None:
    """Write the error to standard error, in the form that was chosen."""
    if context.meta.get(_KEY) is Output.JSON:
        record = error.to_record()
        problem = {
            "type": f"urn:estampe:error:{record['code']}",
            "detail": record["message"],
            "code": record["code"],
            "facts": record["facts"],
        }
        typer.echo(json.dumps(problem, indent=2, ensure_ascii=True), err=True)
    else:
        typer.echo(f"error: {text.plain(error)}", err=True)
