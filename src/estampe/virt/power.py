"""Taking a server offline: the agent is asked, then ACPI, and at last, where that was allowed, the power is cut."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.model import power
from estampe.virt import base

POLL_SECONDS: Final = 0.5
# An agent's shutdown that works is seen within seconds: systemd stops the agent itself among the first. A guest in early boot
# has no ACPI driver yet and misses the button, so it is pressed again; one that is shutting down ignores more presses.
_ACPI_AFTER_SECONDS: Final = 10.0
_ACPI_EVERY_SECONDS: Final = 15.0
# What power_off may take: QEMU gets SIGTERM, after 15 s SIGKILL (libvirt's virProcessKillPainfully).
_POWER_OFF_SECONDS: Final = 30.0


class Ending(enum.StrEnum):
    """How a server came to be shut off."""

    WAS_OFF = "was shut off already"
    CLEAN = "shut itself down"
    FORCED = "had its power cut"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What passes the time."""

    clock: Callable[[], float]
    wait: Callable[[float], None]
    check_cancelled: Callable[[], None]

    def until_off(self, host: base.Host, uuid: str, *, until: float, between: Callable[[], None]) -> bool:
        """Poll until the server is off (True) or the time `until` is reached; `between` is called at each poll."""
        while True:
            if not host.power_state(uuid).is_active:
                return True
            left = until - self.clock()
            if left <= 0:
                return False
            self.check_cancelled()
            between()
            self.wait(min(POLL_SECONDS, left))


def shut_down(
    host: base.Host,
    uuid: str,
    *,
    timeout_seconds: float,
    is_forced: bool,
    clock: Callable[[], float],
    wait: Callable[[float], None],
    check_cancelled: Callable[[], None],
) -> Ending:
    """Shut the server down, and return when it is off.

    `clock` is monotonic, in seconds; `wait` waits so many seconds; `check_cancelled` raises to end the waiting, which leaves the
    server as it then is. With `is_forced` the power is cut after the timeout, and at once where the server cannot obey.

    Raises: errors.ShutdownTimeout, errors.ServerStateForbids, errors.ServerNotFound; what check_cancelled raises.
    """
    domain = host.get_domain(uuid)
    waiting = _Waiting(clock, wait, check_cancelled)
    state = host.power_state(uuid)
    if not state.is_active:
        _check_no_saved_state(domain, is_forced=is_forced)
        return Ending.WAS_OFF
    if state is power.PowerState.PAUSED:
        if not is_forced:
            raise _paused(domain)
        return _power_off(host, uuid, waiting)
    presses = _Presses(host, uuid, clock)
    if waiting.until_off(host, uuid, until=clock() + timeout_seconds, between=presses.press_when_due):
        return Ending.CLEAN
    if is_forced:
        return _power_off(host, uuid, waiting)
    raise errors.ShutdownTimeout(server=domain.summary.name, seconds=timeout_seconds)


def _power_off(host: base.Host, uuid: str, waiting: _Waiting) -> Ending:
    host.power_off(uuid)
    if not waiting.until_off(host, uuid, until=waiting.clock() + _POWER_OFF_SECONDS, between=lambda: None):
        raise errors.DeadlineExceeded(what=f"the power cut of {uuid}", seconds=_POWER_OFF_SECONDS)
    return Ending.FORCED


def _check_no_saved_state(domain: base.Domain, *, is_forced: bool) -> None:
    """Its volumes alone are not the server: what it had in memory, unwritten data too, lies in the saved state."""
    if domain.has_saved_state and not is_forced:
        name = domain.summary.name
        advice = (
            f"start it and let it shut down, or give its saved memory up with `virsh managedsave-remove {name}`, "
            "or use --force to take its volumes as after a power cut"
        )
        raise errors.ServerStateForbids(server=name, state="shut off with a saved state", advice=advice)


def _paused(domain: base.Domain) -> errors.ServerStateForbids:
    name = domain.summary.name
    advice = f"it cannot shut down; let it go on with `virsh resume {name}`, or use --force to cut its power"
    return errors.ServerStateForbids(server=name, state=str(power.PowerState.PAUSED), advice=advice)


class _Presses:
    """The agent's request first; then ACPI's power button, now and then."""

    def __init__(self, host: base.Host, uuid: str, clock: Callable[[], float]) -> None:
        self._host = host
        self._uuid = uuid
        self._clock = clock
        self._is_agent_asked = False
        self._due = clock()

    def press_when_due(self) -> None:
        if self._clock() < self._due:
            return
        if not self._is_agent_asked:
            self._is_agent_asked = True
            if self._ask_agent():
                self._due = self._clock() + _ACPI_AFTER_SECONDS
                return
        self._host.request_shutdown(self._uuid, by="acpi")
        self._due = self._clock() + _ACPI_EVERY_SECONDS

    def _ask_agent(self) -> bool:
        try:
            self._host.request_shutdown(self._uuid, by="agent")
        except errors.AgentUnavailable:
            return False
        return True
