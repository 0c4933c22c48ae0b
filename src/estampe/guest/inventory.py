"""Taking the inventory of a mounted guest: few calls, whatever it holds."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

from estampe.guest import base, bsd_ways, text
from estampe.model import inventory as inventories

_Item = TypeVar("_Item")
_CONFIGURATION: Final = "/etc"
_USER: Final = re.compile(r"([^:\n]+):[^:\n]*:(\d{1,10}):[^:\n]*:[^:\n]*:[^:\n]*:([^:\n]*)")  # passwd(5)
# Where each init keeps what is enabled: a link for each service.
_ENABLED: Final = {
    "systemd": re.compile(r"/etc/systemd/system/[^/]+\.(?:wants|requires)/([^/]+)"),
    "sysvinit": re.compile(r"/etc/rc[2-5]\.d/S\d\d([^/]+)"),
    "openrc": re.compile(r"/etc/runlevels/[^/]+/([^/]+)"),
    "runit": re.compile(r"/etc/(?:service|runit/runsvdir/default)/([^/]+)"),
}


def packages(handle: Any, root: str) -> tuple[inventories.Package, ...]:
    """All that are installed, by libguestfs' inspection, once mounted; none where it cannot tell: it matters to no one's data."""
    with contextlib.suppress(RuntimeError, ValueError):
        return tuple(sorted((_package(each) for each in handle.inspect_list_applications2(root)), key=_package_order))
    return ()


def _package(told: dict[str, Any]) -> inventories.Package:
    epoch, release = told["app2_epoch"], told["app2_release"]
    version = f"{f'{epoch}:' if epoch else ''}{told['app2_version']}{f'-{release}' if release else ''}"
    return inventories.Package(
        name=text.plain(told["app2_name"]), version=text.plain(version), architecture=text.plain(told["app2_arch"])
    )


def _package_order(package: inventories.Package) -> tuple[str, str, str]:
    return package.name, package.architecture, package.version


def take(appliance: base.Appliance, listed: Sequence[inventories.Package], *, init: str) -> inventories.Inventory:
    """What the guest holds now, so after sealing where it is sealed. Raises: errors.ApplianceFailed."""
    digests = appliance.digests(_CONFIGURATION)
    cut = ["files"] if digests.is_cut else []
    return inventories.Inventory(
        packages=_bounded(listed, inventories.MOST_PACKAGES, "packages", cut),
        users=_bounded(_users(appliance), inventories.MOST_USERS, "users", cut),
        services=_bounded(_services(appliance, digests, init), inventories.MOST_SERVICES, "services", cut),
        files=digests.by_path,
        cut=tuple(cut),
    )


def _bounded(items: Iterable[_Item], most: int, name: str, cut: list[str]) -> tuple[_Item, ...]:
    found = tuple(items)
    if len(found) > most:
        cut.append(name)
    return found[:most]


def _users(appliance: base.Appliance) -> list[inventories.User]:
    path = f"{_CONFIGURATION}/passwd"
    if not appliance.is_file(path):
        return []
    lines = (_USER.fullmatch(line) for line in appliance.read(path).splitlines())
    users = {
        (int(line[2]), line[1]): inventories.User(name=text.plain(line[1]), uid=int(line[2]), shell=text.plain(line[3]))
        for line in lines
        if line
    }
    return [users[each] for each in sorted(users)]


def _services(appliance: base.Appliance, digests: base.Digests, init: str) -> list[str]:
    if init == "rc":
        return sorted(bsd_ways.enabled(appliance))
    pattern = _ENABLED.get(init)
    matches = (pattern.fullmatch(path) for path in digests.by_path) if pattern else ()
    return sorted({match[1] for match in matches if match})
