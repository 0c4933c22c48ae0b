"""The root of the command tree: where errors of commands become messages and exit codes."""

from __future__ import annotations

from typing import Any

import typer
import typer.core
from typer._click import exceptions as usage  # Typer 0.29 vendors click, and names of its errors only BadParameter

from estampe import errors
from estampe.cli import exits, fields, output


class RootGroup(typer.core.TyperGroup):
    """Runs a command and answers for its errors. Anything but an EstampeError is a defect and keeps its traceback."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> Any:
        """As click's, which takes `args` apart. Notes whether JSON is asked for anywhere. Raises: typer.Exit."""
        is_json = output.is_json_asked(args)
        try:
            context: Any = super().make_context(info_name, args, *rest, **extra)
        except usage.UsageError as error:
            raise _not_understood(error, is_json=is_json) from error
        if is_json:
            output.choose_json(context)
        return context

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # Typer vendors click without naming it
        """Run the command of `ctx`. Raises: typer.Exit."""
        try:
            return super().invoke(ctx)
        except errors.EstampeError as error:
            output.show_error(fields.worded(error, ctx.invoked_subcommand), is_json=output.is_json(ctx))
            raise typer.Exit(exits.code_of(error)) from error
        except usage.UsageError as error:
            raise _not_understood(error, is_json=output.is_json(ctx)) from error
        except KeyboardInterrupt:
            raise typer.Exit(exits.INTERRUPTED) from None


def _not_understood(error: usage.UsageError, *, is_json: bool) -> Exception:
    """The error itself, which click shows with the usage; for programs what is to be raised once it was shown."""
    if not is_json:
        return error
    told = errors.InvalidRequest(field="command line", problem=error.format_message())
    output.show_error(told, is_json=True)
    return typer.Exit(exits.code_of(told))
