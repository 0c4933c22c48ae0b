"""`estampe template share`, `publish` and the way back; `hide` for who sees them."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from estampe.cli import options, output, terminal, text, values
from estampe.model import visibility

if TYPE_CHECKING:
    from estampe.schemas import template

_With = Annotated[str, typer.Option("--with", metavar="ACCOUNT", help="Name of the account.")]
_Right = Annotated[visibility.Right, typer.Option("--right", help="What they may do with it.")]


def share_template(
    reference: options.Template,
    account: _With,
    right: _Right = visibility.Right.DEPLOY,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help="Until then, as 30d or 2027-01-31. [default: until unshared]"),
    ] = None,
    note: Annotated[str, typer.Option("--note", help="A note for that account.")] = "",
    form: output.Option = output.Output.TABLE,
) -> None:
    """Share a template with another account, or change how it is shared. Other versions of it stay as they are.

    \b
    Examples:
      estampe template share web@3 --with globex
      estampe template share web --with globex --right deploy-and-export --expires 30d --note "for the trial"
    """
    from estampe.client import client
    from estampe.schemas import template

    expires_at = None if expires is None else _moment(expires)
    request = client.make(template.ShareRequest, right=right, expires_at=expires_at, note=note)
    with client.Client() as daemon:
        shared = daemon.share_template(reference, account, request)
    if form is output.Output.JSON:
        terminal.document(shared)
        return
    until = "" if shared.expires_at is None else f", until {shared.expires_at.astimezone():%Y-%m-%d %H:%M}"
    terminal.say([text.plain(f"{reference} is shared with {shared.account}: {shared.right.value}{until}")])


def unshare_template(reference: options.Template, account: _With, form: output.Option = output.Output.TABLE) -> None:
    """Share a template with an account no longer. It deploys nothing new from it; servers that it deployed stay.

    \b
    Examples:
      estampe template unshare web@3 --with globex
    """
    from estampe.client import client

    with client.Client() as daemon:
        daemon.unshare_template(reference, account)
    if form is output.Output.JSON:
        terminal.document({"unshared": reference, "account": account})
    else:
        terminal.say([text.plain(f"{reference} is shared with {account} no longer")])


def list_shares(reference: options.Template, form: output.Option = output.Output.TABLE) -> None:
    """List the accounts that a template is shared with.

    \b
    Examples:
      estampe template shares web@3
    """
    from estampe.client import client

    with client.Client() as daemon:
        found = daemon.list_shares(reference)
    if form is output.Output.JSON:
        terminal.document(found)
        return
    columns = [text.Column(title) for title in ("ACCOUNT", "RIGHT", "UNTIL", "SINCE", "BY", "NOTE")]
    rows = [
        (
            share.account,
            share.right.value,
            _until(share),
            f"{share.shared_at.astimezone():%Y-%m-%d %H:%M}",
            share.shared_by,
            share.note,
        )
        for share in found.shares
    ]
    terminal.say(text.table(columns, rows))


def publish_template(
    reference: options.Template,
    right: _Right = visibility.Right.DEPLOY,
    note: Annotated[str, typer.Option("--note", help="A note for everybody.")] = "",
    is_unsealed_accepted: Annotated[
        bool, typer.Option("--unsealed", help="Publish it although it keeps the identity of the server it is from.")
    ] = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Make a template public: every account sees it as PUBLISHER/NAME and may deploy it. Again, the terms are changed.

    It takes an account that the cloud operator has allowed to publish.

    \b
    Examples:
      estampe template publish debian-12@4 --note "hardened; see https://example.com/debian"
    """
    from estampe.client import client
    from estampe.schemas import template

    request = client.make(template.PublishRequest, right=right, note=note, is_unsealed_accepted=is_unsealed_accepted)
    with client.Client() as daemon:
        _say(daemon.publish_template(reference, request), form)


def unpublish_template(reference: options.Template, form: output.Option = output.Output.TABLE) -> None:
    """Make a template public no longer. Accounts that it is shared with see it still; servers stay as they are.

    \b
    Examples:
      estampe template unpublish debian-12@4
    """
    from estampe.client import client

    with client.Client() as daemon:
        _say(daemon.unpublish_template(reference), form)


def hide_template(reference: options.Template, form: output.Option = output.Output.TABLE) -> None:
    """Leave another account's template out of your account's lists. By its name it is found as before.

    \b
    Examples:
      estampe template hide acme/web@3
      estampe template list --shared --public --hidden
    """
    from estampe.client import client

    with client.Client() as daemon:
        hidden = daemon.hide_template(reference)
    _say_listed(hidden, "is left out of lists", form)


def unhide_template(reference: options.Template, form: output.Option = output.Output.TABLE) -> None:
    """Show another account's template in your account's lists again.

    \b
    Examples:
      estampe template unhide acme/web@3
    """
    from estampe.client import client

    with client.Client() as daemon:
        shown = daemon.unhide_template(reference)
    _say_listed(shown, "is listed again", form)


def _moment(written: str) -> datetime.datetime:
    """A date or time of this machine's zone, or a duration from now. Raises: errors.InvalidRequest."""
    try:
        return datetime.datetime.fromisoformat(written).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return values.after(written, option="--expires")


def _until(share: template.Share) -> str:
    if share.expires_at is None:
        return "unshared"
    return f"{share.expires_at.astimezone():%Y-%m-%d %H:%M}{' (expired)' if share.is_expired else ''}"


def _say(found: template.Template, form: output.Output) -> None:
    if form is output.Output.JSON:
        terminal.document(found)
        return
    called = f", as {found.full_reference}" if found.visibility is visibility.Visibility.PUBLIC else ""
    terminal.say([text.plain(f"{found.reference} is {found.visibility.value}{called}")])


def _say_listed(found: template.Template, became: str, form: output.Output) -> None:
    if form is output.Output.JSON:
        terminal.document(found)
    else:
        terminal.say([text.plain(f"{found.reference} {became}")])
