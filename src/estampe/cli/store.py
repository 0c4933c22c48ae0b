"""`estampe store`: what the chunk store holds, and whether it is sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from estampe import errors, units
from estampe.cli import describe, following, options, output, summary, terminal, text, values

if TYPE_CHECKING:
    from estampe.schemas import store

app = typer.Typer(help="Usage, growth, check and sweep of the store.", no_args_is_help=True, rich_markup_mode=None)


@app.command("usage")
def show_usage(form: output.Option = output.Output.TABLE) -> None:
    """Show what the store holds: logical size, stored size, what deduplication saves, and what is unique to a template.

    \b
    Examples:
      estampe store usage
    """
    from estampe.client import client

    with client.Client() as daemon:
        usage = daemon.get_usage()
    if form is output.Output.JSON:
        terminal.document(usage)
    else:
        terminal.say(_usage(usage))


@app.command("growth")
def show_growth(
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="How far back.")] = 30,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Show what the store held over time: it is counted every six hours, and of what is older a day's or a week's first count is kept.

    \b
    Examples:
      estampe store growth
      estampe store growth --days 365 --output json
    """
    from estampe.client import client

    with client.Client() as daemon:
        growth = daemon.get_growth(days=days)
    if form is output.Output.JSON:
        terminal.document(growth)
    elif growth.samples:
        terminal.say(_growth(growth))
    else:
        terminal.say(["nothing was counted in that time"])


@app.command("check")
def check_store(
    sample: Annotated[
        str, typer.Option("--sample", metavar="PERCENT", help="Verify only this share of the chunks, as 5%.")
    ] = "100%",
    is_not_awaited: options.NoWait = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Read manifests and chunks back and verify them; says which templates are hurt by what is wrong.

    Exit code 8 where anything is.

    \b
    Examples:
      estampe store check
      estampe store check --sample 5%
    """
    from estampe.client import client
    from estampe.schemas import store

    request = client.make(store.CheckRequest, sample=values.share(sample, option="--sample"))
    with client.Client() as daemon:
        with following.unanswered(form, following.MAY_HAVE_BEGUN):
            begun = daemon.start_check(request)
        ended = following.conclude(daemon, begun, form=form, is_awaited=not is_not_awaited)
    if ended is not None:
        _raise_if_damaged(ended.result or {})


@app.command("sweep")
def sweep_store(
    is_dry_run: options.DryRun = False,
    grace: Annotated[
        str | None,
        typer.Option(
            "--grace", metavar="DURATION", help="Spare what is younger, as 24h. [default: the configured one]"
        ),
    ] = None,
    is_confirmed: options.Yes = False,
    is_not_awaited: options.NoWait = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Remove chunks that no template needs and that are older than a grace period. Safe beside running captures.

    \b
    Examples:
      estampe store sweep --dry-run
      estampe store sweep --grace 24h --yes
    """
    from estampe.client import client
    from estampe.schemas import store

    seconds = None if grace is None else values.duration(grace, option="--grace")
    request = client.make(store.SweepRequest, is_dry_run=is_dry_run, grace_seconds=seconds)
    if not is_dry_run:
        terminal.confirm("remove chunks that no template needs", is_confirmed=is_confirmed)
    with client.Client() as daemon:
        with following.unanswered(form, following.MAY_HAVE_BEGUN):
            begun = daemon.start_sweep(request)
        following.conclude(daemon, begun, form=form, is_awaited=not is_not_awaited)


def _raise_if_damaged(report: dict[str, Any]) -> None:
    """Raises: errors.StoreDamaged where the report of a check names damage."""
    damaged, unreadable = report.get("damaged") or [], report.get("unreadable") or []
    if damaged or unreadable:
        hurt = {template for chunk in damaged for template in chunk.get("templates", [])}
        hurt |= {manifest.get("template_id") for manifest in unreadable}
        raise errors.StoreDamaged(chunks=len(damaged), manifests=len(unreadable), templates=len(hurt))


def _growth(growth: store.Growth) -> list[str]:
    columns = [
        text.Column("AT"),
        text.Column("TEMPLATES", is_right=True),
        text.Column("SIZE", is_right=True),
        text.Column("DATA", is_right=True),
        text.Column("STORED", is_right=True),
        text.Column("OF NO TEMPLATE", is_right=True),
        text.Column("FREE", is_right=True),
    ]
    rows = [
        (
            each.at.isoformat(" ", "minutes"),
            each.templates,
            units.format_bytes(each.logical_bytes),
            units.format_bytes(each.data_bytes),
            units.format_bytes(each.stored_bytes),
            units.format_bytes(each.orphan_bytes),
            summary.size(each.available_bytes),
        )
        for each in growth.samples
    ]
    return text.table(columns, rows)


def _usage(usage: store.Usage) -> list[str]:
    columns = [
        text.Column("TEMPLATE"),
        text.Column("SIZE", is_right=True),
        text.Column("DATA", is_right=True),
        text.Column("STORED", is_right=True),
        text.Column("UNIQUE", is_right=True),
    ]
    rows = [
        (
            f"{template.name}@{template.version}",
            units.format_bytes(template.logical_bytes),
            units.format_bytes(template.data_bytes),
            units.format_bytes(template.stored_bytes),
            units.format_bytes(template.unique_bytes),
        )
        for template in usage.templates
    ]
    unreadable = [text.plain(f"{each.template_id}: {each.error}") for each in usage.unreadable]
    return [
        *text.pairs(
            [
                ("logical", units.format_bytes(usage.logical_bytes)),
                ("data", units.format_bytes(usage.data_bytes)),
                ("saved by deduplication", units.format_bytes(usage.data_bytes - usage.distinct_bytes)),
                ("stored, compressed", f"{units.format_bytes(usage.stored_bytes)} in {usage.chunks} chunks"),
                ("of no template", units.format_bytes(usage.orphan_bytes)),
                ("free", summary.size(usage.available_bytes)),
            ]
        ),
        *describe.section("templates", text.table(columns, rows) if rows else []),
        *describe.section("manifests that cannot be read", unreadable),
    ]
