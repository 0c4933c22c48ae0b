"""Taking the server offline, and giving it back the power state that it had."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from estampe import errors
from estampe.capture import examine, workspace
from estampe.capture import request as requests
from estampe.model import power
from estampe.virt import base as virt
from estampe.virt import device_fence
from estampe.virt import power as virt_power

_START_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Clock (seconds, monotonic) and wait; passed in so that tests do not sleep."""

    clock: Callable[[], float] = field(default=time.monotonic)
    wait: Callable[[float], None] = field(default=time.sleep)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """Stops and restores servers of one host; both are idempotent.

    `late_shutdown_seconds`: a guest that was asked to shut down may do so after the capture gave up on it. It is watched
    so long, and started again when it went.
    """

    host: virt.Host
    times: Times
    late_shutdown_seconds: float

    def stop(
        self,
        request: requests.CaptureRequest,
        seen: examine.Seen,
        place: workspace.Workspace,
        *,
        check_cancelled: Callable[[], None],
    ) -> None:
        """Shut the server down as `request` says. Raises: errors.ShutdownTimeout (it was left running)."""
        place.make()
        place.shutdown_marker.touch()
        virt_power.shut_down(
            self.host,
            seen.domain_uuid,
            timeout_seconds=request.stop_timeout_seconds,
            is_forced=request.is_forced,
            clock=self.times.clock,
            wait=self.times.wait,
            check_cancelled=check_cancelled,
        )

    def restore(self, seen: examine.Seen, place: workspace.Workspace) -> None:
        """Running or paused as it was; what a killed daemon left on its devices is taken away."""
        device_fence.release(seen.writable_devices)
        if not seen.was.is_active:
            return
        self._await_late_shutdown(seen, place)
        for attempt in range(_START_ATTEMPTS):
            try:
                self.host.start(seen.domain_uuid, is_paused=seen.was is power.PowerState.PAUSED)
                break
            except errors.Unavailable:
                if attempt == _START_ATTEMPTS - 1:
                    raise
                self.times.wait(1.0)

    def _await_late_shutdown(self, seen: examine.Seen, place: workspace.Workspace) -> None:
        if not place.shutdown_marker.exists():
            return
        deadline = self.times.clock() + self.late_shutdown_seconds
        while self.host.power_state(seen.domain_uuid).is_active and self.times.clock() < deadline:
            self.times.wait(0.5)
        place.shutdown_marker.unlink(missing_ok=True)
