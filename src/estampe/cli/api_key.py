"""`estampe api-key`: keys for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe.cli import output, terminal, text, values
from estampe.model import account as accounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from estampe.schemas import api_key

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True, rich_markup_mode=None)

_COLUMNS = (
    text.Column("ID"),
    text.Column("NAME"),
    text.Column("ROLE"),
    text.Column("MADE BY"),
    text.Column("EXPIRES"),
    text.Column("LAST USED"),
    text.Column("STATE"),
)


@app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What it is for.", metavar="NAME")],
    role: Annotated[accounts.Role | None, typer.Option("--role", help="At most your own. [default: your own]")] = None,
    life: Annotated[
        str | None, typer.Option("--expires", metavar="DURATION", help="After this time, as 90d. [default: never]")
    ] = None,
    is_cloud_operator: Annotated[
        bool, typer.Option("--cloud-operator", help="May everything, everywhere. For the cloud operator.")
    ] = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Create a key for the account you act for. It is printed this once, and kept nowhere.

    \b
    Examples:
      estampe api-key create ci --role operator --expires 90d
      ESTAMPE_KEY=$(estampe api-key create ci --output json | jq -r .key) estampe template list
    """
    from estampe.client import client
    from estampe.schemas import api_key

    expires_at = None if life is None else values.after(life, option="--expires")
    request = client.make(
        api_key.CreateApiKeyRequest, name=name, role=role, expires_at=expires_at, is_cloud_operator=is_cloud_operator
    )
    with client.Client() as daemon:
        made = daemon.create_api_key(request)
    if form is output.Output.JSON:
        terminal.document(made)
    else:
        terminal.note("this is the only time the key is shown:")
        terminal.say([made.key])


@app.command("list")
def list_keys(
    is_all: Annotated[bool, typer.Option("--all", help="Also those that let nobody in any more.")] = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """List keys of the account you act for: all for an owner, for others their own.

    \b
    Examples:
      estampe api-key list
      estampe api-key list --all
    """
    from estampe.client import client
    from estampe.schemas import api_key

    with client.Client() as daemon:
        found = [key for key in daemon.list_api_keys() if is_all or _state(key) == "valid"]
    if form is output.Output.JSON:
        terminal.document(api_key.ApiKeyList(api_keys=found))
    else:
        terminal.say(_table(found))


@app.command("revoke")
def revoke_key(
    reference: Annotated[str, typer.Argument(help="Name, id, or the first digits of the id.", metavar="KEY")],
    form: output.Option = output.Output.TABLE,
) -> None:
    """From now on the key lets nobody in.

    \b
    Examples:
      estampe api-key revoke ci
      estampe api-key revoke 3f0c0c14
    """
    from estampe.client import client

    with client.Client() as daemon:
        revoked = daemon.revoke_api_key(reference)
    if form is output.Output.JSON:
        terminal.document(revoked)
    else:
        terminal.say([text.plain(f"revoked {revoked.name} ({str(revoked.id)[:8]})")])


def _state(key: api_key.ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= values.now() else "valid"


def _table(keys: Sequence[api_key.ApiKey]) -> list[str]:
    rows = [
        (
            str(key.id)[:8],
            key.name,
            "cloud operator" if key.is_cloud_operator else key.role.value,
            key.created_by,
            key.expires_at and key.expires_at.isoformat(" ", "minutes"),
            key.last_used_at and key.last_used_at.isoformat(" ", "minutes"),
            _state(key),
        )
        for key in keys
    ]
    return text.table(_COLUMNS, rows)
