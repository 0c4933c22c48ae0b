"""`estampe context`: which daemon, as whom, for which account - by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from estampe.cli import output, terminal, text, values

app = typer.Typer(help="List, keep and choose contexts.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_contexts(form: output.Option = output.Output.TABLE) -> None:
    """List the contexts that `estampe login --context NAME` and `estampe context set` have kept. Keys are not shown.

    \b
    Examples:
      estampe context list
    """
    from estampe.client import target

    current, _context = target.current_context()
    contexts = {target.DEFAULT_CONTEXT: target.Context(), **target.load().by_name}
    if form is output.Output.JSON:
        told = [
            {
                "name": name,
                "is_current": name == current,
                "socket": each.socket,
                "url": each.url,
                "ca": each.ca,
                "account": each.account,
                "user": each.user,
            }
            for name, each in contexts.items()
        ]
        terminal.document({"contexts": told})
    else:
        columns = tuple(text.Column(name) for name in ("CURRENT", "NAME", "DAEMON", "ACCOUNT", "USER"))
        rows = [
            ("*" if name == current else "", name, each.url or each.socket, each.account, each.user)
            for name, each in contexts.items()
        ]
        terminal.say(text.table(columns, rows))


@app.command("use")
def use_context(
    name: Annotated[str, typer.Argument(help="Name of a context, or `default`.", metavar="NAME")],
    form: output.Option = output.Output.TABLE,
) -> None:
    """Choose the context of the commands that follow.

    \b
    Examples:
      estampe context use acme
      estampe context use default
    """
    from estampe.client import target

    target.use(name)
    if form is output.Output.JSON:
        terminal.document({"current": name})
    else:
        terminal.say([f"using context {text.plain(name)}"])


@app.command("set")
def set_context(
    name: Annotated[str, typer.Argument(help="Name of the context; made where there is none.", metavar="NAME")],
    socket: Annotated[Path | None, typer.Option("--socket", metavar="PATH", help="The daemon's unix socket.")] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="The daemon on another host, as https://estampe:8443.")
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            resolve_path=True,
            help="PEM file of who signed its certificate.",
        ),
    ] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="ACCOUNT", help="The one to act for.")] = None,
    is_key_read: Annotated[bool, typer.Option("--key-stdin", help="Read an API key from standard input.")] = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Keep a context for a program's API key, or another daemon, and choose it. What is not named stays.

    A context that gets another daemon loses its key: it was that one's.

    \b
    Examples:
      estampe context set work --url https://estampe.example.org:8443 --ca ca.pem --key-stdin < key.txt
      estampe context set work --account globex
    """
    from estampe.client import target

    kept = target.load().by_name.get(name, target.Context())
    if url is not None or socket is not None:
        kept = target.Context(url=url, socket=None if socket is None else str(socket), ca=kept.ca, account=kept.account)
    changes = {
        "ca": None if ca is None else str(ca),
        "account": account,
        "key": values.password("API key", is_read=True) if is_key_read else None,
    }
    target.keep(name, replace(kept, **{field: value for field, value in changes.items() if value is not None}))
    if form is output.Output.JSON:
        terminal.document({"current": name})
    else:
        terminal.say([f"kept and using context {text.plain(name)}"])
