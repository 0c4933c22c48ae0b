"""SSH host keys: removed only where something will make new ones."""

from __future__ import annotations

import re
from typing import Final

from estampe.guest import base, identity_job, linux

_KEYS: Final = linux.Removal(
    "the SSH host keys", ("/etc/ssh/ssh_host_*_key", "/etc/ssh/ssh_host_*_key.pub", "/etc/ssh/ssh_host_*_key-cert.pub")
)
# What makes them in the guest's own way, before each start of sshd: Red Hat's and Arch's units, SUSE's and Red Hat's scripts.
_OWN_WAYS: Final = (
    "/usr/lib/systemd/system/sshd-keygen*", "/lib/systemd/system/sshd-keygen*", "/usr/lib/systemd/system/sshdgenkeys.service",
    "/usr/sbin/sshd-gen-keys-start", "/usr/lib/ssh/sshd-gen-keys-start", "/usr/sbin/sshd-keygen", "/usr/libexec/openssh/sshd-keygen",
)  # fmt: skip
_OWN_SCRIPTS: Final = (
    "/etc/init.d/sshd",
    "/etc/rc.d/init.d/sshd",
    "/etc/init.d/S50sshd",
)  # Alpine, Red Hat 6, Buildroot
_PRIVATE: Final = re.compile(r"/etc/ssh/ssh_host_(rsa|ecdsa|ed25519)_key")
_HOST_KEY: Final = re.compile(r"^\s*HostKey\s+(\S+)", re.MULTILINE | re.IGNORECASE)
_USUAL_KEY: Final = re.compile(r"/etc/ssh/ssh_host_[^/]*_key")


def renew_host_keys(appliance: base.Appliance, *, is_renewed_by_cloud_init: bool) -> identity_job.Renewed:
    """Remove the keys, and see to it that the first boot makes new ones. Without a way to do that they stay."""
    notes = _note_unusual(appliance)
    if not appliance.glob(*_KEYS.patterns):
        return identity_job.Renewed(notes=tuple(notes))
    by = "cloud-init" if is_renewed_by_cloud_init else _own_way(appliance)
    if by is not None:
        actions = _KEYS.strip(appliance)
        return identity_job.Renewed(actions=(f"{actions[0]}; {by} makes new ones",), notes=tuple(notes))
    if not (linux.has_program(appliance, "ssh-keygen") and identity_job.can_run(appliance)):
        notes.append("kept the SSH host keys: nothing in the guest would make new ones; every clone has the same")
        return identity_job.Renewed(notes=tuple(notes))
    part = identity_job.Part(what="SSH host keys", command=_command(appliance.glob(*_KEYS.patterns)))
    return identity_job.Renewed(actions=tuple(_KEYS.strip(appliance)), notes=tuple(notes), parts=(part,))


def _command(keys: list[str]) -> str:
    """Keys of the kinds that were there: an administrator may have done away with others, and an RSA key takes its time.

    Where none is of a kind that is known, whatever `ssh-keygen -A` makes.
    """
    kinds = [found for found in (_PRIVATE.fullmatch(path) for path in keys) if found]
    made = [f"[ -s {each[0]} ] || ssh-keygen -q -t {each[1]} -N '' -f {each[0]}" for each in kinds]
    return "\n".join(made) or "ssh-keygen -A"


def _own_way(appliance: base.Appliance) -> str | None:
    """What in the guest makes missing keys whenever its sshd starts."""
    found = appliance.glob(*_OWN_WAYS)
    scripts = [path for path in _OWN_SCRIPTS if appliance.is_file(path) and "ssh-keygen" in appliance.read(path)]
    return next(iter([*found, *scripts]), None)


def _note_unusual(appliance: base.Appliance) -> list[str]:
    """Host keys that sshd is told to take from elsewhere: ssh-keygen -A would not make these again."""
    configs = appliance.glob("/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf")
    named = [key for path in configs if appliance.is_file(path) for key in _HOST_KEY.findall(appliance.read(path))]
    unusual = sorted({key for key in named if not _USUAL_KEY.fullmatch(key)})
    return [f"kept SSH host key {key}, which sshd's configuration names: every clone has the same" for key in unusual]
