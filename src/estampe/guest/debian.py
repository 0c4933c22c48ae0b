"""Debian and what follows its ways: the kind of guest that Estampe seals."""

from __future__ import annotations

from typing import Final

from estampe.guest import base, cloud_init, linux, linux_facts, linux_traces, ssh

_DISTRIBUTIONS: Final = frozenset({"debian", "ubuntu"})  # libguestfs' names

_PACKAGES: Final = (
    linux.Removal(
        "downloaded packages and the package cache",
        ("/var/cache/apt/archives/*.deb", "/var/cache/apt/archives/partial/*", "/var/cache/apt/*.bin"),
    ),
)
_INITIATOR: Final = "/etc/iscsi/initiatorname.iscsi"


class Debian:
    """See base.GuestKind."""

    name = "debian"

    def matches(self, os_type: str, distribution: str) -> bool:
        """See base.GuestKind."""
        return os_type == "linux" and distribution in _DISTRIBUTIONS

    def facts(self, appliance: base.Appliance, *, root_kind: str) -> base.Facts:
        """See base.GuestKind."""
        return linux_facts.read(appliance, root_kind=root_kind)

    def seal(self, appliance: base.Appliance) -> base.Stripped:
        """See base.GuestKind."""
        cloud = cloud_init.read(appliance)
        parts = [
            _acted(linux.empty_machine_id(appliance)),
            ssh.renew_host_keys(appliance, is_renewed_by_cloud_init=cloud.renews_host_keys),
            cloud_init.clean(appliance, cloud),
            _acted(linux.strip_all(appliance, linux.NETWORK)),
            _acted(linux.strip_all(appliance, linux.RANDOMNESS)),
            linux.remove_credential_secret(appliance),
            _acted(_renew_initiator(appliance)),
            _acted(linux_traces.remove_histories(appliance)),
            _acted(linux.strip_all(appliance, linux.LEFTOVERS)),
            _acted(linux_traces.empty_mail_queues(appliance)),
            _acted(linux_traces.empty_logs(appliance)),
            _acted(linux.strip_all(appliance, _PACKAGES)),
        ]
        kept = (*linux.note_static_addresses(appliance), *linux.note_foreign_identities(appliance), linux.ACCOUNTS_NOTE)
        return base.Stripped(
            actions=tuple(line for part in parts for line in part.actions),
            notes=(*(line for part in parts for line in part.notes), *kept),
        )


def _acted(lines: list[str]) -> base.Stripped:
    return base.Stripped(actions=tuple(lines), notes=())


def _renew_initiator(appliance: base.Appliance) -> list[str]:
    """open-iscsi's start script makes a name where the file asks for one (Debian's startup-checks.sh)."""
    if not appliance.is_file(_INITIATOR) or "InitiatorName=" not in appliance.read(_INITIATOR):
        return []
    appliance.write(_INITIATOR, "GenerateName=yes\n")
    return [f"reset {_INITIATOR}: the next boot makes a new iSCSI initiator name"]
