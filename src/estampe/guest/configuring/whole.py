"""All of the final configuration of one guest, and what came of it."""

from __future__ import annotations

from typing import Final

from estampe.guest import base, linux_ways, windows_ways
from estampe.guest.configuring import accounts, clock, commands, names, network, rc_conf, telling, windows
from estampe.model import final

_SELINUX: Final = "/etc/selinux/config"


def configure(appliance: base.Appliance, wish: final.FinalConfiguration) -> list[final.Change]:
    """Write everything that is wished into a mounted guest, and tell what was done and what was left.

    Raises: errors.ApplianceFailed: something is written, and something is not.
    """
    if windows_ways.find(appliance, "/Windows/System32") is not None:
        is_generalised = windows_ways.read(appliance).is_generalised is True
        return windows.configure(appliance, wish, is_generalised=is_generalised)
    if appliance.is_file("/etc/rc.conf") and appliance.is_file("/etc/rc.subr"):
        return rc_conf.configure(appliance, wish)
    if not appliance.is_file("/etc/passwd"):
        return [telling.left("final configuration", "not written", why="the guest is of no kind that is known")]
    return _configure_linux(appliance, wish)


def _configure_linux(appliance: base.Appliance, wish: final.FinalConfiguration) -> list[final.Change]:
    changes = [
        *names.configure(appliance, wish),
        *network.configure(appliance, wish, system=linux_ways.read(appliance, is_uefi=False).network),
        *accounts.configure(appliance, wish),
        *clock.configure(appliance, wish),
        *commands.configure(appliance, wish),
        *_left_user_data(wish),
    ]
    return [*changes, *_relabel(appliance)]


def _left_user_data(wish: final.FinalConfiguration) -> list[final.Change]:
    if wish.user_data is None:
        return []
    return [telling.left("user data", "not given", why="nothing in the guest reads it")]


def _relabel(appliance: base.Appliance) -> list[final.Change]:
    """New files have no SELinux label, and a guest that enforces would not let its own programs read them."""
    text = appliance.read(_SELINUX) if appliance.is_file(_SELINUX) else ""
    modes = [line.partition("=")[2].strip() for line in text.splitlines() if line.startswith("SELINUX=")]
    if not modes or modes[-1] == "disabled":
        return []
    appliance.write("/.autorelabel", "")
    return [
        final.Change(
            what="SELinux labels",
            means=final.Means.FIRST_BOOT,
            detail="all files are labelled anew, which takes a while and boots the server twice (/.autorelabel)",
        )
    ]
