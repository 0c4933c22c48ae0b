"""A guest's network, in the way in which the guest itself configures it."""

from __future__ import annotations

from typing import Final

from estampe.guest import base, linux
from estampe.guest.configuring import (
    addressing,
    ifcfg,
    ifupdown,
    naming,
    netplan,
    network_manager,
    networkd,
    telling,
    ways,
    wicked,
)
from estampe.model import final

_WAYS: Final[dict[str, ways.Way]] = {
    "ifupdown": ifupdown,
    "systemd-networkd": networkd,
    "netplan": netplan,
    "network-manager": network_manager,
    "ifcfg": ifcfg,
    "wicked": wicked,
}
KNOWN: Final = frozenset(_WAYS)


def configure(appliance: base.Appliance, wish: final.FinalConfiguration, *, system: str) -> list[final.Change]:
    """Give every interface what was wished. `system` is the guest's way, as model.guest.Guest.network has it."""
    if not wish.interfaces:
        return []
    way = _WAYS.get(system)
    if way is None:
        return [_left(each, "it is not known how the guest configures its network") for each in wish.interfaces]
    in_the_way = way.virtual_device(appliance)
    if in_the_way is not None and not any(each.is_said for each in wish.interfaces):
        why = (
            f"{in_the_way} makes a bridge, bond or VLAN of the source's interfaces, which would not survive; "
            "give addresses for a plain network instead, or change it inside the server"
        )
        return [_left(each, why) for each in wish.interfaces]
    removed_rules = _remove_old_names(appliance)
    replaced = way.replace(appliance, wish.interfaces, wish.search)
    removed = [path for path in (*removed_rules, *replaced.removed) if path not in replaced.written]
    where = f"{system}: {linux.listed(replaced.written)}"
    changes = [telling.done(f"network of {each.mac}", f"{addressing.told(each)} ({where})") for each in wish.interfaces]
    if removed:
        changes.append(telling.done("network of the source", f"removed {linux.listed(removed)}"))
    return changes


def _left(interface: final.Interface, why: str) -> final.Change:
    return telling.left(f"network of {interface.mac}", addressing.told(interface), why=why)


def _remove_old_names(appliance: base.Appliance) -> list[str]:
    """Rules that bind names to the source's MAC addresses: in a template that was not sealed they are there still."""
    removed = [path for path in appliance.glob(*linux.PERSISTENT_NAMES.patterns) if path != naming.RULES]
    for path in removed:
        appliance.remove(path)
    return removed
