"""`estampe capture`: from a server to an image template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from estampe import units
from estampe.cli import characteristics, describe, following, options, output, terminal, text, values

if TYPE_CHECKING:
    from estampe.schemas import capture
    from estampe.schemas.characteristics import CharacteristicsRequest


def capture_server(
    reference: options.Server,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Name of the template; a name in use gets the next version. [default: the server's]"
        ),
    ] = None,
    note: Annotated[str, typer.Option("--note", help="A note for people.")] = "",
    tags: Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag; may be repeated.")] = None,
    volumes: Annotated[
        list[str] | None,
        typer.Option("--volume", metavar="TARGET", help="Capture only this volume (vda, ...); may be repeated."),
    ] = None,
    is_forced: Annotated[
        bool, typer.Option("--force", help="Power the server off if it has not shut down when the timeout has passed.")
    ] = False,
    stop_timeout: Annotated[
        str, typer.Option("--stop-timeout", metavar="DURATION", help="How long to wait for a clean shutdown.")
    ] = "180s",
    is_unsealed: Annotated[
        bool,
        typer.Option("--no-seal", help="Leave the copy as it is: servers made from it share the source's identity."),
    ] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="PATH",
            help="What sealing leaves as it is: a path of the guest or a pattern, of a directory all below it; may be repeated.",
        ),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(
            "--remove", metavar="PATH", help="What sealing removes besides: a path or a pattern; may be repeated."
        ),
    ] = None,
    is_vtpm_kept: Annotated[
        bool,
        typer.Option(
            "--keep-vtpm",
            help="Take the keys in the server's emulated TPM along, for servers of your own account that are deployed with --vtpm keep.",
        ),
    ] = False,
    characteristics_file: characteristics.File = None,
    assignments: characteristics.Set = None,
    is_not_awaited: options.NoWait = False,
    is_dry_run: options.DryRun = False,
    form: output.Option = output.Output.TABLE,
) -> None:
    """Capture a server into an image template.

    The server is shut down cleanly, read, and gets the power state back that it had. Its volumes are never changed: what
    identifies it is removed from the copy. Ctrl-C leaves the capture running.

    \b
    Examples:
      estampe capture web-01 --dry-run
      estampe capture web-01 --name web --note "nginx 1.26" --tag production
      estampe capture db-01 --volume vda --stop-timeout 10min --no-wait
      estampe capture web-01 --keep /var/log/audit --remove '/srv/app/*.token'
      estampe capture db-01 --characteristics db.toml --set recommended.memory=8GiB
    """
    from estampe.client import client
    from estampe.schemas import capture

    request = client.make(
        capture.CaptureRequest,
        server=reference,
        name=name,
        note=note,
        tags=tags or [],
        volumes=volumes or [],
        is_forced=is_forced,
        stop_timeout_seconds=values.duration(stop_timeout, option="--stop-timeout"),
        is_sealed=not is_unsealed,
        keep=keep or [],
        remove=remove or [],
        is_vtpm_kept=is_vtpm_kept,
        characteristics=_characteristics(characteristics_file, assignments or []),
    )
    with client.Client() as daemon:
        if is_dry_run:
            _say_plan(daemon.plan_capture(request), form)
            return
        with following.unanswered(form, following.MAY_HAVE_BEGUN):
            begun = daemon.start_capture(request)
        following.conclude(daemon, begun, form=form, is_awaited=not is_not_awaited)


def _characteristics(path: str | None, assignments: list[str]) -> CharacteristicsRequest | None:
    from estampe.client import client
    from estampe.schemas import characteristics as shapes

    if path is None and not assignments:
        return None
    return client.make(shapes.CharacteristicsRequest, **characteristics.read(path, assignments))


def _say_plan(plan: capture.CapturePlan, form: output.Output) -> None:
    if form is output.Output.JSON:
        terminal.document(plan)
    else:
        terminal.say(_describe(plan))


def _describe(plan: capture.CapturePlan) -> list[str]:
    available = None if plan.store_available_bytes is None else units.format_bytes(plan.store_available_bytes)
    return [
        *text.pairs(
            [
                ("server", f"{plan.server_name} ({plan.server_uuid}), {plan.power_state}"),
                ("template", f"{plan.template_name}@{plan.template_version}"),
                (
                    "new in the store",
                    f"about {units.format_bytes(plan.estimated_new_bytes)}; less of what the store holds already",
                ),
                ("free in the store", available),
                ("chunks", units.format_bytes(plan.chunk_size_bytes)),
            ]
        ),
        *describe.section("power", [text.plain(step) for step in plan.stop_steps]),
        *describe.section("volumes", _volumes(plan)),
        *describe.section("left out", [text.plain(f"{left.what}: {left.why}") for left in plan.left_out]),
        *describe.section("warnings", [text.plain(warning) for warning in plan.warnings]),
    ]


def _volumes(plan: capture.CapturePlan) -> list[str]:
    columns = [
        text.Column("VOLUME"),
        text.Column("BUS"),
        text.Column("FORMAT"),
        text.Column("SIZE", is_right=True),
        text.Column("READ", is_right=True),
        text.Column("SKIPPED", is_right=True),
        text.Column("PATH"),
    ]
    rows = [
        (
            volume.target,
            volume.bus,
            volume.format,
            units.format_bytes(volume.size_bytes),
            units.format_bytes(volume.data_bytes),
            units.format_bytes(volume.skipped_bytes),
            volume.path,
        )
        for volume in plan.volumes
    ]
    lines = [*text.table(columns, rows), "skipped: holes and zeros, which are never stored"]
    if estimated := [text.plain(volume.target) for volume in plan.volumes if volume.is_estimated]:
        what = "what its files take, since QEMU has it locked; zeros among that will be skipped, too"
        lines.append(f"read of {', '.join(estimated)}: {what}")
    return lines
