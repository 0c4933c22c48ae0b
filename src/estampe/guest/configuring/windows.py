"""A Windows guest without cloudbase-init: an answer file for the setup of a generalised image."""

from __future__ import annotations

from typing import Final

from estampe.guest import base, windows_kind, windows_ways
from estampe.guest.configuring import addressing, telling, unattend, windows_zones
from estampe.model import final

_FOLDER: Final = ("Windows", "Panther", "Unattend")
# Setup looks here before it looks at the answer file that sysprep left in Panther (Windows Setup Automation Overview).
_FILE: Final = "Unattend.xml"


def configure(appliance: base.Appliance, wish: final.FinalConfiguration, *, is_generalised: bool) -> list[final.Change]:
    """Place the answer file. Raises: errors.ApplianceFailed."""
    if not is_generalised:
        return [telling.left(what, "not set", why=windows_kind.NOT_GENERALISED) for what in _wished(wish)]
    folder = _make_folder(appliance)
    if old := windows_ways.find(appliance, f"{folder}/{_FILE}"):
        appliance.remove(old)
    path = f"{folder}/{_FILE}"
    appliance.write(path, unattend.build(wish))
    place = "/".join(("C:", *_FOLDER, _FILE))
    return [*_done(wish, place), *_left(wish)]


def _wished(wish: final.FinalConfiguration) -> list[str]:
    return ["host name", *(f"network of {each.mac}" for each in wish.interfaces), *_asked(wish)]


def _asked(wish: final.FinalConfiguration) -> list[str]:
    asked = {
        "administrator's password": wish.admin_password,
        "password hash": wish.password_hash,
        "SSH keys": wish.ssh_keys,
        "users": wish.users,
        "time zone": wish.timezone,
        "first-boot commands": wish.commands,
        "user data": wish.user_data,
    }
    return [what for what, value in asked.items() if value]


def _done(wish: final.FinalConfiguration, place: str) -> list[final.Change]:
    changes = [telling.done("host name", f"{unattend.computer_name(wish)} ({place})")]
    changes += [
        telling.done(f"network of {each.mac}", f"{addressing.told(each)} ({place})") for each in wish.interfaces
    ]
    if wish.admin_password:
        changes.append(telling.done("administrator's password", f"set ({place})"))
    if wish.timezone and (zone := windows_zones.find(wish.timezone)):
        changes.append(telling.done("time zone", f"{zone} ({place})"))
    if wish.commands:
        told = f"{len(wish.commands)} command(s), run when the administrator first logs on ({place})"
        changes.append(telling.done("first-boot commands", told))
    return changes


def _left(wish: final.FinalConfiguration) -> list[final.Change]:
    """What an answer file has no place for."""
    changes = []
    if len(wish.short_name) > unattend.MOST_NAME_CHARACTERS:
        why = f"Windows takes {unattend.MOST_NAME_CHARACTERS} characters of a computer's name"
        changes.append(telling.left("whole host name", wish.short_name, why=why))
    if wish.timezone and windows_zones.find(wish.timezone) is None:
        changes.append(telling.left("time zone", wish.timezone, why="Windows' name of this zone is not known"))
    others = {
        "SSH keys": wish.ssh_keys,
        "users": wish.users,
        "password hash": wish.password_hash,
        "user data": wish.user_data,
    }
    why = "an answer file cannot say it; install cloudbase-init in the source"
    return [*changes, *(telling.left(what, "not set", why=why) for what, value in others.items() if value)]


def _make_folder(appliance: base.Appliance) -> str:
    """C:/Windows/Panther/Unattend by the names that the folders have; what is missing is made."""
    place = ""
    for name in _FOLDER:
        place = windows_ways.find(appliance, f"{place}/{name}") or f"{place}/{name}"
    appliance.make_directory(place)
    return place
