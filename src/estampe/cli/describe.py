"""A recorded configuration for people: of a server as it is, or of a template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from estampe import units
from estampe.cli import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from estampe.schemas import configuration
    from estampe.schemas import report as reports


def recorded_configuration(recorded: configuration.Configuration) -> list[str]:
    """Machine, volumes, interfaces and what is left out, in sections."""
    return [
        *section("machine", _machine(recorded)),
        *section("volumes", _volumes(recorded.volumes)),
        *section("interfaces", _interfaces(recorded.interfaces)),
        *section("not in a template", [text.plain(f"{left.what}: {left.why}") for left in recorded.left_out]),
    ]


def section(title: str, lines: Sequence[str]) -> list[str]:
    """An empty line, the title, and the lines below it; nothing where there are none."""
    return ["", f"{title}:", *(f"  {line}" for line in lines)] if lines else []


def report(changes: Sequence[reports.ReportedChange]) -> list[str]:
    """A line for each change of a deployed server: by which means, and for what was left, why."""
    return [
        text.plain(
            f"{each.what}: {each.detail} ({each.means})"
            if each.why is None
            else f"! {each.what}: {each.detail}: {each.why}"
        )
        for each in changes
    ]


def _machine(recorded: configuration.Configuration) -> list[str]:
    cpu = " ".join(part for part in (recorded.cpu_mode, recorded.cpu_model) if part)
    return text.pairs(
        [
            ("type", f"{recorded.machine} ({recorded.architecture})"),
            ("CPU", cpu or None),
            ("CPUs", recorded.cpus),
            ("memory", units.format_bytes(recorded.memory_bytes)),
            ("firmware", recorded.firmware + (", secure boot" if recorded.has_secure_boot else "")),
            ("guest agent channel", "yes" if recorded.has_agent_channel else "no"),
        ]
    )


def _volumes(volumes: Sequence[configuration.RecordedVolume]) -> list[str]:
    if not volumes:
        return []
    columns = [
        text.Column("VOLUME"),
        text.Column("BUS"),
        text.Column("SIZE", is_right=True),
        text.Column("FORMAT"),
        text.Column("BOOT", is_right=True),
        text.Column("SERIAL"),
    ]
    rows = [
        (
            volume.target,
            volume.bus,
            units.format_bytes(volume.size_bytes),
            volume.format,
            volume.boot_order,
            volume.serial,
        )
        for volume in volumes
    ]
    return text.table(columns, rows)


def _interfaces(interfaces: Sequence[configuration.RecordedInterface]) -> list[str]:
    if not interfaces:
        return []
    columns = [text.Column("MAC"), text.Column("KIND"), text.Column("SOURCE"), text.Column("MODEL")]
    return text.table(columns, [(found.mac, found.kind, found.source, found.model) for found in interfaces])
