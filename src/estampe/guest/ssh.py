"""SSH host keys: removed only where something will make new ones."""

from __future__ import annotations

import re
from typing import Final

from estampe.guest import base, linux

_KEYS: Final = linux.Removal(
    "the SSH host keys", ("/etc/ssh/ssh_host_*_key", "/etc/ssh/ssh_host_*_key.pub", "/etc/ssh/ssh_host_*_key-cert.pub")
)
_UNIT_NAME: Final = "estampe-ssh-host-keys.service"
_UNITS: Final = "/etc/systemd/system"
# Not before ssh.socket: sockets come before every ordinary service, and the two orders would make a cycle.
_UNIT: Final = """\
[Unit]
Description=Make new SSH host keys (those of the image template's source were removed)
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key
Before=ssh.service sshd.service

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
"""
_HOST_KEY: Final = re.compile(r"^\s*HostKey\s+(\S+)", re.MULTILINE | re.IGNORECASE)
_USUAL_KEY: Final = re.compile(r"/etc/ssh/ssh_host_[^/]*_key")


def renew_host_keys(appliance: base.Appliance, *, is_renewed_by_cloud_init: bool) -> base.Stripped:
    """Remove the keys, and see to it that the first boot makes new ones. Without a way to do that they stay."""
    is_by_unit = linux.has_systemd(appliance) and appliance.is_file("/usr/bin/ssh-keygen")
    found = appliance.glob(*_KEYS.patterns)
    notes = _note_unusual(appliance)
    if not found:
        return base.Stripped(actions=(), notes=tuple(notes))
    if not is_renewed_by_cloud_init and not is_by_unit:
        notes.append("kept the SSH host keys: nothing in the guest would make new ones; every clone has the same")
        return base.Stripped(actions=(), notes=tuple(notes))
    actions = _KEYS.strip(appliance)
    if is_renewed_by_cloud_init:
        actions[-1] += "; cloud-init makes new ones"
    else:
        actions.append(_add_unit(appliance))
    return base.Stripped(actions=tuple(actions), notes=tuple(notes))


def _add_unit(appliance: base.Appliance) -> str:
    wants = f"{_UNITS}/multi-user.target.wants"
    appliance.make_directory(wants)
    appliance.write(f"{_UNITS}/{_UNIT_NAME}", _UNIT)
    appliance.link(f"{wants}/{_UNIT_NAME}", f"../{_UNIT_NAME}")
    return f"added {_UNITS}/{_UNIT_NAME}: the first boot makes new SSH host keys"


def _note_unusual(appliance: base.Appliance) -> list[str]:
    """Host keys that sshd is told to take from elsewhere: ssh-keygen -A would not make these again."""
    configs = appliance.glob("/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf")
    named = [key for path in configs if appliance.is_file(path) for key in _HOST_KEY.findall(appliance.read(path))]
    unusual = sorted({key for key in named if not _USUAL_KEY.fullmatch(key)})
    return [f"kept SSH host key {key}, which sshd's configuration names: every clone has the same" for key in unusual]
