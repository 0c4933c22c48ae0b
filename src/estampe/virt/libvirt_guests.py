"""The running side of domains: power, and the agent inside the guest."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any, Final, Literal

import libvirt
import libvirt_qemu  # type: ignore[import-untyped]

from estampe import errors
from estampe.virt import libvirt_connection, libvirt_domains

_AGENT_PING_SECONDS: Final = 5
# The agent answers guest-shutdown with silence (qapi: "success-response": false): once it has answered a ping, a second
# without an error means that it took the request.
_AGENT_SILENCE_SECONDS: Final = 1
_LOCK: Final = re.compile(r"Failed to get .*lock")
_LOCKED_PATH: Final = re.compile(r"Is another process using the image \[(.+?)\]")
# libvirt (9.0) says no more where QEMU had ended, for a lock as for anything else, just before its monitor was connected to.
_GONE_UNHEARD: Final = "failed to connect to monitor socket"
_ADDRESS_SOURCES: Final = (
    libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT,
    libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,
)


class Guests:
    """Power and agents of the domains of one connection."""

    def __init__(self, domains: libvirt_domains.Domains) -> None:
        self._domains = domains

    def start(self, uuid: str, *, is_paused: bool = False) -> None:
        """Start; already active is fine. Raises: errors.VolumeLocked, errors.ServerNotFound."""
        flags = libvirt.VIR_DOMAIN_START_PAUSED if is_paused else 0

        def start(domain: Any) -> None:
            try:
                _create(domain, flags)
            except libvirt.libvirtError as error:
                if domain.isActive():
                    return
                _raise_if_locked(error)
                raise

        self._domains.on(uuid, f"start {uuid}", start)

    def request_shutdown(self, uuid: str, *, by: Literal["agent", "acpi"]) -> None:
        """Ask the guest to shut down; shut off already is fine. Raises: errors.AgentUnavailable, errors.ServerNotFound."""
        if not self._domains.power_state(uuid).is_active:
            return
        if by == "acpi":
            flag = libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
            self._domains.on(uuid, f"shut down {uuid}", lambda domain: _unless_off(domain, domain.shutdownFlags, flag))
            return
        self.agent_command(uuid, "guest-ping", timeout_seconds=_AGENT_PING_SECONDS)
        self._domains.on(uuid, f"shut down {uuid}", _shut_down_by_agent)

    def power_off(self, uuid: str) -> None:
        """Cut the power; shut off already is fine. Raises: errors.ServerNotFound."""
        self._domains.on(uuid, f"power off {uuid}", lambda domain: _unless_off(domain, domain.destroy))

    def agent_command(
        self, uuid: str, command: str, arguments: dict[str, Any] | None = None, *, timeout_seconds: int = 5
    ) -> Any:
        """The guest agent's `return` value. Raises: errors.AgentUnavailable, errors.ServerNotFound."""
        request = {"execute": command} | ({"arguments": arguments} if arguments else {})

        def ask(domain: Any) -> Any:
            try:
                answer = libvirt_qemu.qemuAgentCommand(domain, json.dumps(request), timeout_seconds, 0)
            except libvirt.libvirtError as error:
                _raise_if_of_guest(domain, error)
                raise
            return json.loads(answer).get("return")

        return self._domains.on(uuid, f"ask the agent of {uuid}", ask)

    def interface_addresses(self, uuid: str) -> list[str]:
        """Addresses with prefix, loopback left out; empty where nobody can tell. Raises: errors.ServerNotFound."""

        def addresses(domain: Any) -> list[str]:
            for source in _ADDRESS_SOURCES:
                with contextlib.suppress(libvirt.libvirtError):
                    found = _addresses(domain.interfaceAddresses(source))
                    if found:
                        return found
            return []

        return self._domains.on(uuid, f"tell the addresses of {uuid}", addresses)


def _shut_down_by_agent(domain: Any) -> None:
    request = json.dumps({"execute": "guest-shutdown", "arguments": {"mode": "powerdown"}})
    try:
        libvirt_qemu.qemuAgentCommand(domain, request, _AGENT_SILENCE_SECONDS, 0)
    except libvirt.libvirtError as error:
        is_silence = libvirt_connection.has_code(error, libvirt.VIR_ERR_AGENT_UNRESPONSIVE)
        if not is_silence and domain.isActive():
            _raise_if_of_guest(domain, error)
            raise


def _raise_if_of_guest(domain: Any, error: Any) -> None:
    """Anything but a domain or a connection that is gone is the agent's fault."""
    gone = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_CONN, libvirt.VIR_ERR_RPC)
    if not libvirt_connection.has_code(error, *gone) and domain.connect().isAlive():
        raise errors.AgentUnavailable(server=domain.name(), detail=libvirt_connection.message_of(error)) from error


def _unless_off(domain: Any, call: Any, *arguments: int) -> None:
    """`call`, whose failure does not matter where the domain is off by then."""
    try:
        call(*arguments)
    except libvirt.libvirtError:
        if domain.isActive() and domain.state()[0] != libvirt.VIR_DOMAIN_SHUTOFF:
            raise


def _create(domain: Any, flags: int) -> None:
    """Start; once more where QEMU ended before it could be heard why, which is a race of a few milliseconds on a busy host."""
    try:
        domain.createWithFlags(flags)
    except libvirt.libvirtError as error:
        if _GONE_UNHEARD not in libvirt_connection.message_of(error):
            raise
        domain.createWithFlags(flags)


def _raise_if_locked(error: Any) -> None:
    message = libvirt_connection.message_of(error)
    if _LOCK.search(message):
        path = _LOCKED_PATH.search(message)
        raise errors.VolumeLocked(path=path[1] if path else "?", detail="QEMU could not lock it") from error


def _addresses(interfaces: dict[str, Any]) -> list[str]:
    found = []
    for name, interface in interfaces.items():
        if name == "lo":
            continue
        found += [f"{address['addr']}/{address['prefix']}" for address in interface.get("addrs") or ()]
    return found
