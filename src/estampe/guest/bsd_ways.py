"""The ways of a BSD guest, as far as libguestfs can open one: its kernel needs a module for UFS, which many lack."""

from __future__ import annotations

import re
from typing import Final

from estampe.guest import base
from estampe.model import guest as guests

_RC_CONF: Final = ("/etc/rc.conf", "/etc/rc.conf.local", "/etc/rc.conf.d/*")
_ENABLED: Final = re.compile(r"""^\s*(\w+)_enable=["']?(?:YES|TRUE|ON|1)\b""", re.MULTILINE | re.IGNORECASE)
_NUAGEINIT: Final = "/usr/libexec/nuageinit"


def read(appliance: base.Appliance) -> base.Ways:
    """See guest.ways."""
    seed_reader = "nuageinit" if appliance.is_file(_NUAGEINIT) and "nuageinit" in enabled(appliance) else None
    return base.Ways(
        boot_loader="loader" if appliance.glob("/boot/loader", "/boot/loader.efi", "/boot") else guests.UNKNOWN,
        network="rc.conf" if appliance.is_file("/etc/rc.conf") else guests.UNKNOWN,
        seed_reader=seed_reader,
        init="rc",
        has_guest_agent=appliance.is_file("/usr/local/bin/qemu-ga") or appliance.is_file("/usr/pkg/bin/qemu-ga"),
    )


def enabled(appliance: base.Appliance) -> set[str]:
    """Services that rc.conf(5) enables."""
    paths = [path for path in appliance.glob(*_RC_CONF) if appliance.is_file(path)]
    return {name for path in paths for name in _ENABLED.findall(appliance.read(path))}
