"""The command tree. Only light modules are imported here: every command imports what it needs when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

import estampe
from estampe.cli import (
    account,
    api_key,
    audit,
    capture,
    context,
    daemon,
    deploy,
    group,
    member,
    operation,
    quota,
    server,
    sign_in,
    store,
    template,
    terminal,
    user,
)
from estampe.client import target

# Plain help: rich's costs 0.2 s of every --help, and tells no more.
app = typer.Typer(
    cls=group.RootGroup,
    name="estampe",
    help="Capture virtual servers into image templates, and deploy new servers from them.",
    epilog="Exit codes: docs/reference/exit-codes.md. The daemon's socket: $ESTAMPE_SOCKET.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(daemon.serve)
app.command("doctor")(daemon.examine_host)
app.add_typer(server.app, name="server")
app.command("capture")(capture.capture_server)
app.add_typer(template.app, name="template")
app.command("deploy")(deploy.deploy_template)
app.add_typer(operation.app, name="operation")
app.add_typer(store.app, name="store")
app.command("login")(sign_in.sign_in)
app.command("logout")(sign_in.sign_out)
app.command("whoami")(sign_in.show_identity)
app.add_typer(context.app, name="context")
app.add_typer(account.app, name="account")
app.add_typer(member.app, name="member")
app.add_typer(user.app, name="user")
app.add_typer(api_key.app, name="api-key")
app.add_typer(quota.app, name="quota")
app.add_typer(audit.app, name="audit")


def _say_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"estampe {estampe.__version__}")
        raise typer.Exit


@app.callback()
def begin(
    command: typer.Context,
    acting_for: Annotated[
        str | None,
        typer.Option(
            "--account", metavar="ACCOUNT", help="Act for this account. [default: $ESTAMPE_ACCOUNT, the context's]"
        ),
    ] = None,
    chosen: Annotated[
        str | None,
        typer.Option(
            "--context", metavar="NAME", help="Use this context. [default: $ESTAMPE_CONTEXT, the current one]"
        ),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Capture virtual servers into image templates, and deploy new servers from them."""
    terminal.prepare()
    command.with_resource(target.using(account=acting_for, context=chosen))


def main() -> None:
    """The console script."""
    app()
