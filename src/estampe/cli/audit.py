"""`estampe audit`: who did what, to what, from where, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe.cli import options, output, terminal, text, values
from estampe.model import audit as entries
from estampe.model import listing

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
    subject: Annotated[str | None, typer.Option("--subject", help="Only done to this; a pattern, as 'web*'.")] = None,
    outcome: Annotated[entries.Outcome | None, typer.Option("--outcome", help="Only with this outcome.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Only older, written as for --since.")
    ] = None,
    sort: Annotated[
        listing.AuditSort, typer.Option("--sort", help="`-` is descending.")
    ] = listing.AuditSort.AT_DESCENDING,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 100,
    form: output.Option = output.Output.TABLE,
) -> None:
    """List changes that were asked for, the newest first unless sorted otherwise.

    Of all accounts for the cloud operator, for owners of their own.

    \b
    Examples:
      estampe audit list --since 24h
      estampe audit list --account acme --actor alice --action delete_template
      estampe audit list --subject 'web*' --outcome refused --until 7d
    """
    from estampe.client import client
    from estampe.schemas import audit

    with client.Client() as daemon:
        found = list(
            daemon.list_audit_entries(
                account_name=account,
                actor=actor,
                action=action,
                subject=subject,
                outcome=outcome,
                since=None if since is None else values.moment(since, option="--since"),
                until=None if until is None else values.moment(until, option="--until"),
                sort=sort,
                limit=limit,
            )
        )
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
