"""Power states of a server, as libvirt tells them."""

from __future__ import annotations

import enum


class PowerState(enum.StrEnum):
    """virDomainState, with the states that matter to nobody folded together."""

    RUNNING = "running"  # VIR_DOMAIN_RUNNING, BLOCKED
    PAUSED = "paused"  # VIR_DOMAIN_PAUSED, PMSUSPENDED
    STOPPING = "stopping"  # VIR_DOMAIN_SHUTDOWN: on its way
    SHUT_OFF = "shut off"  # VIR_DOMAIN_SHUTOFF, CRASHED

    @property
    def is_active(self) -> bool:
        """Whether a QEMU process holds the server's volumes."""
        return self is not PowerState.SHUT_OFF
