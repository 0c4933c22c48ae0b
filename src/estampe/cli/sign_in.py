"""`estampe login`, `logout` and `whoami`."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from estampe import errors
from estampe.cli import options, output, terminal, text, values

if TYPE_CHECKING:
    from estampe.client import client
    from estampe.schemas import api_key

_PROVIDER_SECONDS: Final = 600.0  # as long as the daemon remembers that somebody went


def sign_in(
    user: Annotated[
        str | None, typer.Argument(help="Name of a user; not with --oidc.", metavar="[USER]", show_default=False)
    ] = None,
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
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Of a daemon on another host, as https://estampe:8443.")
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            resolve_path=True,
            help="PEM file of who signed its certificate. [default: those that the system trusts]",
        ),
    ] = None,
    is_read: options.PasswordStdin = False,
    is_oidc: Annotated[
        bool, typer.Option("--oidc", help="Sign in at the OpenID provider, with a browser on this host.")
    ] = False,
    port: Annotated[
        int,
        typer.Option(
            "--port",
            min=0,
            max=65535,
            help="With --oidc: where on 127.0.0.1 the answer comes in. [default: any]",
            show_default=False,
        ),
    ] = 0,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Sign in, with a password or at the OpenID provider. What lets you in is kept in ~/.config/estampe/config.toml, for some hours.

    \b
    Examples:
      estampe login alice
      estampe login alice --account acme --context acme
      estampe login alice --url https://estampe.example.org:8443 --ca ca.pem --context work
      estampe login --oidc
    """
    from estampe.client import client, target

    name, kept = target.current_context()
    if url is not None:
        kept = target.Context(url=url, ca=None if ca is None else str(ca))
    where = target.current() if url is None else target.Target(url=url, ca=ca)
    account = account or where.account
    if is_oidc == (user is not None):
        raise errors.InvalidRequest(field="USER", problem="say who signs in with a password, or --oidc, not both")
    password = None if is_oidc else values.password("Password", is_read=is_read)
    # As nobody: an old key must not stand in the way.
    with client.Client(None if where.url else where.socket, url=where.url, ca=where.ca) as daemon:
        if user is not None and password is not None:
            signed_in = _by_password(daemon, user, password, account)
        else:
            signed_in = _by_provider(daemon, account, port)
    chosen = replace(kept, account=signed_in.actor.account.name, key=signed_in.new.key, user=signed_in.actor.name)
    target.keep(context or name, chosen)
    _show(signed_in.actor, form)


def _by_password(daemon: client.Client, user: str, password: str, account: str | None) -> api_key.SignedIn:
    from estampe.client import client
    from estampe.schemas import api_key

    return daemon.sign_in(client.make(api_key.SignInRequest, name=user, password=password, account=account))


def _by_provider(daemon: client.Client, account: str | None, port: int) -> api_key.SignedIn:
    """Send the person to the provider, and wait for the answer."""
    import secrets

    from estampe.cli import oidc_answer
    from estampe.client import client
    from estampe.schemas import oidc

    binding = secrets.token_urlsafe(32)  # who read the answer on its way could else be signed in with it
    with oidc_answer.listening(port) as listener:
        request = client.make(oidc.CommandRequest, port=listener.port, binding=binding, account=account)
        departure = daemon.start_oidc_command(request)
        terminal.note("open this address in a browser on this host, and sign in there:")
        terminal.note(text.plain(departure.url))
        answer = listener.wait(departure.state, seconds=_PROVIDER_SECONDS)
    redeem = client.make(
        oidc.RedeemRequest, state=departure.state, binding=binding, code=answer.code, error=answer.error,
        issuer=answer.issuer,
    )  # fmt: skip
    return daemon.finish_oidc_command(redeem)


def sign_out(form: output.Option = output.Output.TABLE) -> None:
    """Sign out: the current context's key is revoked and forgotten.

    \b
    Examples:
      estampe logout
    """
    from estampe.client import client, target

    name, context = target.current_context()
    if context.key is not None:
        with client.Client(key=context.key) as daemon, contextlib.suppress(errors.NotSignedIn):
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
