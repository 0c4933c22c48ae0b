"""The time zone of a guest."""

from __future__ import annotations

from typing import Final

from estampe.guest import base
from estampe.guest.configuring import files, telling
from estampe.model import final

_ZONES: Final = "/usr/share/zoneinfo"
# Shell variables that hold it too: older Red Hat's and SUSE's, Gentoo's.
_VARIABLES: Final = (
    ("/etc/sysconfig/clock", "ZONE"),
    ("/etc/sysconfig/clock", "TIMEZONE"),
    ("/etc/conf.d/clock", "TIMEZONE"),
)


def configure(appliance: base.Appliance, wish: final.FinalConfiguration) -> list[final.Change]:
    """Set the zone where it was asked for and the guest knows it."""
    if wish.timezone is None:
        return []
    zone = f"{_ZONES}/{wish.timezone}"
    if not appliance.is_file(zone):
        why = f"the guest has no {zone}: its zone database (tzdata) is missing, or does not know the zone"
        return [telling.left("time zone", wish.timezone, why=why)]
    appliance.link("/etc/localtime", f"..{zone}")
    places = ["/etc/localtime"]
    # Debian's own copy of the name; systemd asks the link (localtime(5)).
    if appliance.exists("/etc/timezone") or appliance.exists("/etc/debian_version"):
        files.put(appliance, "/etc/timezone", f"{wish.timezone}\n")
        places.append("/etc/timezone")
    places += [path for path, key in _VARIABLES if files.reassign(appliance, path, key, wish.timezone)]
    return [telling.done("time zone", f"{wish.timezone} ({', '.join(dict.fromkeys(places))})")]
