"""FreeBSD's /etc/rc.conf: host name and network (rc.conf(5)).

Interfaces have names of their driver's there (vtnet0), which say nothing of MAC addresses: they are taken in the order in
which the source had them, which is that of the devices in the server.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from estampe import errors
from estampe.guest import base
from estampe.guest.configuring import addressing, files, resolv, telling
from estampe.model import final

_PATH: Final = "/etc/rc.conf"
_INTERFACE: Final = re.compile(
    r"^ifconfig_([a-z]+\d+)(?:_(?:ipv6|alias\d+))?=.*\n?|^(?:defaultrouter|ipv6_defaultrouter|static_routes|ipv6_static_routes)=.*\n?",
    re.MULTILINE,
)
_WHY_NOT: Final = "UFS and ZFS can only be read in the appliance; install nuageinit or cloud-init in the source"


def configure(appliance: base.Appliance, wish: final.FinalConfiguration) -> list[final.Change]:
    """Write it where the file system takes that, which UFS in a Linux appliance does not: then all is left, and told."""
    try:
        return _configure(appliance, wish)
    except errors.ApplianceFailed as error:
        why = f"{_WHY_NOT} ({error.facts['detail']})"
        wished = ("host name", *(f"network of {each.mac}" for each in wish.interfaces), *_others(wish))
        return [telling.left(what, "not set", why=why) for what in wished]


def _configure(appliance: base.Appliance, wish: final.FinalConfiguration) -> list[final.Change]:
    text = appliance.read(_PATH)
    names = list(dict.fromkeys(name for name in _INTERFACE.findall(text) if name))
    name = wish.full_name or wish.short_name
    changes = [telling.done("host name", f"{name} ({_PATH})")]
    text = files.assign(text, "hostname", name)
    if len(names) >= len(wish.interfaces):
        text = _INTERFACE.sub("", text)
        for key, value in settings(wish.interfaces, names):
            text = files.assign(text, key, value)
        changes += [
            telling.done(f"network of {each.mac}", f"{addressing.told(each)} ({_PATH}: {name}, by its place)")
            for each, name in zip(wish.interfaces, names, strict=False)
        ]
    else:
        why = f"{_PATH} names {len(names)} interface(s), so it is not known what the others are called"
        changes += [telling.left(f"network of {each.mac}", "not set", why=why) for each in wish.interfaces]
    appliance.write(_PATH, text)
    resolv.write(appliance, addressing.all_dns(wish.interfaces), wish.search)
    return [
        *changes,
        *(telling.left(what, "not set", why="only a seed can set it in this guest") for what in _others(wish)),
    ]


def settings(interfaces: Sequence[final.Interface], names: Sequence[str]) -> list[tuple[str, str]]:
    """The variables, in order."""
    found: list[tuple[str, str]] = []
    static: dict[int, list[str]] = {4: [], 6: []}
    for interface, name in zip(interfaces, names, strict=False):
        fixed4, fixed6 = addressing.addresses(interface, 4), addressing.addresses(interface, 6)
        primary = ["DHCP"] if interface.asks_dhcp4 else [f"inet {each}" for each in fixed4[:1]]
        further = [f"inet {each}" for each in (fixed4 if interface.asks_dhcp4 else fixed4[1:])]
        found += [(f"ifconfig_{name}", each) for each in primary or ["up"]]
        found.append((f"ifconfig_{name}_ipv6", f"inet6 {fixed6[0]}" if fixed6 else "inet6 accept_rtadv"))
        further += [f"inet6 {each}" for each in fixed6[1:]]
        found += [(f"ifconfig_{name}_alias{nth}", each) for nth, each in enumerate(further)]
        for version, key in ((4, "defaultrouter"), (6, "ipv6_defaultrouter")):
            gateway = addressing.gateway(interface, version)
            found += [(key, gateway)] if gateway else []
            prefix = "route" if version == 4 else "ipv6_route"
            for destination, via in addressing.routes(interface, version):
                label = f"estampe{len(static[version])}"
                static[version].append(label)
                found.append(
                    (f"{prefix}_{label}", f"-net {destination} {via}" if version == 4 else f"{destination} {via}")
                )
    for version, key in ((4, "static_routes"), (6, "ipv6_static_routes")):
        found += [(key, " ".join(static[version]))] if static[version] else []
    return found


def _others(wish: final.FinalConfiguration) -> list[str]:
    """What rc.conf has no place for."""
    asked = {
        "SSH keys": wish.ssh_keys,
        "password": wish.password_hash,
        "users": wish.users,
        "time zone": wish.timezone,
        "first-boot commands": wish.commands,
        "user data": wish.user_data,
    }
    return [what for what, value in asked.items() if value]
