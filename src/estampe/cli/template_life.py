"""`estampe template deprecate`, `disable` and the other moves of a template's life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe.cli import options, output, server, terminal, text

if TYPE_CHECKING:
    from estampe.schemas import template


def deprecate_template(
    reference: options.Template,
    successor: Annotated[
        str | None, typer.Option("--successor", metavar="TEMPLATE", help="The template to use instead.")
    ] = None,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Deprecate a template: it still deploys, with a warning that names its successor.

    \b
    Examples:
      estampe template deprecate web@3 --successor web@4
      estampe template deprecate web@3
    """
    from estampe.client import client
    from estampe.schemas import template

    request = client.make(template.DeprecateRequest, successor=successor)
    with client.Client() as daemon:
        _say(daemon.deprecate_template(reference, request), form)


def disable_template(reference: options.Template, form: output.Option = output.Output.TABLE) -> None:
    """Disable a template: nothing is deployed from it until it is enabled again. Its servers are not touched.

    \b
    Examples:
      estampe template disable web@3
    """
    from estampe.client import client

    with client.Client() as daemon:
        _say(daemon.disable_template(reference), form)


def enable_template(reference: options.Template, form: output.Option = output.Output.TABLE) -> None:
    """Make a deprecated or disabled template active again.

    \b
    Examples:
      estampe template enable web@3
    """
    from estampe.client import client

    with client.Client() as daemon:
        _say(daemon.enable_template(reference), form)


def restore_template(reference: options.Template, form: output.Option = output.Output.TABLE) -> None:
    """Take a template out of the trash, into the state that it had.

    \b
    Examples:
      estampe template restore web@1
    """
    from estampe.client import client

    with client.Client() as daemon:
        _say(daemon.restore_template(reference), form)


def protect_template(reference: options.Template, form: output.Option = output.Output.TABLE) -> None:
    """Protect a template: it cannot be deleted or purged, nor taken by a retention rule.

    \b
    Examples:
      estampe template protect web@3
    """
    from estampe.client import client

    with client.Client() as daemon:
        _say(daemon.protect_template(reference), form)


def unprotect_template(reference: options.Template, form: output.Option = output.Output.TABLE) -> None:
    """Protect a template no longer.

    \b
    Examples:
      estampe template unprotect web@3
    """
    from estampe.client import client

    with client.Client() as daemon:
        _say(daemon.unprotect_template(reference), form)


def purge_template(
    reference: options.Template, is_confirmed: options.Yes = False, form: output.Option = output.Output.TABLE
) -> None:
    """Remove a template that is in the trash now, for ever. `estampe store sweep` then frees what no other one needs.

    \b
    Examples:
      estampe template purge web@1
      estampe template purge web@1 --yes
    """
    from estampe.client import client

    terminal.confirm(f"remove template {text.plain(reference)} for ever", is_confirmed=is_confirmed)
    with client.Client() as daemon:
        daemon.purge_template(reference)
    if form is output.Output.JSON:
        terminal.document({"purged": reference})
    else:
        terminal.say([f"purged template {text.plain(reference)}"])


def list_servers_of_template(
    reference: options.Template,
    is_every_version: Annotated[
        bool, typer.Option("--all-versions", help="Those from any version of its name, the trash included.")
    ] = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """List the servers of this host that were deployed from a template, which may be in the trash: whom to recall.

    Of servers in other accounts its owner is told how many there are, by account where it was shared.

    \b
    Examples:
      estampe template servers web@3
      estampe template servers web --all-versions --output json | jq -r '.servers[].name'
    """
    from estampe.client import client

    with client.Client() as daemon:
        found = daemon.list_servers_of_template(reference, is_every_version=is_every_version)
    if form is output.Output.JSON:
        terminal.document(found)
        return
    lines = server.table(found.servers)
    for other in found.elsewhere:
        whose = f"account {other.account}" if other.account else "accounts that deployed it while it was public"
        lines += ["", text.plain(f"{other.count} of {whose}")]
        lines += server.table(other.servers) if other.servers else []
    terminal.say(lines)


def _say(found: template.Template, form: output.Output) -> None:
    if form is output.Output.JSON:
        terminal.document(found)
        return
    protected = ", protected" if found.is_protected else ""
    terminal.say([text.plain(f"{found.reference} is {found.state.value}{protected}")])
