"""Domains of a libvirt host: looked up, read, defined and forgotten."""

from __future__ import annotations

import contextlib
import uuid as uuids
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import libvirt

from estampe import errors
from estampe.model import configuration, power
from estampe.virt import base, domain_reading, domain_xml, libvirt_connection, nvram

T = TypeVar("T")

_POWER_STATES: Final = {
    libvirt.VIR_DOMAIN_RUNNING: power.PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: power.PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: power.PowerState.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: power.PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: power.PowerState.STOPPING,
    libvirt.VIR_DOMAIN_SHUTOFF: power.PowerState.SHUT_OFF,
    libvirt.VIR_DOMAIN_CRASHED: power.PowerState.SHUT_OFF,
}
_FORGET_ALL: Final = (
    libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
)


class Domains:
    """The domains of one connection."""

    def __init__(self, connection: libvirt_connection.Connection, locate: domain_reading.Locate) -> None:
        self._connection = connection
        self._locate = locate

    def on(self, uuid: str, action: str, call: Callable[[Any], T]) -> T:
        """Do `call` on the libvirt domain. Raises: errors.ServerNotFound; as Connection.run."""

        def on_domain(connection: Any) -> T:
            domain = _by_uuid(connection, uuid)
            if domain is None:
                raise errors.ServerNotFound(server=uuid)
            try:
                return call(domain)
            except libvirt.libvirtError as error:
                # It went between the look-up and the call.
                if libvirt_connection.has_code(error, libvirt.VIR_ERR_NO_DOMAIN):
                    raise errors.ServerNotFound(server=uuid) from error
                raise

        return self._connection.run(action, on_domain)

    def list_domains(self) -> list[base.DomainSummary]:
        """All domains, by name."""

        def summaries(connection: Any) -> list[base.DomainSummary]:
            found = (_still_there(domain) for domain in connection.listAllDomains())
            return sorted((each for each in found if each is not None), key=lambda each: each.name)

        return self._connection.run("list the domains", summaries)

    def find_domain(self, name_or_uuid: str) -> base.DomainSummary | None:
        """The summary, or None."""

        def find(connection: Any) -> base.DomainSummary | None:
            domain = _by_name_or_uuid(connection, name_or_uuid)
            return None if domain is None else _still_there(domain)

        return self._connection.run(f"look up {name_or_uuid}", find)

    def get_domain(self, name_or_uuid: str) -> base.Domain:
        """See virt.base.Host.get_domain."""
        summary = self.find_domain(name_or_uuid)
        if summary is None:
            raise errors.ServerNotFound(server=name_or_uuid)
        told = self.on(summary.uuid, f"read {summary.name}", _definition)
        facts = domain_xml.parse(told.xml)
        return domain_reading.read(
            facts,
            summary,
            has_saved_state=told.has_saved_state,
            has_checkpoints_or_snapshots=told.has_points,
            nvram_path=_nvram_path(facts),
            live_xml=told.live_xml,
            locate=self._locate,
        )

    def volume_places(self, uuid: str) -> list[base.VolumePlace]:
        """See virt.base.Host.volume_places."""
        xml = self.on(
            uuid, f"read the definition of {uuid}", lambda domain: str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        )
        return domain_reading.volume_places(domain_xml.parse(xml))

    def power_state(self, uuid: str) -> power.PowerState:
        """The domain's power state now."""
        return self.on(uuid, "tell the power state", lambda domain: _POWER_STATES[domain.state()[0]])

    def define(self, xml: str) -> None:
        """See virt.base.Host.define."""
        facts = domain_xml.parse(xml)

        def define(connection: Any) -> None:
            there = _by_name(connection, facts.name)
            if there is not None and there.UUIDString() != facts.uuid:
                raise errors.NameInUse(name=facts.name, what=f"the server with the UUID {there.UUIDString()}")
            connection.defineXML(xml)

        self._connection.run(f"define {facts.name}", define)

    def undefine(self, uuid: str) -> None:
        """See virt.base.Host.undefine. Without another flag libvirt removes a TPM's state (qemuExtDevicesCleanupHost)."""
        with contextlib.suppress(errors.ServerNotFound):
            self.on(uuid, f"undefine {uuid}", lambda domain: domain.undefineFlags(_FORGET_ALL))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What libvirt says of a domain."""

    xml: str  # the persistent definition
    live_xml: str | None  # of the running server
    has_saved_state: bool
    has_points: bool  # checkpoints or snapshots


def _definition(domain: Any) -> _Told:
    """No secrets are asked for."""
    return _Told(
        xml=domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE),
        live_xml=domain.XMLDesc(0) if domain.isActive() else None,
        has_saved_state=bool(domain.hasManagedSaveImage()),
        has_points=bool(domain.snapshotNum() or domain.listAllCheckpoints()),
    )


def _nvram_path(facts: domain_xml.Facts) -> str | None:
    """The domain's NVRAM path; where libvirt chooses the firmware, its definition may name none before the first start."""
    if facts.nvram_path is not None or facts.firmware is configuration.Firmware.BIOS:
        return facts.nvram_path
    return str(Path(nvram.DEFAULT_DIRECTORY) / f"{facts.name}_VARS.fd")


def _by_uuid(connection: Any, uuid: str) -> Any:
    return _found(lambda: connection.lookupByUUIDString(str(uuids.UUID(uuid))))


def _by_name(connection: Any, name: str) -> Any:
    return _found(lambda: connection.lookupByName(name))


def _by_name_or_uuid(connection: Any, name_or_uuid: str) -> Any:
    """A UUID wins over a name: Estampe addresses domains by UUID, and another's name must not come in between."""
    with contextlib.suppress(ValueError):
        domain = _by_uuid(connection, name_or_uuid)
        if domain is not None:
            return domain
    return _by_name(connection, name_or_uuid)


def _found(look_up: Callable[[], Any]) -> Any:
    try:
        return look_up()
    except libvirt.libvirtError as error:
        if libvirt_connection.has_code(error, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise


def _still_there(domain: Any) -> base.DomainSummary | None:
    try:
        return _summary(domain)
    except libvirt.libvirtError as error:
        if libvirt_connection.has_code(error, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise


def _summary(domain: Any) -> base.DomainSummary:
    state, most_kib, _current_kib, cpus, _cpu_time = domain.info()
    return base.DomainSummary(
        uuid=domain.UUIDString(),
        name=domain.name(),
        power_state=_POWER_STATES.get(state, power.PowerState.SHUT_OFF),
        is_persistent=bool(domain.isPersistent()),
        cpus=cpus,
        memory_bytes=most_kib * 1024,
    )
