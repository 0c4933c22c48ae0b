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

_RETRY_SECONDS: Final = 2.0  # a restart of libvirtd takes some seconds; an attempt costs next to nothing
_REFUSED_SECONDS: Final = 5.0  # a QEMU that was slow to come up is worth another try or two
_WATCH_SECONDS: Final = 0.5


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

    `restore_seconds`: so long it is tried to give the power state back. Nobody else knows that the server ran, so an update that
    restarts libvirtd, or a backup that has a volume locked, must not leave it off.
    """

    host: virt.Host
    times: Times
    late_shutdown_seconds: float
    restore_seconds: float

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

    def restore(
        self,
        seen: examine.Seen,
        place: workspace.Workspace,
        *,
        check_closing: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        """Running or paused as it was; what a killed daemon left on its devices is taken away.

        Where libvirt does not answer or a volume is locked it is tried again, and `tell` told why, until `restore_seconds` have
        passed since the first failure; where libvirt refuses, for some seconds. `check_closing` raises to break off.

        Raises: the last failure (errors.Unavailable, errors.VolumeLocked); errors.ServerNotFound.
        """
        watched_until = self.times.clock() + self.late_shutdown_seconds
        failed_first_at: float | None = None
        while True:
            check_closing()
            try:
                self._restore(seen, place, watched_until, check_closing)
            except (errors.Unavailable, errors.VolumeLocked) as error:
                now = self.times.clock()
                failed_first_at = now if failed_first_at is None else failed_first_at
                if now >= failed_first_at + self._patience_seconds(error):
                    raise
                tell(str(error))
                self.times.wait(_RETRY_SECONDS)
            else:
                return

    def _patience_seconds(self, error: errors.EstampeError) -> float:
        """What passes by itself is waited for; what libvirt refuses (a volume is gone) it refuses in ten minutes, too."""
        is_passing = isinstance(error, errors.HypervisorUnavailable | errors.VolumeLocked)
        return self.restore_seconds if is_passing else min(_REFUSED_SECONDS, self.restore_seconds)

    def _restore(
        self, seen: examine.Seen, place: workspace.Workspace, watched_until: float, check_closing: Callable[[], None]
    ) -> None:
        device_fence.release(seen.writable_devices)
        if seen.was.is_active:
            self._await_late_shutdown(seen, place, watched_until, check_closing)
            self.host.start(seen.domain_uuid, is_paused=seen.was is power.PowerState.PAUSED)
        place.shutdown_marker.unlink(missing_ok=True)  # last: as long as it is there, the server may need a start

    def _await_late_shutdown(
        self, seen: examine.Seen, place: workspace.Workspace, until: float, check_closing: Callable[[], None]
    ) -> None:
        if not place.shutdown_marker.exists():
            return
        while self.host.power_state(seen.domain_uuid).is_active and self.times.clock() < until:
            check_closing()
            self.times.wait(_WATCH_SECONDS)
