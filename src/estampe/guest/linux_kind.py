"""Linux: the kind of guest that Estampe seals. All distributions alike: what one of them does not have is not there."""

from __future__ import annotations

from typing import Final

from estampe.guest import base, cloud_init, identity_job, linux, linux_facts, linux_traces, sparing, ssh, storage_names
from estampe.model import guest as guests

_PACKAGES: Final = (
    linux.Removal(
        "downloaded packages and the package cache",
        (
            "/var/cache/apt/archives/*.deb", "/var/cache/apt/archives/partial/*", "/var/cache/apt/*.bin", "/var/cache/yum/*",
            "/var/cache/dnf/*", "/var/cache/libdnf5/*", "/var/cache/zypp/packages/*", "/var/cache/zypp/raw/*",
            "/var/cache/zypp/solv/*", "/var/cache/pacman/pkg/*", "/var/cache/apk/*", "/etc/apk/cache/*", "/var/cache/xbps/*",
            "/var/cache/distfiles/*", "/var/cache/PackageKit/*",
        ),
    ),
    linux.Removal(
        "registration of the source with its vendor",
        (
            "/etc/pki/consumer/*", "/etc/pki/entitlement/*", "/etc/sysconfig/rhn/systemid", "/etc/zypp/credentials.d/SCCcredentials",
            "/var/lib/ubuntu-advantage/private/*",
        ),
    ),
)  # fmt: skip


class Linux:
    """See base.GuestKind."""

    name = "linux"

    def matches(self, os_type: str, distribution: str) -> bool:  # noqa: ARG002 - all of them
        """See base.GuestKind."""
        return os_type == "linux"

    def facts(self, appliance: base.Appliance, *, root_kind: str) -> base.Facts:
        """See base.GuestKind."""
        return linux_facts.read(appliance, root_kind=root_kind)

    def why_not_sealed(self, appliance: base.Appliance) -> str | None:
        """See base.GuestKind."""

    def seal(self, appliance: base.Appliance, wish: guests.SealingWish = guests.NOTHING_WISHED) -> base.Stripped:
        """See base.GuestKind."""
        spared = sparing.Sparing(appliance, wish.keep)
        cloud = cloud_init.read(appliance)
        renewed = (
            ssh.renew_host_keys(spared, is_renewed_by_cloud_init=cloud.renews_host_keys),
            storage_names.renew_initiator(spared),
            storage_names.renew_nvme(spared),
        )
        job = identity_job.install(spared, [part for each in renewed for part in each.parts])
        parts = [
            _acted([] if spared.is_spared("/etc/machine-id") else linux.empty_machine_id(spared)),
            *(base.Stripped(actions=each.actions, notes=each.notes) for each in renewed),
            _acted(job),
            cloud_init.clean(spared, cloud),
            _acted(linux.strip_all(spared, linux.NETWORK)),
            _acted(linux.strip_all(spared, linux.RANDOMNESS)),
            linux.remove_credential_secret(spared),
            _acted(linux_traces.remove_histories(spared)),
            _acted(linux.strip_all(spared, linux.LEFTOVERS)),
            _acted(linux_traces.empty_mail_queues(spared)),
            _acted(linux_traces.empty_logs(spared)),
            _acted(linux.strip_all(spared, _PACKAGES)),
            _as_wished(appliance, spared, wish),
        ]
        kept = (*linux.note_static_addresses(appliance), *linux.note_foreign_identities(appliance), linux.ACCOUNTS_NOTE)
        return base.Stripped(
            actions=tuple(line for part in parts for line in part.actions),
            notes=(*(line for part in parts for line in part.notes), *kept),
        )


def _acted(lines: list[str]) -> base.Stripped:
    return base.Stripped(actions=tuple(lines), notes=())


def _as_wished(appliance: base.Appliance, spared: base.Appliance, wish: guests.SealingWish) -> base.Stripped:
    """What else was to go, and what was not."""
    removed = sparing.remove_wished(spared, wish)
    kept = appliance.glob(*wish.keep) if wish.keep else []
    return base.Stripped(actions=tuple(removed), notes=(f"kept as asked: {linux.listed(kept)}",) if kept else ())
