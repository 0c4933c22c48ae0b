"""`estampe retention`: which versions of templates stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe.cli import options, output, terminal, text

if TYPE_CHECKING:
    from estampe.schemas import retention

app = typer.Typer(help="Rules for which versions of templates stay.", no_args_is_help=True, rich_markup_mode=None)

Pattern = Annotated[str, typer.Argument(metavar="PATTERN", help="Names of templates, as 'ci-*'.")]


@app.command("set")
def set_rule(
    pattern: Pattern,
    keep_last: Annotated[
        int, typer.Option("--keep-last", metavar="N", help="So many of the newest versions of each name stay.")
    ],
    keep_days: Annotated[
        int | None, typer.Option("--keep-days", metavar="N", help="So do those that are younger than so many days.")
    ] = None,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Set a retention rule, in place of the one for that pattern. It is applied every hour.

    What it lets go is deleted, to the trash. `estampe retention apply --dry-run` tells what the next hour will do. A template
    that no pattern matches stays.

    \b
    Examples:
      estampe retention set 'ci-*' --keep-last 5
      estampe retention set 'nightly-*' --keep-last 3 --keep-days 14
    """
    from estampe.client import client
    from estampe.schemas import retention

    request = client.make(retention.RetentionRuleRequest, keep_last=keep_last, keep_days=keep_days)
    with client.Client() as daemon:
        kept = daemon.set_retention_rule(pattern, request)
    if form is output.Output.JSON:
        terminal.document(kept)
    else:
        terminal.say([text.plain(f"{kept.pattern}: {_stays(kept)}")])


@app.command("list")
def list_rules(form: output.Option = output.Output.TABLE) -> None:
    """List the retention rules.

    \b
    Examples:
      estampe retention list
    """
    from estampe.client import client
    from estampe.schemas import retention

    with client.Client() as daemon:
        rules = daemon.list_retention_rules().rules
    if form is output.Output.JSON:
        terminal.document(retention.RetentionRuleList(rules=rules))
        return
    columns = [text.Column("PATTERN"), text.Column("KEEP LAST", is_right=True), text.Column("KEEP DAYS", is_right=True)]
    terminal.say(text.table(columns, [(rule.pattern, rule.keep_last, rule.keep_days) for rule in rules]))


@app.command("remove")
def remove_rule(pattern: Pattern, form: output.Option = output.Output.TABLE) -> None:
    """Remove a retention rule. What it has deleted stays in the trash.

    \b
    Examples:
      estampe retention remove 'ci-*'
    """
    from estampe.client import client

    with client.Client() as daemon:
        daemon.remove_retention_rule(pattern)
    if form is output.Output.JSON:
        terminal.document({"removed": pattern})
    else:
        terminal.say([f"removed the rule for {text.plain(pattern)}"])


@app.command("apply")
def apply_rules(
    is_dry_run: options.DryRun = False, is_confirmed: options.Yes = False, form: output.Option = output.Output.TABLE
) -> None:
    """Apply the retention rules now: says of each template that a rule matches whether it stays, and why.

    \b
    Examples:
      estampe retention apply --dry-run
      estampe retention apply --yes
    """
    from estampe.client import client
    from estampe.schemas import retention

    if not is_dry_run:
        terminal.confirm("delete what the retention rules let go", is_confirmed=is_confirmed)
    with client.Client() as daemon:
        report = daemon.apply_retention_rules(client.make(retention.ApplyRequest, is_dry_run=is_dry_run))
    if form is output.Output.JSON:
        terminal.document(report)
    else:
        terminal.say(_report(report))


def _stays(rule: retention.RetentionRule) -> str:
    young = "" if rule.keep_days is None else f", and those younger than {rule.keep_days} days"
    return f"the newest {rule.keep_last} of each name stay{young}"


def _report(report: retention.RetentionReport) -> list[str]:
    if not report.verdicts:
        return ["no template is matched by a rule"]
    gone = "would go" if report.is_dry_run else "deleted"
    columns = [text.Column("TEMPLATE"), text.Column("VERDICT"), text.Column("WHY"), text.Column("RULE")]
    rows = [
        (verdict.template.reference, "kept" if verdict.is_kept else gone, verdict.why, verdict.pattern)
        for verdict in report.verdicts
    ]
    return text.table(columns, rows)
