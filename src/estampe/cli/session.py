"""`estampe session`: browsers in which people are signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe.cli import output, terminal, text
from estampe.model import listing
from estampe.model import session as sessions

if TYPE_CHECKING:
    from estampe.schemas import session

app = typer.Typer(help="List and revoke browsers' sessions.", no_args_is_help=True, rich_markup_mode=None)

_COLUMNS = (
    text.Column("ID"),
    text.Column("USER"),
    text.Column("BY"),
    text.Column("FROM"),
    text.Column("SINCE"),
    text.Column("LAST SEEN"),
    text.Column("EXPIRES"),
    text.Column("BROWSER"),
)
_AGENT_CHARACTERS = 40


@app.command("list")
def list_sessions(
    user: Annotated[
        str | None, typer.Option("--user", metavar="PATTERN", help="Only theirs; `*` and `?` stand for any text.")
    ] = None,
    method: Annotated[sessions.Method | None, typer.Option("--by", help="Only those who signed in that way.")] = None,
    sort: Annotated[
        listing.SessionSort, typer.Option("--sort", help="`-` is descending.")
    ] = listing.SessionSort.CREATED_DESCENDING,
    form: output.Option = output.Output.TABLE,
) -> None:
    """List sessions of the account you act for: all for an owner, for others their own.

    \b
    Examples:
      estampe session list
      estampe session list --user alice
    """
    from estampe.client import client
    from estampe.schemas import session

    with client.Client() as daemon:
        found = list(daemon.list_sessions(user=user, method=method, sort=sort))
    if form is output.Output.JSON:
        terminal.document(session.SessionList(sessions=found, next=None))
    else:
        terminal.say(text.table(_COLUMNS, [_row(each) for each in found]))


@app.command("revoke")
def revoke_session(
    reference: Annotated[str, typer.Argument(help="Id, or the first digits of it.", metavar="SESSION")],
    form: output.Option = output.Output.TABLE,
) -> None:
    """Sign a browser out, wherever it is.

    \b
    Examples:
      estampe session revoke 8d1e4f70
    """
    from estampe.client import client

    with client.Client() as daemon:
        revoked = daemon.revoke_session(reference)
    if form is output.Output.JSON:
        terminal.document(revoked)
    else:
        terminal.say([text.plain(f"revoked session {str(revoked.id)[:8]} of {revoked.user}")])


def _row(each: session.Session) -> tuple[object, ...]:
    return (
        str(each.id)[:8],
        each.user,
        each.method.value,
        each.address,
        each.created_at.isoformat(" ", "minutes"),
        each.last_seen_at.isoformat(" ", "minutes"),
        each.expires_at.isoformat(" ", "minutes"),
        each.agent[:_AGENT_CHARACTERS],
    )
