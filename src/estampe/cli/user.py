"""`estampe user`: the people who may sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe.cli import options, output, terminal, text, values

if TYPE_CHECKING:
    from estampe.schemas import account

app = typer.Typer(help="Add, list and remove users, and set passwords.", no_args_is_help=True, rich_markup_mode=None)


@app.command("add")
def add_user(
    user: options.User,
    is_cloud_operator: Annotated[
        bool, typer.Option("--cloud-operator", help="This person runs the installation: may everything, everywhere.")
    ] = False,
    has_password: Annotated[
        bool, typer.Option("--password/--no-password", help="Without, nobody can sign in by this name yet.")
    ] = True,
    is_read: options.PasswordStdin = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Add a user; a member of no account yet (`estampe member add`). For the cloud operator.

    \b
    Examples:
      estampe user add alice
      estampe user add alice --password-stdin < password.txt
    """
    from estampe.client import client
    from estampe.schemas import account

    password = values.new_password(is_read=is_read) if has_password else None
    request = client.make(account.CreateUserRequest, name=user, password=password, is_cloud_operator=is_cloud_operator)
    with client.Client() as daemon:
        made = daemon.create_user(request)
    if form is output.Output.JSON:
        terminal.document(made)
    else:
        terminal.say([text.plain(f"added user {made.name}")])


@app.command("password")
def set_password(
    user: options.User, is_read: options.PasswordStdin = False, form: output.Option = output.Output.TABLE
) -> None:
    """Set a password: your own, or as the cloud operator anybody's. Who signed in with the old one is signed out.

    With --password-stdin the first line is the new password, and the second, if it is your own, the one until now.

    \b
    Examples:
      estampe user password alice
    """
    from estampe.client import client
    from estampe.schemas import account

    with client.Client() as daemon:
        is_operator = daemon.get_identity().is_cloud_operator
        password, current = values.changed_password(is_read=is_read, is_current_needed=not is_operator)
        daemon.set_password(user, client.make(account.PasswordRequest, password=password, current=current))
    if form is output.Output.JSON:
        terminal.document({"changed": user})
    else:
        terminal.say([f"changed the password of {text.plain(user)}"])


@app.command("list")
def list_users(form: output.Option = output.Output.TABLE) -> None:
    """List all users. For the cloud operator.

    \b
    Examples:
      estampe user list
    """
    from estampe.client import client
    from estampe.schemas import account

    with client.Client() as daemon:
        found = daemon.list_users()
    if form is output.Output.JSON:
        terminal.document(account.UserList(users=found))
    else:
        columns = (text.Column("NAME"), text.Column("PASSWORD"), text.Column("CLOUD OPERATOR"), text.Column("CREATED"))
        terminal.say(text.table(columns, [_row(user) for user in found]))


@app.command("remove")
def remove_user(
    user: options.User, is_confirmed: options.Yes = False, form: output.Option = output.Output.TABLE
) -> None:
    """Remove a user with all memberships and keys. For the cloud operator.

    \b
    Examples:
      estampe user remove alice
    """
    from estampe.client import client

    terminal.confirm(f"remove user {text.plain(user)} with all memberships and keys", is_confirmed=is_confirmed)
    with client.Client() as daemon:
        daemon.delete_user(user)
    output.say_deleted("user", user, form)


def _row(found: account.User) -> tuple[object, ...]:
    return (
        found.name,
        "yes" if found.has_password else "no",
        "yes" if found.is_cloud_operator else "no",
        found.created_at.date(),
    )
