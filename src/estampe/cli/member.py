"""`estampe member`: who may act for an account, and as what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe.cli import options, output, terminal, text
from estampe.model import account as accounts

if TYPE_CHECKING:
    from estampe.client import client
    from estampe.schemas import account

app = typer.Typer(help="Add, remove and list members, and change roles.", no_args_is_help=True, rich_markup_mode=None)

_Role = Annotated[
    accounts.Role, typer.Option("--role", help="viewer: look. operator: change. owner: members and keys.")
]


@app.command("add")
def add_member(
    user: options.User,
    role: _Role = accounts.Role.OPERATOR,
    reference: options.OfAccount = None,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Let a user act for an account. For its owners.

    \b
    Examples:
      estampe member add alice --role owner --account acme
    """
    from estampe.client import client
    from estampe.schemas import account

    request = client.make(account.AddMemberRequest, user=user, role=role)
    with client.Client() as daemon:
        _show(daemon.add_member(_account(daemon, reference), request), form)


@app.command("role")
def change_role(
    user: options.User,
    role: Annotated[accounts.Role, typer.Argument(help="The role from now on.", metavar="viewer|operator|owner")],
    reference: options.OfAccount = None,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Give a member another role. It holds at once, also for keys that the member has made. For owners.

    \b
    Examples:
      estampe member role alice viewer
    """
    from estampe.client import client
    from estampe.schemas import account

    request = client.make(account.EditMemberRequest, role=role)
    with client.Client() as daemon:
        _show(daemon.edit_member(_account(daemon, reference), user, request), form)


@app.command("remove")
def remove_member(
    user: options.User,
    reference: options.OfAccount = None,
    is_confirmed: options.Yes = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Let a user act for an account no more, nor the keys that the user made for it. For owners.

    \b
    Examples:
      estampe member remove alice
    """
    from estampe.client import client

    terminal.confirm(f"remove member {text.plain(user)}", is_confirmed=is_confirmed)
    with client.Client() as daemon:
        daemon.remove_member(_account(daemon, reference), user)
    output.say_deleted("member", user, form)


@app.command("list")
def list_members(reference: options.OfAccount = None, form: output.Option = output.Output.TABLE) -> None:
    """List the members of an account.

    \b
    Examples:
      estampe member list
      estampe member list --account acme
    """
    from estampe.client import client
    from estampe.schemas import account

    with client.Client() as daemon:
        found = daemon.list_members(_account(daemon, reference))
    if form is output.Output.JSON:
        terminal.document(account.MemberList(members=found))
    else:
        columns = (text.Column("USER"), text.Column("ROLE"))
        terminal.say(text.table(columns, [(member.user, member.role.value) for member in found]))


def _account(daemon: client.Client, reference: str | None) -> str:
    return reference or daemon.get_identity().account.name


def _show(found: account.Member, form: output.Output) -> None:
    if form is output.Output.JSON:
        terminal.document(found)
    else:
        terminal.say([text.plain(f"{found.user} is {found.role.value}")])
