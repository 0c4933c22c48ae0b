"""`estampe publisher`: who may publish templates, and whose are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe.cli import options, output, terminal, text

if TYPE_CHECKING:
    from estampe.schemas import publishing

app = typer.Typer(
    help="Who may publish, and whose templates an account takes.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("show")
def show_publishing(reference: options.OptionalAccount = None, form: output.Option = output.Output.TABLE) -> None:
    """Show whether an account may publish templates, and whose it takes.

    \b
    Examples:
      estampe publisher show
      estampe publisher show acme
    """
    from estampe.client import client

    with client.Client() as daemon:
        _show(daemon.get_publishing(reference or daemon.get_identity().account.name), form)


@app.command("allow")
def allow_publishing(reference: options.Account, form: output.Option = output.Output.TABLE) -> None:
    """Let an account make its templates public. For the cloud operator.

    \b
    Examples:
      estampe publisher allow acme
    """
    _allow(reference, form, may_publish=True)


@app.command("deny")
def deny_publishing(reference: options.Account, form: output.Option = output.Output.TABLE) -> None:
    """Let an account publish no longer; what is public stays so until it is unpublished. For the cloud operator.

    \b
    Examples:
      estampe publisher deny acme
      estampe --account acme template unpublish web@3
    """
    _allow(reference, form, may_publish=False)


@app.command("limit")
def limit_publishers(
    publishers: Annotated[
        list[str],
        typer.Argument(metavar="PUBLISHER...", help="Whose templates are taken; `cloud` is the cloud operator."),
    ],
    account: options.OfAccount = None,
    form: output.Option = output.Output.TABLE,
) -> None:
    """See and deploy only the templates of these publishers, besides the account's own, shared or public.

    \b
    Examples:
      estampe publisher limit cloud acme
    """
    _limit(account, form, is_limited=True, publishers=publishers)


@app.command("unlimit")
def unlimit_publishers(account: options.OfAccount = None, form: output.Option = output.Output.TABLE) -> None:
    """See and deploy the templates of every publisher again.

    \b
    Examples:
      estampe publisher unlimit
    """
    _limit(account, form, is_limited=False, publishers=None)


def _allow(reference: str, form: output.Output, *, may_publish: bool) -> None:
    from estampe.client import client
    from estampe.schemas import publishing

    with client.Client() as daemon:
        _show(daemon.allow_publishing(reference, client.make(publishing.AllowRequest, may_publish=may_publish)), form)


def _limit(account: str | None, form: output.Output, *, is_limited: bool, publishers: list[str] | None) -> None:
    from estampe.client import client
    from estampe.schemas import publishing

    request = client.make(publishing.LimitRequest, is_limited=is_limited, publishers=publishers)
    with client.Client() as daemon:
        _show(daemon.limit_publishers(account or daemon.get_identity().account.name, request), form)


def _show(found: publishing.Publishing, form: output.Output) -> None:
    if form is output.Output.JSON:
        terminal.document(found)
        return
    taken = ", ".join(found.publishers) or "nobody" if found.is_limited else "everybody"
    terminal.say(text.pairs([("may publish", "yes" if found.may_publish else "no"), ("takes templates from", taken)]))
