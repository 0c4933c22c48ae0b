"""The command tree. Only light modules are imported here: every command imports what it needs when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

import estampe
from estampe.cli import capture, daemon, database, deploy, group, operation, server, store, template, terminal

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
app.add_typer(database.app, name="db")


def _say_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"estampe {estampe.__version__}")
        raise typer.Exit


@app.callback()
def begin(
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Capture virtual servers into image templates, and deploy new servers from them."""
    terminal.prepare()


def main() -> None:
    """The console script."""
    app()
