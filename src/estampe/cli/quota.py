"""`estampe quota`: what an account may have, and has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from estampe import errors, units
from estampe.cli import options, output, terminal, text, values

if TYPE_CHECKING:
    from estampe.schemas import account

app = typer.Typer(help="Show and set quotas.", no_args_is_help=True, rich_markup_mode=None)


@app.command("show")
def show_quota(reference: options.OptionalAccount = None, form: output.Option = output.Output.TABLE) -> None:
    """Show an account's limits and what it uses of them, running operations included.

    \b
    Examples:
      estampe quota show
      estampe quota show acme
    """
    from estampe.client import client

    with client.Client() as daemon:
        _show(daemon.get_quota(reference or daemon.get_identity().account.name), form)


@app.command("set")
def set_quota(
    reference: options.Account,
    templates: Annotated[str | None, typer.Option("--templates", metavar="N|none", help="Templates.")] = None,
    stored: Annotated[
        str | None, typer.Option("--stored", metavar="SIZE|none", help="Bytes that its captures add to the store.")
    ] = None,
    servers: Annotated[str | None, typer.Option("--servers", metavar="N|none", help="Servers, running or not.")] = None,
    cpus: Annotated[str | None, typer.Option("--cpus", metavar="N|none", help="CPUs of its servers.")] = None,
    memory: Annotated[str | None, typer.Option("--memory", metavar="SIZE|none", help="Memory of its servers.")] = None,
    volumes: Annotated[
        str | None, typer.Option("--volumes", metavar="SIZE|none", help="Size of its servers' volumes.")
    ] = None,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Set limits; `none` lifts one, what is not named stays. For the cloud operator.

    \b
    Examples:
      estampe quota set acme --templates 20 --stored 500GiB --servers 10
      estampe quota set acme --servers none
    """
    from estampe.client import client
    from estampe.schemas import account

    counts = {"templates": templates, "servers": servers, "cpus": cpus}
    sizes = {"stored_bytes": stored, "memory_bytes": memory, "volume_bytes": volumes}
    changes: dict[str, Any] = {
        **{name: values.limit(value, option=f"--{name}", is_size=False) for name, value in counts.items() if value},
        **{name: values.limit(value, option=name, is_size=True) for name, value in sizes.items() if value},
    }
    if not changes:
        raise errors.InvalidRequest(field="options", problem="say which limit to set, as --servers 10")
    with client.Client() as daemon:
        _show(daemon.edit_quota(reference, client.make(account.QuotaRequest, **changes)), form)


def _show(quota: account.Quota, form: output.Output) -> None:
    if form is output.Output.JSON:
        terminal.document(quota)
    else:
        terminal.say(_table(quota))


def _table(quota: account.Quota) -> list[str]:
    words = {
        "templates": "templates",
        "stored_bytes": "stored",
        "servers": "servers",
        "cpus": "CPUs",
        "memory_bytes": "memory",
        "volume_bytes": "volumes",
    }
    rows = [
        (word, _figure(name, getattr(quota.used, name)), _figure(name, getattr(quota.limits, name)))
        for name, word in words.items()
    ]
    columns = (text.Column("OF"), text.Column("USED", is_right=True), text.Column("LIMIT", is_right=True))
    return text.table(columns, rows)


def _figure(name: str, value: int | None) -> object:
    return units.format_bytes(value) if value is not None and name.endswith("_bytes") else value
