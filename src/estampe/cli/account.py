"""`estampe account`: the accounts of this installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe.cli import following, options, output, terminal, text
from estampe.model import account as accounts
from estampe.model import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from estampe.schemas import account

app = typer.Typer(
    help="Create, list, show, suspend, resume and delete accounts.", no_args_is_help=True, rich_markup_mode=None
)

_Name = Annotated[str, typer.Argument(help="Name of the new account.", metavar="NAME")]


@app.command("create")
def create_account(name: _Name, form: output.Option = output.Output.TABLE) -> None:
    """Create an account. For the cloud operator.

    \b
    Examples:
      estampe account create acme
    """
    from estampe.client import client
    from estampe.schemas import account

    request = client.make(account.CreateAccountRequest, name=name)
    with client.Client() as daemon, following.unanswered(form, "it may be there: see `estampe account list`"):
        made = daemon.create_account(request)
    _show(made, form)


@app.command("list")
def list_accounts(
    name: options.Names = None,
    states: Annotated[
        list[accounts.State] | None,
        typer.Option("--state", metavar="|".join(accounts.State), help="Only accounts in this state; may be repeated."),
    ] = None,
    sort: Annotated[listing.AccountSort, typer.Option("--sort", help="`-` is descending.")] = listing.AccountSort.NAME,
    form: output.Option = output.Output.TABLE,
) -> None:
    """List accounts: all for the cloud operator, for others their own.

    \b
    Examples:
      estampe account list
      estampe account list 'acme-*' --state suspended --sort -created
      estampe account list --output json | jq -r '.accounts[].name'
    """
    from estampe.client import client
    from estampe.schemas import account

    with client.Client() as daemon:
        found = list(daemon.list_accounts(name=name, states=states or (), sort=sort))
    if form is output.Output.JSON:
        terminal.document(account.AccountList(accounts=found, next=None))
    else:
        terminal.say(_table(found))


@app.command("show")
def show_account(reference: options.OptionalAccount = None, form: output.Option = output.Output.TABLE) -> None:
    """Show one account; without a name the one that is acted for.

    \b
    Examples:
      estampe account show
      estampe account show acme
    """
    from estampe.client import client

    with client.Client() as daemon:
        _show(daemon.get_account(reference) if reference else daemon.get_identity().account, form)


@app.command("suspend")
def suspend_account(reference: options.Account, form: output.Option = output.Output.TABLE) -> None:
    """Let nothing of an account be changed until it is resumed; its servers run on. For the cloud operator.

    \b
    Examples:
      estampe account suspend acme
    """
    from estampe.client import client

    with client.Client() as daemon:
        _show(daemon.suspend_account(reference), form)


@app.command("resume")
def resume_account(reference: options.Account, form: output.Option = output.Output.TABLE) -> None:
    """End a suspension. For the cloud operator.

    \b
    Examples:
      estampe account resume acme
    """
    from estampe.client import client

    with client.Client() as daemon:
        _show(daemon.resume_account(reference), form)


@app.command("delete")
def delete_account(
    reference: options.Account, is_confirmed: options.Yes = False, form: output.Option = output.Output.TABLE
) -> None:
    """Delete an account that has no templates and servers any more, with its members and keys. For the cloud operator.

    \b
    Examples:
      estampe account delete acme
    """
    from estampe.client import client

    terminal.confirm(f"delete account {text.plain(reference)} with its members and keys", is_confirmed=is_confirmed)
    with client.Client() as daemon:
        daemon.delete_account(reference)
    output.say_deleted("account", reference, form)


def _show(found: account.Account, form: output.Output) -> None:
    if form is output.Output.JSON:
        terminal.document(found)
    else:
        terminal.say(
            text.pairs(
                [
                    ("name", found.name),
                    ("id", found.id),
                    ("state", found.state.value),
                    ("created", found.created_at.isoformat(" ", "seconds")),
                ]
            )
        )


def _table(accounts: Sequence[account.Account]) -> list[str]:
    columns = (text.Column("NAME"), text.Column("STATE"), text.Column("CREATED"), text.Column("ID"))
    rows = [(found.name, found.state.value, found.created_at.date(), found.id) for found in accounts]
    return text.table(columns, rows)
