"""The root of the command tree: where errors of commands become messages and exit codes."""

from __future__ import annotations

from typing import Any

import typer
import typer.core

from estampe import errors
from estampe.cli import exits, output


class RootGroup(typer.core.TyperGroup):
    """Runs a command and answers for its errors. Anything but an EstampeError is a defect and keeps its traceback."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # Typer vendors click without naming it
        """Run the command of `ctx`. Raises: typer.Exit."""
        try:
            return super().invoke(ctx)
        except errors.EstampeError as error:
            output.show_error(ctx, error)
            raise typer.Exit(exits.code_of(error)) from error
        except KeyboardInterrupt:
            raise typer.Exit(exits.INTERRUPTED) from None
