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
    completion,
    context,
    daemon,
    database,
    deploy,
    group,
    member,
    operation,
    profile,
    publisher,
    quota,
    retention,
    server,
    session,
    sharing,
    sign_in,
    store,
    template,
    template_contents,
    template_life,
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
template.app.command("diff")(template_contents.compare_templates)
template.app.command("deprecate")(template_life.deprecate_template)
template.app.command("disable")(template_life.disable_template)
template.app.command("enable")(template_life.enable_template)
template.app.command("restore")(template_life.restore_template)
template.app.command("protect")(template_life.protect_template)
template.app.command("unprotect")(template_life.unprotect_template)
template.app.command("purge")(template_life.purge_template)
template.app.command("share")(sharing.share_template)
template.app.command("unshare")(sharing.unshare_template)
template.app.command("shares")(sharing.list_shares)
template.app.command("publish")(sharing.publish_template)
template.app.command("unpublish")(sharing.unpublish_template)
template.app.command("hide")(sharing.hide_template)
template.app.command("unhide")(sharing.unhide_template)
template.app.command("servers")(template_life.list_servers_of_template)
app.add_typer(publisher.app, name="publisher")
app.add_typer(retention.app, name="retention")
app.add_typer(profile.app, name="profile")
app.command("deploy")(deploy.deploy_template)
app.add_typer(operation.app, name="operation")
app.add_typer(store.app, name="store")
app.add_typer(database.app, name="db")
app.command("login")(sign_in.sign_in)
app.command("logout")(sign_in.sign_out)
app.command("whoami")(sign_in.show_identity)
app.add_typer(context.app, name="context")
app.add_typer(account.app, name="account")
app.add_typer(member.app, name="member")
app.add_typer(user.app, name="user")
app.add_typer(session.app, name="session")
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
    """All of it, with the command line's arguments."""
    completion.answer(app)
