"""`estampe login`, `logout` and `whoami`."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from estampe import errors
from estampe.cli import options, output, terminal, text, values

if TYPE_CHECKING:
    from estampe.schemas import api_key


def sign_in(
    user: options.User,
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            metavar="ACCOUNT",
            help="The one to act for. [default: that of the context, or the only one you belong to]",
        ),
    ] = None,
    context: Annotated[
        str | None, typer.Option("--context", metavar="NAME", help="Where to keep it. [default: the current context]")
    ] = None,
    is_read: options.PasswordStdin = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Sign in with a password. What lets you in is kept in ~/.config/estampe/config.toml, for some hours.

    \b
    Examples:
      estampe login alice
      estampe login alice --account acme --context acme
    """
    from estampe.client import client, target
    from estampe.schemas import api_key

    name, kept = target.current_context()
    password = values.password("Password", is_read=is_read)
    account = account or target.current().account
    request = client.make(api_key.SignInRequest, name=user, password=password, account=account)
    with client.Client(target.current().socket) as daemon:  # as nobody: an old key must not stand in the way
        signed_in = daemon.sign_in(request)
    chosen = replace(kept, account=signed_in.actor.account.name, key=signed_in.new.key, user=signed_in.actor.name)
    target.keep(context or name, chosen)
    _show(signed_in.actor, form)


def sign_out(form: output.Option = output.Output.TABLE) -> None:
    """Sign out: the key of the current context is revoked, and forgotten here.

    \b
    Examples:
      estampe logout
    """
    from estampe.client import client, target

    name, context = target.current_context()
    if context.key is not None:
        with client.Client(target.current().socket, key=context.key) as daemon, contextlib.suppress(errors.NotSignedIn):
            daemon.sign_out()
        target.forget_key(name)
    if form is output.Output.JSON:
        terminal.document({"signed_out": context.user})
    else:
        terminal.say([f"signed out {text.plain(context.user)}" if context.user else "nobody was signed in"])


def show_identity(form: output.Option = output.Output.TABLE) -> None:
    """Say whom the daemon takes you for: name, account and role.

    \b
    Examples:
      estampe whoami
      estampe --account acme whoami
    """
    from estampe.client import client

    with client.Client() as daemon:
        _show(daemon.get_identity(), form)


def _show(who: api_key.Identity, form: output.Output) -> None:
    if form is output.Output.JSON:
        terminal.document(who)
    else:
        role = "cloud operator" if who.is_cloud_operator else who.role.value
        terminal.say(text.pairs([("name", who.name), ("account", who.account.name), ("role", role)]))
