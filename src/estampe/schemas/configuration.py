"""The recorded configuration of a server."""

from __future__ import annotations

from estampe.schemas import wire


class RecordedVolume(wire.Answer):
    """One volume as the guest sees it."""

    target: str
    bus: str
    size_bytes: int
    format: str
    serial: str | None
    boot_order: int | None
    sector_size_bytes: int = 512


class RecordedInterface(wire.Answer):
    """One network interface."""

    mac: str
    kind: str
    source: str | None
    model: str | None


class LeftOut(wire.Answer):
    """Something of the server that a template does not hold, and why."""

    what: str
    why: str


class Configuration(wire.Answer):
    """Everything needed to rebuild the server, but for its data and its NVRAM bytes."""

    name: str
    domain_uuid: str
    architecture: str
    machine: str
    cpus: int
    memory_bytes: int
    cpu_mode: str | None
    cpu_model: str | None
    firmware: str
    has_secure_boot: bool
    has_agent_channel: bool
    volumes: list[RecordedVolume]
    interfaces: list[RecordedInterface]
    left_out: list[LeftOut]
    domain_xml: str
