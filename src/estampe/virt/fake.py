"""A libvirt host in memory, with its volumes as real files: for unit tests of captures and deploys.

It passes the contract suite of virt.base. Servers hold QEMU's image locks while they are on, as QEMU does, so that fences
and exports of real qemu-nbd exclude them.
"""
# ruff: noqa: D102 - each method does what virt.base.Host says of it

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import uuid as uuids
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from estampe import errors, units
from estampe.model import configuration, power, terminal
from estampe.virt import (
    backing_chain,
    base,
    domain_reading,
    domain_xml,
    fake_guest,
    fake_pools,
    fake_terminals,
    image_lock,
    nvram,
    tpm_states,
)

CAPABILITIES: Final = base.Capabilities(
    architecture="x86_64",
    domain_type="qemu",
    machines=frozenset({"pc-q35-7.2", "pc-i440fx-7.2"}),
    machine_aliases={"q35": "pc-q35-7.2", "pc": "pc-i440fx-7.2"},
    cpu_models=frozenset({"qemu64", "Nehalem"}),
    uefi=(
        base.FirmwareImage(
            path="/usr/share/OVMF/OVMF_CODE_4M.fd",
            has_secure_boot=False,
            nvram_template="/usr/share/OVMF/OVMF_VARS_4M.fd",
            nvram_size_bytes=540672,
        ),
    ),
    cpus=4,
    memory_bytes=8 * units.GIB,
    video_models=frozenset({"vga", "virtio"}),
    has_tpm_emulator=True,
    cpu_vendor="Intel",
    cpu_features=frozenset({"sse2", "sse4.2"}),
    most_cpus={"pc-q35-7.2": 288, "pc-i440fx-7.2": 255},
)


@dataclass(slots=True)
class _Server:
    facts: domain_xml.Facts
    state: power.PowerState = power.PowerState.SHUT_OFF
    guest: fake_guest.FakeGuest = field(default_factory=fake_guest.FakeGuest)
    has_saved_state: bool = False
    is_persistent: bool = True
    live_xml: str | None = None  # while it is on: its definition as it was started
    locks: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    terminals: fake_terminals.FakeTerminals = field(default_factory=fake_terminals.FakeTerminals)

    def turn_off(self) -> None:
        self.locks.close()
        self.terminals.close()
        self.state = power.PowerState.SHUT_OFF
        self.live_xml = None
        self.guest.polls_left = None

    def summary(self) -> base.DomainSummary:
        return base.DomainSummary(
            uuid=self.facts.uuid,
            name=self.facts.name,
            power_state=self.state,
            is_persistent=self.is_persistent,
            cpus=self.facts.cpus,
            memory_bytes=self.facts.memory_bytes,
        )


class FakeHost:
    """A host whose hardware is `directory`. Beyond the contract: `add_*`, `guest`, `fail_next`, `set_state`, `calls`."""

    def __init__(self, directory: Path, *, capabilities: base.Capabilities = CAPABILITIES) -> None:
        self._capabilities = capabilities
        self._lock = threading.RLock()
        self._servers: dict[str, _Server] = {}
        self._networks: set[str] = set()
        self._bridges: set[str] = set()
        self._pools = fake_pools.FakePools(directory / "pools")
        self._failures: defaultdict[str, list[errors.EstampeError]] = defaultdict(list)
        self.calls: list[tuple[str, str]] = []  # (method, first argument) of all calls that change something
        nvram_directory = directory / "nvram"
        nvram_directory.mkdir(parents=True, exist_ok=True)
        self._nvram = nvram.NvramFiles(nvram_directory)
        self._tpm_states = tpm_states.TpmStates(directory / "swtpm")

    # --- for tests: what there is and how it behaves ---

    def add_pool(self, name: str, *, kind: str = "dir", capacity_bytes: int = 100 * units.GIB) -> fake_pools.FakePool:
        """A new pool."""
        return self._pools.add(name, kind=kind, capacity_bytes=capacity_bytes)

    def remove_pool(self, name: str) -> None:
        """Drop a pool with its volumes."""
        self._pools.remove(name)

    def stop_pool(self, name: str) -> None:
        """Make a pool inactive: it stays defined, and its volumes stay."""
        self._pools.stop(name)

    def add_network(self, name: str) -> None:
        """A new active network."""
        self._networks.add(name)

    def add_bridge(self, name: str) -> None:
        """A new bridge."""
        self._bridges.add(name)

    def add_server(
        self, name: str, *, volumes: Sequence[base.NewVolume] = (), guest: fake_guest.FakeGuest | None = None,
        has_terminals: bool = False,
    ) -> str:  # fmt: skip
        """A plain server that is shut off, with the volumes given; its UUID."""
        uuid = str(uuids.uuid4())
        self.define(domain_xml.plain(name, uuid, volumes, has_terminals=has_terminals))
        if guest is not None:
            self._servers[uuid].guest = guest
        return uuid

    def guest(self, uuid: str) -> fake_guest.FakeGuest:
        """The guest inside a server."""
        return self._server(uuid).guest

    def terminals(self, uuid: str) -> fake_terminals.FakeTerminals:
        """What is open of a server."""
        return self._server(uuid).terminals

    def set_state(self, uuid: str, *, has_saved_state: bool = False, is_persistent: bool = True) -> None:
        """What libvirt would tell of a server beside its power state."""
        server = self._server(uuid)
        server.has_saved_state, server.is_persistent = has_saved_state, is_persistent

    def pause(self, uuid: str) -> None:
        """Pause a running server."""
        self._server(uuid).state = power.PowerState.PAUSED

    def resume(self, uuid: str) -> None:
        """Let a paused server run."""
        self._server(uuid).state = power.PowerState.RUNNING

    def fail_next(self, method: str, error: errors.EstampeError, *, times: int = 1) -> None:
        """The next calls of that method fail, before they do anything."""
        self._failures[method] += [error] * times

    # --- the contract ---

    def capabilities(self) -> base.Capabilities:
        self._enter("capabilities")
        return self._capabilities

    def list_domains(self) -> list[base.DomainSummary]:
        self._enter("list_domains")
        with self._lock:
            return sorted((server.summary() for server in self._servers.values()), key=lambda each: each.name)

    def find_domain(self, name_or_uuid: str) -> base.DomainSummary | None:
        self._enter("find_domain")
        server = self._find(name_or_uuid)
        return None if server is None else server.summary()

    def get_domain(self, name_or_uuid: str) -> base.Domain:
        self._enter("get_domain")
        server = self._find(name_or_uuid)
        if server is None:
            raise errors.ServerNotFound(server=name_or_uuid)
        return domain_reading.read(
            server.facts,
            server.summary(),
            has_saved_state=server.has_saved_state,
            has_checkpoints_or_snapshots=False,
            nvram_path=server.facts.nvram_path,
            live_xml=server.live_xml,
            locate=self._pools.locate,
        )

    def volume_places(self, uuid: str) -> Sequence[base.VolumePlace]:
        self._enter("volume_places")
        return domain_reading.volume_places(self._server(uuid).facts)

    def power_state(self, uuid: str) -> power.PowerState:
        self._enter("power_state")
        with self._lock:
            server = self._server(uuid)
            if server.state is power.PowerState.RUNNING and server.guest.is_off_at_poll():
                self._turn_off(server)
            return server.state

    def start(self, uuid: str, *, is_paused: bool = False) -> None:
        self._enter("start", uuid)
        with self._lock:
            server = self._server(uuid)
            if server.state.is_active:
                return
            tops = [self._top_path(disk) for disk in server.facts.disks]
            with contextlib.ExitStack() as undo:
                undo.enter_context(image_lock.write_alone(tops))
                server.locks = undo.pop_all()
            server.has_saved_state = False
            self._start_tpm(server.facts)
            server.live_xml = server.facts.xml
            server.guest.polls_left = None
            server.state = power.PowerState.PAUSED if is_paused else power.PowerState.RUNNING

    def request_shutdown(self, uuid: str, *, by: Literal["agent", "acpi"]) -> None:
        self._enter("request_shutdown", uuid)
        with self._lock:
            server = self._server(uuid)
            if not server.state.is_active:
                return
            if by == "agent":
                server.guest.answer(server.facts.name, "guest-ping", None)
            server.guest.request_shutdown(by)

    def power_off(self, uuid: str) -> None:
        self._enter("power_off", uuid)
        with self._lock:
            self._turn_off(self._server(uuid))

    def define(self, xml: str) -> None:
        self._enter("define")
        facts = domain_xml.parse(xml)
        most = domain_xml.most_cpus(ET.fromstring(xml), self._capabilities)  # noqa: S314 - our own, or a test's
        if most is not None and facts.cpus > most:
            detail = f"Maximum CPUs greater than specified machine type limit {most}"
            raise errors.HypervisorFailed(action=f"define {facts.name}", detail=detail)
        with self._lock:
            other = next((each for each in self._servers.values() if each.facts.name == facts.name), None)
            if other is not None and other.facts.uuid != facts.uuid:
                raise errors.NameInUse(name=facts.name, what=f"the server with the UUID {other.facts.uuid}")
            there = self._servers.get(facts.uuid)
            if there is None:
                self._servers[facts.uuid] = _Server(facts)
            elif there.facts.name != facts.name:
                detail = f"the UUID {facts.uuid} belongs to {there.facts.name}"
                raise errors.HypervisorFailed(action=f"define {facts.name}", detail=detail)
            else:
                there.facts = facts

    def undefine(self, uuid: str) -> None:
        self._enter("undefine", uuid)
        with self._lock:
            server = self._servers.get(uuid)
            if server is None:
                return
            if server.facts.nvram_path is not None:
                self._nvram.delete_nvram(server.facts.nvram_path)
            self._tpm_states.delete_tpm_state(uuid)
            server.is_persistent = False
            if not server.state.is_active:
                del self._servers[uuid]

    def read_nvram(self, path: str) -> bytes | None:
        self._enter("read_nvram")
        return self._nvram.read_nvram(path)

    def write_nvram(self, path: str, data: bytes) -> None:
        self._enter("write_nvram", path)
        self._nvram.write_nvram(path, data)

    def delete_nvram(self, path: str) -> None:
        self._enter("delete_nvram", path)
        self._nvram.delete_nvram(path)

    def nvram_path(self, file_name: str) -> str:
        return self._nvram.nvram_path(file_name)

    def read_tpm_state(self, uuid: str, version: str) -> bytes | None:
        self._enter("read_tpm_state")
        return self._tpm_states.read_tpm_state(uuid, version)

    def write_tpm_state(self, uuid: str, version: str, data: bytes) -> None:
        self._enter("write_tpm_state", uuid)
        self._tpm_states.write_tpm_state(uuid, version, data)

    def delete_tpm_state(self, uuid: str) -> None:
        self._enter("delete_tpm_state", uuid)
        self._tpm_states.delete_tpm_state(uuid)

    def list_pools(self) -> list[base.Pool]:
        self._enter("list_pools")
        return [pool.facts() for pool in self._pools.all()]

    def get_pool(self, name: str) -> base.Pool:
        self._enter("get_pool")
        return self._pools.get(name).facts()

    def takes_direct_io(self, pool: str) -> bool:
        self._enter("takes_direct_io")
        return self._pools.get(pool).takes_direct_io

    def volume_name(self, pool: str, wanted: str) -> str:
        self._enter("volume_name")
        return self._pools.get(pool).volume_name(wanted)

    def create_volume(
        self,
        pool: str,
        name: str,
        *,
        size_bytes: int,
        format: configuration.VolumeFormat,
        is_preallocated: bool = False,
    ) -> base.PoolVolume:
        self._enter("create_volume", name)
        with self._lock:
            return self._pools.get(pool).create(name, size_bytes, format, is_preallocated=is_preallocated)

    def find_volume(self, pool: str, name: str) -> base.PoolVolume | None:
        self._enter("find_volume")
        return self._pools.get(pool).find(name)

    def find_volume_by_path(self, path: str) -> base.VolumeName | None:
        self._enter("find_volume_by_path")
        for pool in self._pools.all():
            if Path(path).parent == pool.directory and Path(path).is_file():
                return base.VolumeName(pool=pool.name, name=Path(path).name)
        return None

    def delete_volume(self, pool: str, name: str) -> None:
        self._enter("delete_volume", name)
        with self._lock:
            if self._pools.is_defined(pool):
                self._pools.get(pool).delete(name)

    def list_networks(self) -> list[str]:
        self._enter("list_networks")
        return sorted(self._networks)

    def list_bridges(self) -> list[str]:
        self._enter("list_bridges")
        return sorted(self._bridges)

    def agent_command(
        self,
        uuid: str,
        command: str,
        arguments: dict[str, Any] | None = None,
        *,
        timeout_seconds: int = 5,  # noqa: ARG002 - its agents answer at once
    ) -> Any:
        self._enter("agent_command")
        with self._lock:
            server = self._server(uuid)
            if server.state is not power.PowerState.RUNNING:
                raise errors.AgentUnavailable(server=server.facts.name, detail=f"the server is {server.state}")
            return server.guest.answer(server.facts.name, command, arguments)

    def interface_addresses(self, uuid: str) -> Sequence[str]:
        self._enter("interface_addresses")
        server = self._server(uuid)
        return list(server.guest.addresses) if server.state.is_active else []

    def check_terminal(self, uuid: str, kind: terminal.Kind) -> None:
        self._enter("check_terminal")
        server = self._server(uuid)
        if server.live_xml is None:
            raise errors.ServerStateForbids(server=server.facts.name, state=server.state, advice="start it first")
        domain_xml.check_terminal(server.live_xml, kind)

    def open_terminal(self, uuid: str, kind: terminal.Kind, *, is_taken_over: bool = False) -> socket.socket:
        self._enter("open_terminal", uuid)
        self.check_terminal(uuid, kind)
        with self._lock:
            server = self._server(uuid)
            return server.terminals.open(server.facts.name, kind, is_taken_over=is_taken_over)

    def close(self) -> None:
        """Give the locks of all servers back, and close what is open of them."""
        with self._lock:
            for server in self._servers.values():
                server.locks.close()
                server.terminals.close()

    # --- inside ---

    def _enter(self, method: str, subject: str | None = None) -> None:
        if self._failures[method]:
            raise self._failures[method].pop(0)
        if subject is not None:
            self.calls.append((method, subject))

    def _find(self, name_or_uuid: str) -> _Server | None:
        with self._lock:
            by_name = {server.facts.name: server for server in self._servers.values()}
            return self._servers.get(name_or_uuid) or by_name.get(name_or_uuid)

    def _server(self, uuid: str) -> _Server:
        if uuid not in self._servers:
            raise errors.ServerNotFound(server=uuid)
        return self._servers[uuid]

    def _turn_off(self, server: _Server) -> None:
        server.turn_off()
        if not server.is_persistent:
            self._servers.pop(server.facts.uuid, None)

    def _start_tpm(self, facts: domain_xml.Facts) -> None:
        """One that has kept nothing yet makes keys of its own."""
        tpm = facts.tpm
        if tpm is not None and tpm.problem is None and self._tpm_states.read_tpm_state(facts.uuid, tpm.version) is None:
            self._tpm_states.write_tpm_state(facts.uuid, tpm.version, secrets.token_bytes(4096))

    def _top_path(self, disk: domain_xml.Disk) -> str:
        source, format_name = disk.layers[0]
        path = source.path or self._pools.locate(source.pool or "", source.volume or "") or ""
        return backing_chain.resolve(disk.target, [(path, format_name)], is_complete=True)[0].path
