"""What this host has and lacks for Estampe, and the command that fixes each.

Works without the daemon; changes nothing, but remembers what the KVM probe answered.
"""

from __future__ import annotations

from collections.abc import Iterator

from estampe import config
from estampe.doctor import appliance, daemon, database, hypervisor, places, programs
from estampe.doctor.check import Check, Status

__all__ = ["Check", "Status", "examine"]


def examine(settings: config.Settings, *, is_full: bool = False) -> list[Check]:
    """All checks, in the order in which to fix them. With `is_full` the appliance is launched, too: up to half a minute.

    Never raises: what cannot be found out is a check that fails.
    """
    return list(_examine(settings, is_full=is_full))


def _examine(settings: config.Settings, *, is_full: bool) -> Iterator[Check]:
    bindings = list(programs.check_bindings())
    yield from bindings
    yield from programs.check_programs()
    if bindings[0].status is Status.OK:  # libvirt's come first
        yield from hypervisor.check_host(
            settings.libvirt_uri, pool=settings.default_pool, network=settings.default_network
        )
    kvm = hypervisor.check_acceleration(settings)
    yield kvm
    yield hypervisor.check_firmware()
    yield from appliance.check_appliance(is_full=is_full, is_kvm_usable=kvm.status is Status.OK)
    yield from places.check_places(settings)
    yield from database.check_database(settings)
    yield daemon.check_group(settings.group)
    yield daemon.check_daemon(settings.socket)
