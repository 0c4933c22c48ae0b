"""`estampe db`: the database, looked after without the daemon. Settings are those of the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from estampe import units
from estampe.cli import describe, options, output, terminal, text

if TYPE_CHECKING:
    from estampe.maintenance import archive, comparison, service

app = typer.Typer(
    help="Upgrade, back up and restore the database, without the daemon.", no_args_is_help=True, rich_markup_mode=None
)

_File = Annotated[Path, typer.Argument(metavar="FILE", help="A backup's file.", show_default=False)]


@app.command("upgrade")
def upgrade_database(is_dry_run: options.DryRun = False, form: output.Option = output.Output.TABLE) -> None:
    """Bring the database's schema up to date. The daemon does the same at its start; this does it while the daemon is off.

    \b
    Examples:
      estampe db upgrade --dry-run
      estampe db upgrade
    """
    from estampe import config, wiring

    settings = config.load()
    maintenance = wiring.maintain(settings)
    if is_dry_run:
        done = maintenance.plan_upgrade()
    else:
        with wiring.alone(settings):
            done = maintenance.upgrade()
    if form is output.Output.JSON:
        terminal.document(_upgrade_record(done, is_dry_run=is_dry_run))
    else:
        terminal.say(_upgrade_lines(done, is_dry_run=is_dry_run))


@app.command("backup")
def back_up_database(file: _File, form: output.Option = output.Output.TABLE) -> None:
    """Write the catalogue and the engine's records into a new file, readable by you only. The daemon may go on working.

    The store is not in it: see docs/howto/database.md for the order in which to keep both.

    \b
    Examples:
      estampe db backup /backup/estampe-2026-11-27.tar
    """
    from estampe import config, wiring

    made = wiring.maintain(config.load()).backup(file.absolute())
    if form is output.Output.JSON:
        terminal.document({"path": str(made.path), "size_bytes": made.size_bytes, **_facts_record(made.facts)})
    else:
        terminal.say([text.plain(f"{made.path}  {units.format_bytes(made.size_bytes)}  schema {made.facts.revision}")])


@app.command("restore")
def restore_database(file: _File, is_confirmed: options.Yes = False, form: output.Option = output.Output.TABLE) -> None:
    """Put a backup in the place of the database; the replaced one is kept aside. Stop the daemon first.

    Everything is verified before anything is changed. Operations that were under way when the backup was made are ended.
    Then the catalogue is compared with the store and the host, and what does not fit is told. A backup is run by the
    database's own programs: restore only files that nobody else could write.

    \b
    Examples:
      estampe db restore /backup/estampe-2026-11-27.tar
      estampe db restore /backup/estampe-2026-11-27.tar --yes --output json
    """
    from estampe import config, wiring

    settings = config.load()
    maintenance, path = wiring.maintain(settings), file.absolute()
    with wiring.alone(settings):
        facts = maintenance.examine(path)
        made_at = facts.created_at.isoformat(sep=" ", timespec="seconds")
        terminal.confirm(
            f"replace the database with the backup of {made_at} (Estampe {facts.estampe_version})",
            is_confirmed=is_confirmed,
        )
        done = maintenance.restore(path)
        compared = wiring.compare(settings)
    if form is output.Output.JSON:
        terminal.document(_restored_record(done, compared))
    else:
        terminal.say(_restored_lines(done, compared))


def _upgrade_record(done: service.Upgrade, *, is_dry_run: bool) -> dict[str, Any]:
    return {
        "where": done.where,
        "was": done.was,
        "now": done.now,
        "steps": [{"revision": step.revision, "title": step.title} for step in done.steps],
        "is_dry_run": is_dry_run,
    }


def _upgrade_lines(done: service.Upgrade, *, is_dry_run: bool) -> list[str]:
    if not done.steps:
        return [text.plain(f"{done.where}: up to date, schema {done.now}")]
    verb = "would go" if is_dry_run else "went"
    head = text.plain(f"{done.where}: the schema {verb} from {done.was or 'nothing'} to {done.now}")
    return [head, *(text.plain(f"  {step.revision}  {step.title}") for step in done.steps)]


def _facts_record(facts: archive.Facts) -> dict[str, Any]:
    return {
        "kind": facts.kind,
        "estampe_version": facts.estampe_version,
        "revision": facts.revision,
        "created_at": facts.created_at.isoformat(),
    }


def _restored_record(done: service.Restored, compared: comparison.Comparison) -> dict[str, Any]:
    return {
        "backup": _facts_record(done.facts),
        "revision": done.revision,
        "replaced": done.replaced,
        "ended_operations": [str(each) for each in done.ended],
        "dropped_templates": list(done.dropped),
        "templates_without_manifest": _listed(compared.without_manifest),
        "unknown_manifests": _strays(compared.unknown_manifests),
        "servers_without_domain": _listed(compared.without_domain),
        "unknown_domains": _strays(compared.unknown_domains),
        "not_compared": list(compared.why_not),
    }


def _listed(found: tuple[str, ...] | None) -> list[str] | None:
    return None if found is None else list(found)


def _strays(found: tuple[comparison.Stray, ...] | None) -> list[dict[str, str | None]] | None:
    return None if found is None else [{"id": each.id, "name": each.name, "template": each.template} for each in found]


def _restored_lines(done: service.Restored, compared: comparison.Comparison) -> list[str]:
    made_at = done.facts.created_at.isoformat(sep=" ", timespec="seconds")
    parts = {
        "operations that were under way, and are ended": [str(each) for each in done.ended],
        "templates that were being captured, and are dropped": done.dropped,
        "templates whose data is not in the store; delete and purge them": compared.without_manifest or (),
        "templates in the store that the catalogue does not list": [
            _stray(each) for each in compared.unknown_manifests or ()
        ],
        "servers of the catalogue that are not on the host": compared.without_domain or (),
        "servers that Estampe deployed and the catalogue does not list": [
            _stray(each) for each in compared.unknown_domains or ()
        ],
        "not compared": compared.why_not,
    }
    sections = [
        line for title, found in parts.items() for line in describe.section(title, [text.plain(each) for each in found])
    ]
    return [
        text.plain(f"restored the backup of {made_at}, schema {done.revision}"),
        text.plain(
            f"the replaced database is kept as {done.replaced}" if done.replaced else "there was none to replace"
        ),
        *sections,
    ]


def _stray(stray: comparison.Stray) -> str:
    origin = f", deployed from {stray.template}" if stray.template else ""
    return f"{stray.name} ({stray.id}{origin})"
