"""`estampe serve` and `estampe doctor`: the commands that need no daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe.cli import exits, output, terminal, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from estampe import doctor


def serve() -> None:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C.

    It listens on a unix socket; whoever may open that, root and the group `estampe`, is the cloud operator. Settings come
    from /etc/estampe/estampe.toml and the environment: see docs/reference/settings.md.

    \b
    Examples:
      estampe serve
      systemctl enable --now estampe
    """
    from estampe import collector

    collector.put_off()
    from estampe import config, wiring

    wiring.serve(config.load())


def examine_host(
    is_full: Annotated[
        bool, typer.Option("--full", help="Also launch the appliance: 3 s, half a minute without KVM.")
    ] = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Say what this host has and lacks, and how to fix it. Works without the daemon; exit code 1 if a check fails.

    \b
    Examples:
      estampe doctor
      estampe doctor --full
      estampe doctor --output json | jq '.checks[] | select(.status == "fail")'
    """
    from estampe import config, doctor

    checks = doctor.examine(config.load(), is_full=is_full)
    if form is output.Output.JSON:
        terminal.document({"checks": [_record(check) for check in checks]})
    else:
        terminal.say(describe_checks(checks))
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(exits.FAILURE)


def describe_checks(checks: Sequence[doctor.Check]) -> list[str]:
    """A line for each check, with the fix of what is not well below it."""
    indent = max((text.width(text.plain(check.name)) for check in checks), default=0)
    lines = []
    for check in checks:
        name = text.plain(check.name)
        lines.append(f"{check.status:4}  {name}{' ' * (indent - text.width(name))}  {text.plain(check.found)}")
        if check.status != "ok" and check.fix:
            lines.extend(f"{'':6}{'fix:':4} {text.plain(line)}" for line in str(check.fix).splitlines())
    return lines


def _record(check: doctor.Check) -> dict[str, str | None]:
    return {"name": check.name, "status": str(check.status), "found": check.found, "fix": check.fix or None}
