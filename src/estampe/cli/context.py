"""`estampe context`: which daemon, as whom, for which account - by name."""

from __future__ import annotations

from typing import Annotated

import typer

from estampe.cli import output, terminal, text

app = typer.Typer(help="List and choose contexts.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_contexts(form: output.Option = output.Output.TABLE) -> None:
    """List the contexts that `estampe login --context NAME` has kept. Keys are not shown.

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
                "account": each.account,
                "user": each.user,
            }
            for name, each in contexts.items()
        ]
        terminal.document({"contexts": told})
    else:
        columns = (text.Column("CURRENT"), text.Column("NAME"), text.Column("ACCOUNT"), text.Column("USER"))
        rows = [("*" if name == current else "", name, each.account, each.user) for name, each in contexts.items()]
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
