"""`estampe profile`: the tuned settings that Estampe ships."""

from __future__ import annotations

from typing import Annotated

import typer

from estampe.cli import characteristics, describe, output, terminal, text

app = typer.Typer(
    help="List and show the tuned settings that Estampe ships.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_profiles(form: output.Option = output.Output.TABLE) -> None:
    """List the profiles, by name.

    \b
    Examples:
      estampe profile list
    """
    from estampe.client import client
    from estampe.schemas import characteristics as shapes

    with client.Client() as daemon:
        profiles = daemon.list_profiles().profiles
    if form is output.Output.JSON:
        terminal.document(shapes.ProfileList(profiles=profiles))
    else:
        columns = [text.Column("PROFILE"), text.Column("FOR")]
        terminal.say(text.table(columns, [(profile.name, profile.summary) for profile in profiles]))


@app.command("show")
def show_profile(
    name: Annotated[str, typer.Argument(metavar="PROFILE", help="Name of a profile.")],
    form: output.Option = output.Output.TABLE,
) -> None:
    """Show one profile: its settings, and why they are so.

    \b
    Examples:
      estampe profile show linux-server
      estampe profile show linux-server --output json | jq .tuned
    """
    from estampe.client import client

    with client.Client() as daemon:
        profile = daemon.get_profile(name)
    if form is output.Output.JSON:
        terminal.document(profile)
        return
    head = text.pairs([("profile", profile.name), ("for", profile.summary), ("why", profile.why)])
    terminal.say([*head, *describe.section("tuned settings", characteristics.tuned(profile.tuned))])
