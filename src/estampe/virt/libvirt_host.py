"""The libvirt host: the parts of its contract put together."""
# ruff: noqa: D102 - each method does what virt.base.Host says of it

from __future__ import annotations

import functools
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from estampe.model import configuration, power, terminal
from estampe.virt import (
    accel,
    base,
    direct_io,
    libvirt_capabilities,
    libvirt_connection,
    libvirt_domains,
    libvirt_guests,
    libvirt_pools,
    libvirt_terminals,
    nvram,
    tpm_states,
)

DEFAULT_URI: Final = "qemu:///system"
_KVM_ANSWER_PATH: Final = Path("/run/estampe/kvm.json")
_INTERFACES: Final = Path("/sys/class/net")
_has_kvm: Final = functools.partial(accel.probe_kvm, answer_path=_KVM_ANSWER_PATH)


class LibvirtHost:
    """virt.base.Host on libvirt; what each call does stands there.

    `has_kvm` tells whether guests boot under KVM; by default a probe finds out, once a boot.
    """

    def __init__(
        self,
        uri: str = DEFAULT_URI,
        *,
        has_kvm: Callable[[], bool] = _has_kvm,
        nvram_directory: Path = nvram.DEFAULT_DIRECTORY,
        swtpm_directory: Path = tpm_states.DEFAULT_DIRECTORY,
    ) -> None:
        self._connection = libvirt_connection.Connection(uri)
        self._capabilities = libvirt_capabilities.HostCapabilities(self._connection, has_kvm)
        self._pools = libvirt_pools.Pools(self._connection)
        self._domains = libvirt_domains.Domains(self._connection, self._pools.locate)
        self._guests = libvirt_guests.Guests(self._domains)
        self._terminals = libvirt_terminals.Terminals(self._domains)
        self._nvram = nvram.NvramFiles(nvram_directory)
        self._tpm_states = tpm_states.TpmStates(swtpm_directory)

    def capabilities(self) -> base.Capabilities:
        return self._capabilities.capabilities()

    def list_domains(self) -> list[base.DomainSummary]:
        return self._domains.list_domains()

    def get_domain(self, name_or_uuid: str) -> base.Domain:
        return self._domains.get_domain(name_or_uuid)

    def find_domain(self, name_or_uuid: str) -> base.DomainSummary | None:
        return self._domains.find_domain(name_or_uuid)

    def volume_places(self, uuid: str) -> list[base.VolumePlace]:
        return self._domains.volume_places(uuid)

    def power_state(self, uuid: str) -> power.PowerState:
        return self._domains.power_state(uuid)

    def start(self, uuid: str, *, is_paused: bool = False) -> None:
        self._guests.start(uuid, is_paused=is_paused)

    def request_shutdown(self, uuid: str, *, by: Literal["agent", "acpi"]) -> None:
        self._guests.request_shutdown(uuid, by=by)

    def power_off(self, uuid: str) -> None:
        self._guests.power_off(uuid)

    def define(self, xml: str) -> None:
        self._domains.define(xml)

    def undefine(self, uuid: str) -> None:
        self._domains.undefine(uuid)

    def read_nvram(self, path: str) -> bytes | None:
        return self._nvram.read_nvram(path)

    def write_nvram(self, path: str, data: bytes) -> None:
        self._nvram.write_nvram(path, data)

    def delete_nvram(self, path: str) -> None:
        self._nvram.delete_nvram(path)

    def nvram_path(self, file_name: str) -> str:
        return self._nvram.nvram_path(file_name)

    def read_tpm_state(self, uuid: str, version: str) -> bytes | None:
        return self._tpm_states.read_tpm_state(uuid, version)

    def write_tpm_state(self, uuid: str, version: str, data: bytes) -> None:
        self._tpm_states.write_tpm_state(uuid, version, data)

    def delete_tpm_state(self, uuid: str) -> None:
        self._tpm_states.delete_tpm_state(uuid)

    def list_pools(self) -> list[base.Pool]:
        return self._pools.list_pools()

    def get_pool(self, name: str) -> base.Pool:
        return self._pools.get_pool(name)

    def create_volume(
        self,
        pool: str,
        name: str,
        *,
        size_bytes: int,
        format: configuration.VolumeFormat,
        is_preallocated: bool = False,
    ) -> base.PoolVolume:
        return self._pools.create_volume(
            pool, name, size_bytes=size_bytes, format=format, is_preallocated=is_preallocated
        )

    def takes_direct_io(self, pool: str) -> bool:
        return direct_io.is_taken_by(self._pools.get_pool(pool))

    def volume_name(self, pool: str, wanted: str) -> str:
        return self._pools.volume_name(pool, wanted)

    def find_volume(self, pool: str, name: str) -> base.PoolVolume | None:
        return self._pools.find_volume(pool, name)

    def find_volume_by_path(self, path: str) -> base.VolumeName | None:
        return self._pools.find_volume_by_path(path)

    def delete_volume(self, pool: str, name: str) -> None:
        self._pools.delete_volume(pool, name)

    def list_networks(self) -> list[str]:
        return self._pools.list_networks()

    def list_bridges(self) -> list[str]:
        # libvirt's own list of interfaces needs netcf, which Debian's builds lack; a device of the kind bridge has this directory
        # (Documentation/ABI/testing/sysfs-class-net).
        return sorted(path.parent.name for path in _INTERFACES.glob("*/bridge"))

    def agent_command(
        self, uuid: str, command: str, arguments: dict[str, Any] | None = None, *, timeout_seconds: int = 5
    ) -> Any:
        return self._guests.agent_command(uuid, command, arguments, timeout_seconds=timeout_seconds)

    def interface_addresses(self, uuid: str) -> Sequence[str]:
        return self._guests.interface_addresses(uuid)

    def check_terminal(self, uuid: str, kind: terminal.Kind) -> None:
        self._terminals.check(uuid, kind)

    def open_terminal(self, uuid: str, kind: terminal.Kind, *, is_taken_over: bool = False) -> socket.socket:
        return self._terminals.open(uuid, kind, is_taken_over=is_taken_over)

    def close(self) -> None:
        self._connection.close()
