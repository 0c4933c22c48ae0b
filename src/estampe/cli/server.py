"""`estampe server`: the servers of this host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe import units
from estampe.cli import describe, following, options, output, terminal, text, values
from estampe.model import power

if TYPE_CHECKING:
    from collections.abc import Sequence

    from estampe.schemas import server

app = typer.Typer(
    help="List, show, start, stop and delete servers; their screens and consoles.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_COLUMNS = (
    text.Column("NAME"),
    text.Column("STATE"),
    text.Column("CPUS", is_right=True),
    text.Column("MEMORY", is_right=True),
    text.Column("TEMPLATE"),
    text.Column("OPERATION"),
    text.Column("ID"),
)


@app.command("list")
def list_servers(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only these names; a pattern, as 'web*'.")
    ] = None,
    states: Annotated[
        list[power.PowerState] | None,
        typer.Option(
            "--state", metavar="|".join(power.PowerState), help="Only servers in this power state; may be repeated."
        ),
    ] = None,
    form: output.Option = output.Output.TABLE,
) -> None:
    """List the servers of this host, by name.

    \b
    Examples:
      estampe server list
      estampe server list 'web*' --state running
      estampe server list --output json | jq -r '.servers[].name'
    """
    from estampe.client import client
    from estampe.schemas import server

    with client.Client() as daemon:
        servers = list(daemon.list_servers(name=name, power_states=states or ()))
    if form is output.Output.JSON:
        terminal.document(server.ServerList(servers=servers, next=None))
    else:
        terminal.say(table(servers))


@app.command("show")
def show_server(reference: options.Server, form: output.Option = output.Output.TABLE) -> None:
    """Show one server: power, volumes, interfaces, and whether it can be captured.

    \b
    Examples:
      estampe server show web-01
      estampe server show web-01 --output json | jq .configuration.volumes
    """
    from estampe.client import client

    with client.Client() as daemon:
        found = daemon.get_server(reference)
    if form is output.Output.JSON:
        terminal.document(found)
    else:
        terminal.say(_details(found))


@app.command("start")
def start_server(reference: options.Server, form: output.Option = output.Output.TABLE) -> None:
    """Start a server; one that runs already is left alone.

    \b
    Examples:
      estampe server start web-01
    """
    from estampe.client import client

    with client.Client() as daemon:
        _say_state(daemon.start_server(reference), form)


@app.command("stop")
def stop_server(
    reference: options.Server,
    is_forced: Annotated[
        bool, typer.Option("--force", help="Power it off if it has not shut down when the timeout has passed.")
    ] = False,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="How long to wait for a clean shutdown.")
    ] = "180s",
    form: output.Option = output.Output.TABLE,
) -> None:
    """Shut a server down cleanly, and wait until it is off.

    \b
    Examples:
      estampe server stop web-01
      estampe server stop web-01 --timeout 30s --force
    """
    from estampe.client import client
    from estampe.schemas import server

    request = client.make(
        server.StopRequest, is_forced=is_forced, timeout_seconds=values.duration(timeout, option="--timeout")
    )
    may = f"the server may still shut down: see `estampe server show {text.plain(reference)}`"
    with client.Client() as daemon, following.unanswered(form, may):
        stopped = daemon.stop_server(reference, request)
    _say_state(stopped, form)


@app.command("delete")
def delete_server(
    reference: options.Server,
    is_volumes_deleted: Annotated[
        bool, typer.Option("--delete-volumes", help="Delete its volumes, and with them its data, too.")
    ] = False,
    is_forced: Annotated[bool, typer.Option("--force", help="Power it off first if it runs.")] = False,
    is_confirmed: options.Yes = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Delete a server. Its volumes stay unless --delete-volumes is given.

    \b
    Examples:
      estampe server delete web-02
      estampe server delete web-02 --delete-volumes --force --yes
    """
    from estampe.client import client

    what = "and its volumes" if is_volumes_deleted else "and keep its volumes"
    terminal.confirm(f"delete server {text.plain(reference)} {what}", is_confirmed=is_confirmed)
    with client.Client() as daemon:
        daemon.delete_server(reference, is_volumes_deleted=is_volumes_deleted, is_forced=is_forced)
    if form is output.Output.JSON:
        terminal.document({"deleted": reference})
    else:
        terminal.say([f"deleted server {text.plain(reference)}"])


@app.command("assign")
def assign_server(
    reference: options.Server,
    account: Annotated[
        str, typer.Option("--account", metavar="ACCOUNT", help="Name or id of the account that gets it.")
    ],
    form: output.Option = output.Output.TABLE,
) -> None:
    """Give a server of this host to an account, whoever has it now; its templates stay. For the cloud operator.

    \b
    Examples:
      estampe server assign web-01 --account acme
    """
    from estampe.client import client
    from estampe.schemas import server

    request = client.make(server.AssignRequest, account=account)
    with client.Client() as daemon:
        found = daemon.assign_server(reference, request)
    if form is output.Output.JSON:
        terminal.document(found)
    else:
        terminal.say([text.plain(f"{found.name} belongs to {account}")])


@app.command("console")
def open_console(
    reference: options.Server,
    is_forced: Annotated[
        bool, typer.Option("--force", help="Take it over from whoever has it open: only one can.")
    ] = False,
) -> None:
    """Open a server's serial console in this terminal. Ctrl+] leaves it; every other key goes to the server.

    It also ends when the server is off. Without a terminal, what is read is typed, and its end is not the end: press Ctrl+C.

    \b
    Examples:
      estampe server console web-01
      estampe server console web-01 --force
      estampe server console web-01 < /dev/null | tee boot.log
    """
    from estampe.cli import console
    from estampe.client import client
    from estampe.model import terminal as terminals

    with (
        client.Client() as daemon,
        daemon.open_terminal(reference, terminals.Kind.SERIAL, is_taken_over=is_forced) as opened,
    ):
        terminal.note(f"the serial console of {text.plain(reference)}: Ctrl+] leaves it, Enter may wake it")
        source, target = console.standard()
        console.attach(opened, source=source, target=target)
        is_off = opened.ending is terminals.Ending.SERVER_OFF
    terminal.note(f"\n{text.plain(reference)} is off" if is_off else "\nclosed")


@app.command("screen")
def offer_screen(
    reference: options.Server,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of this host; 0 takes one that is free.")
    ] = 0,
) -> None:
    """Offer a server's screen at a port of this host, for one VNC viewer that connects; ends with it.

    Only the loopback address is listened on, and the first who connects gets it, whichever user of this host that is.

    \b
    Examples:
      estampe server screen web-01
      estampe server screen web-01 --port 5901 & vncviewer 127.0.0.1::5901
    """
    from estampe.cli import console
    from estampe.client import client
    from estampe.model import terminal as terminals

    def tell(chosen: int) -> None:
        terminal.say([f"vnc://127.0.0.1:{chosen}"])

    with client.Client() as daemon:
        daemon.create_screen_ticket(reference)  # what is wrong is told before anybody connects
        console.offer(lambda: daemon.open_terminal(reference, terminals.Kind.SCREEN), port=port, tell=tell)


def _say_state(found: server.Server, form: output.Output) -> None:
    if form is output.Output.JSON:
        terminal.document(found)
    else:
        terminal.say([text.plain(f"{found.name} is {found.power_state.value}")])


def table(servers: Sequence[server.Server]) -> list[str]:
    """Lines of a table of servers."""
    rows = [
        (
            found.name,
            found.power_state.value,
            found.cpus,
            units.format_bytes(found.memory_bytes),
            found.template,
            found.busy_operation and str(found.busy_operation)[:8],
            found.id,
        )
        for found in servers
    ]
    return text.table(_COLUMNS, rows)


def _details(found: server.ServerDetail) -> list[str]:
    summary = found.summary
    lines = text.pairs(
        [
            ("name", summary.name),
            ("id", summary.id),
            ("domain", summary.domain_uuid),
            ("state", summary.power_state.value),
            ("CPUs", summary.cpus),
            ("memory", units.format_bytes(summary.memory_bytes)),
            ("deployed from", summary.template),
            ("used by operation", summary.busy_operation),
            ("addresses", "\n".join(found.addresses) or None),
            ("is persistent", None if summary.is_persistent else "no: it is gone once it stops"),
            ("cannot be captured", found.problem),
        ]
    )
    if found.configuration is not None:
        lines += describe.recorded_configuration(found.configuration)
    lines += describe.section("changed by its deploy", describe.report(found.report or ()))
    return lines
