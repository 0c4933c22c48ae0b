"""`estampe operation`: long work that goes on by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe.cli import describe, following, meter, options, output, summary, terminal, text
from estampe.model import operation as operations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from estampe.schemas import operation

app = typer.Typer(help="List, show, follow and cancel operations.", no_args_is_help=True, rich_markup_mode=None)

_COLUMNS = (
    text.Column("ID"),
    text.Column("KIND"),
    text.Column("SUBJECT"),
    text.Column("STATE"),
    text.Column("PHASE"),
    text.Column("CREATED"),
)


@app.command("list")
def list_operations(
    states: Annotated[
        list[operations.State] | None,
        typer.Option(
            "--state", metavar="|".join(operations.State), help="Only operations in this state; may be repeated."
        ),
    ] = None,
    kind: Annotated[operations.Kind | None, typer.Option("--kind", help="Only operations of this kind.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 20,
    form: output.Option = output.Output.TABLE,
) -> None:
    """List operations, the newest first.

    \b
    Examples:
      estampe operation list
      estampe operation list --state running --state queued
    """
    from estampe.client import client
    from estampe.schemas import operation

    with client.Client() as daemon:
        found = daemon.list_operations(states=states or (), kind=kind, limit=limit)
    if form is output.Output.JSON:
        terminal.document(operation.OperationList(operations=found))
    else:
        terminal.say(_table(found))


@app.command("show")
def show_operation(reference: options.Operation, form: output.Option = output.Output.TABLE) -> None:
    """Show one operation as it stands. An operation that has failed is shown with its error, and that is no error.

    \b
    Examples:
      estampe operation show 3f2a9c1e
    """
    from estampe.client import client

    with client.Client() as daemon:
        found = daemon.get_operation(reference)
    if form is output.Output.JSON:
        terminal.document(found)
    else:
        terminal.say(_details(found))


@app.command("wait")
def wait_operation(reference: options.Operation, form: output.Option = output.Output.TABLE) -> None:
    """Follow an operation to its end. The exit code is the operation's. Ctrl-C leaves it running.

    \b
    Examples:
      estampe operation wait 3f2a9c1e
      estampe operation wait 3f2a9c1e --output json | jq .result
    """
    from estampe.client import client

    with client.Client() as daemon:
        following.conclude(daemon, daemon.get_operation(reference), form=form)


@app.command("cancel")
def cancel_operation(
    reference: options.Operation,
    is_confirmed: options.Yes = False,
    is_not_awaited: options.NoWait = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Cancel an operation and wait until it has cleaned up after itself.

    \b
    Examples:
      estampe operation cancel 3f2a9c1e
      estampe operation cancel 3f2a9c1e --yes --no-wait
    """
    from estampe.client import client

    terminal.confirm(f"cancel operation {text.plain(reference)}", is_confirmed=is_confirmed)
    with client.Client() as daemon:
        found = daemon.cancel_operation(reference)
        if not is_not_awaited:
            found = following.follow(daemon, found, form=form)
    if form is output.Output.JSON:
        terminal.document(found)
    else:
        terminal.say([f"operation {found.id} {_outcome(found)}"])


def _outcome(found: operation.Operation) -> str:
    if found.state is operations.State.CANCELLED:
        return "was cancelled"
    if found.state.has_ended:
        return f"had {found.state.value} before it could be cancelled"
    return "will be cancelled"


def _table(found: Sequence[operation.Operation]) -> list[str]:
    rows = [
        (
            str(each.id)[:8],
            each.kind.value,
            each.subject,
            each.state.value,
            None if each.state.has_ended else _phase(each),
            f"{each.created_at.astimezone():%Y-%m-%d %H:%M}",
        )
        for each in found
    ]
    return text.table(_COLUMNS, rows)


def _phase(found: operation.Operation) -> str:
    share = meter.percentage(found.progress)
    return found.progress.phase if share is None else f"{found.progress.phase} ({share} %)"


def _details(found: operation.Operation) -> list[str]:
    lines = text.pairs(
        [
            ("id", found.id),
            ("kind", found.kind.value),
            ("subject", found.subject),
            ("state", found.state.value),
            ("phase", None if found.state.has_ended else _phase(found)),
            ("progress", None if found.state.has_ended else meter.describe(found.progress, None) or None),
            ("cancel asked for", "yes" if found.is_cancel_requested else None),
            ("created", found.created_at.astimezone().isoformat(sep=" ", timespec="seconds")),
            ("started", found.started_at and found.started_at.astimezone().isoformat(sep=" ", timespec="seconds")),
            ("ended", found.ended_at and found.ended_at.astimezone().isoformat(sep=" ", timespec="seconds")),
            ("error", None if found.error is None else f"{found.error.get('message')} [{found.error.get('code')}]"),
        ]
    )
    is_good = found.state is operations.State.SUCCEEDED
    return [*lines, *(describe.section("outcome", summary.lines(found)) if is_good else [])]
