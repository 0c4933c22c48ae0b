"""`estampe audit`: who did what, to what, from where, and what came of it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated

import typer

from estampe.cli import options, output, terminal, text, values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from estampe.schemas import audit

app = typer.Typer(help="Read the audit log.", no_args_is_help=True, rich_markup_mode=None)

_COLUMNS = (
    text.Column("AT"),
    text.Column("ACCOUNT"),
    text.Column("ACTOR"),
    text.Column("ACTION"),
    text.Column("SUBJECT"),
    text.Column("FROM"),
    text.Column("OUTCOME"),
)


@app.command("list")
def list_entries(
    account: options.OfAccount = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Not older, as 24h, 7d, or 2027-01-31T08:00:00+01:00.")
    ] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="NAME", help="Only by this one: alice, `uid 0`.")
    ] = None,
    action: Annotated[str | None, typer.Option("--action", metavar="NAME", help="Only this, as start_capture.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 100,
    form: output.Option = output.Output.TABLE,
) -> None:
    """List changes that were asked for, the newest first: of all accounts for the cloud operator, for owners of their own.

    \b
    Examples:
      estampe audit list --since 24h
      estampe audit list --account acme --actor alice --action delete_template
    """
    from estampe.client import client
    from estampe.schemas import audit

    moment = None if since is None else values.moment(since, option="--since")
    with client.Client() as daemon:
        entries = daemon.list_audit_entries(account=account, actor=actor, action=action, since=moment)
        found = list(itertools.islice(entries, limit))
    if form is output.Output.JSON:
        terminal.document(audit.AuditList(entries=found, next=None))
    else:
        terminal.say(_table(found))


def _table(entries: Sequence[audit.AuditEntry]) -> list[str]:
    rows = [
        (
            entry.at.isoformat(" ", "seconds"),
            entry.account,
            entry.actor,
            entry.action,
            entry.subject,
            entry.address,
            entry.outcome.value + (f" ({entry.code})" if entry.code else ""),
        )
        for entry in entries
    ]
    return text.table(_COLUMNS, rows)
