"""Names by which storage systems know a guest: of its iSCSI initiator and of its NVMe host."""

from __future__ import annotations

from typing import Final

from estampe.guest import base, identity_job, linux

_INITIATOR: Final = "/etc/iscsi/initiatorname.iscsi"
_DEBIANS_CHECK: Final = ("/lib/open-iscsi/startup-checks.sh", "/usr/lib/open-iscsi/startup-checks.sh")
_INITIATOR_UNITS: Final = ("/usr/lib/systemd/system/iscsi-init.service", "/lib/systemd/system/iscsi-init.service")
# Who reads the names. Where none of these is installed they are leftovers, which nobody misses.
_INITIATORS: Final = ("iscsid", "iscsistart", "iscsi-iname")
_NVME_HOSTS: Final = ("nvme", "stafd")
_NAME_AGAIN: Final = identity_job.Part(
    what="iSCSI initiator name", command=f'[ -s {_INITIATOR} ] || echo "InitiatorName=$(iscsi-iname)" > {_INITIATOR}'
)
_NVME: Final = linux.Removal("the NVMe host name", ("/etc/nvme/hostnqn", "/etc/nvme/hostid"))
_NVME_AGAIN: Final = identity_job.Part(
    what="NVMe host name",
    # The host's id is the UUID at the end of its name, as nvme-cli itself has it.
    command="[ -s /etc/nvme/hostnqn ] || { nvme gen-hostnqn > /etc/nvme/hostnqn && sed 's/.*uuid://' /etc/nvme/hostnqn > /etc/nvme/hostid; }",
)


def renew_initiator(appliance: base.Appliance) -> identity_job.Renewed:
    """By Debian's start script, which makes a name where the file asks for one; by Red Hat's and SUSE's unit; by our job.

    It goes where nothing would read it, and is kept where something would and nothing makes a new one.
    """
    if not appliance.is_file(_INITIATOR) or "InitiatorName=" not in appliance.read(_INITIATOR):
        return identity_job.Renewed()
    if any(appliance.is_file(path) for path in _DEBIANS_CHECK):
        appliance.write(_INITIATOR, "GenerateName=yes\n")
        return identity_job.Renewed(actions=(f"reset {_INITIATOR}: the next boot makes a new iSCSI initiator name",))
    if any(appliance.is_file(path) for path in _INITIATOR_UNITS):
        appliance.remove(_INITIATOR)
        return identity_job.Renewed(actions=(f"removed {_INITIATOR}; iscsi-init.service makes a new one",))
    if linux.has_program(appliance, "iscsi-iname") and identity_job.can_run(appliance):
        appliance.remove(_INITIATOR)
        return identity_job.Renewed(actions=(f"removed {_INITIATOR}",), parts=(_NAME_AGAIN,))
    if not any(linux.has_program(appliance, name) for name in _INITIATORS):
        appliance.remove(_INITIATOR)
        return identity_job.Renewed(actions=(f"removed {_INITIATOR}: no iSCSI initiator is installed",))
    note = f"kept {_INITIATOR}: nothing in the guest would make a new name; every clone has the same"
    return identity_job.Renewed(notes=(note,))


def renew_nvme(appliance: base.Appliance) -> identity_job.Renewed:
    """By our job: nvme-cli itself makes a name only when it is installed."""
    found = appliance.glob(*_NVME.patterns)
    if not found:
        return identity_job.Renewed()
    if not any(linux.has_program(appliance, name) for name in _NVME_HOSTS):
        return identity_job.Renewed(actions=tuple(_NVME.strip(appliance)))
    if linux.has_program(appliance, "nvme") and identity_job.can_run(appliance):
        return identity_job.Renewed(actions=tuple(_NVME.strip(appliance)), parts=(_NVME_AGAIN,))
    note = f"kept {_NVME.what} ({linux.listed(found)}): nothing in the guest would make a new one; every clone has the same"
    return identity_job.Renewed(notes=(note,))
